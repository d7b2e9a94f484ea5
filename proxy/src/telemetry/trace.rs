//! The identity of a request: W3C trace context (<https://www.w3.org/TR/trace-context/>) and `x-request-id`.

use smallvec::SmallVec;

use super::json;

/// Where a request stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Never all zero.
    pub trace_id: [u8; 16],
    /// The span that made the request: the caller's in what was parsed, ours in what is sent on. Never all zero.
    pub span_id: [u8; 8],
    pub flags: u8,
}

/// Bit of `flags`: the caller may have recorded the trace.
pub const SAMPLED: u8 = 1;

/// `version-traceid-spanid-flags`, in hexadecimal.
const TRACEPARENT: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;

impl TraceContext {
    /// Reads a `traceparent` header. None is a header that has to be ignored (section 4.3): a new trace begins.
    ///
    /// Strict about version 00: lower-case digits, no id all zero, nothing after the flags. Of a later version the same
    /// fields are read, whatever follows after another `-`. `ff` is no version.
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        let (head, rest) = traceparent.split_at_checked(TRACEPARENT)?;
        let [version] = digits(&head[..2])?;
        let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
        let whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => matches!(rest.first(), None | Some(b'-')),
        };
        if !dashes || !whole {
            return None;
        }
        let trace_id = digits(&head[3..35])?;
        let span_id = digits(&head[36..52])?;
        let [flags] = digits(&head[53..])?;
        let ids = trace_id != [0; 16] && span_id != [0; 8];
        ids.then_some(Self { trace_id, span_id, flags })
    }

    /// The first span of a new trace, from random numbers.
    pub fn root(chance: [u64; 3], flags: u8) -> Self {
        let [high, low, span] = chance;
        let trace_id = u128::from(high) << 64 | u128::from(non_zero(low));
        Self { trace_id: trace_id.to_be_bytes(), span_id: non_zero(span).to_be_bytes(), flags }
    }

    /// A span of ours beneath this one, from a random number. Of the flags only the one that version 00 knows is passed
    /// on (section 3.2.2.5.2).
    pub fn child(&self, chance: u64) -> Self {
        Self { trace_id: self.trace_id, span_id: non_zero(chance).to_be_bytes(), flags: self.flags & SAMPLED }
    }

    /// The value of a `traceparent` header.
    pub fn traceparent(&self) -> [u8; TRACEPARENT] {
        let mut text = [b'-'; TRACEPARENT];
        put_hex(&mut text[..2], &[0]);
        put_hex(&mut text[3..35], &self.trace_id);
        put_hex(&mut text[36..52], &self.span_id);
        put_hex(&mut text[53..], &[self.flags]);
        text
    }
}

fn non_zero(chance: u64) -> u64 {
    chance.max(1)
}

/// `2 * N` lower-case hexadecimal digits.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    (text.len() == 2 * N).then_some(bytes)
}

fn put_hex(out: &mut [u8], bytes: &[u8]) {
    for (out, &byte) in out.chunks_exact_mut(2).zip(bytes) {
        out.copy_from_slice(&json::hex_digits(byte));
    }
}

/// What a request is called in logs and problem bodies, ours and the upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(SmallVec<[u8; 40]>);

/// The longest id that is kept from a client.
const REQUEST_ID: usize = 128;

impl RequestId {
    /// The client's id if it is sane: 1 to 128 of letters, digits, `.`, `_`, `:` and `-`.
    pub fn kept(client: &[u8]) -> Option<Self> {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"._:-".contains(byte);
        let keep = (1..=REQUEST_ID).contains(&client.len()) && client.iter().all(sane);
        keep.then(|| Self(SmallVec::from_slice(client)))
    }

    /// 32 hexadecimal digits from random numbers.
    pub fn made(chance: [u64; 2]) -> Self {
        let mut text = [0; 32];
        put_hex(&mut text[..16], &chance[0].to_be_bytes());
        put_hex(&mut text[16..], &chance[1].to_be_bytes());
        Self(SmallVec::from_slice(&text))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        // ASCII by construction.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_reads_and_writes() {
        let context = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(u128::from_be_bytes(context.trace_id), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(u64::from_be_bytes(context.span_id), 0x00f0_67aa_0ba9_02b7);
        assert_eq!(context.flags, SAMPLED);
        assert_eq!(context.traceparent(), EXAMPLE.as_bytes());
    }

    #[test]
    fn headers_that_have_to_be_ignored_are() {
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        for later in [
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09-what-the-future-brings",
        ] {
            let context = TraceContext::parse(later.as_bytes()).unwrap();
            assert_eq!(context.flags, 9);
            let sent = context.child(5).traceparent();
            assert_eq!(str::from_utf8(&sent), Ok("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000005-01"));
        }
    }

    proptest! {
        #[test]
        fn what_we_send_can_be_read(chance: [u64; 3], flags in 0..=SAMPLED) {
            let root = TraceContext::root(chance, flags);
            prop_assert_eq!(TraceContext::parse(&root.traceparent()), Some(root));
            let child = root.child(chance[0]);
            prop_assert_eq!(TraceContext::parse(&child.traceparent()), Some(child));
        }

        #[test]
        fn any_bytes_are_read_or_ignored(bytes: Vec<u8>) {
            let _ = TraceContext::parse(&bytes);
        }

        #[test]
        fn sane_ids_are_kept_and_others_are_not(id in "[A-Za-z0-9._:-]{1,128}", bad in "[^A-Za-z0-9._:-]") {
            let kept = RequestId::kept(id.as_bytes()).unwrap();
            prop_assert_eq!(kept.as_str(), &id);
            prop_assert_eq!(RequestId::kept(format!("{id}{bad}").as_bytes()), None);
        }
    }

    #[test]
    fn zero_is_not_drawn() {
        assert!(TraceContext::parse(&TraceContext::root([0; 3], 0).traceparent()).is_some());
    }

    #[test]
    fn ids_have_a_length() {
        assert_eq!(RequestId::kept(b""), None);
        assert_eq!(RequestId::kept(&[b'a'; REQUEST_ID + 1]), None);
        assert_eq!(RequestId::made([1, u64::MAX]).as_str(), "0000000000000001ffffffffffffffff");
    }
}
