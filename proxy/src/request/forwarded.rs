//! Who is behind the hops in front of us, and what the next hop hears about it.
//!
//! `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` (RFC 7239) are believed from trusted hops only; from anybody else
//! they are replaced, since a client could claim any address by them. `Via` (RFC 9110 §7.6.3) counts the hops.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use weir_config::bootstrap::Network;
use weir_policy::Headers;

use super::Downstream;

pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// How we call ourselves in `Via`.
const PSEUDONYM: &str = "weir";

/// The client: the peer itself, or, where the peer is a trusted hop, the last address of `X-Forwarded-For` that is not one.
///
/// From the right: each hop wrote the address that it saw, so the first one that is not ours is as far as we can know, and
/// what stands before it may be anything. Where even that one is unreadable, the trusted hop behind it stands in.
pub fn client(peer: IpAddr, trusted: &[Network], headers: &dyn Headers) -> IpAddr {
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let mut lines: SmallVec<[String; 2]> = SmallVec::new();
    headers.for_each("x-forwarded-for", &mut |line| lines.push(String::from_utf8_lossy(line).into_owned()));
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim).filter(|hop| !hop.is_empty());
    let mut client = peer;
    for hop in hops {
        let Some(address) = parse_hop(hop) else { break };
        client = address;
        if !is_trusted(address, trusted) {
            break;
        }
    }
    client
}

fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|a| a.ip())).map(|ip: IpAddr| ip.to_canonical())
}

pub fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address.to_canonical()))
}

/// How many proxies like this one a line of `Via` names.
pub fn hops(line: &[u8]) -> usize {
    let is_ours =
        |hop: &[u8]| hop.trim_ascii().strip_suffix(PSEUDONYM.as_bytes()).is_some_and(|rest| rest.ends_with(b" "));
    line.split(|&byte| byte == b',').filter(|hop| is_ours(hop)).count()
}

/// Writes the headers that tell the next hop about the client and the way so far. `original` is the client's own head.
///
/// All values are cut from one buffer: an allocation for each of five headers of each request would be dearer than
/// writing them.
pub fn write(
    head: &mut HeaderMap,
    original: &dyn Headers,
    downstream: &Downstream,
    authority: &str,
    trusted: bool,
    received_version: &str,
) {
    let mut values = Values(BytesMut::with_capacity(256));
    let peer = downstream.peer.ip().to_canonical();
    let scheme = if downstream.tls.is_some() { "https" } else { "http" };

    if trusted {
        values.join(original, "x-forwarded-for");
    }
    values.ip(peer);
    values.cut(head, X_FORWARDED_FOR);

    if !(trusted && original.get("x-forwarded-proto").is_some()) {
        head.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    let host_is_told = trusted && original.get("x-forwarded-host").is_some();
    if !host_is_told && !authority.is_empty() {
        values.text(authority);
        values.cut(head, X_FORWARDED_HOST);
    }

    if trusted {
        values.join(original, "forwarded");
    }
    values.text("for=");
    match peer {
        IpAddr::V4(_) => values.ip(peer),
        IpAddr::V6(_) => {
            values.text("\"[");
            values.ip(peer);
            values.text("]\"");
        }
    }
    if !authority.is_empty() {
        let token = authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
        let quote = if token { "" } else { "\"" };
        [";host=", quote, authority, quote].iter().for_each(|part| values.text(part));
    }
    values.text(";proto=");
    values.text(scheme);
    values.cut(head, http::header::FORWARDED);

    values.join(original, "via");
    [received_version, " ", PSEUDONYM].iter().for_each(|part| values.text(part));
    values.cut(head, http::header::VIA);
}

/// Header values, one after the other in one buffer.
struct Values(BytesMut);

impl Values {
    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn ip(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                for (place, octet) in address.octets().into_iter().enumerate() {
                    if place > 0 {
                        self.text(".");
                    }
                    self.text(itoa::Buffer::new().format(octet));
                }
            }
            IpAddr::V6(address) => {
                let _ = write!(self.0, "{address}");
            }
        }
    }

    /// Appends all lines of a header as one list, with a comma at its end.
    fn join(&mut self, headers: &dyn Headers, name: &str) {
        headers.for_each(name, &mut |line| {
            self.0.extend_from_slice(line);
            self.text(", ");
        });
    }

    /// Makes what was written since the last cut the value of a header.
    fn cut(&mut self, head: &mut HeaderMap, name: HeaderName) {
        if let Ok(value) = HeaderValue::from_maybe_shared(self.0.split().freeze()) {
            head.insert(name, value);
        }
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
            ("garbage, 6.6.6.6", "6.6.6.6"),
            ("1.2.3.4, unknown, 10.9.9.9", "10.9.9.9"),
            ("1.2.3.4, _hidden", "10.0.0.1"),
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
    fn what_a_client_writes_in_a_line_of_its_own_does_not_hide_the_next() {
        let headers = [("x-forwarded-for", "garbage"), ("X-Forwarded-For", "6.6.6.6")];
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(client(peer, &networks(&["10.0.0.0/8"]), &headers), "6.6.6.6".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn only_our_own_entries_in_via_are_hops() {
        assert_eq!(hops(b"1.1 weir, 2 fred, 1.1 weir"), 2);
        assert_eq!(hops(b"1.1 weirdo, 2 weir"), 1);
        assert_eq!(hops(b"weir"), 0);
    }
}
