//! Who moves an adapter's request: the network, or the embedded corpus. Both are given the same request and give back
//! the same kind of answer, so nothing above this file knows which it was.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use reqwest::{Client, Request, Url};
use serde::de::DeserializeOwned;

use crate::corpus::Corpus;
use crate::text;
use crate::upstream::Fault;

/// How long a connection may take to come about, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections are kept for less time than a proxy in between would keep them (60 s is usual), so that it is we
/// who close them and a request rarely meets one that is closing.
const KEEP_IDLE: Duration = Duration::from_secs(30);
/// How much of a foreign error message is passed on, in characters.
const MAX_MESSAGE: usize = 200;

pub enum Transport {
    Live(Live),
    Offline(Corpus),
}

/// The network, over one pool of kept-alive connections.
pub struct Live {
    client: Client,
    /// The largest answer that is read, in bytes.
    max_answer: usize,
}

/// A whole answer, of whatever status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Transport {
    pub fn live(client: Client, max_answer: usize) -> Self {
        Transport::Live(Live { client, max_answer })
    }

    /// Sends and reads to the end. Time is the caller's to bound.
    ///
    /// # Errors
    /// [`Fault::Unreachable`], [`Fault::Truncated`], [`Fault::TooLarge`]: what keeps an answer from being whole.
    pub async fn send(&self, request: Request) -> Result<Answer, Fault> {
        match self {
            Transport::Live(live) => live.send(request).await,
            Transport::Offline(corpus) => Ok(corpus.answer(&request)),
        }
    }
}

impl Live {
    async fn send(&self, request: Request) -> Result<Answer, Fault> {
        let mut response = self.client.execute(request).await.map_err(|error| match error.is_connect() {
            true => Fault::Unreachable(cause(&error)),
            false => Fault::Truncated(cause(&error)),
        })?;
        let too_large = Fault::TooLarge { max: self.max_answer };
        if response.content_length().is_some_and(|length| length > self.max_answer as u64) {
            return Err(too_large);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Fault::Truncated(cause(&error)))? {
            if body.len() + chunk.len() > self.max_answer {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status(), headers: response.headers().clone(), body: body.freeze() })
    }
}

impl Answer {
    /// The body of an answer that succeeded and is not a web page. Gateways, captive portals and maintenance screens
    /// answer 200 with HTML where an API was asked.
    ///
    /// # Errors
    /// The [`Fault`] that the status, the headers or the first bytes tell of.
    pub fn content(&self) -> Result<&[u8], Fault> {
        let status = self.status;
        if status == StatusCode::TOO_MANY_REQUESTS || self.quota_is_used_up() {
            return Err(Fault::RateLimited { retry_after: self.retry_after() });
        }
        if status.is_redirection() {
            return Err(Fault::Redirected { to: self.header(header::LOCATION).unwrap_or("nowhere").to_owned() });
        }
        if status.is_server_error() {
            return Err(Fault::Server { status: status.as_u16(), message: self.message() });
        }
        if !status.is_success() {
            return Err(Fault::Refused { status: status.as_u16(), message: self.message() });
        }
        if self.is_html() {
            return Err(Fault::Html);
        }
        Ok(&self.body)
    }

    /// [`Answer::content`], read as JSON.
    ///
    /// # Errors
    /// Also [`Fault::Truncated`] where the JSON ends too soon, [`Fault::Malformed`] where it is not what was expected.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(self.content()?).map_err(|error| match error.is_eof() {
            true => Fault::Truncated(error.to_string()),
            false => Fault::Malformed(error.to_string()),
        })
    }

    /// GitHub's way to say 429: 403 with nothing remaining
    /// (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>).
    fn quota_is_used_up(&self) -> bool {
        let remaining = self.headers.get("x-ratelimit-remaining");
        self.status == StatusCode::FORBIDDEN && remaining.is_some_and(|left| left == "0")
    }

    /// `Retry-After` in seconds; its date form is left alone, no source here uses it.
    fn retry_after(&self) -> Option<u64> {
        self.header(header::RETRY_AFTER)?.trim().parse().ok()
    }

    fn is_html(&self) -> bool {
        let declared = self.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        let head = self.body.trim_ascii_start();
        let looks = |prefix: &str| head.get(..prefix.len()).is_some_and(|b| b.eq_ignore_ascii_case(prefix.as_bytes()));
        declared || looks("<!doctype html") || looks("<html")
    }

    /// What the upstream says of its own failure, where it says so in one of the usual JSON fields.
    fn message(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        let said = ["message", "error", "detail"].iter().find_map(|field| body.get(field)?.as_str())?;
        Some(text::excerpt(said, MAX_MESSAGE))
    }

    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The client that live transports to `bases` share: no redirects (a base URL decides where requests go), no proxy from
/// the environment (for the same reason), connections kept and used again. The system's CA certificates are read only
/// where a base URL is `https`: between services on one machine there is no TLS, and there may be no certificates.
///
/// # Errors
/// Where TLS cannot be set up, or `user_agent` is not a header value.
pub fn client<'a>(user_agent: &str, bases: impl IntoIterator<Item = &'a Url>) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        .user_agent(user_agent)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(KEEP_IDLE);
    if bases.into_iter().all(|base| base.scheme() == "http") {
        builder = builder.tls_certs_only([]);
    }
    builder.build()
}

/// The innermost reason of a failed exchange: the outer ones repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), header::HeaderValue::from_static(value)));
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: headers.collect(),
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn fault(answer: &Answer) -> Fault {
        answer.json::<serde_json::Value>().expect_err("a fault")
    }

    #[test]
    fn too_many_requests_is_told_with_its_wait() {
        assert_eq!(fault(&answer(429, &[("retry-after", "7")], "")), Fault::RateLimited { retry_after: Some(7) });
        let exhausted = answer(403, &[("x-ratelimit-remaining", "0")], "{}");
        assert_eq!(fault(&exhausted), Fault::RateLimited { retry_after: None });
    }

    #[test]
    fn html_is_never_taken_for_an_answer() {
        for (kind, body) in [("text/html; charset=utf-8", "{}"), ("application/json", "\n <!DOCTYPE HTML><p>")] {
            assert_eq!(fault(&answer(200, &[("content-type", kind)], body)), Fault::Html);
        }
    }

    #[test]
    fn a_refusal_carries_what_the_upstream_said() {
        let refused = answer(422, &[], r#"{"message":"Validation\n Failed"}"#);
        assert_eq!(fault(&refused), Fault::Refused { status: 422, message: Some("Validation Failed".into()) });
        assert_eq!(fault(&answer(500, &[], "<html>oops")), Fault::Server { status: 500, message: None });
        let moved = answer(301, &[("location", "https://b.org/")], "");
        assert_eq!(fault(&moved), Fault::Redirected { to: "https://b.org/".into() });
    }

    #[test]
    fn json_that_ends_too_soon_is_truncated_and_other_bad_json_malformed() {
        assert!(matches!(fault(&answer(200, &[], r#"{"a": [1,"#)), Fault::Truncated(_)));
        assert!(matches!(fault(&answer(200, &[], "ok")), Fault::Malformed(_)));
    }
}
