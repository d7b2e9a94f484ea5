//! Firecrawl, offline: it finds the recorded pages and scrapes them, and nothing else.

use axum::http::StatusCode;
use reqwest::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shelf::Shelf;
use super::{Answer, CorpusError, Recorded, body, field};
use crate::identifiers::normal_url;
use crate::sources::firecrawl::{SCRAPE, SEARCH};

const RECORDED: &str = include_str!("../../corpus/firecrawl.json");

pub struct Pages {
    pages: Vec<Value>,
    shelf: Shelf,
}

impl Pages {
    pub fn load() -> Result<Self, CorpusError> {
        #[derive(Deserialize)]
        struct Recording {
            data: Vec<Value>,
        }
        let pages = serde_json::from_str::<Recording>(RECORDED)?.data;
        let shelf = Shelf::new(pages.iter().map(|page| {
            let rest = format!("{} {} {}", field(page, "description"), field(page, "markdown"), field(page, "url"));
            (field(page, "title").to_owned(), rest)
        }));
        Ok(Pages { pages, shelf })
    }

    fn search(&self, asked: &Value) -> Answer {
        let limit = asked["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(5);
        let found = self.shelf.find(field(asked, "query")).into_iter().take(limit);
        let hits: Vec<Value> = found
            .map(|at| &self.pages[at])
            .map(|page| json!({ "url": page["url"], "title": page["title"], "description": page["description"] }))
            .collect();
        super::json(StatusCode::OK, &json!({ "success": true, "data": hits }))
    }

    fn scrape(&self, asked: &Value) -> Answer {
        let wanted = normal_url(field(asked, "url"));
        let found = self.pages.iter().find(|page| wanted.is_some() && normal_url(field(page, "url")) == wanted);
        match found {
            Some(page) => {
                let data = json!({ "markdown": page["markdown"], "metadata": page["metadata"] });
                super::json(StatusCode::OK, &json!({ "success": true, "data": data }))
            }
            None => refusal(StatusCode::NOT_FOUND, "this page is not in the offline corpus"),
        }
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shelf.len()
    }
}

impl Recorded for Pages {
    fn answer(&self, request: &Request) -> Answer {
        let Some(asked) = body(request) else { return refusal(StatusCode::BAD_REQUEST, "the body is not JSON") };
        match request.url().path() {
            path if path.ends_with(SEARCH) => self.search(&asked),
            path if path.ends_with(SCRAPE) => self.scrape(&asked),
            _ => refusal(StatusCode::NOT_FOUND, "unknown endpoint"),
        }
    }
}

fn refusal(status: StatusCode, error: &str) -> Answer {
    super::json(status, &json!({ "success": false, "error": error }))
}
