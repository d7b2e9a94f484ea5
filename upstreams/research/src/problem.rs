//! Failures as clients see them: RFC 9457 `application/problem+json`, each saying what was wrong and what to do.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::model::{Missing, Source};
use crate::trace::Trace;
use crate::upstream::{Fault, UpstreamError};

/// `type` is `about:blank` throughout, so `title` is the status's own phrase (RFC 9457 §4.2.1); `reason` tells
/// problems of one status apart.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    r#type: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    /// One word of a closed set; an upstream's fault is `upstream_` and [`Fault::word`].
    reason: Cow<'static, str>,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    /// Seconds after which asking again makes sense, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Missing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    /// The caller's mistake; `detail` says how to put it right.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub fn not_found(path: &str, offered: &str) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not_found", format!("nothing is at `{path}`: this service has {offered}"))
    }

    pub fn method_not_allowed(method: &str, path: &str) -> Self {
        let detail = format!("`{path}` is not for {method}: the `Allow` header lists what it is for");
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// More requests at once than this process takes on.
    pub fn overloaded(max: usize) -> Self {
        let detail = format!("{max} requests are in flight already: ask again in a moment");
        Problem { retry_after: Some(1), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail) }
    }

    /// No source answered in time, or at all.
    pub fn no_source(missing: Vec<Missing>) -> Self {
        let status = match missing.iter().any(|source| source.reason == "timeout") {
            true => StatusCode::GATEWAY_TIMEOUT,
            false => StatusCode::BAD_GATEWAY,
        };
        Problem { missing, ..Problem::new(status, "no_source", "none of the sources answered: see `missing` for why") }
    }

    /// Names the request that the problem is an answer to.
    pub fn on(mut self, trace: &Trace) -> Self {
        self.request_id = trace.request_id().map(str::to_owned);
        self
    }

    fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Problem {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            reason: reason.into(),
            detail: detail.into(),
            source: None,
            retry_after: None,
            missing: Vec::new(),
            request_id: None,
        }
    }
}

impl From<UpstreamError> for Problem {
    fn from(error: UpstreamError) -> Self {
        let status = match error.fault {
            Fault::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        let reason = format!("upstream_{}", error.fault.word());
        let retry_after = match error.fault {
            Fault::RateLimited { retry_after } => retry_after,
            _ => None,
        };
        let detail = error.to_string();
        Problem { source: Some(error.source_name), retry_after, ..Problem::new(status, reason, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstreams_fault_names_the_source_and_what_was_wrong() {
        let error = UpstreamError { source_name: Source::Pubmed, fault: Fault::RateLimited { retry_after: Some(3) } };
        let problem = serde_json::to_value(Problem::from(error)).expect("JSON");
        assert_eq!(problem["status"], 502);
        assert_eq!(problem["title"], "Bad Gateway");
        assert_eq!(problem["source"], "pubmed");
        assert_eq!(problem["reason"], "upstream_rate_limited");
        assert_eq!(problem["detail"], "pubmed: it limits our rate (429), to be asked again in 3 s");
        assert_eq!(problem["retry_after"], 3);
    }

    #[test]
    fn a_timeout_is_504_and_every_other_fault_502() {
        let timeout = Fault::Timeout { after: Default::default() };
        for (fault, status) in [(timeout, 504), (Fault::Html, 502), (Fault::TooLarge { max: 1 }, 502)] {
            let word = fault.word();
            assert!(Fault::WORDS.contains(&word));
            let problem = Problem::from(UpstreamError { source_name: Source::Arxiv, fault });
            assert_eq!(problem.status, status);
            assert_eq!(problem.reason, format!("upstream_{word}"));
        }
    }
}
