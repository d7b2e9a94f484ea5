//! What things are called: names of routes and upstreams, hosts, header names, methods, path patterns, authorities,
//! origins. Each is checked where it is read, so that what comes later never meets a host with a port in it or a path
//! that no request can have.

mod host;
mod http;
mod path;

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

pub(crate) use host::is_dns_name;
pub use host::{Authority, Host, Origin};
pub(crate) use http::is_token;
pub use http::{HeaderName, Method};
pub use path::PathPattern;

use crate::text::{Fault, Text};
use crate::text_type;

/// The name of a route, a rule, an upstream, a listener or a version. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

text_type!(
    Name,
    "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$",
    "A name: 1 to 63 of a-z, 0-9, `.`, `_` and `-`; a letter or a digit at both ends."
);

impl Text for Name {
    const WHAT: &'static str = "a name";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if is_name(text) {
            return Ok(Self(text.into()));
        }
        let lower = text.to_lowercase().replace(' ', "-");
        let hint = if is_name(&lower) {
            format!("names are lower-case: `{lower}`")
        } else {
            "1 to 63 of a-z, 0-9, `.`, `_` and `-`, with a letter or a digit at both ends".to_owned()
        };
        Err(Fault::new(format!("`{}` is not a name", text.escape_debug())).hint(hint))
    }
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alnum = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| alnum(byte) || b"._-".contains(byte))
        && bytes.first().is_some_and(alnum)
        && bytes.last().is_some_and(alnum)
}

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same text, shared.
    pub fn as_arc(&self) -> &Arc<str> {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn names_are_lower_case_and_bounded() {
        for name in ["a", "a-b", "v1.2", "search_blue", "0", &"a".repeat(63)] {
            assert_eq!(Name::parse(name).as_deref(), Ok(name));
        }
        for name in ["", "-a", "a-", "A", "a b", "ä", "a/b", &"a".repeat(64)] {
            assert!(Name::parse(name).is_err(), "{name}");
        }
        assert_eq!(
            Name::parse("Search Blue"),
            Err("`Search Blue` is not a name; names are lower-case: `search-blue`".to_owned())
        );
    }

    #[test]
    fn a_map_by_name_is_asked_by_text() {
        let map = BTreeMap::from([(Name::parse("a").expect("a name"), 1)]);
        assert_eq!(map.get("a"), Some(&1));
    }
}
