//! Settings of Kaggle: address, token, cache. Lookup follows kagglehub.
//!
//! The order is that of `kagglehub/config.py` and `kagglesdk/kaggle_env.py`.

use std::fs;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use crate::environment::endpoint::Endpoint;
use crate::environment::token::Token;
use crate::environment::variables::{Variables, home, path, text};
use crate::error::HubError;

/// Settings of Kaggle.
#[derive(Debug, Clone)]
pub(crate) struct KaggleOptions {
    /// Address before `/<service>/<method>`.
    pub(crate) endpoint: Result<Endpoint, InvalidSetting>,
    /// Value of the header `Authorization`. None: only public models.
    pub(crate) authorization: Result<Option<Token>, InvalidSetting>,
    /// Cache folder. None if the environment names no home folder.
    pub(crate) cache: Option<PathBuf>,
}

/// Invalid variable or file. The first request to Kaggle reports it.
#[derive(Debug, Clone)]
pub(crate) struct InvalidSetting {
    option: &'static str,
    expected: &'static str,
    found: String,
}

impl KaggleOptions {
    pub(crate) fn from_variables(variables: Variables<'_>) -> Self {
        let cache = || Some(home(variables)?.join(".cache").join("kagglehub"));
        Self {
            endpoint: endpoint(text(variables, "KAGGLE_API_ENVIRONMENT").as_deref()),
            authorization: authorization(variables),
            cache: path(variables, "KAGGLEHUB_CACHE").or_else(cache),
        }
    }
}

impl From<InvalidSetting> for HubError {
    fn from(setting: InvalidSetting) -> Self {
        let InvalidSetting { option, expected, found } = setting;
        Self::InvalidOption { option, expected, found }
    }
}

fn endpoint(environment: Option<&str>) -> Result<Endpoint, InvalidSetting> {
    Ok(Endpoint::new(match environment.unwrap_or("PROD") {
        "PROD" => "https://api.kaggle.com/v1",
        "QA" => "https://qa.kaggle.com/api/v1",
        "LOCALHOST" => "http://localhost/api/v1",
        "TEST" => "http://localhost:7777/api/v1",
        other => {
            return Err(InvalidSetting {
                option: "KAGGLE_API_ENVIRONMENT",
                expected: "PROD, QA, LOCALHOST or TEST",
                found: other.to_owned(),
            });
        }
    }))
}

/// Credentials from the first of: an access token in a variable, in the file that the variable
/// names, or in its default file; a user name and key, in variables or in `kaggle.json`.
fn authorization(variables: Variables<'_>) -> Result<Option<Token>, InvalidSetting> {
    if let Some(token) = access_token(variables)? {
        return Ok(Token::new(&bearer(&token)));
    }
    let variable = |name| text(variables, name);
    if let (Some(username), Some(key)) = (variable("KAGGLE_USERNAME"), variable("KAGGLE_KEY")) {
        return Ok(Token::new(&basic(&username, &key)));
    }
    let folder = path(variables, "KAGGLE_CONFIG_DIR").or_else(|| kaggle_folder(variables));
    let Some(file) = folder.map(|folder| folder.join("kaggle.json")) else { return Ok(None) };
    let Some(json) = read(&file)? else { return Ok(None) };
    // Messages do not quote the text: it is secret.
    let json = serde_json::from_str::<Value>(&json).unwrap_or_default();
    let string = |key| json.get(key).and_then(Value::as_str);
    match (string("username"), string("key")) {
        (Some(username), Some(key)) => Ok(Token::new(&basic(username, key))),
        _ => Err(InvalidSetting {
            option: "kaggle.json",
            expected: "a JSON object with the strings `username` and `key`",
            found: format!("something else in `{}`", file.display()),
        }),
    }
}

fn access_token(variables: Variables<'_>) -> Result<Option<String>, InvalidSetting> {
    let variable = |name| text(variables, name);
    let in_notebook = variable("KAGGLE_KERNEL_RUN_TYPE").and(variable("KAGGLE_DATA_PROXY_URL"));
    if let Some(file) = in_notebook.and(path(variables, "KAGGLE_API_V1_TOKEN"))
        && let Some(token) = read_token(&file)?
    {
        return Ok(Some(token));
    }
    if let Some(token) = variable("KAGGLE_API_TOKEN") {
        let file = Path::new(&token);
        return if file.exists() { read_token(file) } else { Ok(Some(token)) };
    }
    let Some(folder) = kaggle_folder(variables) else { return Ok(None) };
    let token = read_token(&folder.join("access_token"))?;
    if token.is_some() { Ok(token) } else { read_token(&folder.join("access_token.txt")) }
}

fn kaggle_folder(variables: Variables<'_>) -> Option<PathBuf> {
    Some(home(variables)?.join(".kaggle"))
}

/// Token in a file. None if the file does not exist or is empty.
fn read_token(file: &Path) -> Result<Option<String>, InvalidSetting> {
    let text = read(file)?.map(|text| text.trim().to_owned());
    Ok(text.filter(|text| !text.is_empty()))
}

/// Content of a text file. None if the file does not exist.
fn read(file: &Path) -> Result<Option<String>, InvalidSetting> {
    if !file.exists() {
        return Ok(None);
    }
    fs::read_to_string(file).map(Some).map_err(|error| InvalidSetting {
        option: "the credentials for Kaggle",
        expected: "a text file that can be read",
        found: format!("`{}`: {error}", file.display()),
    })
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn basic(username: &str, key: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{key}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use super::*;

    /// Credentials that `kagglehub.config.get_kaggle_credentials` finds with these files in the
    /// home folder and these variables. A value that begins with `~` is a path in the home folder.
    fn found(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<String, String> {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = home.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let in_home = |value: &str| value.replacen('~', home.path().to_str().unwrap(), 1);
        let mut variables: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| (*name, OsString::from(in_home(value)))).collect();
        variables.insert("HOME", home.path().into());
        variables.insert("USERPROFILE", home.path().into());
        let options = KaggleOptions::from_variables(&|name| variables.get(name).cloned());
        assert!(!format!("{options:?}").contains("secret-"), "{options:?}");
        let header = options.authorization.map_err(|error| format!("{error:?}"))?;
        Ok(header.map(|header| header.secret().to_owned()).unwrap_or_default())
    }

    #[test]
    fn credentials_are_found_in_kagglehubs_order() {
        let mut files = vec![
            (".kaggle/access_token", "secret-1\n"),
            (".kaggle/access_token.txt", " secret-2 "),
            (".kaggle/kaggle.json", r#"{"username": "ann", "key": "secret-4"}"#),
            ("other/kaggle.json", r#"{"username": "bob", "key": "secret-5"}"#),
            ("token", "secret-6"),
            ("empty", "\n"),
        ];
        let value = ("KAGGLE_API_TOKEN", "secret-0");
        let names = [("KAGGLE_USERNAME", "eve"), ("KAGGLE_KEY", "secret-3")];
        let all = [value, names[0], names[1]];
        assert_eq!(found(&files, &all).unwrap(), "Bearer secret-0");
        assert_eq!(found(&files, &[("KAGGLE_API_TOKEN", "~/token")]).unwrap(), "Bearer secret-6");
        // An empty file ends the search for a token, as in kagglesdk.
        let empty = ("KAGGLE_API_TOKEN", "~/empty");
        assert_eq!(found(&files, &[empty, names[0], names[1]]).unwrap(), "Basic ZXZlOnNlY3JldC0z");
        assert_eq!(found(&files, &names).unwrap(), "Bearer secret-1");
        files.remove(0);
        assert_eq!(found(&files, &names).unwrap(), "Bearer secret-2");
        files.remove(0);
        assert_eq!(found(&files, &names).unwrap(), "Basic ZXZlOnNlY3JldC0z");
        // A user name without a key is ignored.
        assert_eq!(found(&files, &names[..1]).unwrap(), "Basic YW5uOnNlY3JldC00");
        let folder = ("KAGGLE_CONFIG_DIR", "~/other");
        assert_eq!(found(&files, &[folder]).unwrap(), "Basic Ym9iOnNlY3JldC01");
        assert_eq!(found(&[], &[]).unwrap(), "");
    }

    #[test]
    fn a_notebook_on_kaggle_has_a_token_of_its_own() {
        let files = [("notebook", "secret-7")];
        let variables = [
            ("KAGGLE_API_TOKEN", "secret-0"),
            ("KAGGLE_API_V1_TOKEN", "~/notebook"),
            ("KAGGLE_KERNEL_RUN_TYPE", "Interactive"),
            ("KAGGLE_DATA_PROXY_URL", "http://localhost"),
        ];
        assert_eq!(found(&files, &variables).unwrap(), "Bearer secret-7");
        assert_eq!(found(&files, &variables[..3]).unwrap(), "Bearer secret-0");
    }

    #[test]
    fn broken_credentials_are_said_to_be_so_and_not_shown() {
        for text in [
            "secret",
            "[\"secret\"]",
            r#"{"username": 1, "key": "secret"}"#,
            r#"{"username": "secret"}"#,
        ] {
            let error = found(&[(".kaggle/kaggle.json", text)], &[]).unwrap_err();
            assert!(error.contains("kaggle.json") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_environment_chooses_the_address_and_the_cache() {
        let options = |name: &'static str, value: &'static str| {
            let variable = move |asked: &str| match asked {
                "HOME" | "USERPROFILE" => Some(OsString::from("/home/ann")),
                asked => (asked == name).then(|| value.into()),
            };
            KaggleOptions::from_variables(&variable)
        };
        let endpoint = |value| options("KAGGLE_API_ENVIRONMENT", value).endpoint;
        assert_eq!(&*endpoint("").unwrap(), "https://api.kaggle.com/v1");
        assert_eq!(&*endpoint("PROD").unwrap(), "https://api.kaggle.com/v1");
        assert_eq!(&*endpoint("TEST").unwrap(), "http://localhost:7777/api/v1");
        assert_eq!(endpoint("prod").unwrap_err().found, "prod");
        let cache = |value| options("KAGGLEHUB_CACHE", value).cache.unwrap();
        assert_eq!(cache(""), Path::new("/home/ann/.cache/kagglehub"));
        assert_eq!(cache("/data/kaggle"), Path::new("/data/kaggle"));
    }
}
