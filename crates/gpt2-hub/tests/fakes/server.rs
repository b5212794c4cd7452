//! Small HTTP/1.1 server that plays a hub, and misbehaves on demand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gpt2_hub::HubOptions;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path as received, without the query.
    pub path: String,
    /// Query as received; empty if there is none.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| &value[..])
    }

    /// First requested byte, from `range: bytes=N-`.
    pub fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// A `content-length` here replaces the true one.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub fault: Fault,
}

/// Way in which the body is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// The connection ends after so many bytes of the body.
    DropAfter(usize),
    /// After so many bytes of the body nothing is sent, but the connection stays open.
    StallAfter(usize),
    /// The body is sent in pieces of so many bytes, with a pause after each.
    Slow(usize, Duration),
    /// The body is sent in chunks, so that its length is not known before.
    Chunked,
    /// The body is sent without a length.
    Endless,
    /// No answer is sent.
    Silent,
    /// No answer is sent, and the connection ends.
    Gone,
}

impl Response {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), fault: Fault::None }
    }

    pub fn with_header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    pub fn json(json: &serde_json::Value) -> Self {
        Self::new(200).with_header("content-type", "application/json").with_body(json.to_string())
    }

    /// A file, or the requested part of it, as file servers send it. `etag` includes its quotes.
    pub fn file(request: &Request, bytes: &[u8], etag: &str) -> Self {
        let response = |status| {
            Self::new(status).with_header("etag", etag).with_header("accept-ranges", "bytes")
        };
        let same = request.header("if-range").is_none_or(|wanted| wanted == etag);
        match request.range_start().filter(|_| same) {
            Some(start) if start >= bytes.len() => {
                response(416).with_header("content-range", format!("bytes */{}", bytes.len()))
            }
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
                response(206).with_header("content-range", range).with_body(&bytes[start..])
            }
            None => response(200).with_body(bytes),
        }
    }
}

/// Server that stops when it is dropped.
pub struct HubServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
}

impl HubServer {
    /// Answers every request with `answer`, each connection in a thread of its own.
    pub fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::start_with_breaks(answer, |_| None)
    }

    /// Like [`start`](Self::start), but if `breaks` returns a number, the connection ends after so
    /// many bytes of the request's body. `answer` still sees the bytes that arrived; its result is
    /// dropped.
    pub fn start_with_breaks(
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
        breaks: impl Fn(&Request) -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            stopped: Arc::default(),
        };
        let (requests, stopped) = (server.requests.clone(), server.stopped.clone());
        let (answer, breaks) = (Arc::new(answer), Arc::new(breaks));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (requests, stopped) = (requests.clone(), stopped.clone());
                let (answer, breaks) = (answer.clone(), breaks.clone());
                thread::spawn(move || {
                    // Clients may go away: that is no failure of the server.
                    let _ = serve(&stream, &requests, &stopped, &*answer, &*breaks);
                });
            }
        });
        server
    }

    /// Address without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// All requests so far, as `METHOD PATH`; forgets them.
    pub fn take_log(&self) -> Vec<String> {
        let requests = std::mem::take(&mut *self.requests.lock().unwrap());
        requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: &TcpStream,
    requests: &Mutex<Vec<Request>>,
    stopped: &AtomicBool,
    answer: &dyn Fn(&Request) -> Response,
    breaks: &dyn Fn(&Request) -> Option<u64>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (method, path, query) = (method.to_owned(), path.to_owned(), query.to_owned());
    let mut request = Request { method, path, query, headers: Vec::new(), body: Vec::new() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let broken = breaks(&request);
    match broken {
        Some(count) => {
            reader.by_ref().take(count).read_to_end(&mut request.body)?;
        }
        None => read_body(&mut reader, &mut request)?,
    }
    requests.lock().unwrap().push(request.clone());
    let response = answer(&request);
    if broken.is_some() || response.fault == Fault::Gone {
        return Ok(());
    }
    send(stream, &request, &response, stopped)
}

fn read_body(reader: &mut impl BufRead, request: &mut Request) -> io::Result<()> {
    if let Some(length) = request.header("content-length") {
        let length = length.parse().unwrap();
        reader.take(length).read_to_end(&mut request.body)?;
    } else if request.header("transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let length = u64::from_str_radix(line.trim(), 16).unwrap();
            reader.take(length).read_to_end(&mut request.body)?;
            reader.read_line(&mut line)?;
            if length == 0 {
                break;
            }
        }
    }
    Ok(())
}

fn send(
    mut stream: &TcpStream,
    request: &Request,
    response: &Response,
    stopped: &AtomicBool,
) -> io::Result<()> {
    let wait_for_the_end = || {
        let start = Instant::now();
        while !stopped.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(5));
        }
    };
    let Response { status, headers, body, fault } = response;
    if *fault == Fault::Silent {
        wait_for_the_end();
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {status} Answer\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let has_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if *fault == Fault::Chunked {
        head += "transfer-encoding: chunked\r\n";
    } else if !has_length && *fault != Fault::Endless {
        head += &format!("content-length: {}\r\n", body.len());
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    match *fault {
        Fault::None | Fault::Endless => stream.write_all(body),
        Fault::DropAfter(count) => stream.write_all(&body[..count.min(body.len())]),
        Fault::StallAfter(count) => {
            stream.write_all(&body[..count.min(body.len())])?;
            wait_for_the_end();
            Ok(())
        }
        Fault::Slow(count, pause) => body.chunks(count).try_for_each(|part| {
            stream.write_all(part)?;
            thread::sleep(pause);
            Ok(())
        }),
        Fault::Chunked => {
            for part in body.chunks(1000) {
                stream.write_all(format!("{:x}\r\n", part.len()).as_bytes())?;
                stream.write_all(part)?;
                stream.write_all(b"\r\n")?;
            }
            stream.write_all(b"0\r\n\r\n")
        }
        Fault::Silent | Fault::Gone => Ok(()),
    }
}

/// Options with short time limits that ignore the environment. The caller sets each hub's endpoint,
/// cache and token.
pub fn impatient_options() -> HubOptions {
    HubOptions::new()
        .with_offline(false)
        .with_retries(2)
        .with_retry_delay(Duration::from_millis(1))
        .with_connect_timeout(Duration::from_secs(5))
        .with_stall_timeout(Duration::from_secs(3))
        .with_metadata_timeout(Duration::from_secs(5))
        .with_hugging_face_token(None)
        .with_kaggle_token(None)
        .with_model_scope_token(None)
}

/// Options of the environment with short time limits.
pub fn impatient() -> HubOptions {
    HubOptions::new().with_retries(2).with_retry_delay(Duration::from_millis(1))
}
