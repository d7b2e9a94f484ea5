//! `POST /v1/scrape`: one page as Markdown, by Firecrawl.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::response::Response;
use reqwest::Url;
use serde::Deserialize;
use tokio::time::Instant;

use super::{App, reply};
use crate::problem::Problem;
use crate::service::Service;
use crate::sources::firecrawl::{self, Scraped};
use crate::trace::Trace;
use crate::upstream::Exchange;

/// In bytes; what browsers and CDNs agree on.
const MAX_URL: usize = 2048;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    url: String,
}

pub(super) async fn scrape(
    State(app): State<Arc<App>>,
    Extension(trace): Extension<Trace>,
    given: Result<Json<Asked>, JsonRejection>,
) -> Response {
    reply(&trace, scraped(&app, &trace, given).await)
}

async fn scraped(app: &App, trace: &Trace, given: Result<Json<Asked>, JsonRejection>) -> Result<Scraped, Problem> {
    let hint = |rejection: JsonRejection| {
        Problem::bad_request(format!("{}; send {{\"url\": \"https://…\"}} as application/json", rejection.body_text()))
    };
    let Json(asked) = given.map_err(hint)?;
    let url = checked(&asked.url).map_err(Problem::bad_request)?;
    let Service::Source(source) = &app.service else {
        return Err(Problem::not_found("/v1/scrape", "GET /v1/search and GET /v2/search"));
    };
    let exchange = Exchange { trace, until: Instant::now() + source.timeout };
    Ok(firecrawl::scrape(&source.api, url.as_str(), exchange).await?)
}

/// An absolute web address, without credentials in it: they would go to a third party.
fn checked(given: &str) -> Result<Url, String> {
    let wrong = |what: &str| format!("`url` {what}: give an address like https://example.org/page");
    if given.len() > MAX_URL {
        return Err(wrong(&format!("has {} bytes, at most {MAX_URL} are taken", given.len())));
    }
    let url = Url::parse(given).map_err(|error| wrong(&format!("is not a URL ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(&format!("is `{}:`, not http or https", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has credentials in it, which would be handed to Firecrawl"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_scraped() {
        assert!(checked("https://example.org/a?b=c").is_ok());
        let long = format!("https://example.org/{}", "a".repeat(MAX_URL));
        for url in
            ["", "example.org", "file:///etc/passwd", "javascript:alert(1)", "http://", "http://u:p@a.org", &long]
        {
            assert!(checked(url).is_err(), "{url}");
        }
    }
}
