//! `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::Mutex;

use super::View;
use super::problem::{Problem, off_thread};
use crate::telemetry::Metrics;

pub(super) fn router(view: Arc<dyn View>, metrics: Arc<Metrics>) -> Router {
    // One scrape at a time: several at once would only take the processors from the traffic.
    let turn = Arc::new(Mutex::new(()));
    Router::new().route("/metrics", get(move || scrape(view.clone(), metrics.clone(), turn.clone())))
}

async fn scrape(
    view: Arc<dyn View>,
    metrics: Arc<Metrics>,
    turn: Arc<Mutex<()>>,
) -> Result<impl IntoResponse, Problem> {
    let _turn = turn.lock().await;
    let text = off_thread(move || metrics.gather(&*view)).await?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text))
}
