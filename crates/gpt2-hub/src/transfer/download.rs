//! Download of a file: complete and verified, or not at all.
//!
//! Bytes go to a partial file that only this process writes (`partial.rs`). It gets its name when
//! size and content match those that the hub promised. A broken connection is resumed for the rest
//! of the file, for the same version only. A lock keeps two processes from downloading the same
//! file twice. On file systems without locks both download it, and either of the equal results
//! stays.

use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use gpt2_files::{FileError, sync_folder, write_error};
use ureq::http::{HeaderMap, Method};

use crate::client::agent::Client;
use crate::client::failure::{connection_error, request_error, unexpected};
use crate::client::request::{Header, Request};
use crate::client::response::Response;
use crate::client::retry::Retries;
use crate::client::url::Url;
use crate::error::HubError;
use crate::request_error::RequestErrorKind;
use crate::transfer::digest::Digest;
use crate::transfer::partial::{Partial, bytes_so_far};
use crate::transfer::progress::Progress;

/// Most bytes of a file whose size the hub does not tell. GPT-2 XL has 6.2 GB.
const MAX_UNKNOWN_SIZE: u64 = 32 << 30;

/// File to download.
pub(crate) struct Download<'a> {
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [Header],
    /// Name in messages.
    pub(crate) display: &'a str,
    /// Destination. An existing file is replaced when the new one is complete.
    pub(crate) target: &'a Path,
    /// Path of the file that is locked during the download.
    pub(crate) lock: &'a Path,
    /// Size in bytes, if the hub has already told it.
    pub(crate) size: Option<u64>,
    /// Digests that the content must have.
    pub(crate) digests: &'a [Digest],
    /// Reads a digest from the answer's headers.
    pub(crate) promised: fn(&HeaderMap) -> Option<Digest>,
    /// Whether another process has finished the download.
    pub(crate) is_done: &'a dyn Fn() -> bool,
    /// Last step, made under the lock. `is_done` returns true after it.
    pub(crate) finish: &'a dyn Fn() -> Result<(), HubError>,
}

/// Downloads a file, or waits for another process that does.
///
/// The error for a file that the hub does not have is [`RequestErrorKind::NotFound`].
pub(crate) fn download(client: &Client, download: &Download<'_>) -> Result<(), HubError> {
    let folder = download.target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(write_error(folder))?;
    let lock = wait_for_lock(client, download);
    let mut attempts = 0;
    while !(download.is_done)() {
        attempts += 1;
        // After a wrong content: one more attempt, without the bytes that other processes left.
        let partial = match attempts {
            1 => Partial::continued(download.target, lock.is_some())?,
            _ => Partial::create(download.target)?,
        };
        match attempt(client, download, partial) {
            Ok(true) => {
                (download.finish)()?;
                break;
            }
            // The partial file is gone: another process has finished, or a user has removed it.
            Ok(false) if attempts < 3 => {}
            Ok(false) => {
                return Err(
                    write_error(download.target)(std::io::ErrorKind::NotFound.into()).into()
                );
            }
            Err(HubError::ChecksumMismatch { .. }) if attempts == 1 => {}
            Err(error) => return Err(error),
        }
    }
    sync_folder(folder);
    Ok(())
}

/// Receives, checks and names the file. Returns false if another process has removed the partial
/// file.
fn attempt(
    client: &Client,
    download: &Download<'_>,
    mut partial: Partial<'_>,
) -> Result<bool, HubError> {
    let progress = Progress::new(client.options(), download.display);
    let checked = receive(client, download, &mut partial, &progress).and_then(|promised| {
        partial.check(download.digests.iter().chain(&promised), download.display)
    });
    match checked {
        Ok(()) => {
            let size = partial.size;
            let finished = partial.finish()?;
            if finished {
                progress.report(size, Some(size));
            }
            Ok(finished)
        }
        // The bytes so far serve the next attempt, unless they are wrong or fill the disk.
        Err(
            error @ (HubError::ChecksumMismatch { .. } | HubError::File(FileError::Write { .. })),
        ) => {
            partial.remove();
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Receives bytes until the file is complete, over any number of answers.
fn receive(
    client: &Client,
    download: &Download<'_>,
    partial: &mut Partial<'_>,
    progress: &Progress,
) -> Result<Option<Digest>, HubError> {
    let mut retries = Retries::new(client.options());
    if download.size.is_some_and(|size| partial.size > size) {
        partial.restart()?;
    }
    let mut furthest = partial.size;
    let mut promised = None;
    progress.report(partial.size, download.size);
    while download.size.is_none_or(|size| partial.size < size) || partial.size == 0 {
        let (failure, pause) = match request(client, download, partial) {
            Ok(response) if response.is_temporary() => {
                (response.refusal(download.display), response.retry_after())
            }
            Ok(response) => {
                promised = (download.promised)(&response.headers).or(promised);
                match read(response, download, partial, progress) {
                    Ok(()) => return Ok(promised),
                    Err(failure) => (failure, None),
                }
            }
            Err(failure) => (failure, None),
        };
        if partial.size > furthest {
            furthest = partial.size;
            retries.reset();
        }
        let is_transient = failure.request_kind().is_some_and(RequestErrorKind::is_transient);
        if !is_transient || !retries.wait(pause) {
            return Err(failure);
        }
    }
    Ok(promised)
}

/// Requests the missing bytes, and resets `partial` if the answer does not continue it.
fn request(
    client: &Client,
    download: &Download<'_>,
    partial: &mut Partial<'_>,
) -> Result<Response, HubError> {
    let mut headers = download.headers.to_vec();
    if partial.size > 0 && partial.etag.is_none() && download.digests.is_empty() {
        // Nothing would show whether the next part belongs to this version of the file.
        partial.restart()?;
    }
    if partial.size > 0 {
        headers.push(("range", format!("bytes={}-", partial.size)));
        // Without an ETag, the digest at the end detects another version.
        headers.extend(partial.etag.clone().map(|etag| ("if-range", etag)));
    }
    let request = Request::new(Method::GET, download.url, download.display);
    let response = client.send_once(&Request { headers: &headers, ..request })?;
    match response.status {
        // The whole file: the hub cannot send parts, or has another version now.
        200 => {
            if partial.size > 0 {
                partial.restart()?;
            }
            partial.set_etag(response.header("etag"))?;
        }
        206 if continues(&response, partial) => {}
        206 => {
            partial.restart()?;
            let range = response.header("content-range").unwrap_or("none").to_owned();
            let found = format!("a part that was not requested (content-range: {range:?})");
            return Err(unexpected(download.display, &response.url, found));
        }
        416 if partial.size > 0 => {
            partial.restart()?;
            return Err(response.refusal(download.display));
        }
        _ if response.is_temporary() => {}
        _ => return Err(permanent(response.refusal(download.display))),
    }
    Ok(response)
}

/// Turns status 416 for a request without a range into an unexpected answer.
fn permanent(refusal: HubError) -> HubError {
    match refusal {
        HubError::Request { host, file, kind: RequestErrorKind::Status { status: 416 } } => {
            let found = "status 416, although the whole file was requested".to_owned();
            HubError::Request { host, file, kind: RequestErrorKind::Unexpected { found } }
        }
        refusal => refusal,
    }
}

/// Whether an answer is the next part of the same version.
fn continues(response: &Response, partial: &Partial<'_>) -> bool {
    let same = match (response.header("etag"), &partial.etag) {
        (Some(theirs), Some(ours)) => theirs == ours,
        _ => true,
    };
    same && content_range(response).is_some_and(|(first, _)| first == partial.size)
}

/// Offset of the first byte and size of the whole file, from a header like `bytes 10-99/100`.
fn content_range(response: &Response) -> Option<(u64, u64)> {
    let range = response.header("content-range")?.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()?))
}

/// Size of the whole file, if it is known. Fails if it is not the expected size, or if nothing
/// would show where the file ends.
fn total_size(response: &Response, download: &Download<'_>) -> Result<Option<u64>, HubError> {
    let announced: Option<u64> = match response.status {
        206 => content_range(response).map(|(_, total)| total),
        _ => response.header("content-length").and_then(|length| length.parse().ok()),
    };
    let fits = |announced: u64| match download.size {
        Some(size) => announced == size,
        None => announced <= MAX_UNKNOWN_SIZE,
    };
    if let Some(announced) = announced.filter(|announced| !fits(*announced)) {
        let expected = download.size.unwrap_or(MAX_UNKNOWN_SIZE);
        return Err(wrong_size(download, &response.url, &announced, expected));
    }
    let total = download.size.or(announced);
    let shows_its_end = response.header("transfer-encoding").is_some()
        || !download.digests.is_empty()
        || (download.promised)(&response.headers).is_some();
    if total.is_none() && !shows_its_end {
        let found = "a file with neither a size nor a checksum, which may end anywhere".to_owned();
        return Err(unexpected(download.display, &response.url, found));
    }
    Ok(total)
}

fn wrong_size(download: &Download<'_>, url: &Url, size: &dyn Display, expected: u64) -> HubError {
    unexpected(download.display, url, format!("a file of {size} bytes, expected {expected}"))
}

/// Appends a body. Fails unless it is exactly the missing bytes.
fn read(
    response: Response,
    download: &Download<'_>,
    partial: &mut Partial<'_>,
    progress: &Progress,
) -> Result<(), HubError> {
    let total = total_size(&response, download)?;
    let (display, url) = (download.display, response.url.clone());
    let limit = total.unwrap_or(MAX_UNKNOWN_SIZE);
    let mut body = response.into_reader();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = body.read(&mut buffer);
        let count = count.map_err(|error| connection_error(display, &url, &error.into()))?;
        if count == 0 {
            break;
        }
        if partial.size + count as u64 > limit {
            partial.restart()?;
            return Err(wrong_size(download, &url, &format_args!("more than {limit}"), limit));
        }
        partial.append(&buffer[..count])?;
        progress.tell(partial.size, total);
    }
    match total {
        Some(total) if partial.size < total => {
            let cause = format!("the connection ended after {} of {total} bytes", partial.size);
            Err(request_error(
                display,
                url.host(),
                RequestErrorKind::Connection { cause, was_made: true },
            ))
        }
        _ => Ok(()),
    }
}

/// Lock of a download. None on file systems without locks, if another process finishes the
/// download, or if the lock's holder makes no progress. Without the lock, a file may be downloaded
/// twice, but never wrongly.
fn wait_for_lock(client: &Client, download: &Download<'_>) -> Option<File> {
    fs::create_dir_all(download.lock.parent()?).ok()?;
    let file = File::options().write(true).create(true).truncate(false).open(download.lock).ok()?;
    let patience = 2 * client.options().stall_timeout;
    let (mut bytes, mut since) = (0, Instant::now());
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return None,
        }
        let now = bytes_so_far(download.target);
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
        if (download.is_done)() || since.elapsed() > patience {
            return None;
        }
        thread::sleep(Duration::from_millis(50));
    }
}
