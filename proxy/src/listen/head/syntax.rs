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

/// The value of a header line, without the white space around it (RFC 9110 section 5.5). It may hold any byte but
/// control characters; a tab counts as white space.
pub(super) fn field_value(bytes: &[u8]) -> Result<&[u8], Fault> {
    if let Some(&control) = first_control(bytes) {
        return Err(if control == b'\r' { Fault::BareCr } else { Fault::HeaderValue });
    }
    Ok(bytes.trim_ascii())
}

/// The first control character but tab.
fn first_control(bytes: &[u8]) -> Option<&u8> {
    // A block at a time, without a branch inside: the compiler makes a few vector instructions of it. The last block
    // reaches back into the one before.
    let is_dirty = |block: &[u8; 16]| block.iter().fold(false, |dirty, &byte| dirty | is_control(byte));
    let clean = match bytes.last_chunk::<16>() {
        Some(last) => !is_dirty(last) && !bytes.as_chunks::<16>().0.iter().any(is_dirty),
        None => false,
    };
    if clean { None } else { bytes.iter().find(|byte| is_control(**byte)) }
}

fn is_control(byte: u8) -> bool {
    ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f)
}

/// Path and query of a target, and that the path does not climb above the root.
pub(super) fn path_and_query(bytes: &[u8]) -> Result<(), Fault> {
    let end = bytes.iter().position(|&byte| !is(byte, PATH)).unwrap_or(bytes.len());
    let (path, rest) = bytes.split_at(end);
    if let Some((&first, query)) = rest.split_first()
        && !(first == b'?' && query.iter().all(|&byte| is(byte, QUERY)))
    {
        let stray_cr = rest.iter().find(|&&byte| !is(byte, QUERY)) == Some(&b'\r');
        return Err(if stray_cr { Fault::BareCr } else { Fault::TargetByte });
    }
    if climbs_above_root(path) { Err(Fault::TargetAboveRoot) } else { Ok(()) }
}

/// Encoded dots are not looked at: whoever decodes the path does that.
fn climbs_above_root(path: &[u8]) -> bool {
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
    if bytes.contains(&b'@') {
        return Err(Fault::Userinfo);
    }
    let port = if let Some(rest) = bytes.strip_prefix(b"[") {
        let end = memchr::memchr(b']', rest).ok_or(Fault::Host)?;
        let address = str::from_utf8(&rest[..end]).map_err(|_| Fault::Host)?;
        address.parse::<Ipv6Addr>().map_err(|_| Fault::Host)?;
        &rest[end + 1..]
    } else {
        let end = bytes.iter().position(|&byte| !is(byte, NAME)).unwrap_or(bytes.len());
        let name = &bytes[..end];
        let has_empty_label = name.first() == Some(&b'.') || name.windows(2).any(|two| two == b"..");
        if name.is_empty() || name.len() > 255 || has_empty_label {
            return Err(Fault::Host);
        }
        &bytes[end..]
    };
    match port {
        [] => Ok(()),
        [b':', digits @ ..] if is_port(digits) => Ok(()),
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
    fn every_control_character_but_tab_is_found_wherever_it_stands() {
        for byte in 0..=255_u8 {
            let control = (byte < 0x20 && byte != b'\t') || byte == 0x7f;
            for length in [1, 2, 15, 16, 17, 31, 32, 33, 40] {
                for at in 0..length {
                    let mut value = vec![0xe9; length];
                    value[at] = byte;
                    assert_eq!(first_control(&value).is_some(), control, "{byte:#x} at {at} of {length}");
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
