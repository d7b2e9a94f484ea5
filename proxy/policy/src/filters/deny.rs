//! `deny`: refuses requests that match, a patch that an operator can push in a minute.

use std::collections::BTreeMap;

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Serialize;
use weir_config::bootstrap::Network;
use weir_config::mesh::ValuePattern;
use weir_config::names::{HeaderName, Method, PathPattern};
use weir_config::problem::{Path, Problem};
use weir_config::read_table;
use weir_config::schema::schema_of;
use weir_config::units::Size;

use super::{Filter, FilterContext, Kind, Next, Refusal, compile};
use crate::pattern::{Condition, Regexes, Subject};
use crate::reason::Reason;
use crate::request::{Facts, RequestHead};

pub(super) const KIND: Kind = Kind {
    name: "deny",
    help: "Refuses the requests that match, with 403: a patch against an attack, in force with the push.",
    description: "\
Answers 403 `virtual_patch` to requests for which all the given settings hold together; at least one must be given. \
For alternatives, write the filter several times.

`body_over` holds for a request whose `Content-Length` is greater; a request that names no length is cut when its body \
has passed that size.",
    schema: schema_of::<Settings>,
    compile: |node, at, problems| compile(node, at, problems, Deny::new),
    example: r#"filters = [
    { kind = "deny", addresses = ["192.0.2.0/24", "2001:db8::/32"] },
    { kind = "deny", methods = ["POST"], headers = { user-agent = { regex = "(?i)evilbot" } } },
    { kind = "deny", headers = { x-api-version = { regex = "\\$\\{jndi:" } } },
    { kind = "deny", paths = ["/admin/*", "~(?i)%24%7Bjndi:"], body_over = "64KiB" },
]"#,
};

#[derive(Serialize, JsonSchema)]
struct Settings {
    /// Clients' addresses and networks; any of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<Network>,
    /// What lines of these headers must be; all of them, each by any one line.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<HeaderName, ValuePattern>,
    /// Paths, normalised: exact, prefixes or regexes; any of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    paths: Vec<PathPattern>,
    /// Any of these methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    methods: Vec<Method>,
    /// Bodies with more bytes than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_over: Option<Size>,
}

read_table!(Settings { addresses, headers, paths, methods, body_over } besides kind);

struct Deny {
    addresses: Vec<Network>,
    headers: Vec<Condition>,
    paths: Vec<Denied>,
    methods: Vec<Method>,
    body_over: Option<u64>,
    regexes: Vec<Regex>,
}

/// A path that is denied.
enum Denied {
    Exact(String),
    Prefix(String),
    Regex(Regex),
}

impl Deny {
    fn new(settings: Settings, at: &Path, problems: &mut Vec<Problem>) -> Option<Self> {
        let Settings { addresses, headers, paths, methods, body_over } = settings;
        let nothing = addresses.is_empty() && headers.is_empty() && paths.is_empty() && methods.is_empty();
        if nothing && body_over.is_none() {
            let hint = "say at least one of `addresses`, `headers`, `paths`, `methods` and `body_over`";
            problems.push(Problem::error(at, "the filter would deny every request").hint(hint));
            return None;
        }
        // All of them first, so that each problem is reported.
        let mut regexes = Regexes::default();
        let headers: Vec<Option<Condition>> = headers
            .iter()
            .map(|(name, pattern)| {
                let value = regexes.value(pattern, || at.key("headers").key(name.to_string()), problems)?;
                Some(Condition { on: Subject::Header, name: name.to_string(), value })
            })
            .collect();
        let paths: Vec<Option<Denied>> = paths
            .into_iter()
            .enumerate()
            .map(|(index, path)| Denied::new(path, || at.key("paths").index(index), problems))
            .collect();
        Some(Self {
            addresses,
            headers: headers.into_iter().collect::<Option<_>>()?,
            paths: paths.into_iter().collect::<Option<_>>()?,
            methods,
            body_over: body_over.map(|size| size.0),
            regexes: regexes.into_compiled(),
        })
    }

    /// Whether all holds but the size of the body, which may not be known yet.
    fn holds(&self, head: &RequestHead<'_>, facts: &Facts) -> bool {
        let any_or_none = |given: bool, any: bool| !given || any;
        let client = facts.client.to_canonical();
        any_or_none(!self.addresses.is_empty(), self.addresses.iter().any(|network| network.contains(client)))
            && any_or_none(!self.methods.is_empty(), self.methods.iter().any(|method| *method == head.method))
            && any_or_none(!self.paths.is_empty(), self.paths.iter().any(|path| path.matches(head.path)))
            && self.headers.iter().all(|condition| condition.holds(head, &self.regexes))
    }
}

impl Denied {
    fn new(path: PathPattern, at: impl FnOnce() -> Path, problems: &mut Vec<Problem>) -> Option<Self> {
        match path {
            PathPattern::Exact(path) => Some(Self::Exact(path)),
            PathPattern::Prefix(prefix) => Some(Self::Prefix(prefix)),
            PathPattern::Regex(pattern) => match crate::pattern::regex(&pattern) {
                Ok(regex) => Some(Self::Regex(regex)),
                Err(message) => {
                    problems.push(Problem::error(&at(), message));
                    None
                }
            },
        }
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => {
                path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Regex(regex) => regex.is_match(path.as_bytes()),
        }
    }
}

impl Filter for Deny {
    fn request(&self, cx: &mut FilterContext<'_>) -> Next {
        let over = match (self.body_over, cx.head.content_length) {
            (None, _) => true,
            (Some(limit), Some(length)) => length > limit,
            // Not known yet: the body limit sees to it.
            (Some(_), None) => false,
        };
        if over && self.holds(cx.head, cx.facts) {
            return Next::Reply(Refusal { reason: Reason::VirtualPatch, retry_after: None, headers: Vec::new() });
        }
        Next::Continue
    }

    fn body_limit(&self, head: &RequestHead<'_>, facts: &Facts) -> Option<u64> {
        self.body_over.filter(|_| self.holds(head, facts))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{HEAD, ask, compiled, facts, refused};
    use super::*;

    fn denies(settings: &str, head: &RequestHead<'_>, facts: &Facts) -> bool {
        match ask(&compiled(&format!("kind = \"deny\"\n{settings}")).unwrap(), head, facts) {
            Next::Continue => false,
            Next::Reply(refusal) => {
                assert_eq!(refusal, Refusal { reason: Reason::VirtualPatch, retry_after: None, headers: Vec::new() });
                true
            }
        }
    }

    #[test]
    fn addresses_are_denied_however_they_are_written() {
        let from = |client: &str| Facts { client: client.parse().unwrap(), ..facts() };
        let settings = "addresses = [\"192.0.2.0/24\", \"2001:db8::/32\"]";
        assert!(denies(settings, &HEAD, &from("192.0.2.255")));
        assert!(denies(settings, &HEAD, &from("::ffff:192.0.2.7")));
        assert!(denies(settings, &HEAD, &from("2001:db8::1")));
        assert!(!denies(settings, &HEAD, &from("192.0.3.1")));
        assert!(!denies(settings, &HEAD, &from("2001:db9::1")));
    }

    #[test]
    fn paths_are_denied_as_rules_match_them() {
        let at = |path| RequestHead { path, ..HEAD };
        let settings = "paths = [\"/a\", \"/b/*\", \"~jndi\"]";
        for path in ["/a", "/b", "/b/", "/b/c", "/x/jndi:y"] {
            assert!(denies(settings, &at(path), &facts()), "{path}");
        }
        for path in ["/", "/a/", "/a/b", "/bc", "/x"] {
            assert!(!denies(settings, &at(path), &facts()), "{path}");
        }
        assert!(denies("paths = [\"/*\"]", &HEAD, &facts()));
    }

    #[test]
    fn all_that_is_given_must_hold_together() {
        let settings = "methods = [\"POST\", \"PUT\"]\nheaders = { User-Agent = { regex = \"(?i)bot\" }, x-a = \"1\" }";
        let request = |method, headers| RequestHead { method, headers, ..HEAD };
        let both = [("user-agent", "EvilBot/1"), ("X-A", "0"), ("X-A", "1")];
        assert!(denies(settings, &request("POST", &both), &facts()));
        assert!(denies(settings, &request("PUT", &both), &facts()));
        assert!(!denies(settings, &request("GET", &both), &facts()));
        assert!(!denies(settings, &request("POST", &[("user-agent", "EvilBot/1")]), &facts()));
        assert!(!denies(settings, &request("POST", &[("user-agent", "curl"), ("x-a", "1")]), &facts()));
    }

    #[test]
    fn a_body_is_denied_by_its_length_or_cut_where_it_has_none() {
        let sized = |content_length| RequestHead { method: "POST", content_length, ..HEAD };
        let settings = "methods = [\"POST\"]\nbody_over = \"1KiB\"";
        assert!(denies(settings, &sized(Some(1025)), &facts()));
        assert!(!denies(settings, &sized(Some(1024)), &facts()));
        assert!(!denies(settings, &sized(None), &facts()));

        let filter = compiled(&format!("kind = \"deny\"\n{settings}")).unwrap();
        assert_eq!(filter.body_limit(&sized(None), &facts()), Some(1024));
        assert_eq!(filter.body_limit(&HEAD, &facts()), None, "it is no POST");
        let without = compiled("kind = \"deny\"\nmethods = [\"PUT\"]").unwrap();
        assert_eq!(without.body_limit(&RequestHead { method: "PUT", ..HEAD }, &facts()), None);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        assert!(refused("kind = \"deny\"").starts_with("filter: the filter would deny every request"));
        assert!(refused("kind = \"deny\"\npaths = [\"~(\"]").starts_with("filter.paths[0]: not a regex"));
        let header = refused("kind = \"deny\"\nheaders = { x-a = { regex = \"(\" } }");
        assert!(header.starts_with("filter.headers.x-a: not a regex"), "{header}");
        assert!(refused("kind = \"deny\"\nbody_over = 64").contains("unit"));
    }
}
