//! JSON written straight into a buffer. What is written is valid JSON and UTF-8 whatever the bytes: they come from
//! clients. The quotes of strings are the caller's, who has them in its keys.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The inside of a string. Invalid UTF-8 becomes U+FFFD, one for each maximal part of a sequence (as Unicode
/// recommends). Text may be given in pieces if it is cut at ASCII characters.
pub fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
    } else {
        escape(out, bytes);
    }
}

/// Whether the bytes stand for themselves in a JSON string: printable ASCII without `"` and `\`. Nearly all do.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let (words, _) = bytes.as_chunks();
    match bytes.last_chunk() {
        // The last word again, with the bytes that fill no word of their own.
        Some(last) => words.iter().fold(odd_bytes(word(last)), |odd, next| odd | odd_bytes(word(next))) == 0,
        None => {
            let mut padded = [b' '; 8];
            padded.iter_mut().zip(bytes).for_each(|(padded, &byte)| *padded = byte);
            odd_bytes(word(&padded)) == 0
        }
    }
}

/// Not zero if one of eight bytes is no plain one. The tests are those of Sean Anderson's Bit Twiddling Hacks
/// ("Determine if a word has a byte less than n", "... equal to n"), exact as to whether there is such a byte.
#[inline]
fn odd_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word;
    let equal_byte = |byte: u8| zero_byte(word ^ (ONES * u64::from(byte)));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (word | control | equal_byte(b'"') | equal_byte(b'\\') | equal_byte(0x7f)) & (ONES * 0x80)
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
                    out.extend_from_slice(&hex_digits(byte));
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

/// Lower-case hexadecimal.
#[inline]
pub fn hex<const BYTES: usize>(out: &mut Vec<u8>, bytes: &[u8; BYTES]) {
    out.extend_from_slice(bytes.map(hex_digits).as_flattened());
}

/// The two lower-case digits of a byte.
#[inline]
pub fn hex_digits(byte: u8) -> [u8; 2] {
    const DIGITS: [[u8; 2]; 256] = {
        let hex = b"0123456789abcdef";
        let mut digits = [[0; 2]; 256];
        let mut byte = 0;
        while byte < 256 {
            digits[byte] = [hex[byte >> 4], hex[byte & 15]];
            byte += 1;
        }
        digits
    };
    DIGITS[usize::from(byte)]
}

/// An IP address. An IPv4 address in IPv6's clothes is written as what it is.
#[inline]
pub fn ip(out: &mut Vec<u8>, ip: IpAddr) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().iter().for_each(|&octet| dotted(out, octet)),
        IpAddr::V6(ip) => {
            // Writing to a Vec does not fail.
            let _ = write!(out, "{ip}.");
        }
    }
    // The last dot.
    out.pop();
}

/// `127.0.0.1:80`, `[::1]:80`.
pub fn address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip().to_canonical() {
        v4 @ IpAddr::V4(_) => ip(out, v4),
        v6 @ IpAddr::V6(_) => {
            out.push(b'[');
            ip(out, v6);
            out.push(b']');
        }
    }
    out.push(b':');
    number(out, address.port());
}

/// An octet of an IPv4 address and a dot, by a table: a line has up to four such addresses.
#[inline]
fn dotted(out: &mut Vec<u8>, octet: u8) {
    const TEXTS: [([u8; 4], u8); 256] = {
        let mut texts = [([b'.'; 4], 0); 256];
        let mut octet = 0;
        while octet < 256 {
            let digits = [b'0' + (octet / 100) as u8, b'0' + (octet / 10 % 10) as u8, b'0' + (octet % 10) as u8];
            texts[octet] = match octet {
                0..10 => ([digits[2], b'.', 0, 0], 2),
                10..100 => ([digits[1], digits[2], b'.', 0], 3),
                _ => ([digits[0], digits[1], digits[2], b'.'], 4),
            };
            octet += 1;
        }
        texts
    };
    let (text, length) = &TEXTS[usize::from(octet)];
    // Four bytes are one store; what is too much goes again.
    out.extend_from_slice(text);
    out.truncate(out.len() - 4 + usize::from(*length));
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

    fn read(escaped: &str) -> String {
        assert!(!escaped.bytes().any(|byte| byte < b' ' || byte == 0x7f), "a raw control character");
        serde_json::from_str(&format!("\"{escaped}\"")).unwrap()
    }

    #[test]
    fn every_byte_reads_back_wherever_it_stands() {
        for length in 1..=24 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    let plain = matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&bytes), plain, "{bytes:?}");
                    assert_eq!(read(&written(|out| escaped(out, &bytes))), String::from_utf8_lossy(&bytes));
                }
            }
        }
        assert!(is_plain(b""));
    }

    proptest! {
        #[test]
        fn any_bytes_make_a_string_that_reads_back(bytes: Vec<u8>) {
            prop_assert_eq!(read(&written(|out| escaped(out, &bytes))), String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn text_with_controls_and_quotes_reads_back(text in "[\\x00-\\x7f\"\\\\é😀\u{2028}]*") {
            prop_assert_eq!(read(&written(|out| escaped(out, text.as_bytes()))), text);
        }

        #[test]
        fn addresses_are_written_as_the_standard_library_does(address: SocketAddr) {
            let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
            prop_assert_eq!(written(|out| super::address(out, address)).parse::<SocketAddr>().unwrap(), canonical);
            prop_assert_eq!(written(|out| ip(out, address.ip())), canonical.ip().to_string());
        }

        #[test]
        fn hexadecimal_is_as_the_standard_library_writes_it(number: u64) {
            prop_assert_eq!(written(|out| hex(out, &number.to_be_bytes())), format!("{number:016x}"));
        }
    }

    #[test]
    fn every_octet_is_written_as_its_number() {
        for octet in 0..=u8::MAX {
            assert_eq!(written(|out| ip(out, [octet, 0, octet, 1].into())), format!("{octet}.0.{octet}.1"));
        }
    }
}
