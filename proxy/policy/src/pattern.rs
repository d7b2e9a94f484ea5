//! Conditions beyond host and path: what a header's or a query parameter's value must be.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Hir, Look};
use weir_config::mesh::ValuePattern;
use weir_config::problem::{Path, Problem};

use crate::path::hex;
use crate::request::RequestHead;

/// How large a compiled regex may be, in bytes. Far above what a path or a header needs; `[a-z]{1000}{100}` is more.
const REGEX_SIZE: usize = 1 << 20;
/// How much a thread may keep of a regex's lazily built automaton, in bytes.
const REGEX_CACHE: usize = 1 << 19;
/// How deeply a regex may be nested.
const REGEX_NESTING: u32 = 100;

/// A header or a query parameter, and what its value must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Condition {
    pub on: Subject,
    /// A header's name in lower case; a parameter's decoded.
    pub name: String,
    pub value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// Any one line of the header.
    Header,
    /// The first parameter of that name.
    Query,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Exact(String),
    Regex(RegexId),
}

/// A position among a table's regexes. Two are equal when their patterns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RegexId(u32);

impl Condition {
    pub(crate) fn holds(&self, head: &RequestHead<'_>, regexes: &[Regex]) -> bool {
        match self.on {
            Subject::Header => {
                let mut holds = false;
                head.headers.for_each(&self.name, &mut |value| holds |= self.value.matches(value, regexes));
                holds
            }
            Subject::Query => head
                .query
                .and_then(|query| parameter(query, &self.name))
                .is_some_and(|value| self.value.matches(&decoded(value.as_bytes()), regexes)),
        }
    }
}

impl Value {
    pub(crate) fn matches(&self, value: &[u8], regexes: &[Regex]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes() == value,
            Self::Regex(id) => id.of(regexes).is_match(value),
        }
    }
}

impl RegexId {
    pub(crate) fn at(position: u32) -> Self {
        Self(position)
    }

    pub(crate) fn position(self) -> u32 {
        self.0
    }

    pub(crate) fn of(self, regexes: &[Regex]) -> &Regex {
        &regexes[self.0 as usize]
    }
}

/// The raw value of the first parameter of that name. A parameter without `=` has the value "".
pub(crate) fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (*decoded(key.as_bytes()) == *name.as_bytes()).then_some(value)
    })
}

/// Percent-decoded. An escape without two hexadecimal digits stays as it is, and so does `+`: that it means a blank is
/// a custom of forms, not of URLs.
pub(crate) fn decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'%') {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = &rest[3..];
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(out)
}

/// A regex over bytes, within the bounds that every regex of a document has. Unicode classes work; a search, so anchor
/// it. The message of an error is one line.
pub(crate) fn regex(pattern: &str) -> Result<Regex, String> {
    let built =
        RegexBuilder::new(pattern).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_CACHE).nest_limit(REGEX_NESTING).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("the regex needs more than {} KiB when compiled", limit >> 10),
        error => {
            // The first lines draw the pattern; the last says what is wrong.
            let message = error.to_string();
            let last = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("not a regex: {last}")
        }
    })
}

/// The literal head of a regex: the longest text with which everything begins that it matches; empty if it is not
/// anchored by `^`.
///
/// As exact as `regex_syntax` is about prefixes: a large alternation or class may end the head early, which makes it
/// shorter, never wrong.
pub(crate) fn literal_head(pattern: &str) -> Vec<u8> {
    let Ok(hir) = regex_syntax::ParserBuilder::new().utf8(false).nest_limit(REGEX_NESTING).build().parse(pattern)
    else {
        return Vec::new();
    };
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Vec::new();
    }
    longest_common_prefix(&hir)
}

fn longest_common_prefix(hir: &Hir) -> Vec<u8> {
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_literal_len(usize::MAX);
    extractor.extract(hir).longest_common_prefix().unwrap_or_default().to_vec()
}

/// The regexes of a table while it is compiled: each pattern once.
#[derive(Default)]
pub(crate) struct Regexes {
    compiled: Vec<Regex>,
    ids: HashMap<String, RegexId, FixedState>,
}

impl Regexes {
    /// The regex of that pattern; `None` after a problem was added.
    pub(crate) fn get(
        &mut self,
        pattern: &str,
        at: impl FnOnce() -> Path,
        problems: &mut Vec<Problem>,
    ) -> Option<RegexId> {
        if let Some(id) = self.ids.get(pattern) {
            return Some(*id);
        }
        match regex(pattern) {
            Ok(regex) => {
                let id = RegexId(self.compiled.len() as u32);
                self.compiled.push(regex);
                self.ids.insert(pattern.to_owned(), id);
                Some(id)
            }
            Err(message) => {
                problems.push(Problem::error(&at(), message));
                None
            }
        }
    }

    pub(crate) fn value(
        &mut self,
        pattern: &ValuePattern,
        at: impl FnOnce() -> Path,
        problems: &mut Vec<Problem>,
    ) -> Option<Value> {
        match pattern {
            ValuePattern::Exact(text) => Some(Value::Exact(text.clone())),
            ValuePattern::Regex(pattern) => self.get(pattern, at, problems).map(Value::Regex),
        }
    }

    pub(crate) fn into_compiled(self) -> Vec<Regex> {
        self.compiled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literal_head_is_what_all_matches_begin_with() {
        for (pattern, head) in [
            ("^/p/[0-9]+$", "/p/"),
            ("^/abc$", "/abc"),
            ("^/ab?", "/a"),
            ("^/ab+", "/ab"),
            ("^/ab{2,3}", "/abb"),
            ("^/a\\.b", "/a.b"),
            ("^/(abc)/x", "/abc/x"),
            ("^/(?:abc|abd)", "/ab"),
            ("^/(?i)abc", "/"),
            ("(?i)^/abc", "/"),
            ("^/.*", "/"),
            ("\\A/a", "/a"),
            ("/p/[0-9]+", ""),
            ("^/a|/b", ""),
            ("^/a|^/ab", "/a"),
            ("(?m)^/a", ""),
            ("^", ""),
            ("[", ""),
        ] {
            assert_eq!(String::from_utf8(literal_head(pattern)).unwrap(), head, "{pattern}");
        }
        let long = "a".repeat(1000);
        assert_eq!(literal_head(&format!("^/{long}")).len(), 1001);
    }

    #[test]
    fn a_regex_that_is_too_large_or_broken_is_refused_on_one_line() {
        assert_eq!(regex("(a{1000}){1000}").unwrap_err(), "the regex needs more than 1024 KiB when compiled");
        let broken = regex("^/a(").unwrap_err();
        assert!(broken.starts_with("not a regex: unclosed group"), "{broken}");
        assert!(regex(&"(".repeat(5000)).is_err());
    }

    #[test]
    fn the_first_parameter_of_a_name_counts_and_is_decoded() {
        assert_eq!(parameter("a=1&b=2&a=3", "a"), Some("1"));
        assert_eq!(parameter("a=1&b=2", "b"), Some("2"));
        assert_eq!(parameter("a&b=2", "a"), Some(""));
        assert_eq!(parameter("l%61ng=en", "lang"), Some("en"));
        assert_eq!(parameter("a=b=c", "a"), Some("b=c"));
        assert_eq!(parameter("", "a"), None);
        assert_eq!(parameter("ab=1", "a"), None);
        assert_eq!(&*decoded(b"a%20b%2Bc+d%zz%4"), b"a b+c+d%zz%4");
    }
}
