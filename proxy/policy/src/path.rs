//! One spelling for each path, so that a rule cannot be passed by spelling its path differently.
//!
//! Matching works on the normalised path; what is forwarded is the original, unless a rewrite says otherwise. RFC 3986
//! §6.2.2 is followed, and nothing is guessed: what two servers could read differently (an encoded slash, a
//! backslash, an overlong form) is refused rather than repaired.

use std::borrow::Cow;

use thiserror::Error;

/// Why a path is refused: 400 `bad_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    #[error("the path has a percent sign that is not followed by two hexadecimal digits")]
    BadEscape,
    #[error("the path has an encoded slash or backslash")]
    EncodedSlash,
    #[error("the path has an encoded NUL")]
    Nul,
    #[error("the path has an overlong UTF-8 form of a shorter character")]
    Overlong,
    #[error("the path has a backslash")]
    Backslash,
    #[error("the path has a character that no path may have")]
    Character,
}

/// The normal form of a path (without its query): escapes of unreserved characters decoded, the hexadecimal digits of
/// all others in upper case, bytes beyond ASCII escaped, dot segments removed (RFC 3986 §5.2.4; `%2e` is a dot too).
/// Repeated slashes stay: they are other paths by the RFC, and upstreams differ about them.
///
/// `encoded_slashes` lets `%2f` and `%5c` pass (they stay encoded, and so never separate elements). `%00` never
/// passes. A path that is normal already is borrowed. Normalising twice changes nothing.
pub fn normalise(raw: &str, encoded_slashes: bool) -> Result<Cow<'_, str>, PathError> {
    if is_normal(raw.as_bytes(), encoded_slashes)? {
        return Ok(Cow::Borrowed(raw));
    }
    Ok(Cow::Owned(without_dot_segments(&respelled(raw))))
}

/// Checks every byte, and says whether the path is in normal form already.
fn is_normal(raw: &[u8], encoded_slashes: bool) -> Result<bool, PathError> {
    if raw.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    let mut normal = true;
    let mut at = 0;
    while at < raw.len() {
        match raw[at] {
            b'/' => {
                normal &= !starts_with_dot_segment(&raw[at + 1..]);
                at += 1;
            }
            b'%' => {
                let value = escape(raw, at).ok_or(PathError::BadEscape)?;
                match value {
                    0 => return Err(PathError::Nul),
                    b'/' | b'\\' if !encoded_slashes => return Err(PathError::EncodedSlash),
                    _ if is_overlong(value, escape(raw, at + 3)) => return Err(PathError::Overlong),
                    _ => {}
                }
                let upper_case = raw[at + 1..at + 3].iter().all(|digit| !digit.is_ascii_lowercase());
                normal &= upper_case && !is_unreserved(value);
                at += 3;
            }
            b'\\' => return Err(PathError::Backslash),
            0..=b' ' | b'#' | b'?' | 0x7f => return Err(PathError::Character),
            0x80.. => {
                normal = false;
                at += 1;
            }
            _ => at += 1,
        }
    }
    Ok(normal)
}

/// Whether what follows a slash begins with the segment `.` or `..`, spelled with dots.
fn starts_with_dot_segment(rest: &[u8]) -> bool {
    matches!(rest, [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..])
}

/// The byte that `%XX` at `at` stands for.
fn escape(raw: &[u8], at: usize) -> Option<u8> {
    match raw.get(at..at + 3)? {
        [b'%', high, low] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

pub(crate) fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether a first byte (and the next, if it is escaped too) begins a UTF-8 sequence that is longer than it needs to
/// be: a slash in disguise for a careless decoder (RFC 3629 §3, §10).
fn is_overlong(first: u8, next: Option<u8>) -> bool {
    match first {
        0xc0 | 0xc1 => true,
        0xe0 => matches!(next, Some(0x80..=0x9f)),
        0xf0 => matches!(next, Some(0x80..=0x8f)),
        _ => false,
    }
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Every byte in its one spelling. Only for paths that [`is_normal`] has checked.
fn respelled(raw: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = raw.as_bytes();
    let mut out = String::with_capacity(raw.len() + 16);
    let mut at = 0;
    while at < bytes.len() {
        let (byte, escaped, length) = match escape(bytes, at) {
            Some(value) => (value, !is_unreserved(value), 3),
            None => (bytes[at], !bytes[at].is_ascii(), 1),
        };
        if escaped {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        } else {
            out.push(char::from(byte));
        }
        at += length;
    }
    out
}

/// RFC 3986 §5.2.4 for a path that begins with a slash. Nothing climbs above the root.
fn without_dot_segments(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => out.truncate(out.rfind('/').unwrap_or(0)),
            _ => {
                out.push('/');
                out.push_str(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            out.push('/');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn becomes(raw: &str, normal: &str) {
        assert_eq!(normalise(raw, false).as_deref(), Ok(normal), "{raw}");
    }

    #[track_caller]
    fn is_refused(raw: &str, error: PathError) {
        assert_eq!(normalise(raw, false), Err(error), "{raw}");
    }

    #[test]
    fn a_normal_path_is_borrowed() {
        for path in
            ["/", "/a", "/a/b.c/..d/.e/f.", "/a//b/", "/caf%C3%A9", "/a%20b", "/~u/x_y-z", "/a;b=c/@:!$&'()*+,="]
        {
            assert!(matches!(normalise(path, false), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        }
    }

    #[test]
    fn dot_segments_are_removed_however_they_are_spelled() {
        becomes("/a/./b", "/a/b");
        becomes("/a/../b", "/b");
        becomes("/a/b/..", "/a/");
        becomes("/a/b/.", "/a/b/");
        becomes("/..", "/");
        becomes("/.", "/");
        becomes("/../../etc/passwd", "/etc/passwd");
        becomes("/a/%2e%2e/b", "/b");
        becomes("/a/.%2E/b", "/b");
        becomes("/a/%2e/b", "/a/b");
        becomes("/a//../b", "/a/b");
        becomes("/a/b/c/./../../g", "/a/g");
        becomes("/a/...", "/a/...");
    }

    #[test]
    fn an_escape_has_one_spelling() {
        becomes("/%61", "/a");
        becomes("/%7Euser", "/~user");
        becomes("/a%3ab", "/a%3Ab");
        becomes("/caf%c3%a9", "/caf%C3%A9");
        becomes("/café", "/caf%C3%A9");
        becomes("/%2541", "/%2541");
    }

    #[test]
    fn what_two_servers_could_read_differently_is_refused() {
        is_refused("/a%2fb", PathError::EncodedSlash);
        is_refused("/a%2Fb", PathError::EncodedSlash);
        is_refused("/a%5cb", PathError::EncodedSlash);
        is_refused("/a%00", PathError::Nul);
        is_refused("/a\\b", PathError::Backslash);
        is_refused("/%c0%af", PathError::Overlong);
        is_refused("/%C1%9C", PathError::Overlong);
        is_refused("/%e0%80%af", PathError::Overlong);
        is_refused("/%f0%80%80%af", PathError::Overlong);
        is_refused("/%", PathError::BadEscape);
        is_refused("/%2", PathError::BadEscape);
        is_refused("/%zz", PathError::BadEscape);
        is_refused("/a b", PathError::Character);
        is_refused("/a\r\nb", PathError::Character);
        is_refused("/a\u{7f}", PathError::Character);
        is_refused("/a#b", PathError::Character);
        is_refused("/a?b", PathError::Character);
        is_refused("", PathError::NotAbsolute);
        is_refused("*", PathError::NotAbsolute);
        is_refused("a/b", PathError::NotAbsolute);
    }

    #[test]
    fn encoded_slashes_stay_encoded_where_they_are_allowed_and_nul_never_is() {
        assert_eq!(normalise("/a%2fb/%5c", true).as_deref(), Ok("/a%2Fb/%5C"));
        assert_eq!(normalise("/a/..%2fb", true).as_deref(), Ok("/a/..%2Fb"));
        assert_eq!(normalise("/a%00", true), Err(PathError::Nul));
    }

    #[test]
    fn escapes_of_longer_characters_are_not_overlong() {
        becomes("/%E0%A4%85", "/%E0%A4%85");
        becomes("/%F0%9F%98%80", "/%F0%9F%98%80");
        becomes("/%E9", "/%E9");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn normalising_is_idempotent_and_leaves_no_dot_segment(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5C", "%41", "%7e", "%25", "%c3%a9", "%e0", "%80",
                    "a", "b.c", "é", "%3a", "~", "%00", "\\", "%", "*",
                ]),
                0..12,
            ),
            encoded_slashes: bool,
        ) {
            let raw = format!("/{}", pieces.concat());
            if let Ok(once) = normalise(&raw, encoded_slashes) {
                let again = normalise(&once, encoded_slashes);
                prop_assert_eq!(again.as_deref(), Ok(&*once));
                prop_assert!(matches!(again, Ok(Cow::Borrowed(_))));
                prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."));
                prop_assert!(once.is_ascii());
            }
        }

        #[test]
        fn no_text_makes_it_panic(raw in ".*", encoded_slashes: bool) {
            let _ = normalise(&raw, encoded_slashes);
        }
    }
}
