//! Hub that redirects to a storage, which is another server.

use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::server::{HubServer, Request, Response};

/// Replaces a server's answer, if it returns one.
pub type Answer = dyn Fn(&Request) -> Option<Response> + Send;

/// Hub with one model, its storage, and a cache.
pub struct HubWithStorage<Model> {
    pub server: HubServer,
    pub storage: HubServer,
    pub model: Arc<Mutex<Model>>,
    pub cache: TempDir,
}

impl<Model: Send + 'static> HubWithStorage<Model> {
    /// Starts both servers. `answer` answers for the hub and receives the storage's address;
    /// `stored` answers for the storage.
    pub fn start(
        model: Model,
        answer: fn(&Model, &Request, storage: &str) -> Response,
        stored: fn(&Model, &Request) -> Response,
    ) -> Self {
        let model = Arc::new(Mutex::new(model));
        let shared = model.clone();
        let storage = HubServer::start(move |request| stored(&shared.lock().unwrap(), request));
        let (shared, address) = (model.clone(), storage.url());
        let server =
            HubServer::start(move |request| answer(&shared.lock().unwrap(), request, &address));
        Self { server, storage, model, cache: tempfile::tempdir().unwrap() }
    }

    /// Requests to both servers since the last call.
    pub fn take_log(&self) -> Vec<String> {
        self.server.take_log().into_iter().chain(self.storage.take_log()).collect()
    }
}
