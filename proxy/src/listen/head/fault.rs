//! Why a request was refused before anything else saw it.

use std::fmt;

/// Bytes of the method and of the target that a [`Refusal`] keeps for the access log.
const METHOD_KEPT: usize = 32;
const TARGET_KEPT: usize = 256;

/// A head that was refused, and the parts of it that could be read.
///
/// The status is not chosen here: [`Kind`] says what sort of refusal it is, the proxy's replies say how to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub fault: Fault,
    /// The method, where it was whole and well-formed.
    pub method: Option<Box<str>>,
    /// The first 256 bytes of the target as it was sent, with what is not printable ASCII escaped (`\xff`).
    pub target: Option<Box<str>>,
}

impl Refusal {
    pub(super) fn new(fault: Fault, method: Option<&[u8]>, target: Option<&[u8]>) -> Self {
        let kept = |bytes: &[u8], most: usize| bytes[..bytes.len().min(most)].escape_ascii().to_string().into();
        Self {
            fault,
            method: method.map(|bytes| kept(bytes, METHOD_KEPT)),
            target: target.map(|bytes| kept(bytes, TARGET_KEPT)),
        }
    }

    pub fn kind(&self) -> Kind {
        self.fault.kind()
    }

    /// One sentence for the client and the log. It holds nothing that the client sent.
    pub fn detail(&self) -> &'static str {
        self.fault.detail()
    }
}

/// What sort of answer a refusal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Not HTTP as RFC 9112 writes it, or open to more than one reading (400).
    Malformed,
    /// The whole head is too large, or it has too many lines (431).
    HeadTooLarge,
    /// The target is too long (414).
    TargetTooLong,
    /// The head did not arrive in time (408).
    TooSlow,
    /// A method that is never served here (405).
    Method,
    /// A version of HTTP that is not spoken on this listener (505).
    Version,
}

/// Everything that the head reader refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    TooSlow,
    HeadTooLarge,
    TooManyHeaders,
    TargetTooLong,
    Connect,
    Version,
    Http2,
    EmptyLines,
    Method,
    RequestLine,
    BareLf,
    BareCr,
    TargetEmpty,
    TargetSpace,
    TargetByte,
    TargetForm,
    TargetAboveRoot,
    Fold,
    HeaderColon,
    HeaderName,
    HeaderSpace,
    HeaderValue,
    HostMissing,
    HostRepeated,
    Host,
    HostDiffers,
    Userinfo,
    Length,
    LengthRepeated,
    Encoding,
    EncodingRepeated,
    EncodingOnHttp10,
    LengthAndEncoding,
    Chunk,
}

impl Fault {
    pub fn kind(self) -> Kind {
        match self {
            Self::TooSlow => Kind::TooSlow,
            Self::HeadTooLarge | Self::TooManyHeaders => Kind::HeadTooLarge,
            Self::TargetTooLong => Kind::TargetTooLong,
            Self::Connect => Kind::Method,
            Self::Version | Self::Http2 => Kind::Version,
            _ => Kind::Malformed,
        }
    }

    pub fn detail(self) -> &'static str {
        match self {
            Self::TooSlow => "The request head did not arrive in time.",
            Self::HeadTooLarge => "The request head is larger than this listener takes.",
            Self::TooManyHeaders => "The request has more header lines than this listener takes.",
            Self::TargetTooLong => "The request target is longer than this listener takes.",
            Self::Connect => "CONNECT is not served here.",
            Self::Version => "Only HTTP/1.1 and HTTP/1.0 are spoken on this connection.",
            Self::Http2 => "HTTP/2 by prior knowledge is not spoken on this listener.",
            Self::EmptyLines => "More than one empty line stands before the request.",
            Self::Method => "The method is not a token of at most 32 characters.",
            Self::RequestLine => "The request line is not a method, a target and a version.",
            Self::BareLf => "A line ends in LF without CR.",
            Self::BareCr => "A CR stands inside a line.",
            Self::TargetEmpty => "The request target is empty.",
            Self::TargetSpace => "A space stands in the request target.",
            Self::TargetByte => "The request target holds a character that must be percent-encoded.",
            Self::TargetForm => "The request target is neither a path nor an http or https URL.",
            Self::TargetAboveRoot => "The request target climbs above the root.",
            Self::Fold => "A header line begins with white space.",
            Self::HeaderColon => "A header line has no colon.",
            Self::HeaderName => "A header name is not a token.",
            Self::HeaderSpace => "White space stands before the colon of a header line.",
            Self::HeaderValue => "A header value holds a control character.",
            Self::HostMissing => "HTTP/1.1 needs a Host header.",
            Self::HostRepeated => "There is more than one Host header.",
            Self::Host => "The host is not a name or an address with an optional port.",
            Self::HostDiffers => "The target's host differs from the Host header.",
            Self::Userinfo => "The host holds user information.",
            Self::Length => "Content-Length is not one plain decimal number.",
            Self::LengthRepeated => "There is more than one Content-Length header.",
            Self::Encoding => "The only transfer encoding served is a single `chunked`.",
            Self::EncodingRepeated => "There is more than one Transfer-Encoding header.",
            Self::EncodingOnHttp10 => "HTTP/1.0 has no Transfer-Encoding.",
            Self::LengthAndEncoding => "Both Content-Length and Transfer-Encoding are given.",
            Self::Chunk => "The chunks of the request body are malformed.",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_refused_head_is_bounded_and_printable() {
        let refusal = Refusal::new(Fault::TargetByte, Some(b"GET"), Some(&[0xff; 10_000]));
        assert_eq!(refusal.method.as_deref(), Some("GET"));
        let target = refusal.target.expect("a target was given");
        assert_eq!(target.len(), TARGET_KEPT * "\\xff".len());
        assert!(target.is_ascii());
    }
}
