//! A service that we ask over HTTP: an external API, or for `search` one of its sources. Here a request gets its base
//! URL, its credential, its trail and its deadline; and here everything that can go wrong gets its name.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Method, header};
use reqwest::{Request, Url};
use serde::Serialize;
use tokio::time::Instant;

use crate::model::Source;
use crate::telemetry::Metrics;
use crate::trace::Trace;
use crate::transport::{Answer, Transport};

pub struct Upstream {
    pub source: Source,
    /// A path in it is kept: `http://127.0.0.1:15001/arxiv` sends `/arxiv/api/query`.
    base: Url,
    transport: Transport,
    /// Marked sensitive, so that no log prints it.
    authorization: Option<HeaderValue>,
    metrics: Arc<Metrics>,
}

/// Why a question to an upstream has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("no answer within {} ms", after.as_millis())]
    Timeout { after: Duration },
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("its answer ended too soon: {0}")]
    Truncated(String),
    #[error("its answer is larger than {max} bytes")]
    TooLarge { max: usize },
    #[error("it limits our rate (429){}", wait(*retry_after))]
    RateLimited { retry_after: Option<u64> },
    #[error("it failed with status {status}{}", said(message))]
    Server { status: u16, message: Option<String> },
    #[error("it refused the request with status {status}{}", said(message))]
    Refused { status: u16, message: Option<String> },
    #[error("it redirects to {to}, which is not followed: set the base URL to where the API is")]
    Redirected { to: String },
    #[error("it answered with a web page instead of data")]
    Html,
    #[error("its answer cannot be read: {0}")]
    Malformed(String),
}

/// A fault, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {fault}")]
pub struct UpstreamError {
    pub source_name: Source,
    pub fault: Fault,
}

/// What goes with every question of one request.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    pub trace: &'a Trace,
    /// When the answer is of no use any more.
    pub until: Instant,
}

impl Upstream {
    pub fn new(source: Source, base: Url, transport: Transport, metrics: Arc<Metrics>) -> Self {
        Upstream { source, base, transport, authorization: None, metrics }
    }

    /// Sends `Authorization: Bearer TOKEN` with every request.
    ///
    /// # Errors
    /// Where the token has characters that a header cannot carry.
    pub fn with_bearer(mut self, token: &str) -> Result<Self, header::InvalidHeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    pub fn base(&self) -> &Url {
        &self.base
    }

    pub fn is_offline(&self) -> bool {
        matches!(self.transport, Transport::Offline(_))
    }

    /// A GET below the base URL.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Request {
        let mut url = self.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request::new(Method::GET, url)
    }

    /// A POST of JSON below the base URL.
    ///
    /// # Errors
    /// [`Fault::Malformed`] where `body` has no JSON form.
    pub fn post<T: Serialize>(&self, path: &str, body: &T) -> Result<Request, UpstreamError> {
        let json = serde_json::to_vec(body).map_err(|error| self.error(Fault::Malformed(error.to_string())))?;
        let mut request = Request::new(Method::POST, self.at(path));
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(json.into());
        Ok(request)
    }

    /// Sends a request and reads its answer with `read`, in the time that is left; counts what came of it.
    ///
    /// # Errors
    /// Whatever came of it that is not an answer, reading included.
    pub async fn ask<T>(
        &self,
        mut request: Request,
        exchange: Exchange<'_>,
        read: impl FnOnce(&Answer) -> Result<T, Fault>,
    ) -> Result<T, UpstreamError> {
        exchange.trace.put_on(request.headers_mut());
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        let start = Instant::now();
        let sent = tokio::time::timeout_at(exchange.until, self.transport.send(request)).await;
        let elapsed = start.elapsed();
        let outcome = match sent {
            Ok(answer) => answer.and_then(|answer| read(&answer)),
            Err(_) => Err(Fault::Timeout { after: exchange.until.saturating_duration_since(start) }),
        };
        let word = outcome.as_ref().err().map_or("ok", Fault::word);
        self.metrics.asked(self.source, word, elapsed);
        if let Err(fault) = &outcome {
            tracing::debug!(labels.source = %self.source, labels.outcome = word, error.message = %fault, "upstream");
        }
        outcome.map_err(|fault| self.error(fault))
    }

    /// Whether the service behind the base URL answers at all, by its `/livez`. Not counted: nobody asked for anything.
    ///
    /// # Errors
    /// What kept it from answering, or the status that it answered with.
    pub async fn probe(&self, until: Instant) -> Result<(), Fault> {
        let start = Instant::now();
        let sent = tokio::time::timeout_at(until, self.transport.send(self.get("/livez", &[]))).await;
        let answer = sent.map_err(|_| Fault::Timeout { after: until.saturating_duration_since(start) })??;
        answer.content().map(drop)
    }

    pub fn error(&self, fault: Fault) -> UpstreamError {
        UpstreamError { source_name: self.source, fault }
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

impl Fault {
    /// Every word that [`Fault::word`] can give, and `ok`: the label values of a metric.
    pub const WORDS: [&'static str; 11] = [
        "ok",
        "timeout",
        "unreachable",
        "truncated",
        "too_large",
        "rate_limited",
        "server_error",
        "refused",
        "redirected",
        "html",
        "malformed",
    ];

    /// The fault as one word, the same in metrics, logs and answers.
    pub fn word(&self) -> &'static str {
        match self {
            Fault::Timeout { .. } => "timeout",
            Fault::Unreachable(_) => "unreachable",
            Fault::Truncated(_) => "truncated",
            Fault::TooLarge { .. } => "too_large",
            Fault::RateLimited { .. } => "rate_limited",
            Fault::Server { .. } => "server_error",
            Fault::Refused { .. } => "refused",
            Fault::Redirected { .. } => "redirected",
            Fault::Html => "html",
            Fault::Malformed(_) => "malformed",
        }
    }
}

fn wait(retry_after: Option<u64>) -> String {
    retry_after.map(|seconds| format!(", to be asked again in {seconds} s")).unwrap_or_default()
}

fn said(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::Corpus;

    fn upstream(base: &str) -> Upstream {
        let transport = Transport::Offline(Corpus::load(Source::Github).expect("the embedded corpus"));
        let dropped = prometheus::IntCounter::new("dropped_total", "Dropped.").expect("a counter");
        let metrics = Metrics::new("github", dropped).expect("metrics");
        Upstream::new(Source::Github, base.parse().expect("a URL"), transport, Arc::new(metrics))
    }

    #[test]
    fn a_base_url_keeps_its_path() {
        for base in ["http://127.0.0.1:15001/github", "http://127.0.0.1:15001/github/"] {
            let request = upstream(base).get("/search/repositories", &[("q", "a b&c")]);
            assert_eq!(request.url().as_str(), "http://127.0.0.1:15001/github/search/repositories?q=a+b%26c");
        }
    }

    #[test]
    fn a_credential_never_shows_in_a_debug_print() {
        let upstream = upstream("http://127.0.0.1").with_bearer("very-secret").expect("a token");
        assert!(!format!("{:?}", upstream.authorization).contains("very-secret"));
    }
}
