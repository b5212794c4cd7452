//! Address of a hub.

use std::fmt;
use std::ops::Deref;

/// Base address of a hub, without a slash at its end.
///
/// It may contain a password. `Debug` omits the password, and there is no `Display`, so that no
/// message shows it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(String);

impl Endpoint {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.trim_end_matches('/').to_owned())
    }

    /// Address for messages, without user name and password.
    pub(crate) fn shown(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let separator = if rest.len() == self.0.len() { "" } else { "://" };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}{separator}{host}{path}")
    }
}

/// Address for requests.
impl Deref for Endpoint {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("https://user:w@rd@hub.example:8443/x@y/", "https://hub.example:8443/x@y"),
            ("http://user@hub.example", "http://hub.example"),
            ("user:word@hub.example", "hub.example"),
            ("https://hub.example", "https://hub.example"),
        ] {
            assert_eq!(Endpoint::new(text).shown(), shown);
        }
    }
}
