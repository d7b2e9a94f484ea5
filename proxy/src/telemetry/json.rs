//! JSON written straight into a buffer. What is written is valid JSON and UTF-8 whatever the bytes: they come from
//! clients.

use std::net::{IpAddr, SocketAddr};

/// A string with its quotes.
#[inline]
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    escaped(out, bytes);
    out.push(b'"');
}

/// The inside of a string. Invalid UTF-8 becomes U+FFFD, one for each maximal part of a sequence (as Unicode
/// recommends). Text may be given in pieces if it is cut at ASCII characters.
#[inline]
pub fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        escape(out, bytes);
    }
}

/// Whether the bytes stand for themselves in a JSON string: printable ASCII without `"` and `\`.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    // Without an early exit, so that the compiler makes it a vector loop; nearly all values are plain.
    bytes.iter().fold(true, |plain, &byte| plain & (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\'))
}

#[cold]
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 | 0x7f => {
                    out.extend_from_slice(b"\\u00");
                    hex(out, &[byte]);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[inline]
pub fn number(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Lower-case hexadecimal, without quotes.
#[inline]
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().flat_map(|&byte| hex_digits(byte)));
}

/// The two digits of a byte.
#[inline]
pub fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// An address as a string; an IPv4 address in IPv6's clothes is written as what it is.
pub fn ip(out: &mut Vec<u8>, ip: IpAddr) {
    out.push(b'"');
    bare_ip(out, ip);
    out.push(b'"');
}

/// `"127.0.0.1:80"`, `"[::1]:80"`.
pub fn address(out: &mut Vec<u8>, address: SocketAddr) {
    out.push(b'"');
    match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => bare_ip(out, ip),
        ip @ IpAddr::V6(_) => {
            out.push(b'[');
            bare_ip(out, ip);
            out.push(b']');
        }
    }
    out.push(b':');
    number(out, address.port());
    out.push(b'"');
}

fn bare_ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        // Several times quicker than by way of `Display`.
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            number(out, a);
            for octet in [b, c, d] {
                out.push(b'.');
                number(out, octet);
            }
        }
        IpAddr::V6(v6) => {
            use std::io::Write;
            // Writing to a Vec does not fail.
            let _ = write!(out, "{v6}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_string_that_reads_back(bytes: Vec<u8>) {
            let json = written(|out| string(out, &bytes));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn text_with_controls_and_quotes_reads_back(text in "[\\x00-\\x7f\"\\\\é😀\u{2028}]*") {
            let json = written(|out| string(out, text.as_bytes()));
            prop_assert!(!json.bytes().any(|byte| byte < b' '), "a raw control character");
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }

        #[test]
        fn addresses_are_written_as_the_standard_library_does(address: SocketAddr) {
            let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
            let read: String = serde_json::from_str(&written(|out| super::address(out, address))).unwrap();
            prop_assert_eq!(read.parse::<SocketAddr>().unwrap(), canonical);
            let read: String = serde_json::from_str(&written(|out| ip(out, address.ip()))).unwrap();
            prop_assert_eq!(read, canonical.ip().to_string());
        }
    }
}
