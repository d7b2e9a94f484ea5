//! Path patterns.

use std::fmt;

use crate::text::{Fault, Text};
use crate::text_type;

/// Which paths: exact (`/a`), element-wise prefix (`/a/*`: `/a` and `/a/b`, never `/ab`) or regex (`~^/p/[0-9]+$`).
///
/// What is matched is the normalised path: escapes of letters, digits and `-._~` are decoded, the hex digits of other
/// escapes are capitals, dot segments are gone (RFC 3986 §6.2.2). A pattern that no such path can equal is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathPattern {
    Exact(String),
    /// Without the `/*`; empty for `/*` itself.
    Prefix(String),
    /// Without the `~`. A search: anchor it. Whether it compiles is the policy crate's to say.
    Regex(String),
}

text_type!(
    PathPattern,
    "^(/[^?#]*|~(.|\\n)+)$",
    "Exact (/a), element-wise prefix (/a/* takes /a and /a/b, never /ab) or regex (~^/p/[0-9]+$)."
);

impl Default for PathPattern {
    fn default() -> Self {
        Self::Prefix(String::new())
    }
}

impl Text for PathPattern {
    const WHAT: &'static str = "a path such as \"/a\", \"/a/*\" or \"~^/a/[0-9]+$\"";

    fn from_text(text: &str) -> Result<Self, Fault> {
        if let Some(regex) = text.strip_prefix('~') {
            return match regex {
                "" => Err(Fault::new("the regex after `~` is empty").hint("write \"/*\" for any path")),
                _ => Ok(Self::Regex(regex.to_owned())),
            };
        }
        match text.strip_suffix("/*") {
            Some(prefix) => possible(prefix, text).map(Self::Prefix),
            None => possible(text, text).map(Self::Exact),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Prefix(prefix) => write!(f, "{prefix}/*"),
            Self::Regex(regex) => write!(f, "~{regex}"),
        }
    }
}

/// `path`, if there are normalised paths that equal it or begin with it. `whole` is what was written, for the message.
fn possible(path: &str, whole: &str) -> Result<String, Fault> {
    let shown = whole.escape_debug();
    if path.is_empty() && whole == "/*" {
        return Ok(String::new());
    }
    if !path.starts_with('/') {
        let fault = Fault::new(format!("the path \"{shown}\" does not begin with `/`"));
        return Err(match whole {
            "" => fault.hint("write \"/*\" for any path"),
            "*" => fault.hint("any path is \"/*\""),
            _ if whole.starts_with('^') => fault.hint(format!("a regex begins with `~`: \"~{shown}\"")),
            _ => fault.hint(format!("write \"/{shown}\"")),
        });
    }
    if path.contains('*') {
        let hint = "`*` stands only at the end, as `/*`; for more write a regex: \"~^/a/[^/]+/b$\"";
        return Err(Fault::new(format!("the path \"{shown}\" has a `*` that is not its last element")).hint(hint));
    }
    if path.contains(['?', '#']) {
        let fault = Fault::new(format!("the path \"{shown}\" has a `?` or `#`, which no path has"));
        return Err(fault.hint("match the query by a table: { path = \"/a\", query = { lang = \"en\" } }"));
    }
    let normal = normalised(path).map_err(|why| Fault::new(format!("the path \"{shown}\" can never match: {why}")))?;
    if normal != path {
        let tail = &whole[path.len()..];
        let fault = Fault::new(format!("the path \"{shown}\" can never match: matching works on the normalised path"));
        return Err(fault.hint(format!("write \"{normal}{tail}\"")));
    }
    Ok(normal)
}

/// The path as a request with it would be matched, or why no request has it.
fn normalised(path: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err("`%` is not followed by two hex digits".to_owned());
                };
                match (high * 16 + low) as u8 {
                    0 => return Err("`%00` is always refused".to_owned()),
                    byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => plain.push(char::from(byte)),
                    byte => plain.push_str(&format!("%{byte:02X}")),
                }
            }
            b'\\' => return Err("requests with a backslash are refused".to_owned()),
            0x21..=0x7e => plain.push(char::from(byte)),
            // What has no place in a URL as it is stands there percent-encoded.
            _ => plain.push_str(&format!("%{byte:02X}")),
        }
    }
    if !plain.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Ok(plain);
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = plain.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if segments.peek().is_none() {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    Ok(format!("/{}", kept.join("/")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_three_kinds_are_told_apart() {
        assert_eq!(PathPattern::parse("/a"), Ok(PathPattern::Exact("/a".to_owned())));
        assert_eq!(PathPattern::parse("/"), Ok(PathPattern::Exact("/".to_owned())));
        assert_eq!(PathPattern::parse("/a/"), Ok(PathPattern::Exact("/a/".to_owned())));
        assert_eq!(PathPattern::parse("/a/*"), Ok(PathPattern::Prefix("/a".to_owned())));
        assert_eq!(PathPattern::parse("/*"), Ok(PathPattern::default()));
        assert_eq!(PathPattern::parse("/a/%2F/*"), Ok(PathPattern::Prefix("/a/%2F".to_owned())));
        assert_eq!(PathPattern::parse("~^/p/[0-9]+$"), Ok(PathPattern::Regex("^/p/[0-9]+$".to_owned())));
    }

    #[test]
    fn what_can_never_match_is_refused_with_what_can() {
        let normalised = "matching works on the normalised path";
        for (path, fault) in [
            ("a", "the path \"a\" does not begin with `/`; write \"/a\"".to_owned()),
            ("*", "the path \"*\" does not begin with `/`; any path is \"/*\"".to_owned()),
            ("", "the path \"\" does not begin with `/`; write \"/*\" for any path".to_owned()),
            ("^/a", "the path \"^/a\" does not begin with `/`; a regex begins with `~`: \"~^/a\"".to_owned()),
            ("~", "the regex after `~` is empty; write \"/*\" for any path".to_owned()),
            ("/a/../b", format!("the path \"/a/../b\" can never match: {normalised}; write \"/b\"")),
            ("/a/./b/*", format!("the path \"/a/./b/*\" can never match: {normalised}; write \"/a/b/*\"")),
            ("/%61/%2f", format!("the path \"/%61/%2f\" can never match: {normalised}; write \"/a/%2F\"")),
            ("/a b", format!("the path \"/a b\" can never match: {normalised}; write \"/a%20b\"")),
            ("/ä/*", format!("the path \"/ä/*\" can never match: {normalised}; write \"/%C3%A4/*\"")),
            ("/a%", "the path \"/a%\" can never match: `%` is not followed by two hex digits".to_owned()),
            ("/%00", "the path \"/%00\" can never match: `%00` is always refused".to_owned()),
            ("/a\\b", "the path \"/a\\\\b\" can never match: requests with a backslash are refused".to_owned()),
        ] {
            assert_eq!(PathPattern::parse(path), Err(fault), "{path}");
        }
        for path in ["/a*", "/*/b", "/a/**", "/a/*/b/*", "/a?b", "/a#b"] {
            assert!(PathPattern::parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_that_is_taken_shows_itself_as_it_was_written(text in "[~/a-c.%2F*äA ]{0,12}") {
            if let Ok(pattern) = PathPattern::parse(&text) {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }
    }
}
