//! The admin server's pages.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::host::local_only;
use super::problem::{Problem, off_thread};
use super::{ExplainQuery, View};
use crate::telemetry::logs::LogLevel;

/// Bytes that a body may have; the longest is a log level.
const BODY: usize = 4096;

/// Methods, paths and what they are for.
const PAGES: &[(&str, &str, &str)] = &[
    ("GET", "/", "this list"),
    ("GET", "/table", "the table that serves"),
    ("GET", "/upstreams", "upstreams, their endpoints and state"),
    ("GET", "/certificates", "certificates in use"),
    ("GET", "/limits", "bounds in force"),
    ("GET", "/explain?listener=&host=&path=&method=&header=name:value", "what would happen to a request, and why"),
    ("GET", "/log", "the level of the process log"),
    ("PUT", "/log", "changes it: {\"level\": \"debug\"}"),
    ("POST", "/drain", "begins to leave, as SIGTERM does"),
];

#[derive(Clone)]
struct Admin {
    view: Arc<dyn View>,
    log: LogLevel,
}

pub(super) fn router(view: Arc<dyn View>, log: LogLevel) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/table", get(|admin| show(admin, |view| view.table())))
        .route("/upstreams", get(|admin| show(admin, |view| view.upstreams_json())))
        .route("/certificates", get(|admin| show(admin, |view| view.certificates_json())))
        .route("/limits", get(|admin| show(admin, |view| view.limits())))
        .route("/explain", get(explain))
        .route("/log", get(level).put(set_level))
        .route("/drain", post(drain))
        .fallback(async || Problem(StatusCode::NOT_FOUND, "no such page; `/` lists them".to_owned()))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn(local_only))
        .with_state(Admin { view, log })
}

/// JSON for people too.
struct Page(Value);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], format!("{:#}\n", self.0)).into_response()
    }
}

async fn index() -> Page {
    let page = |&(method, path, what): &(&str, &str, &str)| json!({ "method": method, "path": path, "what": what });
    Page(json!({ "pages": PAGES.iter().map(page).collect::<Vec<_>>() }))
}

async fn show(State(admin): State<Admin>, page: fn(&dyn View) -> Value) -> Result<Page, Problem> {
    off_thread(move || page(&*admin.view)).await.map(Page)
}

async fn explain(State(admin): State<Admin>, Query(parameters): Query<Vec<(String, String)>>) -> Result<Page, Problem> {
    let bad_request = |problem| Problem(StatusCode::BAD_REQUEST, problem);
    let query = explain_query(parameters).map_err(bad_request)?;
    off_thread(move || admin.view.explain(query)).await?.map(Page).map_err(bad_request)
}

/// Reads the query of `/explain`; the error says what is wrong.
fn explain_query(parameters: Vec<(String, String)>) -> Result<ExplainQuery, String> {
    let mut query = ExplainQuery::default();
    for (name, value) in parameters {
        match name.as_str() {
            "listener" => query.listener = Some(value),
            "host" => query.host = Some(value),
            "path" => query.path = value,
            "method" => query.method = Some(value),
            "header" => {
                let Some((name, value)) = value.split_once(':') else {
                    return Err(format!("`header={value}`: a header is written `name:value`"));
                };
                query.headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => return Err(format!("`{name}` is none of listener, host, path, method, header")),
        }
    }
    if !query.path.starts_with('/') {
        return Err("`path` is missing, or does not begin with `/`".to_owned());
    }
    Ok(query)
}

async fn level(State(admin): State<Admin>) -> Page {
    Page(json!({ "level": admin.log.get() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    level: String,
}

async fn set_level(State(admin): State<Admin>, body: Bytes) -> Result<Page, Problem> {
    let bad_request = |problem: String| Problem(StatusCode::BAD_REQUEST, problem);
    let wanted: Level = serde_json::from_slice(&body).map_err(|error| bad_request(error.to_string()))?;
    admin.log.set(&wanted.level).map_err(|error| bad_request(error.to_string()))?;
    tracing::info!(level = wanted.level, "log level changed");
    Ok(Page(json!({ "level": wanted.level })))
}

async fn drain(State(admin): State<Admin>) -> Result<(StatusCode, Page), Problem> {
    off_thread(move || admin.view.drain()).await?;
    Ok((StatusCode::ACCEPTED, Page(json!({ "draining": true }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_query_to_explain_has_a_path_and_any_number_of_headers() {
        let query = explain_query(parameters(&[
            ("listener", "edge"),
            ("host", "api.example.com"),
            ("path", "/v1/search?q=a"),
            ("header", "x-a: 1"),
            ("header", "x-b:http://c"),
        ]));
        let query = query.unwrap();
        assert_eq!(query.headers, parameters(&[("x-a", "1"), ("x-b", "http://c")]));
        assert_eq!((query.path.as_str(), query.method), ("/v1/search?q=a", None));
    }

    #[test]
    fn what_is_wrong_with_a_query_is_said() {
        for (bad, word) in [
            (parameters(&[]), "path"),
            (parameters(&[("path", "x")]), "path"),
            (parameters(&[("path", "/"), ("hosts", "x")]), "hosts"),
            (parameters(&[("path", "/"), ("header", "x")]), "name:value"),
        ] {
            assert!(explain_query(bad).unwrap_err().contains(word));
        }
    }
}
