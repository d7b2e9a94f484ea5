//! Who is behind the hops in front of us, and what the next hop hears about it.
//!
//! `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` (RFC 7239) are believed from trusted hops only; from anybody else
//! they are replaced, since a client could claim any address by them. `Via` (RFC 9110 §7.6.3) counts the hops.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue};
use weir_config::bootstrap::Network;
use weir_policy::Headers;

use super::Downstream;
use super::edits::HeadMut;

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// How we call ourselves in `Via`.
const PSEUDONYM: &str = "weir";

/// The client: the peer itself, or, where the peer is a trusted hop, the last address of `X-Forwarded-For` that is not one.
pub fn client(peer: IpAddr, trusted: &[Network], headers: &dyn Headers) -> IpAddr {
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let mut hops: Vec<IpAddr> = Vec::new();
    headers.for_each("x-forwarded-for", &mut |line| {
        let line = String::from_utf8_lossy(line);
        hops.extend(line.split(',').map_while(|hop| parse_hop(hop.trim())));
    });
    // From the right: each hop wrote the address it saw, so the first one that is not ours is as far as we can know.
    hops.iter().rev().copied().find(|&hop| !is_trusted(hop, trusted)).or(hops.first().copied()).unwrap_or(peer)
}

fn parse_hop(hop: &str) -> Option<IpAddr> {
    hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|a| a.ip())).map(|ip: IpAddr| ip.to_canonical())
}

pub fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address.to_canonical()))
}

/// How many proxies like this one the request came through already.
pub fn hops(headers: &dyn Headers) -> usize {
    let mut hops = 0;
    headers.for_each("via", &mut |line| {
        let received_by =
            |hop: &[u8]| hop.trim_ascii().strip_suffix(PSEUDONYM.as_bytes()).is_some_and(|rest| rest.ends_with(b" "));
        hops += line.split(|&byte| byte == b',').filter(|hop| received_by(hop)).count();
    });
    hops
}

/// Writes the headers that tell the next hop about the client and the way so far. `original` is the client's own head.
pub fn write(
    head: &mut dyn HeadMut,
    original: &dyn Headers,
    downstream: &Downstream,
    authority: &str,
    trusted: bool,
    received_version: &str,
) {
    let mut text = String::with_capacity(96);
    let peer = downstream.peer.ip().to_canonical();
    let scheme = if downstream.tls.is_some() { "https" } else { "http" };

    if trusted {
        join(&mut text, original, "x-forwarded-for");
    }
    let _ = write!(text, "{peer}");
    set(head, &X_FORWARDED_FOR, &text);

    if !(trusted && original.get("x-forwarded-proto").is_some()) {
        head.set(&X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if !(trusted && original.get("x-forwarded-host").is_some()) && !authority.is_empty() {
        set(head, &X_FORWARDED_HOST, authority);
    }

    text.clear();
    if trusted {
        join(&mut text, original, "forwarded");
    }
    let _ = match peer {
        IpAddr::V4(peer) => write!(text, "for={peer}"),
        IpAddr::V6(peer) => write!(text, "for=\"[{peer}]\""),
    };
    if !authority.is_empty() {
        let quoted = authority.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'.' && byte != b'-');
        let _ = if quoted { write!(text, ";host=\"{authority}\"") } else { write!(text, ";host={authority}") };
    }
    let _ = write!(text, ";proto={scheme}");
    set(head, &http::header::FORWARDED, &text);

    text.clear();
    join(&mut text, original, "via");
    let _ = write!(text, "{received_version} {PSEUDONYM}");
    set(head, &http::header::VIA, &text);
}

/// Appends all lines of a header as one list, with a comma at its end.
fn join(text: &mut String, headers: &dyn Headers, name: &str) {
    headers.for_each(name, &mut |line| {
        if let Ok(line) = std::str::from_utf8(line) {
            text.push_str(line);
            text.push_str(", ");
        }
    });
}

fn set(head: &mut dyn HeadMut, name: &HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        head.set(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| Network::parse(text).unwrap()).collect()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_claims() {
        let headers = [("x-forwarded-for", "1.2.3.4")];
        let peer: IpAddr = "9.9.9.9".parse().unwrap();
        assert_eq!(client(peer, &networks(&["10.0.0.0/8"]), &headers), peer);
    }

    #[test]
    fn behind_trusted_hops_the_last_untrusted_address_is_the_client() {
        let trusted = networks(&["10.0.0.0/8"]);
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        for (line, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4, 10.9.9.9", "1.2.3.4"),
            ("10.2.2.2, 10.3.3.3", "10.2.2.2"),
            ("", "10.0.0.1"),
            ("garbage", "10.0.0.1"),
            ("[2001:db8::1]:5000", "2001:db8::1"),
        ] {
            assert_eq!(
                client(peer, &trusted, &[("x-forwarded-for", line)]),
                expected.parse::<IpAddr>().unwrap(),
                "{line}"
            );
        }
    }

    #[test]
    fn only_our_own_entries_in_via_are_hops() {
        let headers = [("via", "1.1 weir, 2 fred, 1.1 weir"), ("Via", "1.1 weirdo, 2 weir")];
        assert_eq!(hops(&headers), 3);
    }
}
