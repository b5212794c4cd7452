//! Options of downloads and uploads.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gpt2_files::Listener;

use crate::environment::endpoint::Endpoint;
use crate::environment::token::Token;
use crate::environment::variables::{Variables, flag, text};
use crate::hugging_face::options::HuggingFaceOptions;
use crate::kaggle::options::{KaggleOptions, bearer};
use crate::model_scope::options::{ModelScopeOptions, normalized};

/// Callback of the user that reports the progress of each file.
pub(crate) type OnDownload = Listener<dyn Fn(&DownloadProgress) + Send + Sync>;
/// Callback of the user that reports why a request waits.
pub(crate) type OnWait = Listener<dyn Fn(&str) + Send + Sync>;

/// Progress of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DownloadProgress {
    /// Name of the file in messages: `hf://owner/model/config.json`.
    pub file: String,
    /// Bytes that have arrived, including those of earlier attempts.
    pub done: u64,
    /// Size of the whole file in bytes, once it is known.
    pub total: Option<u64>,
}

/// Options of downloads and uploads.
///
/// The defaults come from the environment at the time of [`new`](Self::new), as in the hubs' own
/// Python clients:
///
/// | variables | meaning |
/// |---|---|
/// | `GPT2_OFFLINE` | `1`: no request to any hub |
/// | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | `1`: no request to Hugging Face |
/// | `HF_ENDPOINT` | another address of Hugging Face |
/// | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN` | its token; else the file `HF_TOKEN_PATH`, or `token` in `HF_HOME` |
/// | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | `1`: only a token that is [set](Self::with_hugging_face_token) is sent |
/// | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE` | its cache; else `hub` in `HF_HOME`, which is `huggingface` in `XDG_CACHE_HOME`, or in `~/.cache` |
/// | `KAGGLE_API_ENVIRONMENT` | another address of Kaggle |
/// | `KAGGLE_API_TOKEN` | its token, or a file with it; else the file `access_token` or `access_token.txt` in `~/.kaggle`; else, of the older kind, `KAGGLE_USERNAME` and `KAGGLE_KEY`, or `kaggle.json` in `KAGGLE_CONFIG_DIR` or `~/.kaggle` |
/// | `KAGGLEHUB_CACHE` | its cache; else `~/.cache/kagglehub` |
/// | `MODELSCOPE_ENDPOINT`, `MODELSCOPE_DOMAIN` | another address of ModelScope |
/// | `MODELSCOPE_PREFER_AI_SITE` | `1`: without another address, its international site is asked before the Chinese one |
/// | `MODELSCOPE_API_TOKEN` | its token; else what `modelscope login` left in `MODELSCOPE_HOME` or `~/.modelscope` |
/// | `MODELSCOPE_CACHE` | its cache; else `~/.cache/modelscope` |
/// | `HF_HUB_DOWNLOAD_TIMEOUT`, `HF_HUB_ETAG_TIMEOUT` | seconds without a byte, and for a request
/// about files; for all hubs |
///
/// ```
/// use std::time::Duration;
/// use gpt2_hub::HubOptions;
///
/// let options = HubOptions::new()
///     .with_hugging_face_token(None)
///     .with_stall_timeout(Duration::from_secs(20))
///     .with_sha256("model.safetensors", &"0".repeat(64))
///     .with_on_progress(|progress| eprintln!("{}: {} bytes", progress.file, progress.done));
/// ```
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// Variable or call that forbids requests to all hubs.
    pub(crate) offline: Option<&'static str>,
    pub(crate) retries: u32,
    pub(crate) retry_delay: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) metadata_timeout: Duration,
    /// SHA-256 in lower-case hexadecimal digits, by file name.
    pub(crate) sha256: BTreeMap<String, String>,
    pub(crate) on_progress: OnDownload,
    pub(crate) on_wait: OnWait,
    pub(crate) hugging_face: HuggingFaceOptions,
    pub(crate) kaggle: KaggleOptions,
    pub(crate) model_scope: ModelScopeOptions,
}

impl HubOptions {
    /// Options from the environment.
    pub fn new() -> Self {
        Self::from_variables(&|name| env::var_os(name))
    }

    pub(crate) fn from_variables(variables: Variables<'_>) -> Self {
        let seconds = |name, default| {
            let seconds = text(variables, name).and_then(|text| text.parse().ok());
            Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(default))
        };
        Self {
            offline: flag(variables, &["GPT2_OFFLINE"]),
            retries: 5,
            retry_delay: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT", 30),
            metadata_timeout: seconds("HF_HUB_ETAG_TIMEOUT", 20),
            sha256: BTreeMap::new(),
            on_progress: OnDownload::default(),
            on_wait: OnWait::default(),
            hugging_face: HuggingFaceOptions::from_variables(variables),
            kaggle: KaggleOptions::from_variables(variables),
            model_scope: ModelScopeOptions::from_variables(variables),
        }
    }

    /// Forbids requests to all hubs. A file that is not in a cache is then an error. Default:
    /// false, unless the environment sets it.
    #[must_use]
    pub fn with_offline(mut self, offline: bool) -> Self {
        self.offline = offline.then_some("`HubOptions::with_offline`");
        if !offline {
            self.hugging_face.offline = None;
        }
        self
    }

    /// Number of retries of a failed request. The count starts anew when bytes have arrived. A host
    /// that cannot be reached is retried only once. Default: 5.
    #[must_use]
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Pause before the first retry. Each further pause is twice as long, and a random part of up
    /// to a half is added. A hub may ask for a pause of up to five minutes instead. Default: half a
    /// second.
    #[must_use]
    pub fn with_retry_delay(mut self, delay: Duration) -> Self {
        self.retry_delay = delay;
        self
    }

    /// Time limit for a connection attempt. Default: 10 seconds.
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Time limit for the next byte. Default: 30 seconds.
    #[must_use]
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// Time limit for a request about files, from the call to the complete answer. Default: 20
    /// seconds.
    #[must_use]
    pub fn with_metadata_timeout(mut self, timeout: Duration) -> Self {
        self.metadata_timeout = timeout;
        self
    }

    /// Pins a file to a SHA-256 of 64 hexadecimal digits. A file with another digest is refused,
    /// from a hub as from a cache. `file` is its name in the model: `model.safetensors`.
    #[must_use]
    pub fn with_sha256(mut self, file: impl Into<String>, sha256: &str) -> Self {
        self.sha256.insert(file.into(), sha256.to_ascii_lowercase());
        self
    }

    /// Calls `on_wait` with a line of text before the pause after a failed request. Retries within
    /// the transfer of a file are not reported.
    #[must_use]
    pub fn with_on_wait(mut self, on_wait: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_wait = Listener(Some(Arc::new(on_wait)));
        self
    }

    /// Cache folders of the hubs, which their Python clients share. A hub is left out if the
    /// environment names no home folder.
    pub fn cache_folders(&self) -> Vec<PathBuf> {
        let folders = [&self.hugging_face.cache, &self.kaggle.cache, &self.model_scope.cache];
        folders.into_iter().flatten().cloned().collect()
    }

    /// Reports that a request is made again.
    pub(crate) fn tell_wait(&self, display: &str, why: &str) {
        if let Some(on_wait) = &self.on_wait.0 {
            on_wait(&format!("no answer for `{display}` ({why}); trying again"));
        }
    }

    /// Calls `on_progress` when the transfer of a file begins, every 100 milliseconds while bytes
    /// arrive, and when the file is complete and verified.
    #[must_use]
    pub fn with_on_progress(
        mut self,
        on_progress: impl Fn(&DownloadProgress) + Send + Sync + 'static,
    ) -> Self {
        self.on_progress = Listener(Some(Arc::new(on_progress)));
        self
    }

    /// Address of Hugging Face or of a mirror.
    #[must_use]
    pub fn with_hugging_face_endpoint(mut self, endpoint: &str) -> Self {
        self.hugging_face.endpoint = Endpoint::new(endpoint);
        self
    }

    /// Token for Hugging Face. None: requests without a token.
    #[must_use]
    pub fn with_hugging_face_token(mut self, token: Option<&str>) -> Self {
        self.hugging_face.token = token.and_then(Token::new);
        self
    }

    /// Cache folder of Hugging Face, which its Python client may share.
    #[must_use]
    pub fn with_hugging_face_cache(mut self, cache: impl Into<PathBuf>) -> Self {
        self.hugging_face.cache = Some(cache.into());
        self
    }

    /// Address of Kaggle's API, with its version: `https://api.kaggle.com/v1`.
    #[must_use]
    pub fn with_kaggle_endpoint(mut self, endpoint: &str) -> Self {
        self.kaggle.endpoint = Ok(Endpoint::new(endpoint));
        self
    }

    /// Access token for Kaggle. None: requests without a token.
    #[must_use]
    pub fn with_kaggle_token(mut self, token: Option<&str>) -> Self {
        let header = token.and_then(Token::new).map(|token| bearer(token.secret()));
        self.kaggle.authorization = Ok(header.and_then(|header| Token::new(&header)));
        self
    }

    /// Cache folder of kagglehub.
    #[must_use]
    pub fn with_kaggle_cache(mut self, cache: impl Into<PathBuf>) -> Self {
        self.kaggle.cache = Some(cache.into());
        self
    }

    /// Address of ModelScope: `https://modelscope.cn`.
    #[must_use]
    pub fn with_model_scope_endpoint(mut self, endpoint: &str) -> Self {
        self.model_scope.endpoints = vec![normalized(endpoint)];
        self
    }

    /// Access token for ModelScope. None: requests without a token.
    #[must_use]
    pub fn with_model_scope_token(mut self, token: Option<&str>) -> Self {
        self.model_scope.token = token.and_then(Token::new);
        self
    }

    /// Cache folder of ModelScope's client.
    #[must_use]
    pub fn with_model_scope_cache(mut self, cache: impl Into<PathBuf>) -> Self {
        self.model_scope.cache = Some(cache.into());
        self
    }
}

impl Default for HubOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn options(variables: &[(&str, &str)]) -> HubOptions {
        HubOptions::from_variables(&|name| {
            let found = variables.iter().find(|(found, _)| *found == name);
            // The home folder on Unix and on Windows.
            let found = found.or_else(|| {
                let home = |found: &&(&str, &str)| found.0 == "HOME" && name == "USERPROFILE";
                variables.iter().find(home)
            });
            found.map(|(_, value)| value.into())
        })
    }

    fn cache(variables: &[(&str, &str)]) -> Option<PathBuf> {
        options(variables).hugging_face.cache
    }

    #[test]
    fn caches_are_where_pythons_client_has_them() {
        let path = |path: &str| Some(PathBuf::from(path));
        let mut variables = vec![("HOME", "/home/me")];
        assert_eq!(cache(&[]), None);
        assert_eq!(cache(&variables), path("/home/me/.cache/huggingface/hub"));
        for (name, value, expected) in [
            ("XDG_CACHE_HOME", "/xdg", "/xdg/huggingface/hub"),
            ("HF_HOME", "~/hf", "/home/me/hf/hub"),
            ("HUGGINGFACE_HUB_CACHE", "/old", "/old"),
            ("HF_HUB_CACHE", "/new", "/new"),
        ] {
            variables.push((name, value));
            assert_eq!(cache(&variables), path(expected));
        }
        assert_eq!(cache(&[("HF_HUB_CACHE", "/new")]), path("/new"));
        assert_eq!(
            cache(&[("HOME", "/me"), ("HF_HUB_CACHE", "")]),
            path("/me/.cache/huggingface/hub")
        );
    }

    #[test]
    fn tokens_come_from_variables_then_files_and_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let other = folder.path().join("other");
        fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        fs::write(&other, " hf_other\n").unwrap();
        let mut variables = vec![("HF_HOME", home)];
        let token = |variables: &[_]| {
            options(variables).hugging_face.token.map(|token| token.secret().to_owned())
        };
        assert_eq!(token(&variables).unwrap(), "hf_file");
        for (name, value, expected) in [
            ("HF_TOKEN_PATH", other.to_str().unwrap(), "hf_other"),
            ("HUGGING_FACE_HUB_TOKEN", "hf_old", "hf_old"),
            ("HF_TOKEN", " hf_new ", "hf_new"),
        ] {
            variables.push((name, value));
            assert_eq!(token(&variables).unwrap(), expected);
            assert!(!format!("{:?}", options(&variables)).contains("hf_"));
        }
        variables.push(("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"));
        assert_eq!(token(&variables), None);
        let explicit = options(&variables).with_hugging_face_token(Some("hf_mine"));
        assert_eq!(explicit.hugging_face.token.unwrap().secret(), "hf_mine");
    }

    #[test]
    fn flags_say_yes_as_in_python() {
        let offline = |variables: &[_]| options(variables).hugging_face.offline;
        for yes in ["1", "ON", "on", "Yes", "TRUE"] {
            assert_eq!(offline(&[("HF_HUB_OFFLINE", yes)]), Some("HF_HUB_OFFLINE"));
        }
        for no in ["", "0", "false", "2"] {
            assert_eq!(offline(&[("HF_HUB_OFFLINE", no)]), None);
        }
        assert_eq!(offline(&[("TRANSFORMERS_OFFLINE", "1")]), Some("TRANSFORMERS_OFFLINE"));
        assert_eq!(offline(&[("TRANSFORMERS_OFFLINE", "1"), ("HF_HUB_OFFLINE", "0")]), None);
        assert_eq!(options(&[("GPT2_OFFLINE", "1")]).offline, Some("GPT2_OFFLINE"));
        let online = options(&[("GPT2_OFFLINE", "1"), ("HF_HUB_OFFLINE", "1")]).with_offline(false);
        assert_eq!((online.offline, online.hugging_face.offline), (None, None));
    }

    #[test]
    fn endpoints_and_time_limits_come_from_variables() {
        let options = options(&[
            ("HF_ENDPOINT", "https://mirror.example/hf/"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "7"),
            ("HF_HUB_ETAG_TIMEOUT", "soon"),
        ]);
        assert_eq!(&*options.hugging_face.endpoint, "https://mirror.example/hf");
        assert_eq!(options.stall_timeout, Duration::from_secs(7));
        assert_eq!(options.metadata_timeout, Duration::from_secs(20));
    }
}
