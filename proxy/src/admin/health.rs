//! `/livez`, `/readyz`, `/healthz`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::View;
use super::problem::{Problem, off_thread};

pub(super) fn router(view: Arc<dyn View>) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/healthz", get(health))
        .with_state(view)
}

/// That this is answered is the answer: a process whose dependency is gone is not helped by a restart.
async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

async fn ready(State(view): State<Arc<dyn View>>) -> Result<(StatusCode, Json<Value>), Problem> {
    Ok(match off_thread(move || view.ready()).await? {
        Ok(()) => (StatusCode::OK, Json(json!({ "ready": true }))),
        Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "missing": missing }))),
    })
}

async fn health(State(view): State<Arc<dyn View>>) -> Result<(StatusCode, Json<Value>), Problem> {
    let health = off_thread(move || view.health()).await?;
    let status = match health.get("healthy") {
        Some(Value::Bool(false)) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    Ok((status, Json(health)))
}
