//! Settings of ModelScope: addresses, token, cache. Lookup follows `modelscope_hub/config.py`.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::environment::endpoint::Endpoint;
use crate::environment::token::Token;
use crate::environment::variables::{Variables, flag, home, path, text};
use crate::model_scope::cookie_jar::session_token;

const CHINA: &str = "https://modelscope.cn";
const INTERNATIONAL: &str = "https://www.modelscope.ai";

/// Settings of ModelScope.
#[derive(Debug, Clone)]
pub(crate) struct ModelScopeOptions {
    /// Addresses, in the order in which they are tried until one has the model.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) token: Option<Token>,
    /// Cache folder. None if the environment names no home folder.
    pub(crate) cache: Option<PathBuf>,
}

impl ModelScopeOptions {
    pub(crate) fn from_variables(variables: Variables<'_>) -> Self {
        let cache = || Some(home(variables)?.join(".cache").join("modelscope"));
        Self {
            endpoints: endpoints(variables),
            token: token(variables),
            cache: path(variables, "MODELSCOPE_CACHE").or_else(cache),
        }
    }
}

fn endpoints(variables: Variables<'_>) -> Vec<Endpoint> {
    let variable = |name| text(variables, name);
    match variable("MODELSCOPE_ENDPOINT").or_else(|| variable("MODELSCOPE_DOMAIN")) {
        Some(endpoint) => vec![normalized(&endpoint)],
        None if flag(variables, &["MODELSCOPE_PREFER_AI_SITE"]).is_some() => {
            [INTERNATIONAL, CHINA].map(Endpoint::new).to_vec()
        }
        None => [CHINA, INTERNATIONAL].map(Endpoint::new).to_vec(),
    }
}

/// Address, with a scheme added if it has none.
pub(crate) fn normalized(endpoint: &str) -> Endpoint {
    let endpoint = endpoint.trim();
    match endpoint.contains("://") {
        true => Endpoint::new(endpoint),
        false => Endpoint::new(&format!("https://{endpoint}")),
    }
}

/// Token in the variable, or else that of `modelscope login`. An empty variable means no token.
fn token(variables: Variables<'_>) -> Option<Token> {
    if let Some(token) = variables("MODELSCOPE_API_TOKEN") {
        return Token::new(token.to_str()?);
    }
    let folder = path(variables, "MODELSCOPE_HOME");
    let folder = folder.or_else(|| Some(home(variables)?.join(".modelscope")))?;
    let cookies = fs::read(folder.join("credentials").join("cookies")).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    Token::new(&session_token(&cookies, i64::try_from(now).ok()?)?)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::*;

    fn options(home: &Path, set: &[(&str, &str)]) -> ModelScopeOptions {
        let variable = |asked: &str| match asked {
            "HOME" | "USERPROFILE" => Some(home.into()),
            asked => set.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.into()),
        };
        ModelScopeOptions::from_variables(&|name| -> Option<OsString> { variable(name) })
    }

    #[test]
    fn the_environment_chooses_the_address_and_the_cache() {
        let home = Path::new("/home/ann");
        let endpoints = |set: &[(&str, &str)]| -> Vec<String> {
            options(home, set).endpoints.iter().map(|it| it.to_string()).collect()
        };
        assert_eq!(endpoints(&[]), [CHINA, INTERNATIONAL]);
        assert_eq!(endpoints(&[("MODELSCOPE_PREFER_AI_SITE", "true")]), [INTERNATIONAL, CHINA]);
        let domain = ("MODELSCOPE_DOMAIN", "www.modelscope.ai/");
        assert_eq!(endpoints(&[domain]), [INTERNATIONAL]);
        assert_eq!(
            endpoints(&[domain, ("MODELSCOPE_ENDPOINT", "http://mirror:80//")]),
            ["http://mirror:80"]
        );
        let cache = |set: &[(&str, &str)]| options(home, set).cache.unwrap();
        assert_eq!(cache(&[]), Path::new("/home/ann/.cache/modelscope"));
        assert_eq!(cache(&[("MODELSCOPE_CACHE", "~/models")]), Path::new("/home/ann/models"));
    }

    #[test]
    fn the_variable_goes_before_what_a_login_has_left() {
        let home = tempfile::tempdir().unwrap();
        let token = |set: &[(&str, &str)]| {
            let options = options(home.path(), set);
            assert!(!format!("{options:?}").contains("-secret"), "{options:?}");
            options.token.map(|token| token.secret().to_owned())
        };
        assert_eq!(token(&[]), None);
        let variable = ("MODELSCOPE_API_TOKEN", "variable-secret");
        assert_eq!(token(&[variable]).as_deref(), Some("variable-secret"));
        // A jar whose session ends in the year 2100.
        let jar = include_bytes!("../../tests/cookies/cookies_of_token");
        let expires = jar.windows(5).rposition(|bytes| bytes[0] == b'J').unwrap() + 1;
        let mut jar = jar.to_vec();
        jar.splice(expires - 1..expires + 4, [0x8a, 5, 0, 0x61, 0x38, 0xf4, 0]);
        for (folder, set) in
            [(".modelscope", &[][..]), ("elsewhere", &[("MODELSCOPE_HOME", "~/elsewhere")][..])]
        {
            let folder = home.path().join(folder).join("credentials");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cookies"), &jar).unwrap();
            assert_eq!(token(set).as_deref(), Some("ms-00000000-secret"));
            fs::remove_dir_all(folder).unwrap();
        }
        assert_eq!(token(&[("MODELSCOPE_API_TOKEN", "")]), None);
    }
}
