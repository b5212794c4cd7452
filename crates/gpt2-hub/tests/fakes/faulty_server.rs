//! Server with planned failures.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::server::{Fault as Sent, HubServer, Request, Response};

/// Fault of a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The server gives this answer, and the request has no effect.
    Answer(Response),
    /// The connection breaks after so many bytes of the body. Does not apply to requests without a
    /// body.
    BreakAfter(u64),
    /// The request has its effect, and the connection breaks before the answer.
    Unanswered,
}

/// Fault of the next request whose method and path begin like this.
#[derive(Debug)]
struct Planned {
    method: &'static str,
    path: String,
    fault: Fault,
}

pub struct FaultyServer {
    pub url: String,
    server: HubServer,
    faults: Arc<Mutex<Vec<Planned>>>,
}

impl FaultyServer {
    /// Answers with `handle`, which also sees broken requests; see [`is_whole`].
    pub fn start(handle: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let faults = Arc::<Mutex<Vec<Planned>>>::default();
        let (planned, breaking) = (faults.clone(), faults.clone());
        let is_break = |fault: &Fault| matches!(fault, Fault::BreakAfter(_));
        let server = HubServer::start_with_breaks(
            move |request| match take(&planned, request, |fault| !is_break(fault)) {
                Some(Fault::Answer(answer)) => answer,
                Some(_) => handle(request).with_fault(Sent::Gone),
                None => handle(request),
            },
            move |request| {
                let has_body = length(request) > 0;
                match take(&breaking, request, |fault| is_break(fault) && has_body) {
                    Some(Fault::BreakAfter(count)) => Some(count.min(length(request) as u64)),
                    _ => None,
                }
            },
        );
        Self { url: server.url(), server, faults }
    }

    /// Plans a fault of the next request that begins like this. Faults with the same beginning
    /// occur in the order of the calls.
    pub fn fail(&self, method: &'static str, path: &str, fault: Fault) {
        self.faults.lock().unwrap().push(Planned { method, path: path.to_owned(), fault });
    }

    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// Method and path of each request so far.
    pub fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|it| format!("{} {}", it.method, it.path)).collect()
    }
}

/// Takes the first fault that is planned for this request, if it is of the kind.
fn take(
    faults: &Mutex<Vec<Planned>>,
    request: &Request,
    kind: impl Fn(&Fault) -> bool,
) -> Option<Fault> {
    let mut faults = faults.lock().unwrap();
    let hit = |it: &Planned| it.method == request.method && request.path.starts_with(&it.path);
    let index = faults.iter().position(hit)?;
    kind(&faults[index].fault).then(|| faults.remove(index).fault)
}

/// Whether the connection held until the end of the body.
pub fn is_whole(request: &Request) -> bool {
    request.body.len() == length(request)
}

fn length(request: &Request) -> usize {
    request.header("content-length").map_or(request.body.len(), |length| length.parse().unwrap())
}

/// JSON answer.
pub fn json_answer(status: u16, json: &Value) -> Response {
    Response { status, ..Response::json(json) }
}

pub fn json_of(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}
