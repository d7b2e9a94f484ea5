//! Cross-origin resource sharing: which answers a script from elsewhere may read (Fetch standard, §3.2).

use std::fmt::Display;
use std::sync::Arc;

use weir_config::mesh;
use weir_config::names::Origin;

use crate::request::RequestHead;

/// The headers of an answer.
type Lines = Vec<(&'static str, String)>;

/// Whom a rule shares its answers with. The lists are header values already.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<Origin>,
    methods: Arc<str>,
    headers: Option<Arc<str>>,
    expose: Option<Arc<str>>,
    credentials: bool,
    /// In seconds.
    max_age: Option<u64>,
}

impl Cors {
    pub(crate) fn new(cors: &mesh::Cors) -> Self {
        let methods = if cors.methods.is_empty() { "GET, HEAD, POST".into() } else { joined(&cors.methods) };
        let list = |names: &[_]| (!names.is_empty()).then(|| joined(names));
        Self {
            origins: cors.origins.clone(),
            methods,
            headers: list(&cors.headers),
            expose: list(&cors.expose),
            credentials: cors.credentials(),
            max_age: cors.max_age.map(|age| age.0.as_secs()),
        }
    }

    /// What an answer, other than a preflight's, says about sharing. It varies by `Origin` even where the request has
    /// none, or a cache would give the answer without the headers to a script.
    pub fn headers(&self, origin: Option<&[u8]>) -> Vec<(&'static str, String)> {
        let mut lines = Lines::new();
        if self.allow(origin, &mut lines)
            && let Some(expose) = &self.expose
        {
            lines.push(("access-control-expose-headers", expose.to_string()));
        }
        if !self.same_for_all() {
            lines.push(("vary", "origin".to_owned()));
        }
        lines
    }

    /// The answer to a preflight. An origin that is not allowed learns nothing.
    pub(crate) fn preflight(&self, origin: Option<&[u8]>) -> Lines {
        let mut lines = Lines::new();
        if self.allow(origin, &mut lines) {
            lines.push(("access-control-allow-methods", self.methods.to_string()));
            if let Some(headers) = &self.headers {
                lines.push(("access-control-allow-headers", headers.to_string()));
            }
            if let Some(seconds) = self.max_age {
                lines.push(("access-control-max-age", seconds.to_string()));
            }
        }
        lines.push(("vary", "origin, access-control-request-method, access-control-request-headers".to_owned()));
        lines
    }

    /// Whether the origin is allowed; then the lines that say so are added.
    fn allow(&self, origin: Option<&[u8]>, lines: &mut Lines) -> bool {
        if self.same_for_all() {
            lines.push(("access-control-allow-origin", "*".to_owned()));
            return true;
        }
        let Some(origin) = origin.and_then(|origin| str::from_utf8(origin).ok()) else { return false };
        if !self.origins.iter().any(|allowed| matches(allowed, origin)) {
            return false;
        }
        lines.push(("access-control-allow-origin", origin.to_owned()));
        if self.credentials {
            lines.push(("access-control-allow-credentials", "true".to_owned()));
        }
        true
    }

    /// Whether every origin gets the same headers. With credentials a browser does not take the `*`.
    fn same_for_all(&self) -> bool {
        self.origins.contains(&Origin::Any) && !self.credentials
    }
}

/// Browsers send origins in lower case (Fetch standard, §2.2.8: serialised by URL).
fn matches(allowed: &Origin, origin: &str) -> bool {
    match allowed {
        Origin::Any => true,
        Origin::Exact(exact) => exact == origin,
        Origin::Wildcard { scheme, suffix } => origin
            .strip_prefix(scheme.as_str())
            .and_then(|rest| rest.strip_prefix("://"))
            .and_then(|host| host.strip_suffix(suffix.as_str()))
            .is_some_and(|labels| labels.split('.').all(is_label)),
    }
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Whether a request asks if another one may be sent; then the method of that one.
pub(crate) fn preflight<'h>(head: &RequestHead<'h>) -> Option<&'h [u8]> {
    if head.method != "OPTIONS" {
        return None;
    }
    head.headers.get("origin").and_then(|_| head.headers.get("access-control-request-method"))
}

fn joined(items: &[impl Display]) -> Arc<str> {
    items.iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str], edit: impl FnOnce(&mut mesh::Cors)) -> Cors {
        let origins = origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect();
        let mut cors = mesh::Cors { origins, ..Default::default() };
        edit(&mut cors);
        Cors::new(&cors)
    }

    fn allowed(cors: &Cors, origin: &str) -> Option<String> {
        let lines = cors.headers(Some(origin.as_bytes()));
        lines.into_iter().find(|(name, _)| *name == "access-control-allow-origin").map(|(_, value)| value)
    }

    #[test]
    fn an_origin_is_allowed_as_a_whole() {
        let cors = cors(&["https://app.example.com", "https://*.example.org", "http://localhost:3000"], |_| {});
        for origin in
            ["https://app.example.com", "https://a.example.org", "https://a.b.example.org", "http://localhost:3000"]
        {
            assert_eq!(allowed(&cors, origin).as_deref(), Some(origin));
        }
        for origin in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.net",
            "https://example.org",
            "https://.example.org",
            "https://evil.net/.example.org",
            "https://evil.net#.example.org",
            "https://a.example.org:8443",
            "http://a.example.org",
            "http://localhost:3001",
            "null",
            "",
        ] {
            assert_eq!(allowed(&cors, origin), None, "{origin}");
        }
    }

    #[test]
    fn answers_vary_by_origin_unless_they_are_the_same_for_all() {
        let some = cors(&["https://app.example.com"], |_| {});
        assert_eq!(some.headers(None), [("vary", "origin".to_owned())]);
        assert_eq!(some.headers(Some(b"https://evil.net")), [("vary", "origin".to_owned())]);
        assert_eq!(
            some.headers(Some(b"https://app.example.com")),
            [("access-control-allow-origin", "https://app.example.com".to_owned()), ("vary", "origin".to_owned())]
        );
        let all = cors(&["*"], |_| {});
        assert_eq!(all.headers(Some(b"https://a.b")), [("access-control-allow-origin", "*".to_owned())]);
        assert_eq!(all.headers(None), [("access-control-allow-origin", "*".to_owned())]);
    }

    #[test]
    fn credentials_are_allowed_to_a_named_origin_only() {
        let with = cors(&["https://app.example.com"], |cors| cors.credentials = Some(true));
        assert!(
            with.headers(Some(b"https://app.example.com"))
                .contains(&("access-control-allow-credentials", "true".into()))
        );
        let any = cors(&["*"], |cors| cors.credentials = Some(true));
        assert_eq!(allowed(&any, "https://a.b").as_deref(), Some("https://a.b"));
    }

    #[test]
    fn a_preflight_lists_what_is_allowed_and_nothing_to_a_stranger() {
        use weir_config::names::{HeaderName, Method};
        use weir_config::units::Duration;
        let cors = cors(&["https://app.example.com"], |cors| {
            cors.methods = vec![Method::parse("GET").unwrap(), Method::parse("PUT").unwrap()];
            cors.headers = vec![HeaderName::parse("X-Api-Key").unwrap()];
            cors.expose = vec![HeaderName::parse("x-total").unwrap()];
            cors.max_age = Some(Duration::parse("10m").unwrap());
        });
        let vary = ("vary", "origin, access-control-request-method, access-control-request-headers".to_owned());
        assert_eq!(
            cors.preflight(Some(b"https://app.example.com")),
            [
                ("access-control-allow-origin", "https://app.example.com".to_owned()),
                ("access-control-allow-methods", "GET, PUT".to_owned()),
                ("access-control-allow-headers", "x-api-key".to_owned()),
                ("access-control-max-age", "600".to_owned()),
                vary.clone()
            ]
        );
        assert_eq!(cors.preflight(Some(b"https://evil.net")), cors.preflight(None));
        assert_eq!(cors.preflight(None), [vary]);
        let lines = cors.headers(Some(b"https://app.example.com"));
        assert!(lines.contains(&("access-control-expose-headers", "x-total".to_owned())));
    }
}
