//! What a request carries so that its trail can be followed: its id and its W3C trace context, handed on unchanged.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest value that is handed on; the W3C asks for at least 512 characters of `tracestate`
/// (<https://www.w3.org/TR/trace-context/#tracestate-limits>). A longer one is left out, never cut.
const MAX_VALUE: usize = 512;

/// The trail headers of one request. Absent ones stay absent: making them up is the edge's work.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    request_id: Option<HeaderValue>,
    traceparent: Option<HeaderValue>,
    tracestate: Option<HeaderValue>,
}

impl Trace {
    pub fn of(headers: &HeaderMap) -> Self {
        let take = |name: HeaderName| {
            headers.get(name).filter(|value| value.len() <= MAX_VALUE && value.to_str().is_ok()).cloned()
        };
        Trace { request_id: take(REQUEST_ID), traceparent: take(TRACEPARENT), tracestate: take(TRACESTATE) }
    }

    /// Puts the trail on a request that this one causes.
    pub fn put_on(&self, headers: &mut HeaderMap) {
        let trail = [(REQUEST_ID, &self.request_id), (TRACEPARENT, &self.traceparent), (TRACESTATE, &self.tracestate)];
        for (name, value) in trail {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }

    /// Lets the answer say which request it is for.
    pub fn echo(&self, headers: &mut HeaderMap) {
        if let Some(id) = &self.request_id {
            headers.insert(REQUEST_ID, id.clone());
        }
    }

    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_ref()?.to_str().ok()
    }

    /// The trace id of `version-traceid-parentid-flags`, if it is one.
    pub fn trace_id(&self) -> Option<&str> {
        let id = self.traceparent.as_ref()?.to_str().ok()?.split('-').nth(1)?;
        (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header value")))
            .collect()
    }

    #[test]
    fn the_trail_is_handed_on_unchanged() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = Trace::of(&headers(&[("x-request-id", "r-1"), ("traceparent", parent), ("cookie", "secret")]));
        let mut next = HeaderMap::new();
        trace.put_on(&mut next);
        assert_eq!(next, headers(&[("x-request-id", "r-1"), ("traceparent", parent)]));
        assert_eq!(trace.request_id(), Some("r-1"));
        assert_eq!(trace.trace_id(), Some("0af7651916cd43dd8448eb211c80319c"));
    }

    #[test]
    fn a_trail_that_is_too_long_or_malformed_is_left_out() {
        let trace = Trace::of(&headers(&[("x-request-id", &"a".repeat(513)), ("traceparent", "00-zz-1-01")]));
        assert_eq!(trace.request_id(), None);
        assert_eq!(trace.trace_id(), None);
    }
}
