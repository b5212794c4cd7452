//! Addresses, and the hosts that redirects lead to.

use std::fmt;

use ureq::http::Uri;

/// Absolute HTTP or HTTPS address.
///
/// `Debug` omits the query: it may be a signature that gives access.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url(Uri);

impl Url {
    /// Parses an address. None for any other text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.split('#').next()?.parse().ok()?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        (known && !uri.host()?.is_empty()).then_some(Self(uri))
    }

    /// Resolves a `Location` header relative to this address.
    pub(crate) fn join(&self, location: &str) -> Option<Self> {
        let scheme = self.0.scheme_str()?;
        let origin = format!("{scheme}://{}", self.0.authority()?);
        let path = self.0.path();
        let folder = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
        let has_scheme = location.split(['/', '?', '#']).next()?.contains(':');
        Self::parse(&match location {
            _ if has_scheme => location.to_owned(),
            _ if location.starts_with("//") => format!("{scheme}:{location}"),
            _ if location.starts_with('/') => format!("{origin}{location}"),
            _ if location.starts_with('?') => format!("{origin}{path}{location}"),
            _ => format!("{origin}{folder}{location}"),
        })
    }

    /// Whether two addresses share an origin, so that secrets for one are meant for the other.
    pub(crate) fn has_origin_of(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }

    /// Whether a redirect from this address to `target` would give up encryption.
    pub(crate) fn is_downgraded_by(&self, target: &Self) -> bool {
        self.is_secure() && !target.is_secure()
    }

    /// Host, with the port unless it is the default one.
    pub(crate) fn host(&self) -> String {
        let port = self.0.port_u16().map_or(String::new(), |port| format!(":{port}"));
        format!("{}{port}", self.0.host().unwrap_or_default())
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    fn is_secure(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    fn origin(&self) -> (bool, String, u16) {
        let port = self.0.port_u16().unwrap_or(if self.is_secure() { 443 } else { 80 });
        (self.is_secure(), self.0.host().unwrap_or_default().to_ascii_lowercase(), port)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.host(), self.0.path())
    }
}

/// Percent-encodes a file name as part of an address.
pub(crate) fn encode_path(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encode = |byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}

/// Percent-encodes a text, such as a revision, as one segment of a path.
pub(crate) fn encode_part(text: &str) -> String {
    encode_path(text).replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let base = Url::parse("https://hub.example/a/b?c=d").unwrap();
        for (location, expected) in [
            ("https://cdn.example/x?y=z#w", "https://cdn.example/x?y=z"),
            ("//cdn.example/x", "https://cdn.example/x"),
            ("/x/y", "https://hub.example/x/y"),
            ("x?y=a:b", "https://hub.example/a/x?y=a:b"),
            ("?y", "https://hub.example/a/b?y"),
        ] {
            assert_eq!(base.join(location).unwrap().0.to_string(), expected);
        }
        for refused in
            ["ftp://hub.example/x", "file:///etc/passwd", "data:text/plain,x", "https://"]
        {
            assert_eq!(base.join(refused), None, "{refused}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let url = |text| Url::parse(text).unwrap();
        let base = url("https://hub.example/a");
        assert!(base.has_origin_of(&url("https://HUB.example:443/b")));
        for other in
            ["http://hub.example/a", "https://hub.example:444/a", "https://x.hub.example/a"]
        {
            assert!(!base.has_origin_of(&url(other)), "{other}");
        }
        assert!(base.is_downgraded_by(&url("http://hub.example/a")));
        assert!(!url("http://a/").is_downgraded_by(&base));
    }

    #[test]
    fn signatures_are_not_shown() {
        let url = Url::parse("https://user:word@cdn.example:8443/x?Signature=secret").unwrap();
        assert_eq!(format!("{url:?}"), "cdn.example:8443/x");
    }
}
