//! The embedded corpus: recorded-shape answers of the four external APIs, and what stands in for each API offline.
//!
//! A stand-in takes the request that the adapter built and answers in the API's own form, errors too; it shares no
//! code with the adapter but the paths. The records are real papers, repositories and pages (metadata as of early
//! 2024, abstracts shortened, counts rounded); some are known to several sources, so that merging has work to do.

mod arxiv;
mod firecrawl;
mod github;
mod pubmed;
mod shelf;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use reqwest::Request;
use serde_json::Value;

use crate::model::Source;
use crate::transport::Answer;

/// One external API, as far as the corpus goes.
trait Recorded: Send + Sync {
    fn answer(&self, request: &Request) -> Answer;
}

pub struct Corpus(Box<dyn Recorded>);

/// The embedded files are part of the build, so this is a defect of the build.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("the embedded corpus is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the embedded corpus cannot be read: {0}")]
    Content(String),
}

impl Corpus {
    /// # Errors
    /// Where the embedded file is not what the API would send.
    pub fn load(source: Source) -> Result<Self, CorpusError> {
        Ok(Corpus(match source {
            Source::Arxiv => Box::new(arxiv::Feed::load()?),
            Source::Pubmed => Box::new(pubmed::Records::load()?),
            Source::Github => Box::new(github::Repositories::load()?),
            Source::Firecrawl => Box::new(firecrawl::Pages::load()?),
        }))
    }

    /// What the API would answer, had it only the corpus.
    pub fn answer(&self, request: &Request) -> Answer {
        self.0.answer(request)
    }
}

fn json(status: StatusCode, body: &Value) -> Answer {
    reply(status, "application/json; charset=utf-8", body.to_string())
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
    Answer { status, headers, body: Bytes::from(body) }
}

/// A parameter of the request's query, decoded.
fn parameter(request: &Request, name: &str) -> Option<String> {
    request.url().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A count among the parameters, or what the API takes where there is none.
fn count(request: &Request, name: &str, otherwise: usize) -> usize {
    parameter(request, name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// The body of the request, if it is JSON.
fn body(request: &Request) -> Option<Value> {
    serde_json::from_slice(request.body()?.as_bytes()?).ok()
}

/// A text field of a record; empty where there is none.
fn field<'a>(record: &'a Value, name: &str) -> &'a str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_as_large_as_it_says() {
        let arxiv = arxiv::Feed::load().expect("arXiv").len();
        let pubmed = pubmed::Records::load().expect("PubMed").len();
        assert!(arxiv >= 28 && pubmed >= 24, "{arxiv} + {pubmed} papers");
        assert!(github::Repositories::load().expect("GitHub").len() >= 15);
        assert!(firecrawl::Pages::load().expect("Firecrawl").len() >= 10);
    }
}
