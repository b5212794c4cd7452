//! Downloads over broken connections and from servers that misbehave: the right file or none.

use std::fs;
use std::time::{Duration, Instant};

use gpt2_hub::{HubError, RequestErrorKind as Kind};

use crate::fakes::files_of;
use crate::fakes::hugging_face::{COMMIT, Hub, etag};
use crate::fakes::server::*;
use crate::support::*;

const WEIGHTS: &str = "model.safetensors";

/// Loads a model from a hub where `fault` changes the answers with the weights. `fault` also
/// receives the number of earlier requests for them.
fn load_through(
    fault: impl Fn(&Request, Response, usize) -> Response + Send + Sync + 'static,
) -> (Result<Files, HubError>, Hub) {
    let hub = Hub::with_faults(transformers_preset().0, move |request, response, before| {
        let weights = request.path.ends_with(WEIGHTS) && request.method == "GET";
        if weights { fault(request, response, before) } else { response }
    });
    (hub.load(), hub)
}

fn model() -> Files {
    transformers_preset().1
}

/// Bytes of the weights, and the name of their blob in the cache.
fn weights() -> (Vec<u8>, String) {
    let bytes = transformers_preset().0.remove(WEIGHTS).unwrap();
    let name = etag(WEIGHTS, &bytes);
    (bytes, name)
}

/// First bytes of the requests for the weights; none for a request of the whole file.
fn starts(hub: &Hub) -> Vec<Option<usize>> {
    let requests = hub.server.requests();
    let weights = requests.iter().filter(|request| request.path.ends_with(WEIGHTS));
    weights.filter(|request| request.method == "GET").map(Request::range_start).collect()
}

/// Names of partial files in the folder of blobs.
fn partials(hub: &Hub) -> Vec<String> {
    let names = files_of(&hub.folder().join("blobs")).into_keys();
    names.filter(|name| name.starts_with('.')).collect()
}

#[track_caller]
fn assert_whole(result: Result<Files, HubError>, hub: &Hub) {
    assert_eq!(result.unwrap(), model());
    assert_eq!(partials(hub), [""; 0]);
}

/// Asserts that no file has the blob's name.
#[track_caller]
fn assert_absent(hub: &Hub) {
    let (_, name) = weights();
    assert!(!hub.folder().join("blobs").join(name).exists());
    let link = hub.folder().join("snapshots").join(COMMIT).join(WEIGHTS);
    assert!(fs::symlink_metadata(link).is_err());
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    let (bytes, name) = weights();
    for count in [0, 1, 100, bytes.len() / 2, bytes.len() - 1] {
        let (result, hub) = load_through(move |_, response, before| match before {
            0 => response.with_fault(Fault::DropAfter(count)),
            _ => response,
        });
        assert_whole(result, &hub);
        assert_eq!(starts(&hub), [None, (count > 0).then_some(count)]);
        let last = hub.server.requests().pop().unwrap();
        let quoted = format!("\"{name}\"");
        assert_eq!(last.header("if-range"), (count > 0).then_some(&quoted[..]));
    }
}

#[test]
fn a_connection_that_stands_still_is_made_again() {
    let hub = Hub::with_faults(transformers_preset().0, |request, response, before| {
        let weights = request.path.ends_with(WEIGHTS) && request.method == "GET";
        if weights && before == 0 { response.with_fault(Fault::StallAfter(100)) } else { response }
    });
    let options = hub.options().with_stall_timeout(Duration::from_millis(300));
    assert_whole(load_from("hf://a/b", options), &hub);
    assert_eq!(starts(&hub), [None, Some(100)]);
}

#[test]
fn a_connection_may_break_often_while_it_brings_something() {
    let (bytes, _) = weights();
    let step = bytes.len().div_ceil(20);
    let (result, hub) =
        load_through(move |_, response, _| response.with_fault(Fault::DropAfter(step)));
    assert_whole(result, &hub);
    assert_eq!(starts(&hub).len(), 20);
    // Attempts without new bytes are limited. Here every attempt brings the same bytes.
    let (result, hub) = load_through(move |request, _, _| {
        let whole = Request { headers: Vec::new(), ..request.clone() };
        Response::file(&whole, &weights().0, "\"x\"").with_fault(Fault::DropAfter(step))
    });
    let error = result.unwrap_err();
    assert!(
        matches!(&error, HubError::Request { file, kind: Kind::Connection { .. }, .. } if file.ends_with(WEIGHTS))
    );
    assert!(error.to_string().contains("check the network"), "{error}");
    assert_eq!(starts(&hub).len(), 3);
    assert_absent(&hub);
}

#[test]
fn a_server_that_cannot_send_parts_sends_the_whole_again() {
    let (result, hub) = load_through(|request, response, before| match before {
        0 => response.with_fault(Fault::DropAfter(500)),
        _ => {
            let whole = Request { headers: Vec::new(), ..request.clone() };
            Response::file(&whole, &weights().0, "\"x\"")
        }
    });
    assert_whole(result, &hub);
    assert_eq!(starts(&hub), [None, Some(500)]);
    let (result, hub) = load_through(|_, response, before| match before {
        0 => response.with_fault(Fault::DropAfter(500)),
        1 => Response::new(416),
        _ => response,
    });
    assert_whole(result, &hub);
    assert_eq!(starts(&hub), [None, Some(500), None]);
    // If even the whole file is out of range, the download ends.
    let (result, hub) = load_through(|_, _, _| Response::new(416));
    assert!(matches!(result.unwrap_err(), HubError::Request { kind: Kind::Unexpected { .. }, .. }));
    assert_absent(&hub);
}

#[test]
fn parts_of_two_versions_are_not_put_together() {
    // The first part is of another version, with another ETag: the server sends the whole file.
    let (result, hub) = load_through(|_, response, before| match before {
        0 => Response::new(200)
            .with_header("etag", "\"old\"")
            .with_body(vec![7; weights().0.len()])
            .with_fault(Fault::DropAfter(500)),
        _ => response,
    });
    assert_whole(result, &hub);
    let requests = hub.server.requests();
    assert_eq!(requests.last().unwrap().header("if-range"), Some("\"old\""));
    // A server that ignores If-Range: the ETag of its part tells the version.
    for says in ["\"new\"", "none"] {
        let (result, hub) = load_through(move |request, mut response, before| {
            response.headers.retain(|(name, _)| name != "etag");
            match before {
                0 => Response::new(200)
                    .with_header("etag", "\"old\"")
                    .with_body(vec![7; weights().0.len()])
                    .with_fault(Fault::DropAfter(500)),
                1 => {
                    let headers = request.headers.iter().filter(|(name, _)| name != "if-range");
                    let request =
                        Request { headers: headers.cloned().collect(), ..request.clone() };
                    let mut part = Response::file(&request, &weights().0, says);
                    part.headers.retain(|(_, value)| value != "none");
                    part
                }
                _ => response,
            }
        });
        // Without an ETag, the content tells it at the end.
        assert_whole(result, &hub);
        assert_eq!(starts(&hub), [None, Some(500), None]);
    }
}

#[test]
fn a_file_of_which_nothing_is_known_is_not_put_together_at_all() {
    // The mirror tells neither size, checksum nor version.
    let mirror = |fault: fn(Response, usize) -> Response| {
        Hub::with_faults(transformers_preset().0, move |request, mut response, before| {
            response.headers.retain(|(name, _)| name != "etag");
            match &request.method[..] {
                "HEAD" => {
                    let etag = format!("\"{}\"", request.path.replace('/', "-"));
                    response.with_header("etag", etag).with_fault(Fault::Chunked)
                }
                _ if request.path.ends_with(WEIGHTS) => fault(response, before),
                _ => response,
            }
        })
    };
    let hub = mirror(|response, _| response.with_fault(Fault::Chunked));
    assert_whole(hub.load(), &hub);
    let hub = mirror(|response, before| match before {
        0 => response.with_body([7; 1000]).with_fault(Fault::DropAfter(500)),
        _ => response,
    });
    assert_whole(hub.load(), &hub);
    assert_eq!(starts(&hub), [None, None]);
}

#[test]
fn a_part_must_be_the_one_that_was_asked_for() {
    for range in ["bytes 400-499/1000", "bytes 501-", "items 500-1/2", "bytes */9", ""] {
        let (result, hub) = load_through(move |_, mut response, before| match before {
            0 => response.with_fault(Fault::DropAfter(500)),
            1 => {
                response.headers.retain(|(name, _)| name != "content-range");
                response.with_header("content-range", range)
            }
            _ => response,
        });
        assert_whole(result, &hub);
        assert_eq!(starts(&hub), [None, Some(500), None]);
    }
}

#[test]
fn a_wrong_size_is_no_file() {
    let size = weights().0.len();
    for wrong in [size - 1, size + 1, 0] {
        let (result, hub) =
            load_through(move |_, response, _| response.with_header("content-length", wrong));
        let error = result.unwrap_err();
        assert!(
            matches!(&error, HubError::Request { kind: Kind::Unexpected { .. }, .. }),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("{wrong} bytes, expected {size}")), "{error}");
        assert_absent(&hub);
        // One wrong answer is harmless.
        let (result, hub) = load_through(move |_, response, before| match before {
            0 => response.with_header("content-length", wrong),
            _ => response,
        });
        assert_whole(result, &hub);
    }
    // Without a length, the bytes are counted.
    let (result, hub) = load_through(|_, response, _| {
        let mut body = response.body.clone();
        body.extend([0; 5000]);
        response.with_body(body).with_fault(Fault::Chunked)
    });
    assert!(matches!(result.unwrap_err(), HubError::Request { kind: Kind::Unexpected { .. }, .. }));
    assert_absent(&hub);
    let (result, hub) = load_through(|_, _, _| {
        Response::new(200).with_body(&weights().0[..1000]).with_fault(Fault::Chunked)
    });
    assert!(matches!(result.unwrap_err(), HubError::Request { kind: Kind::Connection { .. }, .. }));
    assert_absent(&hub);
    let (result, hub) = load_through(|_, response, _| response.with_fault(Fault::Chunked));
    assert_whole(result, &hub);
}

#[test]
fn a_wrong_content_is_downloaded_once_more_and_then_refused() {
    let spoiled = |mut response: Response| {
        response.body[3] ^= 1;
        response
    };
    let (result, hub) = load_through(move |_, response, before| match before {
        0 => spoiled(response),
        _ => response,
    });
    assert_whole(result, &hub);
    assert_eq!(starts(&hub), [None, None]);
    let (result, hub) = load_through(move |_, response, _| spoiled(response));
    let error = result.unwrap_err();
    let HubError::ChecksumMismatch { file, algorithm, expected, found } = &error else {
        panic!("{error}")
    };
    assert_eq!((&file[..], *algorithm), ("hf://a/b/model.safetensors", "SHA-256"));
    assert!(*expected == weights().1 && found.len() == 64 && found != expected);
    assert_eq!(starts(&hub), [None, None]);
    assert_eq!(partials(&hub), [""; 0]);
    assert_absent(&hub);
    // Small files have git's checksum.
    let hub = Hub::with_faults(transformers_preset().0, |request, mut response, _| {
        if request.method == "GET" {
            response.body[3] ^= 1;
        }
        response
    });
    let error = hub.load().unwrap_err();
    assert!(matches!(error, HubError::ChecksumMismatch { algorithm: "SHA-1 of git", .. }));
}

/// Gzip file with `bytes` stored uncompressed.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
        }
    }
    let size = bytes.len() as u16;
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    file.extend([size.to_le_bytes(), (!size).to_le_bytes()].concat());
    file.extend(bytes);
    file.extend([(!crc).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat());
    file
}

#[test]
fn a_server_that_compresses_unasked_does_no_harm() {
    let (result, hub) = load_through(|_, response, _| {
        let body = gzip(&response.body);
        response.with_header("content-encoding", "gzip").with_body(body)
    });
    assert_whole(result, &hub);
    let (result, hub) = load_through(|_, response, before| {
        let body = gzip(&response.body);
        let response = response.with_header("content-encoding", "gzip").with_body(body);
        if before == 0 { response.with_fault(Fault::DropAfter(600)) } else { response }
    });
    assert_whole(result, &hub);
}

#[test]
fn redirects_come_to_an_end() {
    let redirect = |location: String| Response::new(302).with_header("location", location);
    let (result, hub) =
        load_through(move |_, _, _| redirect(format!("/a/b/resolve/{COMMIT}/{WEIGHTS}")));
    let error = result.unwrap_err();
    assert!(matches!(
        error,
        HubError::Request { kind: Kind::Redirect { detail: "it leads in a circle" }, .. }
    ));
    assert_eq!(starts(&hub).len(), 1);
    let (result, hub) = load_through(move |request, _, _| redirect(format!("?{}1", request.query)));
    let error = result.unwrap_err();
    assert!(
        matches!(error, HubError::Request { kind: Kind::Redirect { detail }, .. } if detail.contains("eleventh"))
    );
    assert_eq!(starts(&hub).len(), 11);
    let (result, hub) = load_through(move |request, response, _| match request.query.len() {
        10 => response,
        _ => redirect(format!("?{}1", request.query)),
    });
    assert_whole(result, &hub);
    for location in ["ftp://127.0.0.1/x", "file:///etc/passwd", "https://", "http://[x"] {
        let (result, _) = load_through(move |_, _, _| redirect(location.to_owned()));
        let error = result.unwrap_err();
        assert!(matches!(error, HubError::Request { kind: Kind::Redirect { .. }, .. }), "{error}");
    }
}

/// Creates the partial file of a killed process beside the weights.
fn leave(hub: &Hub, number: usize, bytes: &[u8], etag: Option<&str>) {
    let blobs = hub.folder().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let name = format!(".{}.99999999-{number}", weights().1);
    fs::write(blobs.join(format!("{name}.incomplete")), bytes).unwrap();
    if let Some(etag) = etag {
        fs::write(blobs.join(format!("{name}.etag")), etag).unwrap();
    }
}

#[test]
fn what_others_have_left_is_used_and_removed() {
    let (bytes, name) = weights();
    let etag = format!("\"{name}\"");
    let load = |left: &[(&[u8], Option<&str>)]| {
        let hub = Hub::new(transformers_preset().0);
        for (number, (bytes, etag)) in left.iter().enumerate() {
            leave(&hub, number, bytes, *etag);
        }
        assert_whole(hub.load(), &hub);
        starts(&hub)
    };
    let right = Some(&etag[..]);
    assert_eq!(load(&[(&bytes[..100], right), (&bytes[..700], right), (b"", None)]), [Some(700)]);
    assert_eq!(load(&[(&bytes, right)]), [], "it lacked its name only");
    // A part of another version: the server sends the whole file.
    assert_eq!(load(&[(&[7; 600], Some("\"old\""))]), [Some(600)]);
    // A part of an unknown version: the content tells it at the end.
    assert_eq!(load(&[(&bytes[..500], None)]), [Some(500)]);
    assert_eq!(load(&[(&[7; 500], None)]), [Some(500), None]);
    // A process that was killed while it wrote the ETag, and bytes that a disk lost.
    assert_eq!(load(&[(&bytes[..500], Some("\"ab"))]), [Some(500)]);
    assert_eq!(load(&[(&[0; 500], right)]), [Some(500), None]);
    assert_eq!(load(&[(&vec![1; bytes.len() + 1], right)]), [None]);
}

#[test]
fn what_has_arrived_is_kept_for_the_next_attempt() {
    let (result, hub) =
        load_through(|request, response, before| match (request.range_start(), before) {
            (None, 0) => response.with_fault(Fault::DropAfter(900)),
            (_, 1..=3) => Response::new(503),
            _ => response,
        });
    assert!(matches!(
        result.unwrap_err(),
        HubError::Request { kind: Kind::Unavailable { status: 503 }, .. }
    ));
    assert_absent(&hub);
    assert_eq!(partials(&hub).len(), 2, "the bytes, and their ETag");
    assert_whole(hub.load(), &hub);
    assert_eq!(starts(&hub), [None, Some(900), Some(900), Some(900), Some(900)]);
}

#[test]
fn refusals_of_the_file_itself_have_their_own_errors() {
    let (result, hub) = load_through(|_, _, _| Response::new(403));
    assert!(matches!(result.unwrap_err(), HubError::Request { kind: Kind::Forbidden, .. }));
    assert_eq!(starts(&hub).len(), 1);
    assert_absent(&hub);
    let page = "<html>Too many requests</html>";
    let (result, hub) = load_through(move |_, _, _| Response::new(429).with_body(page));
    assert!(matches!(
        result.unwrap_err(),
        HubError::Request { kind: Kind::RateLimited { .. }, .. }
    ));
    assert_eq!(starts(&hub).len(), 3);
    assert_absent(&hub);
    // An answer that is neither success nor failure.
    let (result, hub) = load_through(move |_, _, _| Response::new(204));
    assert!(matches!(
        result.unwrap_err(),
        HubError::Request { kind: Kind::Status { status: 204 }, .. }
    ));
    assert_absent(&hub);
}

#[test]
fn a_lock_that_nobody_gives_up_is_not_waited_for_for_ever() {
    let hub = Hub::new(transformers_preset().0);
    let locks = hub.cache.path().join(".locks/models--a--b");
    fs::create_dir_all(&locks).unwrap();
    let lock = fs::File::create(locks.join(format!("{}.lock", weights().1))).unwrap();
    lock.lock().unwrap();
    let start = Instant::now();
    let options = hub.options().with_stall_timeout(Duration::from_millis(300));
    assert_whole(load_from("hf://a/b", options), &hub);
    // Twice the time that a server may be silent.
    assert!((600..5000).contains(&start.elapsed().as_millis()));
    // A folder without locks.
    let hub = Hub::new(transformers_preset().0);
    fs::write(hub.cache.path().join(".locks"), "").unwrap();
    let (bytes, name) = weights();
    leave(&hub, 0, &bytes[..100], Some(&format!("\"{name}\"")));
    assert_whole(hub.load(), &hub);
    assert_eq!(starts(&hub), [Some(100)]);
}

#[test]
fn an_empty_file_is_a_file() {
    let mut files = transformers_preset().0;
    files.insert("merges.txt".to_owned(), Vec::new());
    let hub = Hub::new(files);
    let folder = open("hf://a/b", &hub.options()).unwrap();
    assert_eq!(fetch(&*folder, "merges.txt").unwrap(), b"");
    let link = hub.folder().join("snapshots").join(COMMIT).join("merges.txt");
    assert_eq!(fs::read(link).unwrap(), b"");
    let blobs = files_of(&hub.folder().join("blobs"));
    assert!(blobs.contains_key("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"), "as git names it");
}
