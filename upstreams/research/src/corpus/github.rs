//! GitHub's repository search, offline.

use axum::http::StatusCode;
use reqwest::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shelf::Shelf;
use super::{Answer, CorpusError, Recorded, count, field, parameter};
use crate::sources::github;

const RECORDED: &str = include_str!("../../corpus/github.json");

pub struct Repositories {
    items: Vec<Value>,
    shelf: Shelf,
}

impl Repositories {
    pub fn load() -> Result<Self, CorpusError> {
        #[derive(Deserialize)]
        struct Recording {
            items: Vec<Value>,
        }
        let items = serde_json::from_str::<Recording>(RECORDED)?.items;
        let shelf = Shelf::new(items.iter().map(|item| {
            let topics: Vec<&str> = item["topics"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let rest = format!("{} {} {}", field(item, "description"), field(item, "homepage"), topics.join(" "));
            (field(item, "full_name").to_owned(), rest)
        }));
        Ok(Repositories { items, shelf })
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shelf.len()
    }
}

impl Recorded for Repositories {
    fn answer(&self, request: &Request) -> Answer {
        if !request.url().path().ends_with(github::PATH) {
            return super::json(StatusCode::NOT_FOUND, &json!({ "message": "Not Found", "status": "404" }));
        }
        let found = self.shelf.find(&parameter(request, "q").unwrap_or_default());
        let items: Vec<&Value> = found.iter().take(count(request, "per_page", 30)).map(|at| &self.items[*at]).collect();
        let body = json!({ "total_count": found.len(), "incomplete_results": false, "items": items });
        super::json(StatusCode::OK, &body)
    }
}
