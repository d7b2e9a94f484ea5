//! Version 1: the one common, flat shape.

use jiff::civil::Date;
use serde::Serialize;

use crate::model::{Finding, Missing, Source};
use crate::service;
use crate::sources::Query;

#[derive(Debug, Serialize)]
pub struct Answer {
    query: String,
    /// How many results this answer has.
    count: usize,
    results: Vec<Entry>,
    /// The sources that have no part in this answer, and why. Always empty where one source is asked alone.
    missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Entry {
    /// The source that the result is named after.
    source: Source,
    /// Every source that knows it.
    sources: Vec<Source>,
    id: String,
    title: String,
    authors: Vec<String>,
    r#abstract: Option<String>,
    url: String,
    doi: Option<String>,
    arxiv_id: Option<String>,
    published: Option<Date>,
    score: f64,
}

impl Answer {
    pub fn new(query: Query, answer: service::Answer) -> Self {
        let results: Vec<Entry> = answer.findings.into_iter().map(Entry::from).collect();
        Answer { query: query.text, count: results.len(), results, missing: answer.missing }
    }
}

impl From<Finding> for Entry {
    fn from(finding: Finding) -> Self {
        let mut sources: Vec<Source> = finding.seen.iter().map(|seen| seen.source).collect();
        sources.sort_unstable();
        sources.dedup();
        let item = finding.item;
        Entry {
            source: item.source,
            sources,
            id: item.id,
            title: item.title,
            authors: item.authors.into_iter().map(|author| author.name).collect(),
            r#abstract: item.summary,
            url: item.url,
            doi: item.doi,
            arxiv_id: item.arxiv_id,
            published: item.published,
            score: super::v2::rounded(finding.score),
        }
    }
}
