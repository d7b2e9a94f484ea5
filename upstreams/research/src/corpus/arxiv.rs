//! The arXiv API, offline: a feed of those recorded entries that match.

use axum::http::StatusCode;
use reqwest::Request;

use super::shelf::Shelf;
use super::{Answer, CorpusError, Recorded, count, parameter, reply};
use crate::sources::arxiv;

const RECORDED: &str = include_str!("../../corpus/arxiv.xml");
const ENTRY: (&str, &str) = ("<entry>", "</entry>");

pub struct Feed {
    /// The entries as recorded, markup and all.
    entries: Vec<&'static str>,
    ids: Vec<String>,
    shelf: Shelf,
}

impl Feed {
    pub fn load() -> Result<Self, CorpusError> {
        let entries: Vec<&'static str> =
            RECORDED.split(ENTRY.0).skip(1).filter_map(|rest| Some(rest.split_once(ENTRY.1)?.0)).collect();
        let page = arxiv::read(RECORDED.as_bytes()).map_err(|fault| CorpusError::Content(fault.to_string()))?;
        if page.items.len() != entries.len() {
            let counts = format!("{} entries, {} of them legible", entries.len(), page.items.len());
            return Err(CorpusError::Content(counts));
        }
        let ids = page.items.iter().map(|item| item.id.clone()).collect();
        let shelf = Shelf::new(page.items.into_iter().map(|item| {
            let authors: Vec<String> = item.authors.into_iter().map(|author| author.name).collect();
            let doi = item.doi.unwrap_or_default();
            (item.title, format!("{} {} {doi}", item.summary.unwrap_or_default(), authors.join(" ")))
        }));
        Ok(Feed { entries, ids, shelf })
    }

    fn find(&self, request: &Request) -> Vec<usize> {
        if let Some(list) = parameter(request, "id_list") {
            let asked: Vec<&str> = list.split(',').map(str::trim).collect();
            return (0..self.ids.len()).filter(|at| asked.contains(&self.ids[*at].as_str())).collect();
        }
        let query = parameter(request, "search_query").unwrap_or_default();
        self.shelf.find(&query.replace("all:", ""))
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shelf.len()
    }
}

impl Recorded for Feed {
    fn answer(&self, request: &Request) -> Answer {
        if !request.url().path().ends_with(arxiv::PATH) {
            return reply(StatusCode::NOT_FOUND, "text/html", "<html><body>404 Not Found</body></html>".into());
        }
        let found = self.find(request);
        let (start, max) = (count(request, "start", 0), count(request, "max_results", 10));
        let entries: String = found
            .iter()
            .skip(start)
            .take(max)
            .map(|at| format!("  {}{}{}\n", ENTRY.0, self.entries[*at], ENTRY.1))
            .collect();
        let total = found.len();
        let feed = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
  <title type="html">ArXiv Query</title>
  <id>http://arxiv.org/api/offline</id>
  <opensearch:totalResults xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">{total}</opensearch:totalResults>
  <opensearch:startIndex xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">{start}</opensearch:startIndex>
  <opensearch:itemsPerPage xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">{max}</opensearch:itemsPerPage>
{entries}</feed>
"#
        );
        reply(StatusCode::OK, "application/atom+xml; charset=UTF-8", feed)
    }
}
