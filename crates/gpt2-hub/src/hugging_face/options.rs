//! Settings of Hugging Face: address, token, cache. Lookup follows huggingface_hub.

use std::fs;
use std::path::PathBuf;

use crate::environment::endpoint::Endpoint;
use crate::environment::token::Token;
use crate::environment::variables::{Variables, flag, home, path, text};

/// Settings of Hugging Face.
#[derive(Debug, Clone)]
pub(crate) struct HuggingFaceOptions {
    pub(crate) endpoint: Endpoint,
    pub(crate) token: Option<Token>,
    /// Cache folder. None if the environment names no home folder.
    pub(crate) cache: Option<PathBuf>,
    /// Variable that forbids requests to this hub.
    pub(crate) offline: Option<&'static str>,
}

impl HuggingFaceOptions {
    pub(crate) fn from_variables(variables: Variables<'_>) -> Self {
        let path = |name| path(variables, name);
        let home = path("HF_HOME").or_else(|| {
            let caches =
                path("XDG_CACHE_HOME").or_else(|| Some(home(variables)?.join(".cache")))?;
            Some(caches.join("huggingface"))
        });
        let in_home = |name| home.as_ref().map(|home| home.join(name));
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let token = || {
            let variable = |name| text(variables, name);
            if let Some(token) = variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN"))
            {
                return Token::new(&token);
            }
            Token::new(
                &fs::read_to_string(path("HF_TOKEN_PATH").or_else(|| in_home("token"))?).ok()?,
            )
        };
        let implicit = flag(variables, &["HF_HUB_DISABLE_IMPLICIT_TOKEN"]).is_none();
        let endpoint = text(variables, "HF_ENDPOINT");
        Self {
            endpoint: Endpoint::new(endpoint.as_deref().unwrap_or("https://huggingface.co")),
            token: if implicit { token() } else { None },
            cache: cache.or_else(|| in_home("hub")),
            offline: flag(variables, &["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]),
        }
    }
}
