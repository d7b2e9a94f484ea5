//! A listener's limits: none that lets nothing through, none that cannot be held.

use std::fmt::Display;

use crate::bootstrap::Limits;
use crate::problem::{Path, Problem};
use crate::units::{Duration, Size};

/// Smallest and largest value of a limit.
struct Range<T>(T, T);

/// Pingora parses at most 256 header lines and 1 MiB of head, whatever we let through.
const HEADERS: Range<u16> = Range(1, 256);
const HEADER_BYTES: Range<Size> = Range(Size(1 << 10), Size(1 << 20));
/// RFC 9110 §4.1 asks for 8,000 at least; an operator may know that theirs are shorter.
const URI_BYTES: Range<Size> = Range(Size(256), Size(1 << 20));
const BODY_BYTES: Range<Size> = Range(Size(1), Size(u64::MAX));
/// 1 MiB a second is 8 Mbit/s: above that a plain phone would be taken for an attacker.
const BODY_RATE: Range<Size> = Range(Size(1), Size(1 << 20));
const COUNT: Range<u32> = Range(1, u32::MAX);
/// RFC 9113 §6.5.2: a setting has 31 bits.
const STREAMS: Range<u32> = Range(1, (1 << 31) - 1);
/// Below a millisecond no network answers; a day is for ever.
const TIME: Range<Duration> =
    Range(Duration(std::time::Duration::from_millis(1)), Duration(std::time::Duration::from_secs(86_400)));
const AGE: Range<Duration> = Range(Duration(std::time::Duration::from_secs(1)), Duration::MAX);

pub(super) fn limits(limits: &Limits, at: &Path, problems: &mut Vec<Problem>) {
    let mut held = Held { at, problems };
    held.within("connections", limits.connections, COUNT);
    held.within("connections_per_client", limits.connections_per_client, COUNT);
    held.within("handshake_timeout", limits.handshake_timeout, TIME);
    held.within("header_timeout", limits.header_timeout, TIME);
    held.within("header_bytes", limits.header_bytes, HEADER_BYTES);
    held.within("headers", limits.headers, HEADERS);
    held.within("uri_bytes", limits.uri_bytes, URI_BYTES);
    held.within("body_bytes", limits.body_bytes, BODY_BYTES);
    held.within("body_rate", limits.body_rate, BODY_RATE);
    held.within("idle_timeout", limits.idle_timeout, TIME);
    held.within("write_timeout", limits.write_timeout, TIME);
    held.within("max_age", limits.max_age, AGE);
    held.within("max_requests", limits.max_requests, COUNT);
    held.within("h2_streams", limits.h2_streams, STREAMS);
    let (uri, head) = (limits.uri_bytes(), limits.header_bytes());
    if uri > head {
        let message = format!("a request's target may have {}, but its whole head only {}", Size(uri), Size(head));
        let key = if limits.uri_bytes.is_some() { "uri_bytes" } else { "header_bytes" };
        problems.push(Problem::error(&at.key(key), message).hint("`header_bytes` covers the target too"));
    }
}

struct Held<'a> {
    at: &'a Path,
    problems: &'a mut Vec<Problem>,
}

impl Held<'_> {
    fn within<T: PartialOrd + Display>(&mut self, key: &'static str, value: Option<T>, Range(least, most): Range<T>) {
        let Some(value) = value.filter(|value| *value < least || *value > most) else { return };
        let (message, hint) = match value < least {
            true => (format!("{value} is too little for `{key}`"), format!("at least {least}")),
            false => (format!("{value} is too much for `{key}`"), format!("at most {most}")),
        };
        let hint = format!("{hint}; leave it out for the default");
        self.problems.push(Problem::error(&self.at.key(key), message).hint(hint));
    }
}
