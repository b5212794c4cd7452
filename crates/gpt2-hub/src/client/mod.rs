//! Requests to a hub and their answers: time limits, retries, redirects.

pub(crate) mod agent;
pub(crate) mod failure;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
pub(crate) mod url;
