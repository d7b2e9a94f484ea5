//! Where a request body ends.
//!
//! The guard counts the body along as it passes, so that whoever reads the request is never given a byte of the next
//! one, and so that a body whose chunks have two readings is cut off before anybody acts on one of them. Strict like the
//! head reader: chunk sizes are plain hexadecimal digits, lines end in CRLF, extensions and trailers are bounded.

use super::head::Body;

/// Digits of a chunk size: 2⁶⁰ − 1 at most.
const SIZE_DIGITS: u8 = 15;
/// Bytes of chunk extensions in one body. Nobody uses them, and every one of them is ignored; without a bound they are
/// a way to send much and say nothing.
const EXTENSION_BYTES: u16 = 4096;
/// Bytes of trailers behind one body.
const TRAILER_BYTES: u16 = 8192;

/// How far the request on a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// No request, or a tunnel: bytes pass as they are.
    Open,
    /// So many bytes of the body are to come; more than none.
    Length(u64),
    Chunked(Chunks),
    /// The request is whole.
    Whole,
}

/// The body's chunks are not as RFC 9112 section 7.1 writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<Body> for Framing {
    fn from(body: Body) -> Self {
        match body {
            Body::None | Body::Length(0) => Self::Whole,
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::Chunked(Chunks::default()),
        }
    }
}

impl Framing {
    /// How many of `bytes`, which come next on the connection, belong to this request.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Open => Ok(bytes.len()),
            Self::Whole => Ok(0),
            Self::Length(left) => {
                let own = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= own as u64;
                if *left == 0 {
                    *self = Self::Whole;
                }
                Ok(own)
            }
            Self::Chunked(chunks) => {
                let own = chunks.pass(bytes)?;
                if chunks.at == At::End {
                    *self = Self::Whole;
                }
                Ok(own)
            }
        }
    }

    /// More of the request is to come.
    pub fn is_body(&self) -> bool {
        matches!(self, Self::Length(_) | Self::Chunked(_))
    }
}

/// The place in a chunked body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    extensions: u16,
    trailers: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    /// More than none are left.
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// The first byte of a trailer line, or of the empty line that ends the body.
    Trailer,
    InTrailer {
        colon: bool,
    },
    TrailerLf,
    EndLf,
    End,
}

impl Default for At {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunks {
    fn pass(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        let mut next = 0;
        while next < bytes.len() && self.at != At::End {
            if let At::Data { left } = self.at {
                let here = usize::try_from(left).map_or(bytes.len() - next, |left| left.min(bytes.len() - next));
                next += here;
                let left = left - here as u64;
                self.at = if left == 0 { At::DataCr } else { At::Data { left } };
                continue;
            }
            self.at = self.step(bytes[next])?;
            next += 1;
        }
        Ok(next)
    }

    fn step(&mut self, byte: u8) -> Result<At, Malformed> {
        Ok(match (self.at, byte) {
            (At::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < SIZE_DIGITS => {
                let digit = (byte as char).to_digit(16).ok_or(Malformed)?;
                At::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (At::Size { size, digits: 1.. }, b';') => At::Extension { size },
            (At::Size { size, digits: 1.. } | At::Extension { size }, b'\r') => At::SizeLf { size },
            (At::Extension { size }, _) if is_text(byte) => {
                self.extensions += 1;
                if self.extensions > EXTENSION_BYTES {
                    return Err(Malformed);
                }
                At::Extension { size }
            }
            (At::SizeLf { size: 0 }, b'\n') => At::Trailer,
            (At::SizeLf { size }, b'\n') => At::Data { left: size },
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::default(),
            (At::Trailer, b'\r') => At::EndLf,
            (At::EndLf, b'\n') => At::End,
            (At::InTrailer { colon: true }, b'\r') => At::TrailerLf,
            (At::TrailerLf, b'\n') => At::Trailer,
            // A line begins with a name (RFC 9110 section 5.6.2), never with a colon or with the white space of a fold.
            (At::Trailer, _) if is_text(byte) && !matches!(byte, b' ' | b'\t' | b':') => self.trailer(false)?,
            (At::InTrailer { colon: false }, b' ' | b'\t') => return Err(Malformed),
            (At::InTrailer { colon }, _) if is_text(byte) => self.trailer(colon || byte == b':')?,
            _ => return Err(Malformed),
        })
    }

    fn trailer(&mut self, colon: bool) -> Result<At, Malformed> {
        self.trailers += 1;
        if self.trailers > TRAILER_BYTES { Err(Malformed) } else { Ok(At::InTrailer { colon }) }
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunked(bytes: &[u8]) -> (Framing, Result<usize, Malformed>) {
        let mut framing = Framing::from(Body::Chunked);
        let own = framing.pass(bytes);
        (framing, own)
    }

    #[test]
    fn a_chunked_body_ends_where_its_last_line_does() {
        let whole: [&[u8]; 9] = [
            b"0\r\n\r\n",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            b"A\r\n0123456789\r\n0\r\n\r\n",
            b"a\r\n0123456789\r\n00\r\n\r\n",
            b"0005\r\nhello\r\n0\r\n\r\n",
            b"5;a=b\r\nhello\r\n0;last\r\n\r\n",
            b"5;a=\"b c\"\r\nhello\r\n0\r\n\r\n",
            b"1\r\n\n\r\n0\r\nx-sum: 1\r\nempty:\r\n\r\n",
        ];
        for body in whole {
            let mut with_more = body.to_vec();
            with_more.extend_from_slice(b"GET / HTTP/1.1\r\n");
            assert_eq!(chunked(&with_more), (Framing::Whole, Ok(body.len())), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn a_chunked_body_with_two_readings_is_malformed() {
        let malformed: [&[u8]; 24] = [
            b"\r\n",
            b";a\r\n",
            b"5\n",
            b"5\r\r\n",
            b"5 \r\n",
            b" 5\r\n",
            b"+5\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"5g\r\n",
            b"1234567812345678\r\n",
            b"0000000000000000000005\r\n",
            b"5;a\nb\r\n",
            b"5;a\rb\r\n",
            b"5;\x00\r\n",
            b"5\r\nhelloX",
            b"5\r\nhello\n",
            b"5\r\nhello\r\r",
            b"0\r\nX",
            b"0\r\n X: y\r\n\r\n",
            b"0\r\nx : y\r\n\r\n",
            b"0\r\n: y\r\n\r\n",
            b"0\r\nx: y\n\r\n",
            b"0\r\nno-colon\r\n\r\n",
        ];
        for body in malformed {
            // The last byte that is needed to tell differs from case to case; what follows may not change it.
            let mut body = body.to_vec();
            body.extend_from_slice(b"\x00");
            assert_eq!(chunked(&body).1, Err(Malformed), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded_over_the_whole_body() {
        let fits = |extensions: usize| {
            let mut body = Vec::new();
            for _ in 0..extensions {
                body.extend_from_slice(b"1;x\r\nA\r\n");
            }
            chunked(&body).1.is_ok()
        };
        assert!(fits(usize::from(EXTENSION_BYTES)));
        assert!(!fits(usize::from(EXTENSION_BYTES) + 1));

        let trailers = |length: usize| {
            let mut body = b"0\r\nx:".to_vec();
            body.resize(body.len() + length - 2, b'y');
            chunked(&body).1.is_ok()
        };
        assert!(trailers(usize::from(TRAILER_BYTES)));
        assert!(!trailers(usize::from(TRAILER_BYTES) + 1));
    }

    #[test]
    fn a_body_of_known_length_takes_no_byte_more() {
        let mut framing = Framing::from(Body::Length(5));
        assert_eq!(framing.pass(b"hel"), Ok(3));
        assert!(framing.is_body());
        assert_eq!(framing.pass(b"loGET"), Ok(2));
        assert_eq!(framing, Framing::Whole);
        assert_eq!(framing.pass(b"GET"), Ok(0));
        assert_eq!(Framing::from(Body::Length(0)), Framing::Whole);
    }

    proptest! {
        /// However the bytes of a body are cut, it ends at the same byte.
        #[test]
        fn cuts_do_not_matter(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cut in 1_usize..12,
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            let length = body.len();
            body.extend_from_slice(b"GET / HTTP/1.1");

            let mut framing = Framing::from(Body::Chunked);
            let mut own = 0;
            for piece in body.chunks(cut) {
                own += framing.pass(piece).expect("well-formed");
            }
            prop_assert_eq!(own, length);
            prop_assert_eq!(framing, Framing::Whole);
        }

        /// Nothing that a client sends makes the scanner panic, and it never takes more than it was given.
        #[test]
        fn any_bytes_are_taken_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(own) = chunked(&body).1 {
                prop_assert!(own <= body.len());
            }
        }
    }
}
