//! Paths and locations that a rule makes: what an upstream is asked for, and where a redirect leads.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;

use crate::request::{Facts, RequestHead};

/// A new path in place of the one that was asked for. The query stays either way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathEdit {
    /// The whole path.
    Whole(Arc<str>),
    /// In place of the prefix that matched, element by element.
    Prefix(Arc<str>),
}

impl PathEdit {
    /// `prefix` is how many bytes of the path the rule's prefix has.
    pub(crate) fn apply<'a>(&'a self, path: &'a str, prefix: usize) -> Cow<'a, str> {
        match self {
            Self::Whole(whole) => Cow::Borrowed(whole),
            Self::Prefix(replacement) => {
                let rest = &path[prefix..];
                match replacement.trim_end_matches('/') {
                    "" if rest.is_empty() => Cow::Borrowed("/"),
                    "" => Cow::Borrowed(rest),
                    replacement => Cow::Owned(format!("{replacement}{rest}")),
                }
            }
        }
    }
}

/// A path and its query.
pub(crate) fn target(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// A redirect of a rule. What is absent stays as the client had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) host: Option<Arc<str>>,
    pub(crate) port: Option<u16>,
    pub(crate) path: Option<PathEdit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Redirect {
    /// The value of `Location`. A redirect that names a scheme and no port leads to that scheme's own port, as the
    /// Gateway API has it; the scheme's own port is left out.
    pub(crate) fn location(&self, head: &RequestHead<'_>, facts: &Facts, path: &str, prefix: usize) -> String {
        let path = self.path.as_ref().map_or(Cow::Borrowed(path), |edit| edit.apply(path, prefix));
        let mut location = String::with_capacity(64 + path.len());
        match self.host.as_deref().unwrap_or(head.host) {
            // HTTP/1.0 without a host: all that can be named is a path. Two slashes would begin a host (RFC 3986 §4.2).
            "" if path.starts_with("//") => location.push_str("/."),
            "" => {}
            host => {
                let client = if facts.https { Scheme::Https } else { Scheme::Http };
                let scheme = self.scheme.unwrap_or(client);
                let port = self.port.unwrap_or(if self.scheme.is_some() { scheme.port() } else { facts.port });
                location.push_str(scheme.as_str());
                location.push_str("://");
                location.push_str(host);
                if port != scheme.port() {
                    // Writing to a String never fails.
                    let _ = write!(location, ":{port}");
                }
            }
        }
        push_printable(&mut location, &path);
        if let Some(query) = head.query {
            location.push('?');
            push_printable(&mut location, query);
        }
        location
    }
}

/// What is not printable ASCII is escaped, so that no request can write a header of its own into the answer.
fn push_printable(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            0x21..=0x7e => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::table::ListenerId;

    /// The table of `HTTPPathModifier.replacePrefixMatch` in the Gateway API, and more.
    #[test]
    fn a_prefix_is_replaced_element_by_element() {
        for (path, prefix, replacement, becomes) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo/bar", "", "/api", "/api/foo/bar"),
            ("/", "", "/api", "/api/"),
            ("/a/b/c", "/a/b", "/x", "/x/c"),
        ] {
            let edit = PathEdit::Prefix(replacement.into());
            assert_eq!(edit.apply(path, prefix.len()), becomes, "{path} {prefix} {replacement}");
        }
        assert_eq!(PathEdit::Whole("/new".into()).apply("/old/x", 4), "/new");
    }

    fn location(redirect: Redirect, https: bool, port: u16, host: &str, path: &str, query: Option<&str>) -> String {
        let head = RequestHead { method: "GET", host, path, query, headers: &[("", ""); 0], content_length: None };
        let client = IpAddr::from([127, 0, 0, 1]);
        let facts = Facts { listener: ListenerId::NONE, client, https, port, now: Duration::ZERO };
        redirect.location(&head, &facts, path, 0)
    }

    #[test]
    fn a_location_is_the_clients_but_for_what_the_redirect_names() {
        let none = Redirect { status: 302, scheme: None, host: None, port: None, path: None };
        let https = || Redirect { scheme: Some(Scheme::Https), ..none.clone() };
        let to = |host: &str| Redirect { host: Some(host.into()), ..none.clone() };
        let path = || Redirect { path: Some(PathEdit::Whole("/new".into())), ..none.clone() };

        assert_eq!(location(none.clone(), false, 80, "a.b", "/x", None), "http://a.b/x");
        assert_eq!(location(none.clone(), true, 443, "a.b", "/x", Some("q=1")), "https://a.b/x?q=1");
        assert_eq!(location(none.clone(), true, 8443, "a.b", "/x", Some("")), "https://a.b:8443/x?");
        assert_eq!(location(none.clone(), false, 443, "a.b", "/x", None), "http://a.b:443/x");
        assert_eq!(location(https(), false, 8080, "a.b", "/x", None), "https://a.b/x");
        assert_eq!(
            location(Redirect { port: Some(8443), ..https() }, false, 8080, "a.b", "/", None),
            "https://a.b:8443/"
        );
        assert_eq!(location(Redirect { port: Some(443), ..https() }, false, 80, "a.b", "/", None), "https://a.b/");
        assert_eq!(location(Redirect { port: Some(80), ..none.clone() }, false, 8080, "a.b", "/", None), "http://a.b/");
        assert_eq!(location(to("c.d"), true, 8443, "a.b", "/x", None), "https://c.d:8443/x");
        assert_eq!(location(path(), false, 80, "a.b", "/x", Some("q")), "http://a.b/new?q");
        assert_eq!(location(none.clone(), false, 8080, "[::1]", "/x", None), "http://[::1]:8080/x");
    }

    #[test]
    fn without_a_host_a_location_is_a_path_that_cannot_name_one() {
        let none = Redirect { status: 302, scheme: Some(Scheme::Https), host: None, port: None, path: None };
        assert_eq!(location(none.clone(), false, 80, "", "/x", Some("a")), "/x?a");
        assert_eq!(location(none, false, 80, "", "//evil.example/x", None), "/.//evil.example/x");
    }

    #[test]
    fn nothing_in_a_request_breaks_out_of_the_location() {
        let none = Redirect { status: 302, scheme: None, host: None, port: None, path: None };
        let location = location(none, false, 80, "a", "/x", Some("a\r\nset-cookie: b é"));
        assert_eq!(location, "http://a/x?a%0D%0Aset-cookie:%20b%20%C3%A9");
    }
}
