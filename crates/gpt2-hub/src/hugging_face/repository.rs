//! Repository on Hugging Face as the destination of an upload.
//!
//! Follows `huggingface_hub/hf_api.py` (`create_repo`).

use serde::Deserialize;
use serde_json::json;
use ureq::http::Method;

use crate::client::agent::Client;
use crate::client::failure::request_error;
use crate::client::request::{Body, Header, Redirects, Request};
use crate::client::response::Response;
use crate::client::url::{Url, encode_part};
use crate::error::HubError;
use crate::handle::ModelHandle;
use crate::request_error::RequestErrorKind;
use crate::upload::sending::{accepted, patient, refused};

/// Address of Hugging Face. Mirrors return addresses that begin with it.
const HUGGING_FACE: &str = "https://huggingface.co";
const MAIN: &str = "main";
pub(crate) const JSON: &str = "application/json";

/// Repository as the destination of an upload.
pub(crate) struct Repository<'a> {
    pub(crate) client: &'a Client,
    pub(crate) patient: Client,
    /// Address without a slash at its end.
    pub(crate) endpoint: &'a str,
    token: &'a str,
    /// `owner/model`
    pub(crate) id: String,
    pub(crate) revision: String,
    /// `hf://owner/model`
    pub(crate) display: String,
}

#[derive(Deserialize)]
struct User {
    name: String,
}

impl<'a> Repository<'a> {
    pub(crate) fn open(client: &'a Client, handle: &ModelHandle) -> Result<Self, HubError> {
        let options = &client.options().hugging_face;
        let Some(token) = &options.token else {
            return Err(HubError::MissingCredentials {
                hub: "Hugging Face",
                looked_for: "`HubOptions::with_hugging_face_token`, the variables HF_TOKEN and \
                    HUGGING_FACE_HUB_TOKEN, the file that HF_TOKEN_PATH names, or `token` in \
                    HF_HOME (`~/.cache/huggingface`)",
            });
        };
        let mut repository = Self {
            client,
            patient: patient(client),
            endpoint: &options.endpoint,
            token: token.secret(),
            id: handle.id.clone(),
            revision: handle.revision.clone().unwrap_or_else(|| MAIN.to_owned()),
            display: format!("hf://{}", handle.id),
        };
        if !repository.id.contains('/') {
            repository.id = format!("{}/{}", repository.user()?, repository.id);
            repository.display = format!("hf://{}", repository.id);
        }
        Ok(repository)
    }

    /// Requests the name of the token's owner.
    fn user(&self) -> Result<String, HubError> {
        let url = format!("{}/api/whoami-v2", self.endpoint);
        let response =
            accepted(self.ask(Method::GET, &url, Redirects::SameOrigin)?, &self.display)?;
        Ok(response.json::<User>(&self.display)?.name)
    }

    /// Creates the repository and the branch, unless they exist.
    pub(crate) fn create(&self) -> Result<(), HubError> {
        let (owner, name) = self.id.split_once('/').unwrap_or(("", &self.id));
        let json = json!({"name": name, "organization": owner}).to_string();
        let url = format!("{}/api/repos/create", self.endpoint);
        let response = self.send(&url, JSON, json.as_bytes())?;
        match response.status {
            200..=299 => {}
            // The repository may exist, even if the token may not create one.
            401..=403 | 409 if self.exists()? => {}
            _ => return Err(refused(response, &self.display)),
        }
        if self.revision == MAIN || self.revision.starts_with("refs/") {
            return Ok(());
        }
        let response = self.send(&self.api("branch"), JSON, b"{}")?;
        // The next request shows whether the token may write to the repository.
        match response.status {
            200..=299 | 403 | 409 => Ok(()),
            _ => Err(refused(response, &self.display)),
        }
    }

    fn exists(&self) -> Result<bool, HubError> {
        let url = format!("{}/api/models/{}", self.endpoint, self.id);
        Ok(self.ask(Method::GET, &url, Redirects::SameOrigin)?.status == 200)
    }

    pub(crate) fn has(&self, file: &str) -> Result<bool, HubError> {
        let url =
            format!("{}/{}/resolve/{}/{file}", self.endpoint, self.id, encode_part(&self.revision));
        let response = self.ask(Method::HEAD, &url, Redirects::Never)?;
        match response.status {
            200..=399 => Ok(true),
            404 => Ok(false),
            _ => Err(refused(response, &self.display)),
        }
    }

    /// Posts a body. Any status but success is an error. Only the hub's own address receives the
    /// token.
    pub(crate) fn post(
        &self,
        url: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Response, HubError> {
        accepted(self.send(url, content_type, body)?, &self.display)
    }

    fn send(&self, url: &str, content_type: &str, body: &[u8]) -> Result<Response, HubError> {
        let mut headers = self.headers(content_type);
        if !is_at(url, self.endpoint) {
            headers.retain(|(name, _)| *name != "authorization");
        }
        let mut request = Request::new(Method::POST, url, &self.display);
        request.headers = &headers;
        request.body = Body::Bytes(body);
        request.redirects = Redirects::SameOrigin;
        self.client.send(&request)
    }

    fn ask(&self, method: Method, url: &str, redirects: Redirects) -> Result<Response, HubError> {
        let headers = self.headers(JSON);
        let mut request = Request::new(method, url, &self.display);
        request.headers = &headers[..1];
        request.redirects = redirects;
        self.client.send(&request)
    }

    pub(crate) fn headers(&self, content_type: &str) -> Vec<Header> {
        vec![
            ("authorization", format!("Bearer {}", self.token)),
            ("content-type", content_type.to_owned()),
            ("accept", content_type.replace("x-ndjson", "json")),
        ]
    }

    pub(crate) fn api(&self, action: &str) -> String {
        let Self { endpoint, id, .. } = self;
        format!("{endpoint}/api/models/{id}/{action}/{}", encode_part(&self.revision))
    }

    /// Replaces the hub's own address, which a mirror may return, by the endpoint.
    pub(crate) fn at_endpoint(&self, url: &str) -> String {
        match url.strip_prefix(HUGGING_FACE) {
            Some(path) if path.starts_with('/') => format!("{}{path}", self.endpoint),
            _ => url.to_owned(),
        }
    }

    pub(crate) fn host(&self) -> String {
        Url::parse(self.endpoint).map_or_else(String::new, |url| url.host())
    }

    pub(crate) fn unexpected(&self, found: &str) -> HubError {
        let kind = RequestErrorKind::Unexpected { found: found.to_owned() };
        request_error(&self.display, self.host(), kind)
    }
}

/// Whether a token for `endpoint` is meant for this address.
fn is_at(url: &str, endpoint: &str) -> bool {
    match (Url::parse(url), Url::parse(endpoint)) {
        (Some(url), Some(endpoint)) => url.has_origin_of(&endpoint),
        _ => false,
    }
}
