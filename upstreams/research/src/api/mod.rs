//! The HTTP API: what is asked is checked here, and nothing else is; what is wrong with it is said in full.

mod access;
mod operations;
mod scrape;
pub mod v1;
pub mod v2;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Extension, Query as UrlQuery, Request, State};
use axum::http::Method;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::health::Health;
use crate::model::Source;
use crate::problem::Problem;
use crate::service::Service;
use crate::sources::Query;
use crate::telemetry::Metrics;
use crate::trace::Trace;

/// Requests that are worked on at once; each may hold an answer of some MiB. More get 503 and do not wait.
pub const MAX_IN_FLIGHT: usize = 1024;
/// The largest request body, in bytes: only `scrape` has one, and it holds a URL.
const MAX_BODY: usize = 16 * 1024;
/// The longest query, in characters; GitHub takes 256.
const MAX_QUERY: usize = 256;
const MAX_LIMIT: usize = 50;
const DEFAULT_LIMIT: usize = 10;

/// One service, served.
pub struct App {
    pub service: Service,
    pub metrics: Arc<Metrics>,
    health: Health,
    in_flight: Semaphore,
    draining: AtomicBool,
}

impl App {
    pub fn new(service: Service, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(App {
            service,
            metrics,
            health: Health::default(),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            draining: AtomicBool::new(false),
        })
    }

    /// From now on `/readyz` sends callers elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

pub fn router(app: Arc<App>) -> Router {
    let mut asked = Router::new().route("/v1/search", get(search_v1)).route("/v2/search", get(search_v2));
    if let Service::Source(source) = &app.service
        && source.api.source == Source::Firecrawl
    {
        asked = asked.route("/v1/scrape", post(scrape::scrape));
    }
    let asked = asked
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), access::observe));
    // Probes and scrapes are neither counted nor logged: the sums are what callers asked.
    operations::routes().merge(asked).with_state(app)
}

async fn search_v1(State(app): State<Arc<App>>, Extension(trace): Extension<Trace>, given: Parameters) -> Response {
    reply(&trace, search(&app, &trace, given, v1::Answer::new).await)
}

async fn search_v2(State(app): State<Arc<App>>, Extension(trace): Extension<Trace>, given: Parameters) -> Response {
    let start = std::time::Instant::now();
    let window = app.service.window();
    let told = |query, answer| v2::Answer::new(query, answer, window, start.elapsed());
    reply(&trace, search(&app, &trace, given, told).await)
}

type Parameters = Result<UrlQuery<Asked>, QueryRejection>;

/// The parameters as they were written; every one of them is text until it has been checked.
#[derive(Deserialize)]
struct Asked {
    q: Option<String>,
    limit: Option<String>,
    offset: Option<String>,
}

async fn search<T>(
    app: &App,
    trace: &Trace,
    given: Parameters,
    tell: impl FnOnce(Query, crate::service::Answer) -> T,
) -> Result<T, Problem> {
    let UrlQuery(asked) = given.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let query = asked.checked(app.service.window()).map_err(Problem::bad_request)?;
    let answer = app.service.search(&query, trace).await?;
    Ok(tell(query, answer))
}

impl Asked {
    /// The question, or what to do to make it one.
    fn checked(self, window: usize) -> Result<Query, String> {
        let text = self.q.as_deref().map(str::trim).unwrap_or_default();
        if !text.chars().any(char::is_alphanumeric) {
            return Err("`q` must say what to search for: add `?q=WORDS`, with at least one letter or digit".into());
        }
        let length = text.chars().count();
        if length > MAX_QUERY {
            return Err(format!("`q` has {length} characters, at most {MAX_QUERY} are taken: ask for less at once"));
        }
        let limit = number("limit", self.limit.as_deref(), DEFAULT_LIMIT, 1, MAX_LIMIT)?;
        let offset = number("offset", self.offset.as_deref(), 0, 0, window)?;
        if offset + limit > window {
            let end = offset + limit;
            return Err(format!(
                "`offset` + `limit` is {end}, at most {window} results of one query can be seen: narrow the query instead"
            ));
        }
        Ok(Query { text: text.to_owned(), limit, offset })
    }
}

fn number(name: &str, given: Option<&str>, otherwise: usize, min: usize, max: usize) -> Result<usize, String> {
    let Some(given) = given else { return Ok(otherwise) };
    let wrong = || {
        let shown = crate::text::excerpt(given, 40);
        format!("`{name}` is `{shown}`: give a whole number from {min} to {max}, or leave it out")
    };
    let value = given.parse().map_err(|_| wrong())?;
    if (min..=max).contains(&value) { Ok(value) } else { Err(wrong()) }
}

fn reply<T: Serialize>(trace: &Trace, outcome: Result<T, Problem>) -> Response {
    match outcome {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => problem.on(trace).into_response(),
    }
}

async fn nothing_there(State(app): State<Arc<App>>, Extension(trace): Extension<Trace>, request: Request) -> Problem {
    let offered = match app.service.name() {
        "firecrawl" => "GET /v1/search, GET /v2/search and POST /v1/scrape",
        _ => "GET /v1/search and GET /v2/search",
    };
    Problem::not_found(request.uri().path(), offered).on(&trace)
}

async fn wrong_method(Extension(trace): Extension<Trace>, method: Method, request: Request) -> Problem {
    Problem::method_not_allowed(method.as_str(), request.uri().path()).on(&trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(q: Option<&str>, limit: Option<&str>, offset: Option<&str>) -> Result<Query, String> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let asked = Asked { q: own(q), limit: own(limit), offset: own(offset) };
        asked.checked(100)
    }

    #[test]
    fn a_question_in_bounds_is_taken() {
        let query = Query { text: "graph nets".into(), limit: 50, offset: 50 };
        assert_eq!(checked(Some(" graph nets "), Some("50"), Some("50")), Ok(query));
        assert_eq!(checked(Some("x"), None, None).map(|query| (query.limit, query.offset)), Ok((10, 0)));
        assert!(checked(Some(&"é".repeat(256)), None, None).is_ok());
    }

    #[test]
    fn a_question_out_of_bounds_is_told_what_to_do() {
        for (q, limit, offset, says) in [
            (None, None, None, "add `?q=WORDS`"),
            (Some(" "), None, None, "add `?q=WORDS`"),
            (Some("?!"), None, None, "at least one letter or digit"),
            (Some("x"), Some("0"), None, "from 1 to 50"),
            (Some("x"), Some("51"), None, "from 1 to 50"),
            (Some("x"), Some("ten"), None, "`limit` is `ten`"),
            (Some("x"), Some(""), None, "from 1 to 50"),
            (Some("x"), None, Some("-1"), "from 0 to 100"),
            (Some("x"), Some("50"), Some("51"), "is 101"),
        ] {
            let detail = checked(q, limit, offset).expect_err("out of bounds");
            assert!(detail.contains(says), "{q:?} {limit:?} {offset:?}: {detail}");
        }
        let long = checked(Some(&"x".repeat(257)), None, None).expect_err("too long");
        assert!(long.contains("257 characters"), "{long}");
    }
}
