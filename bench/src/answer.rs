//! Reads one HTTP/1.1 answer after another and holds each against what it should be.
//!
//! A fast wrong answer would be the best figure of all, so every answer is checked: status, framing and length.

use std::fmt;

/// A head that is longer than this is a fault.
const HEAD_LIMIT: usize = 16 * 1024;
const HEADER_LIMIT: usize = 64;

/// What is wrong with an answer, or with the connection that it should come on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Another status than 200.
    Status(u16),
    /// Another `content-length` than expected, or none.
    Length(Option<usize>),
    /// Bytes after the end of the answer, which nobody asked for.
    Surplus,
    /// Not HTTP, or a head that never ends.
    Head,
    /// Closed or reset before the answer was whole.
    Closed,
    /// The request could not be handed over at once.
    Send,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Length(Some(length)) => write!(f, "content-length {length}"),
            Self::Length(None) => write!(f, "no content-length"),
            Self::Surplus => write!(f, "bytes after the answer"),
            Self::Head => write!(f, "malformed head"),
            Self::Closed => write!(f, "connection closed"),
            Self::Send => write!(f, "request not taken"),
        }
    }
}

/// A whole and correct answer was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// The connection may carry the next request.
    pub kept: bool,
}

/// The answer that is being read on one connection.
#[derive(Debug)]
pub struct Answer {
    /// The expected body, in bytes.
    length: usize,
    /// What has come of a head that is not whole yet; empty otherwise.
    head: Vec<u8>,
    /// Body bytes that have yet to come, once the head was read.
    missing: Option<usize>,
    kept: bool,
}

impl Answer {
    pub fn of_length(length: usize) -> Self {
        Self { length, head: Vec::new(), missing: None, kept: true }
    }

    /// Takes the next bytes. `Some` once the answer is whole: then the next one begins.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Option<Whole>, Fault> {
        let body = match self.missing {
            Some(missing) => Some((missing, bytes.len())),
            None if self.head.is_empty() => self.take_head(bytes)?,
            None => {
                let mut head = std::mem::take(&mut self.head);
                head.extend_from_slice(bytes);
                self.take_head(&head)?
            }
        };
        let Some((missing, come)) = body else { return Ok(None) };
        let missing = missing.checked_sub(come).ok_or(Fault::Surplus)?;
        if missing > 0 {
            self.missing = Some(missing);
            return Ok(None);
        }
        self.missing = None;
        Ok(Some(Whole { kept: self.kept }))
    }

    /// Reads the head at the start of `bytes`, if it is whole: the length of its body, and how much of that has come.
    fn take_head(&mut self, bytes: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
        let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
        let mut head = httparse::Response::new(&mut headers);
        let end = match head.parse(bytes).map_err(|_| Fault::Head)? {
            httparse::Status::Complete(end) => end,
            httparse::Status::Partial if bytes.len() > HEAD_LIMIT => return Err(Fault::Head),
            httparse::Status::Partial => {
                self.head = bytes.to_vec();
                return Ok(None);
            }
        };
        match head.code {
            Some(200) => {}
            other => return Err(Fault::Status(other.unwrap_or_default())),
        }
        let mut length = None;
        self.kept = true;
        for header in head.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                length = std::str::from_utf8(header.value).ok().and_then(|text| text.parse().ok());
            } else if header.name.eq_ignore_ascii_case("connection") && header.value.eq_ignore_ascii_case(b"close") {
                self.kept = false;
            }
        }
        if length != Some(self.length) {
            return Err(Fault::Length(length));
        }
        Ok(Some((self.length, bytes.len() - end)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    #[test]
    fn an_answer_is_read_wherever_it_is_cut() {
        for cut in 1..GOOD.len() {
            let mut answer = Answer::of_length(5);
            assert_eq!(answer.take(&GOOD[..cut]), Ok(None), "cut at {cut}");
            assert_eq!(answer.take(&GOOD[cut..]), Ok(Some(Whole { kept: true })), "cut at {cut}");
            assert_eq!(answer.take(GOOD), Ok(Some(Whole { kept: true })), "the next one, after a cut at {cut}");
        }
    }

    #[test]
    fn an_answer_that_is_not_the_expected_one_is_a_fault() {
        let cases: [(&[u8], Fault); 5] = [
            (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\nhello", Fault::Status(502)),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhell", Fault::Length(Some(4))),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", Fault::Length(None)),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello!", Fault::Surplus),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Fault::Head),
        ];
        for (bytes, fault) in cases {
            assert_eq!(Answer::of_length(5).take(bytes), Err(fault));
        }
    }

    #[test]
    fn a_head_without_end_is_a_fault() {
        let mut answer = Answer::of_length(5);
        assert_eq!(answer.take(b"HTTP/1.1 200 OK\r\nx: "), Ok(None));
        assert_eq!(answer.take(&vec![b'y'; HEAD_LIMIT]), Err(Fault::Head));
    }

    #[test]
    fn an_answer_that_says_close_ends_its_connection() {
        let mut answer = Answer::of_length(0);
        let close = b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(answer.take(close), Ok(Some(Whole { kept: false })));
    }
}
