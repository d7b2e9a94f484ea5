//! Who may talk to the admin server: programs on this machine, not pages in a browser on it.
//!
//! The socket is on a loopback address, but a page whose name resolves to 127.0.0.1 (DNS rebinding) reaches it too: its
//! requests carry that name as host and are refused. And a page of any origin can send simple requests without reading
//! the answer: so what changes something has to say `content-type: application/json`, which a browser does not send
//! to another origin without asking first (Fetch standard, CORS-preflight), and we never allow it.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::Problem;

/// The middleware of the admin server.
pub(super) async fn local_only(request: Request, next: Next) -> Result<Response, Problem> {
    let target = request.uri().authority().map(Authority::as_str);
    if !has_local_host(request.headers()) || target.is_some_and(|authority| !is_local(authority)) {
        let detail = "the host has to be a loopback address or `localhost`".to_owned();
        return Err(Problem(StatusCode::FORBIDDEN, detail));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads && !says_json(request.headers()) {
        let detail = "a request that changes something needs the header `content-type: application/json`".to_owned();
        return Err(Problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Ok(next.run(request).await)
}

fn has_local_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next().map(|host| host.to_str()), hosts.next()) {
        (Some(Ok(host)), None) => is_local(host),
        _ => false,
    }
}

fn is_local(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in ["localhost", "LOCALHOST:15000", "127.0.0.1", "127.0.0.1:80", "127.8.9.1", "[::1]", "[::1]:15000"]
        {
            assert!(is_local(local), "{local}");
        }
        for other in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1:15000",
            "0.0.0.0",
            "[::]",
            "::1",
            "evil@localhost",
            "localhost@evil",
            "local host",
        ] {
            assert!(!is_local(other), "{other}");
        }
    }
}
