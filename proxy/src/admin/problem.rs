//! What the admin server says when it refuses: RFC 9457, as the data plane does.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal that says what to do instead.
pub(super) struct Problem(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(status, detail) = self;
        let title = status.canonical_reason().unwrap_or_default();
        let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(body)).into_response()
    }
}

/// Runs what may take long (a big table, many series) where it holds up no traffic.
pub(super) async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let failed =
        |_| Problem(StatusCode::INTERNAL_SERVER_ERROR, "this page could not be made; the log says why".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(failed)
}
