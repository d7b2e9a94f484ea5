//! The characters and the forms of RFC 9110 and RFC 3986 that a request head is made of.

use std::net::Ipv6Addr;

use super::fault::Fault;

const TOKEN: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;
const NAME: u8 = 8;

/// What each byte may be part of.
static CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0x21_u8;
    while byte < 0x7f {
        let mut class = 0;
        if byte.is_ascii_alphanumeric() || is_any_of(byte, b"!#$%&'*+-.^_`|~") {
            class |= TOKEN;
        }
        // Wider than RFC 3986, as the URL standard and so the browsers are: `[`, `]`, `|` and `^` in paths and queries,
        // `{`, `}`, "`" and `\` in queries arrive unencoded. None of them ends a target, and a backslash in a path,
        // which some servers read as a slash, stays out.
        if !is_any_of(byte, b"\"#<>\\?`{}") {
            class |= PATH;
        }
        if !is_any_of(byte, b"\"#<>") {
            class |= QUERY;
        }
        if byte.is_ascii_alphanumeric() || is_any_of(byte, b"-._~") {
            class |= NAME;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
};

const fn is_any_of(byte: u8, set: &[u8]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

fn is(byte: u8, class: u8) -> bool {
    CLASS[usize::from(byte)] & class != 0
}

/// Length of the token that `bytes` begins with (RFC 9110 section 5.6.2).
pub(super) fn token(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| !is(byte, TOKEN)).unwrap_or(bytes.len())
}

/// Length of what a header value may hold that `bytes` begins with: anything but control characters, and tabs (RFC 9110
/// section 5.5).
pub(super) fn text(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = EACH * 0x80;

    // Eight bytes at a time. With its high bit off a byte can take up to 0x80 without a carry into the next one, and
    // then its high bit tells: whether it was 0x20 or more, 0x7f, other than a tab.
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let each = u64::from_le_bytes(*word);
        let low = each & !HIGH;
        let control = (!(low + EACH * 0x60) | (low + EACH)) & !each & HIGH;
        if control != 0 {
            let control = control & ((low ^ (EACH * u64::from(b'\t'))) + EACH * 0x7f);
            if control != 0 {
                return index * 8 + control.trailing_zeros() as usize / 8;
            }
        }
    }
    bytes.len() - rest.len() + rest.iter().position(|&byte| is_control(byte)).unwrap_or(rest.len())
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// Lengths of the path that `bytes` begins with and of the query behind it, its `?` included.
pub(super) fn path_then_query(bytes: &[u8]) -> (usize, usize) {
    let run = |bytes: &[u8], class| bytes.iter().position(|&byte| !is(byte, class)).unwrap_or(bytes.len());
    let path = run(bytes, PATH);
    let query = if bytes.get(path) == Some(&b'?') { run(&bytes[path..], QUERY) } else { 0 };
    (path, query)
}

/// Path and query of a target, and that the path does not climb above the root.
pub(super) fn path_and_query(bytes: &[u8]) -> Result<(), Fault> {
    let (path, query) = path_then_query(bytes);
    match bytes.get(path + query) {
        None if climbs_above_root(&bytes[..path]) => Err(Fault::TargetAboveRoot),
        None => Ok(()),
        Some(b'\r') => Err(Fault::BareCr),
        Some(_) => Err(Fault::TargetByte),
    }
}

/// Encoded dots are not looked at: whoever decodes the path does that.
pub(super) fn climbs_above_root(path: &[u8]) -> bool {
    // Most paths have no dot.
    if memchr::memchr(b'.', path).is_none() {
        return false;
    }
    let mut depth = 0_i32;
    for segment in path.split(|&byte| byte == b'/').skip(1) {
        match segment {
            b".." => depth -= 1,
            b"." => {}
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

/// `host[:port]` of a `Host` header or of an absolute target: a name of letters, digits, `-`, `.`, `_`, `~`, an IPv4
/// address, or an IPv6 address in brackets. What RFC 3986 allows beyond (percent-encoding, `!$&'()*+,;=`) names no host
/// that exists and is a way to make two readers see two hosts.
pub(super) fn authority(bytes: &[u8]) -> Result<(), Fault> {
    let port = if let Some(rest) = bytes.strip_prefix(b"[") {
        let end = memchr::memchr(b']', rest).ok_or(Fault::Host)?;
        let address = str::from_utf8(&rest[..end]).map_err(|_| Fault::Host)?;
        address.parse::<Ipv6Addr>().map_err(|_| Fault::Host)?;
        &rest[end + 1..]
    } else {
        // No label is empty but the root's, behind a dot at the end.
        let mut before = b'.';
        let ends = |&byte: &u8| {
            let pair = (std::mem::replace(&mut before, byte), byte);
            !is(byte, NAME) || pair == (b'.', b'.')
        };
        let name = bytes.iter().position(ends).unwrap_or(bytes.len());
        if name == 0 || name > 255 {
            return Err(if bytes.contains(&b'@') { Fault::Userinfo } else { Fault::Host });
        }
        &bytes[name..]
    };
    match port {
        [] => Ok(()),
        [b':', digits @ ..] if is_port(digits) => Ok(()),
        _ if bytes.contains(&b'@') => Err(Fault::Userinfo),
        _ => Err(Fault::Host),
    }
}

fn is_port(digits: &[u8]) -> bool {
    (1..=5).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0_u32, |port, digit| port * 10 + u32::from(digit - b'0')) <= 65_535
}

/// One plain decimal number: no sign, no leading zero, no list (RFC 9110 section 8.6), at most 2⁶³ − 1.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 19 || (value.len() > 1 && value[0] == b'0') {
        return None;
    }
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = value.iter().fold(0_u64, |length, digit| length * 10 + u64::from(digit - b'0'));
    (length <= i64::MAX as u64).then_some(length)
}

/// Authority and what follows it, of a target in absolute form (RFC 9112 section 3.2.2).
pub(super) fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let after = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let rest = after(b"http://").or_else(|| after(b"https://"))?;
    Some(rest.split_at(memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_at_the_first_control_character_but_tab() {
        for byte in 0..=255_u8 {
            for (length, at) in (1..34_usize).flat_map(|length| (0..length).map(move |at| (length, at))) {
                // Among good bytes of every kind, and before bad ones.
                for (before, after) in
                    [(0xe9, b'a'), (b'\t', b'\t'), (b' ', 0x80), (0xff, b'~'), (b'\t', 0x08), (b'a', 0x7f)]
                {
                    let mut value = vec![before; length];
                    value[at] = byte;
                    value[at + 1..].fill(after);
                    let plain = value.iter().position(|&byte| is_control(byte)).unwrap_or(length);
                    assert_eq!(text(&value), plain, "{byte:#x} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn lengths_are_plain_decimal_numbers() {
        let cases: [(&[u8], Option<u64>); 14] = [
            (b"0", Some(0)),
            (b"1", Some(1)),
            (b"1048576", Some(1_048_576)),
            (b"9223372036854775807", Some(i64::MAX as u64)),
            (b"9223372036854775808", None),
            (b"18446744073709551616", None),
            (b"99999999999999999999", None),
            (b"", None),
            (b"00", None),
            (b"010", None),
            (b"+5", None),
            (b"-5", None),
            (b"5, 5", None),
            (b"0x5", None),
        ];
        for (value, expected) in cases {
            assert_eq!(length(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn only_paths_that_leave_the_root_climb() {
        for path in ["/", "/..a", "/a/..", "/a/../b", "/a/b/../../c", "/./a/..", "/...", "/a/.."] {
            assert!(!climbs_above_root(path.as_bytes()), "{path}");
        }
        for path in ["/..", "/../", "/a/../../ok", "/./..", "/a/./../.."] {
            assert!(climbs_above_root(path.as_bytes()), "{path}");
        }
    }
}
