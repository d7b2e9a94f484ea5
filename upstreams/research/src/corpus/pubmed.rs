//! E-utilities, offline: ESearch finds ids, ESummary gives the recorded summaries of ids.
//!
//! PubMed finds by abstracts and subject headings, which a summary does not contain; so the headings that each record
//! is found by lie in a file of their own.

use std::collections::HashMap;

use axum::http::StatusCode;
use reqwest::Request;
use serde_json::{Map, Value, json};

use super::shelf::Shelf;
use super::{Answer, CorpusError, Recorded, count, field, parameter};
use crate::sources::pubmed::{ESEARCH, ESUMMARY};

const RECORDED: &str = include_str!("../../corpus/pubmed.json");
const HEADINGS: &str = include_str!("../../corpus/pubmed_index.json");

pub struct Records {
    uids: Vec<String>,
    by_uid: Map<String, Value>,
    shelf: Shelf,
}

impl Records {
    pub fn load() -> Result<Self, CorpusError> {
        let mut recorded: Value = serde_json::from_str(RECORDED)?;
        let headings: HashMap<String, String> = serde_json::from_str(HEADINGS)?;
        let uids: Vec<String> = serde_json::from_value(recorded["result"]["uids"].take())?;
        let by_uid: Map<String, Value> = serde_json::from_value(recorded["result"].take())?;
        let mut texts = Vec::with_capacity(uids.len());
        for uid in &uids {
            let (Some(record), Some(headings)) = (by_uid.get(uid), headings.get(uid)) else {
                return Err(CorpusError::Content(format!("PubMed record {uid} lacks its summary or its headings")));
            };
            let names = record["authors"].as_array().into_iter().flatten().map(|author| field(author, "name"));
            let names: Vec<&str> = names.collect();
            let rest = format!("{uid} {headings} {} {}", names.join(" "), field(record, "elocationid"));
            texts.push((field(record, "title").to_owned(), rest));
        }
        Ok(Records { shelf: Shelf::new(texts), uids, by_uid })
    }

    fn esearch(&self, request: &Request) -> Answer {
        let term = parameter(request, "term").unwrap_or_default();
        let found = self.shelf.find(&term);
        let (start, max) = (count(request, "retstart", 0), count(request, "retmax", 20));
        let ids: Vec<&str> = found.iter().skip(start).take(max).map(|at| self.uids[*at].as_str()).collect();
        let result = json!({
            "count": found.len().to_string(), "retmax": ids.len().to_string(), "retstart": start.to_string(),
            "idlist": ids, "translationset": [], "querytranslation": term,
        });
        super::json(
            StatusCode::OK,
            &json!({ "header": { "type": "esearch", "version": "0.3" }, "esearchresult": result }),
        )
    }

    fn esummary(&self, request: &Request) -> Answer {
        let list = parameter(request, "id").unwrap_or_default();
        let uids: Vec<&str> = list.split(',').map(str::trim).filter(|uid| !uid.is_empty()).collect();
        let mut result = Map::new();
        result.insert("uids".into(), json!(uids));
        for uid in uids {
            let unknown = || json!({ "uid": uid, "error": "cannot get document summary" });
            result.insert(uid.to_owned(), self.by_uid.get(uid).cloned().unwrap_or_else(unknown));
        }
        super::json(StatusCode::OK, &json!({ "header": { "type": "esummary", "version": "0.3" }, "result": result }))
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shelf.len()
    }
}

impl Recorded for Records {
    fn answer(&self, request: &Request) -> Answer {
        match request.url().path() {
            path if path.ends_with(ESEARCH) => self.esearch(request),
            path if path.ends_with(ESUMMARY) => self.esummary(request),
            _ => super::json(StatusCode::NOT_FOUND, &json!({ "error": "unknown utility" })),
        }
    }
}
