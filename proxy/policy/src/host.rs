//! One spelling for each host, so that a rule cannot be passed by spelling its host differently.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use thiserror::Error;

/// The longest host name (RFC 1035 §2.3.4, without the root's dot).
const MAX_HOST: usize = 253;
/// The longest label of a host name (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// Why an authority is refused: 400 `bad_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    #[error("the host is empty")]
    Empty,
    #[error("the authority has user information")]
    Userinfo,
    #[error("the port is not a number from 1 to 65535")]
    Port,
    #[error("the host has a character that no host may have")]
    Character,
    #[error("the host has an empty label, or is too long, or one of its labels is")]
    Label,
    #[error("the host in brackets is not an IPv6 address")]
    Ipv6,
}

/// The host and port of a `Host` header or an `:authority`: in lower case, without the root's dot, an IPv6 address in
/// brackets and in its one spelling (RFC 5952). A host that is canonical already is borrowed.
///
/// Letters, digits, `-`, `_` and `.` make a host. International names arrive as `xn--…`; a percent sign or a byte
/// beyond ASCII is refused, since upstreams differ about them.
pub fn canonical(authority: &str) -> Result<(Cow<'_, str>, Option<u16>), HostError> {
    if authority.contains('@') {
        return Err(HostError::Userinfo);
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(HostError::Ipv6)?;
        let parsed: Ipv6Addr = address.parse().map_err(|_| HostError::Ipv6)?;
        let port = match rest.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if rest.is_empty() => None,
            None => return Err(HostError::Character),
        };
        let bracketed = &authority[..address.len() + 2];
        let host = format!("[{parsed}]");
        return Ok((if host == bracketed { Cow::Borrowed(bracketed) } else { Cow::Owned(host) }, port));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, digits)) => (host, Some(port(digits)?)),
        None => (authority, None),
    };
    Ok((name(host)?, port))
}

fn port(digits: &str) -> Result<u16, HostError> {
    if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    digits.parse().ok().filter(|port| *port != 0).ok_or(HostError::Port)
}

fn name(host: &str) -> Result<Cow<'_, str>, HostError> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.is_empty() {
        return Err(HostError::Empty);
    }
    if host.len() > MAX_HOST {
        return Err(HostError::Label);
    }
    let mut label = 0;
    let mut lower_case = true;
    for byte in host.bytes() {
        match byte {
            b'.' if label == 0 => return Err(HostError::Label),
            b'.' => {
                label = 0;
                continue;
            }
            b'A'..=b'Z' => lower_case = false,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            _ => return Err(HostError::Character),
        }
        label += 1;
        if label > MAX_LABEL {
            return Err(HostError::Label);
        }
    }
    if label == 0 {
        return Err(HostError::Label);
    }
    Ok(if lower_case { Cow::Borrowed(host) } else { Cow::Owned(host.to_ascii_lowercase()) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_authority_has_one_spelling() {
        for (authority, host, port) in [
            ("api.example.com", "api.example.com", None),
            ("API.Example.COM", "api.example.com", None),
            ("api.example.com.", "api.example.com", None),
            ("api.example.com:8443", "api.example.com", Some(8443)),
            ("API.example.com.:80", "api.example.com", Some(80)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]", "[::1]", None),
            ("[0:0::0001]:443", "[::1]", Some(443)),
            ("[2001:DB8::1]", "[2001:db8::1]", None),
            ("my_service", "my_service", None),
            ("xn--bcher-kva.example", "xn--bcher-kva.example", None),
        ] {
            assert_eq!(canonical(authority), Ok((Cow::Borrowed(host), port)), "{authority}");
        }
    }

    #[test]
    fn a_canonical_host_is_borrowed() {
        for authority in ["api.example.com", "api.example.com:1", "[::1]:9"] {
            assert!(matches!(canonical(authority), Ok((Cow::Borrowed(_), _))), "{authority}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let long = "a".repeat(64);
        let longer = format!("{}a", "a.".repeat(127));
        for (authority, error) in [
            ("", HostError::Empty),
            (".", HostError::Empty),
            (":80", HostError::Empty),
            ("user@example.com", HostError::Userinfo),
            ("user:secret@example.com", HostError::Userinfo),
            ("example.com:", HostError::Port),
            ("example.com:0", HostError::Port),
            ("example.com:65536", HostError::Port),
            ("example.com:+80", HostError::Port),
            ("example.com:80:81", HostError::Port),
            ("::1", HostError::Port),
            ("a..b", HostError::Label),
            (".a", HostError::Label),
            ("a...", HostError::Label),
            (long.as_str(), HostError::Label),
            (longer.as_str(), HostError::Label),
            ("a b", HostError::Character),
            ("a/b", HostError::Character),
            ("*.example.com", HostError::Character),
            ("ex%61mple.com", HostError::Character),
            ("bücher.example", HostError::Character),
            ("[::1", HostError::Ipv6),
            ("[::1%25eth0]", HostError::Ipv6),
            ("[example.com]", HostError::Ipv6),
            ("[::1]x", HostError::Character),
            ("[::1]:", HostError::Port),
        ] {
            assert_eq!(canonical(authority), Err(error), "{authority}");
        }
    }

    proptest! {
        #[test]
        fn canonical_is_idempotent(authority in "[A-Za-z0-9._\\[\\]:-]{0,24}") {
            if let Ok((host, _)) = canonical(&authority) {
                prop_assert_eq!(canonical(&host), Ok((Cow::Borrowed(&*host), None)));
            }
        }
    }
}
