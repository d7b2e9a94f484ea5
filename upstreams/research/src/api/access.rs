//! Around every question: its trail, its place among those in flight, its line in the access log, its count.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Level;

use super::{App, MAX_IN_FLIGHT};
use crate::problem::Problem;
use crate::trace::Trace;

pub(super) async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let trace = Trace::of(request.headers());
    let mut record = Record::new(app.clone(), &request, trace.clone());
    let mut response = match app.in_flight.try_acquire() {
        Ok(_place) => {
            request.extensions_mut().insert(trace.clone());
            next.run(request).await
        }
        Err(_) => Problem::overloaded(MAX_IN_FLIGHT).on(&trace).into_response(),
    };
    trace.echo(response.headers_mut());
    record.status = Some(response.status());
    response
}

/// Written when the request ends, whichever way it ends: a caller that goes away drops the future, and this with it.
struct Record {
    app: Arc<App>,
    start: Instant,
    method: Method,
    path: String,
    client: Option<SocketAddr>,
    trace: Trace,
    /// None where the caller went away before there was one.
    status: Option<StatusCode>,
}

impl Record {
    fn new(app: Arc<App>, request: &Request, trace: Trace) -> Self {
        Record {
            app,
            start: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            client: request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
            trace,
            status: None,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let elapsed = self.start.elapsed();
        let class = code_class(self.status);
        self.app.metrics.answered(class, elapsed);
        // The query is left out: what people search for is theirs.
        tracing::event!(
            target: "access",
            Level::INFO,
            event.duration = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            http.request.method = %self.method,
            url.path = %self.path,
            http.response.status_code = self.status.map(|status| status.as_u16()),
            client.ip = self.client.map(|client| client.ip().to_string()),
            http.request.id = self.trace.request_id(),
            trace.id = self.trace.trace_id(),
            labels.code_class = class,
        );
    }
}

fn code_class(status: Option<StatusCode>) -> &'static str {
    match status.map(|status| status.as_u16() / 100) {
        None => "none",
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(_) => "5xx",
    }
}
