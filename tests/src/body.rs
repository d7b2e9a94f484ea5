//! HTTP/1 heads and bodies, read strictly: what is not well formed is an error, so that a proxy's framing mistakes
//! show. Both the clients and the upstreams read with this.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use crate::io::Io;
use crate::message::{Lines, all, first};

/// Header lines that the harness takes.
const LINES: usize = 512;

/// A connection's reading side: what came, and was not read yet, stays in the buffer.
pub struct Reader {
    pub io: Io,
    pub buffer: BytesMut,
}

/// How the rest of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
    /// All of it was read.
    Done,
}

impl Reader {
    pub fn new(io: Io) -> Self {
        Self { io, buffer: BytesMut::with_capacity(16 * 1024) }
    }

    /// Reads some more bytes; 0 at the end of the stream.
    pub async fn more(&mut self) -> io::Result<usize> {
        self.io.read_buf(&mut self.buffer).await
    }

    async fn must_more(&mut self, what: &str) -> io::Result<()> {
        match self.more().await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("closed inside {what}"))),
            _ => Ok(()),
        }
    }

    /// The bytes of the next head with its empty line; `None` when the peer closes before its first byte.
    pub async fn head(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                return Ok(Some(self.buffer.split_to(end + 4).freeze()));
            }
            if self.more().await? == 0 {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a head"));
            }
        }
    }

    /// The next piece of a body as it came, or `None` at its end; then `trailers` holds its trailers.
    pub async fn chunk(&mut self, framing: &mut Framing, trailers: &mut Lines) -> io::Result<Option<Bytes>> {
        match *framing {
            Framing::Done | Framing::Length(0) => {
                *framing = Framing::Done;
                Ok(None)
            }
            Framing::Length(left) => {
                if self.buffer.is_empty() {
                    self.must_more("a body with a length").await?;
                }
                let take = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                *framing = Framing::Length(left - take as u64);
                Ok(Some(self.buffer.split_to(take).freeze()))
            }
            Framing::UntilClose => {
                if self.buffer.is_empty() && self.more().await? == 0 {
                    *framing = Framing::Done;
                    return Ok(None);
                }
                Ok(Some(self.buffer.split().freeze()))
            }
            Framing::Chunked => self.http_chunk(framing, trailers).await,
        }
    }

    async fn http_chunk(&mut self, framing: &mut Framing, trailers: &mut Lines) -> io::Result<Option<Bytes>> {
        let line = self.line().await?;
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16).map_err(|_| malformed(&format!("chunk size {line:?}")))?;
        if size == 0 {
            loop {
                let line = self.line().await?;
                if line.is_empty() {
                    *framing = Framing::Done;
                    return Ok(None);
                }
                let (name, value) = line.split_once(':').ok_or_else(|| malformed("trailer"))?;
                trailers.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        while self.buffer.len() < size + 2 {
            self.must_more("a chunk").await?;
        }
        let data = self.buffer.split_to(size).freeze();
        if &self.buffer.split_to(2)[..] != b"\r\n" {
            return Err(malformed("no line end after a chunk"));
        }
        Ok(Some(data))
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line = self.buffer.split_to(end + 2);
                return String::from_utf8(line[..end].to_vec()).map_err(|_| malformed("line"));
            }
            self.must_more("a line").await?;
        }
    }
}

/// A parsed request head.
pub struct RequestHead {
    pub method: String,
    pub target: String,
    /// 0 or 1.
    pub minor: u8,
    pub headers: Lines,
}

pub fn parse_request(head: &[u8]) -> io::Result<RequestHead> {
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut request = httparse::Request::new(&mut lines);
    request.parse(head).map_err(|error| malformed(&format!("request head: {error}")))?;
    Ok(RequestHead {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        minor: request.version.unwrap_or_default(),
        headers: owned(request.headers),
    })
}

/// Status, minor version and lines of a response head.
pub fn parse_response(head: &[u8]) -> io::Result<(u16, u8, Lines)> {
    let mut lines = [httparse::EMPTY_HEADER; LINES];
    let mut response = httparse::Response::new(&mut lines);
    response.parse(head).map_err(|error| malformed(&format!("response head: {error}")))?;
    Ok((response.code.unwrap_or_default(), response.version.unwrap_or_default(), owned(response.headers)))
}

/// How a request's body is framed; two framings at once are malformed.
pub fn request_framing(headers: &Lines) -> io::Result<Framing> {
    Ok(explicit_framing(headers)?.unwrap_or(Framing::Done))
}

/// How a response's body is framed.
pub fn response_framing(method: &str, status: u16, headers: &Lines) -> io::Result<Framing> {
    let explicit = explicit_framing(headers)?;
    if method == "HEAD" || status < 200 || status == 204 || status == 304 {
        return Ok(Framing::Done);
    }
    Ok(explicit.unwrap_or(Framing::UntilClose))
}

fn explicit_framing(headers: &Lines) -> io::Result<Option<Framing>> {
    let lengths = all(headers, "content-length");
    match first(headers, "transfer-encoding") {
        Some(coding) if coding.eq_ignore_ascii_case("chunked") && lengths.is_empty() => Ok(Some(Framing::Chunked)),
        Some(coding) => Err(malformed(&format!("transfer-encoding {coding:?} with lengths {lengths:?}"))),
        None => match lengths[..] {
            [] => Ok(None),
            [length] => Ok(Some(Framing::Length(length.parse().map_err(|_| malformed("content-length"))?))),
            _ => Err(malformed("several content-length lines")),
        },
    }
}

fn owned(lines: &[httparse::Header<'_>]) -> Lines {
    lines.iter().map(|line| (line.name.to_owned(), String::from_utf8_lossy(line.value).into_owned())).collect()
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed: {what}"))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
