//! Hosts, authorities and origins.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::text::{Fault, Text};
use crate::text_type;

/// A host that a route answers for, lower-case, without a port. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// `api.example.com`, `192.0.2.1` or `[::1]`, as a request's `Host` has it.
    Exact(Arc<str>),
    /// `*.example.com` as its suffix with the dot, `.example.com`: one or more labels in place of the star.
    Wildcard(Arc<str>),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    /// Lower-case; an IPv6 address without its brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// An origin that scripts may come from (RFC 6454 §6.2), lower-case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// `*`
    Any,
    /// `https://app.example.com`, `http://localhost:3000`
    Exact(String),
    /// `https://*.example.com`: the scheme `https`, the suffix `.example.com`, with its port where one is written.
    Wildcard { scheme: String, suffix: String },
}

text_type!(
    Host,
    r"^(\*\.)?[0-9A-Za-z_\[\]:.-]+$",
    "A host without a port: api.example.com, or *.example.com, whose star is one or more labels."
);
text_type!(Authority, r"^[0-9A-Za-z_\[\]:.-]+:[0-9]{1,5}$", "A host and a port: search.internal:8080.");
text_type!(
    Origin,
    r"^(\*|[A-Za-z][0-9A-Za-z+.-]*://(\*\.)?[0-9A-Za-z_\[\]:.-]+)$",
    "An origin: https://app.example.com, https://*.example.com, or * for any."
);

impl Text for Host {
    const WHAT: &'static str = "a host such as \"api.example.com\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text == "*" {
            return Err(Fault::new("`*` is not a host").hint("leave `hosts` out to answer for any host"));
        }
        let Some(suffix) = text.strip_prefix("*.") else { return Ok(Self::Exact(host(text)?.into())) };
        let suffix =
            host(suffix).map_err(|fault| Fault { message: format!("\"{text}\": {}", fault.message), ..fault })?;
        if suffix.starts_with('[') || suffix.parse::<Ipv4Addr>().is_ok() {
            return Err(Fault::new(format!("\"{text}\" is not a host")).hint("a wildcard stands before a name"));
        }
        Ok(Self::Wildcard(format!(".{suffix}").into()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl Text for Authority {
    const WHAT: &'static str = "a host and a port such as \"search.internal:8080\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        let shown = text.escape_debug();
        if text.contains("://") || text.contains('/') {
            return Err(
                Fault::new(format!("\"{shown}\" is a URL")).hint("write only host and port: \"search.internal:8080\"")
            );
        }
        let no_port = || Fault::new(format!("\"{shown}\" has no port")).hint(format!("write \"{shown}:443\""));
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(Fault::new(format!("\"{shown}\" has no port")).hint(format!("write \"[{shown}]:443\"")));
        }
        let (name, port) = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).ok_or_else(no_port)?;
        let port = match port.parse() {
            Ok(port) if port > 0 && !port_is_padded(text) => port,
            _ => return Err(Fault::new(format!("\"{shown}\" has no valid port")).hint("a port is 1 to 65535")),
        };
        let name = host(name)?;
        let name = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
        Ok(Self { host: name.to_owned(), port })
    }
}

/// `+80` and `080` parse as numbers, but nobody means them.
fn port_is_padded(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.starts_with(['+', '0']))
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Text for Origin {
    const WHAT: &'static str = "an origin such as \"https://app.example.com\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let shown = text.escape_debug();
        let fault = || Fault::new(format!("\"{shown}\" is not an origin"));
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(fault().hint(format!("write the scheme too: \"https://{shown}\"")));
        };
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte));
        if !is_scheme {
            return Err(fault().hint("it begins with a scheme: \"https://app.example.com\""));
        }
        if let Some((before, _)) = rest.split_once(['/', '?', '#']) {
            return Err(
                fault().hint(format!("an origin ends before the path: \"{scheme}://{}\"", before.escape_debug()))
            );
        }
        let (wild, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        // The host is checked as an authority when it has a port.
        let has_port = rest.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let place = if has_port {
            let authority = Authority::from_text(rest)?;
            if matches!((scheme.as_str(), authority.port), ("https", 443) | ("http", 80)) {
                return Err(Fault::new(format!(
                    "\"{shown}\" can never match: browsers leave the scheme's own port out"
                ))
                .hint(format!("write \"{}\"", shown.to_string().trim_end_matches(&format!(":{}", authority.port)))));
            }
            authority.to_string()
        } else {
            host(rest)?
        };
        Ok(match wild {
            true => Self::Wildcard { scheme, suffix: format!(".{place}") },
            false => Self::Exact(format!("{scheme}://{place}")),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin),
            Self::Wildcard { scheme, suffix } => write!(f, "{scheme}://*{suffix}"),
        }
    }
}

/// A host as a request names it: a DNS name (RFC 1123, with `_` as in many private zones) in lower case, an IPv4
/// address, or an IPv6 address in brackets.
fn host(text: &str) -> Result<String, Fault> {
    let shown = text.escape_debug();
    let fault = || Fault::new(format!("\"{shown}\" is not a host"));
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    if text.is_empty() {
        return Err(Fault::new("the host is empty").hint("write a name such as \"api.example.com\""));
    }
    if !text.is_ascii() {
        return Err(fault().hint("write international names in punycode, as DNS has them: \"xn--bcher-kva.example\""));
    }
    if text.contains("://") || text.contains('/') {
        return Err(fault().hint("write the host alone, without scheme and path: \"api.example.com\""));
    }
    if let Some((name, _)) = text.split_once(':') {
        return Err(fault().hint(format!("leave the port out, listeners have ports: \"{}\"", name.escape_debug())));
    }
    if text.contains('*') {
        return Err(fault().hint("a star stands only in front, as a whole label: \"*.example.com\""));
    }
    if let Some(name) = text.strip_suffix('.') {
        return Err(fault().hint(format!("leave the dot at the end out: \"{}\"", name.escape_debug())));
    }
    let lower = text.to_ascii_lowercase();
    if !is_dns_name(&lower) {
        return Err(
            fault().hint("labels of letters, digits, `-` and `_`, at most 63 each and 253 in all, with dots between")
        );
    }
    // A last label of digits is an address to a browser (WHATWG URL §3.5), so it must be one.
    let last_is_number = lower.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if last_is_number && lower.parse::<IpAddr>().is_err() {
        return Err(fault().hint("it ends like an IPv4 address but is none"));
    }
    Ok(lower)
}

/// Labels with dots between, in either case. Also true of IPv4 addresses.
pub(crate) fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown<T: Text + fmt::Display>(text: &str) -> String {
        T::from_text(text).map_or_else(|fault| fault.to_string(), |value| value.to_string())
    }

    #[test]
    fn hosts_are_names_wildcards_and_addresses() {
        assert_eq!(Host::parse("API.Example.com"), Ok(Host::Exact("api.example.com".into())));
        assert_eq!(Host::parse("*.example.com"), Ok(Host::Wildcard(".example.com".into())));
        assert_eq!(Host::parse("192.0.2.1"), Ok(Host::Exact("192.0.2.1".into())));
        assert_eq!(Host::parse("::1"), Ok(Host::Exact("[::1]".into())));
        assert_eq!(Host::parse("[::1]"), Ok(Host::Exact("[::1]".into())));
        assert_eq!(Host::parse("xn--bcher-kva.example"), Ok(Host::Exact("xn--bcher-kva.example".into())));
        assert_eq!(Host::parse("my_service"), Ok(Host::Exact("my_service".into())));
    }

    #[test]
    fn what_is_no_host_is_refused_with_what_to_write() {
        for (text, fault) in [
            ("*", "`*` is not a host; leave `hosts` out to answer for any host"),
            ("", "the host is empty; write a name such as \"api.example.com\""),
            (
                "bücher.example",
                "\"bücher.example\" is not a host; write international names in punycode, as DNS has them: \"xn--bcher-kva.example\"",
            ),
            ("a.com:80", "\"a.com:80\" is not a host; leave the port out, listeners have ports: \"a.com\""),
            (
                "https://a.com",
                "\"https://a.com\" is not a host; write the host alone, without scheme and path: \"api.example.com\"",
            ),
            ("a.*.com", "\"a.*.com\" is not a host; a star stands only in front, as a whole label: \"*.example.com\""),
            ("a.com.", "\"a.com.\" is not a host; leave the dot at the end out: \"a.com\""),
            ("1.2.3.256", "\"1.2.3.256\" is not a host; it ends like an IPv4 address but is none"),
            ("*.10.0.0.1", "\"*.10.0.0.1\" is not a host; a wildcard stands before a name"),
        ] {
            assert_eq!(shown::<Host>(text), fault, "{text}");
        }
        for text in ["a..com", "-a.com", "a-.com", "a b", ".com", "*.", "*.*.com", &"a".repeat(64), &"a.".repeat(130)] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_authority_has_a_port() {
        assert_eq!(Authority::parse("A.b:80"), Ok(Authority { host: "a.b".to_owned(), port: 80 }));
        assert_eq!(shown::<Authority>("[::1]:80"), "[::1]:80");
        assert_eq!(shown::<Authority>("a.b"), "\"a.b\" has no port; write \"a.b:443\"");
        assert_eq!(shown::<Authority>("::1"), "\"::1\" has no port; write \"[::1]:443\"");
        assert_eq!(shown::<Authority>("[::1]"), "\"[::1]\" has no port; write \"[::1]:443\"");
        for text in ["a:0", "a:65536", "a:", "a:+80", "a:080", "http://a:80", ":80", "a b:80", "a:b:80"] {
            assert!(Authority::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_what_browsers_send() {
        assert_eq!(Origin::parse("*"), Ok(Origin::Any));
        assert_eq!(Origin::parse("HTTPS://App.example.com"), Ok(Origin::Exact("https://app.example.com".to_owned())));
        assert_eq!(
            Origin::parse("http://*.a.com:3000"),
            Ok(Origin::Wildcard { scheme: "http".to_owned(), suffix: ".a.com:3000".to_owned() })
        );
        for (text, fault) in [
            (
                "app.example.com",
                "\"app.example.com\" is not an origin; write the scheme too: \"https://app.example.com\"",
            ),
            (
                "https://a.com/",
                "\"https://a.com/\" is not an origin; an origin ends before the path: \"https://a.com\"",
            ),
            (
                "https://a.com:443",
                "\"https://a.com:443\" can never match: browsers leave the scheme's own port out; write \"https://a.com\"",
            ),
        ] {
            assert_eq!(shown::<Origin>(text), fault, "{text}");
        }
        for text in ["null", "://a", "https://", "https://a b", "https://*", "1x://a"] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_reads_back_from_what_it_shows(text in "(\\*|\\*\\.)?(https?://)?[a-cA:.\\[\\]0-9*-]{0,14}(:[0-9]{1,3})?") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
            }
            if let Ok(authority) = Authority::parse(&text) {
                prop_assert_eq!(Authority::parse(&authority.to_string()), Ok(authority));
            }
            if let Ok(origin) = Origin::parse(&text) {
                prop_assert_eq!(Origin::parse(&origin.to_string()), Ok(origin));
            }
        }
    }
}
