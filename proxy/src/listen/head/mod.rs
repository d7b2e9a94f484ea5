//! The strict head reader: every HTTP/1 request head passes here before anything else sees a byte of it.
//!
//! It refuses and never repairs. What two readers may understand in two ways (a proxy and the server behind it, say) is
//! how requests are smuggled, so a head is taken only if it has one reading: one host, one length, lines that end in
//! CRLF, a target without blanks. Three rules go further than RFC 9112 asks: an empty `Host` is refused (section 3.2
//! allows it for targets without an authority, which no route serves), repeated equal `Content-Length` values are
//! refused (section 6.3 allows to merge them), and a path may not climb above the root. One rule of it is followed in
//! the lenient direction: a single empty line before the request is skipped (section 2.2).
//!
//! [`Reader`] takes the bytes as they come, looks at each once, and gives the same answer however they are cut:
//! every check is made at the first byte that decides it, on complete lines in order. [`read`] is the same on a whole
//! buffer. A head that is taken is one that Pingora's parser (httparse) reads in the same way; a property test holds
//! the two together.

mod fault;
mod syntax;
#[cfg(test)]
mod tests;

use std::ops::Range;

use memchr::memchr;

pub use self::fault::{Fault, Kind, Refusal};

/// Longest method that is read as one. The longest registered (`UPDATEREDIRECTREF`) has 17 characters.
const METHOD_BYTES: usize = 32;

/// What a head may be.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The whole head, in bytes, its last empty line included.
    pub bytes: usize,
    /// Header lines.
    pub headers: usize,
    /// The target, in bytes.
    pub target: usize,
}

/// What the reader learned of a head that it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadInfo {
    /// Where the request line begins: 0, or 2 after an empty line.
    pub start: usize,
    /// Where the body begins.
    pub end: usize,
    pub version: Version,
    pub body: Body,
    /// It asks for a WebSocket, as far as a single header tells.
    pub websocket: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http10,
    Http11,
}

/// How the end of the request body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    Length(u64),
    Chunked,
}

/// Reads the head that `bytes` begins with; `None` if it is not whole yet. The same bytes always give the same answer.
pub fn read(bytes: &[u8], rules: &Rules) -> Result<Option<HeadInfo>, Refusal> {
    Reader::default().read(bytes, rules)
}

/// A head on its way in.
#[derive(Debug, Default)]
pub struct Reader {
    /// Where the current line begins.
    line: usize,
    /// Up to here no LF stands in the current line.
    searched: usize,
    /// The request line, once it was read.
    request: Option<RequestLine>,
    headers: usize,
    host: Option<Range<usize>>,
    length: Option<u64>,
    chunked: bool,
    websocket: bool,
}

#[derive(Clone, Debug)]
struct RequestLine {
    start: usize,
    method: Range<usize>,
    target: Range<usize>,
    version: Version,
    /// Of a target in absolute form.
    authority: Option<Range<usize>>,
}

impl Reader {
    /// Goes on with `bytes`, which begin with all that was given before.
    pub fn read(&mut self, bytes: &[u8], rules: &Rules) -> Result<Option<HeadInfo>, Refusal> {
        // What lies beyond the limit is never looked at, so that it cannot matter how the bytes were cut.
        let window = &bytes[..bytes.len().min(rules.bytes)];
        self.step(window, rules).map_err(|fault| self.refusal(fault, window))
    }

    /// `fault`, with what was read of the head in `bytes` so far.
    pub fn refusal(&self, fault: Fault, bytes: &[u8]) -> Refusal {
        if let Some(request) = &self.request {
            return Refusal::new(fault, bytes.get(request.method.clone()), bytes.get(request.target.clone()));
        }
        // The request line is not whole or not well-formed: what stands between its first two blanks is still telling.
        let line = bytes.get(self.line..).unwrap_or_default();
        let line = &line[..memchr(b'\n', line).unwrap_or(line.len())];
        let is_method = |word: &&[u8]| word.len() <= METHOD_BYTES && syntax::token(word) == word.len();
        let method = memchr(b' ', line).map(|end| &line[..end]).filter(is_method);
        let target = method.and_then(|method| line[method.len() + 1..].split(|&byte| byte == b' ').next());
        let target = target.map(<[u8]>::trim_ascii_end);
        Refusal::new(fault, method, target)
    }

    /// `window` is as much of the bytes as the head may have.
    fn step(&mut self, window: &[u8], rules: &Rules) -> Result<Option<HeadInfo>, Fault> {
        loop {
            if self.searched == self.line && self.take_good_line(window, rules)? {
                continue;
            }
            let Some(found) = memchr(b'\n', &window[self.searched..]) else {
                self.searched = window.len();
                if self.request.is_none() {
                    request_line_so_far(without_cr(&window[self.line..]), rules)?;
                }
                return if window.len() == rules.bytes { Err(Fault::HeadTooLarge) } else { Ok(None) };
            };
            let end = self.searched + found;
            let with_cr = &window[self.line..end];
            let line = without_cr(with_cr);
            let ends_in_crlf = line.len() < with_cr.len();
            if self.request.is_none() {
                request_line_so_far(line, rules)?;
            }
            if !ends_in_crlf {
                return Err(Fault::BareLf);
            }
            match (&self.request, line.is_empty()) {
                (None, true) if self.line == 0 => {}
                (None, true) => return Err(Fault::EmptyLines),
                (None, false) => self.request = Some(request_line(line, self.line)?),
                (Some(request), true) => return self.whole(request, window, end + 1).map(Some),
                (Some(_), false) => {
                    let (name, value) = header_line(window, self.line..self.line + line.len())?;
                    self.header(window, name, value, rules)?;
                }
            }
            self.next_line(end + 1);
        }
    }

    fn next_line(&mut self, at: usize) {
        self.line = at;
        self.searched = at;
    }

    /// Takes a line of the common forms if it is whole and good, in one pass. Any other is left to the slow way, which
    /// says what is wrong with it.
    fn take_good_line(&mut self, window: &[u8], rules: &Rules) -> Result<bool, Fault> {
        let start = self.line;
        let rest = &window[start..];
        let word = syntax::token(rest);
        if self.request.is_none() {
            if word == 0 || word > METHOD_BYTES || !rest[word..].starts_with(b" /") || &rest[..word] == b"CONNECT" {
                return Ok(false);
            }
            let target = &rest[word + 1..];
            let (path, query) = syntax::path_then_query(target);
            let end = word + 1 + path + query;
            let version = match rest.get(end..end + 11) {
                Some(b" HTTP/1.1\r\n") => Version::Http11,
                Some(b" HTTP/1.0\r\n") => Version::Http10,
                _ => return Ok(false),
            };
            if path + query > rules.target || syntax::climbs_above_root(&target[..path]) {
                return Ok(false);
            }
            let (method, target) = (start..start + word, start + word + 1..start + end);
            self.request = Some(RequestLine { start, method, target, version, authority: None });
            self.next_line(start + end + 11);
            return Ok(true);
        }
        if word == 0 || rest.get(word) != Some(&b':') {
            return Ok(false);
        }
        let end = word + 1 + syntax::text(&rest[word + 1..]);
        if rest.get(end..end + 2) != Some(b"\r\n") {
            return Ok(false);
        }
        let value = trimmed(window, start + word + 1..start + end);
        self.header(window, start..start + word, value, rules)?;
        self.next_line(start + end + 2);
        Ok(true)
    }

    /// A header line that is whole and by itself well-formed: what it means for the request.
    fn header(&mut self, window: &[u8], name: Range<usize>, value: Range<usize>, rules: &Rules) -> Result<(), Fault> {
        self.headers += 1;
        if self.headers > rules.headers {
            return Err(Fault::TooManyHeaders);
        }
        let is_name = |wanted: &[u8]| window[name.clone()].eq_ignore_ascii_case(wanted);
        match name.len() {
            4 if is_name(b"host") => {
                if self.host.is_some() {
                    return Err(Fault::HostRepeated);
                }
                syntax::authority(&window[value.clone()])?;
                self.host = Some(value);
            }
            7 if is_name(b"upgrade") => self.websocket |= window[value].eq_ignore_ascii_case(b"websocket"),
            14 if is_name(b"content-length") => {
                if self.length.is_some() {
                    return Err(Fault::LengthRepeated);
                }
                self.length = Some(syntax::length(&window[value]).ok_or(Fault::Length)?);
            }
            17 if is_name(b"transfer-encoding") => {
                if self.chunked {
                    return Err(Fault::EncodingRepeated);
                }
                if !window[value].eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Encoding);
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// What holds between the lines of a head that is whole.
    fn whole(&self, request: &RequestLine, bytes: &[u8], end: usize) -> Result<HeadInfo, Fault> {
        match (&self.host, &request.authority) {
            (None, _) if request.version == Version::Http11 => return Err(Fault::HostMissing),
            (Some(host), Some(authority)) if !bytes[host.clone()].eq_ignore_ascii_case(&bytes[authority.clone()]) => {
                return Err(Fault::HostDiffers);
            }
            _ => {}
        }
        let body = match (self.chunked, self.length) {
            (true, Some(_)) => return Err(Fault::LengthAndEncoding),
            (true, None) if request.version == Version::Http10 => return Err(Fault::EncodingOnHttp10),
            (true, None) => Body::Chunked,
            (false, None | Some(0)) => Body::None,
            (false, Some(length)) => Body::Length(length),
        };
        Ok(HeadInfo { start: request.start, end, version: request.version, body, websocket: self.websocket })
    }
}

/// Where name and value are in the header line at `range` of `bytes`.
fn header_line(bytes: &[u8], range: Range<usize>) -> Result<(Range<usize>, Range<usize>), Fault> {
    let line = &bytes[range.clone()];
    let name = syntax::token(line);
    match line.get(name) {
        Some(b':') if name > 0 => {}
        Some(b' ' | b'\t') if name == 0 => return Err(Fault::Fold),
        Some(b' ' | b'\t') => return Err(Fault::HeaderSpace),
        Some(b'\r') => return Err(Fault::BareCr),
        Some(_) => return Err(Fault::HeaderName),
        None => return Err(Fault::HeaderColon),
    }
    let value = &line[name + 1..];
    match value.get(syntax::text(value)) {
        None => {
            let colon = range.start + name;
            Ok((range.start..colon, trimmed(bytes, colon + 1..range.end)))
        }
        Some(b'\r') => Err(Fault::BareCr),
        Some(_) => Err(Fault::HeaderValue),
    }
}

/// `range` of `bytes` without the white space around it.
fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let text = &bytes[range.clone()];
    let start = range.start + (text.len() - text.trim_ascii_start().len());
    start..start + text.trim_ascii().len()
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What can be told of a request line before its end came: so nobody waits for the rest of what is no method (a TLS
/// hello on a plain listener) or of an endless target. What it refuses stays refused whatever follows.
fn request_line_so_far(line: &[u8], rules: &Rules) -> Result<(), Fault> {
    let method = &line[..line.len().min(METHOD_BYTES + 1)];
    let length = syntax::token(method);
    match method.get(length) {
        Some(b' ') if length > 0 => {
            let target = &line[length + 1..];
            let target = &target[..target.len().min(rules.target.saturating_add(1))];
            let length = memchr(b' ', target).unwrap_or(target.len());
            if length > rules.target { Err(Fault::TargetTooLong) } else { Ok(()) }
        }
        Some(_) => Err(Fault::Method),
        None if length > METHOD_BYTES => Err(Fault::Method),
        None => Ok(()),
    }
}

/// `line` begins at `start`, and [`request_line_so_far`] found nothing wrong.
fn request_line(line: &[u8], start: usize) -> Result<RequestLine, Fault> {
    let method = syntax::token(line);
    let rest = line.get(method + 1..).ok_or(Fault::RequestLine)?;
    let (target, version) = match memchr(b' ', rest) {
        Some(blank) => (&rest[..blank], &rest[blank + 1..]),
        // HTTP/0.9 had no version.
        None => return Err(if rest.contains(&b'\r') { Fault::BareCr } else { Fault::RequestLine }),
    };
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        b"HTTP/2.0" if &line[..method] == b"PRI" => return Err(Fault::Http2),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => return Err(Fault::Version),
        _ if target.is_empty() => return Err(Fault::TargetEmpty),
        _ if version.contains(&b' ') => return Err(Fault::TargetSpace),
        _ if version.contains(&b'\r') => return Err(Fault::BareCr),
        _ => return Err(Fault::RequestLine),
    };
    let begin = start + method + 1;
    let request = |authority| RequestLine {
        start,
        method: start..start + method,
        target: begin..begin + target.len(),
        version,
        authority,
    };
    match (&line[..method], target) {
        (b"CONNECT", _) => Err(Fault::Connect),
        (_, []) => Err(Fault::TargetEmpty),
        (_, [b'/', ..]) => syntax::path_and_query(target).map(|()| request(None)),
        (b"OPTIONS", b"*") => Ok(request(None)),
        _ => {
            let (authority, path) = syntax::absolute(target).ok_or(Fault::TargetForm)?;
            syntax::authority(authority)?;
            syntax::path_and_query(path)?;
            let authority_start = begin + target.len() - path.len() - authority.len();
            Ok(request(Some(authority_start..authority_start + authority.len())))
        }
    }
}
