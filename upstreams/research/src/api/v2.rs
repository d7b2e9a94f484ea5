//! Version 2: everything that is known, in a nested shape, with paging, facets and timings. It is also how `search`
//! reads its sources, so it is written and read by the same types.

use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::facets::Facets;
use crate::model::{Author, Finding, Item, Kind, Missing, Sighting, Timing};
use crate::service;
use crate::sources::Query;

#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub query: String,
    pub page: Page,
    pub results: Vec<Entry>,
    pub facets: Facets,
    pub timings: Timings,
    /// The sources that have no part in this answer, and why.
    pub missing: Vec<Missing>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub offset: usize,
    pub limit: usize,
    /// How many results there are in all, where the source says so; for `search`, how many the pool has.
    pub total: Option<u64>,
    /// The `offset` of the page after this one; `null` on the last.
    pub next: Option<usize>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    pub kind: Kind,
    pub title: String,
    pub authors: Vec<Author>,
    pub r#abstract: Option<String>,
    pub url: String,
    pub identifiers: Identifiers,
    pub published: Option<Date>,
    pub venue: Option<String>,
    pub subjects: Vec<String>,
    pub stars: Option<u64>,
    pub links: Vec<String>,
    /// Where it was found; the first is the source that it is named after.
    pub found_in: Vec<Sighting>,
    pub score: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Identifiers {
    pub doi: Option<String>,
    pub arxiv: Option<String>,
}

/// In milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Timings {
    pub total_ms: f64,
    pub sources: Vec<SourceTiming>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct SourceTiming {
    pub source: crate::model::Source,
    pub ms: f64,
    /// `ok`, or the word of the fault.
    pub outcome: String,
    pub results: usize,
}

impl Answer {
    pub fn new(query: Query, answer: service::Answer, window: usize, elapsed: Duration) -> Self {
        let page = Page::new(&query, answer.findings.len(), answer.total, window);
        let sources = answer.timings.into_iter().map(SourceTiming::from).collect();
        Answer {
            query: query.text,
            page,
            results: answer.findings.into_iter().map(Entry::from).collect(),
            facets: answer.facets,
            timings: Timings { total_ms: millis(elapsed), sources },
            missing: answer.missing,
        }
    }
}

impl Page {
    fn new(query: &Query, shown: usize, total: Option<u64>, window: usize) -> Self {
        let end = query.offset + shown;
        let more = total.map_or(shown == query.limit, |total| (end as u64) < total);
        let fits = end + query.limit <= window;
        let next = (shown > 0 && more && fits).then_some(end);
        Page { offset: query.offset, limit: query.limit, total, next }
    }
}

impl Entry {
    /// The item as the first source in `found_in` told it; `None` where it was found nowhere.
    pub fn into_item(self) -> Option<Item> {
        let seen = self.found_in.into_iter().next()?;
        Some(Item {
            source: seen.source,
            id: seen.id,
            kind: self.kind,
            title: self.title,
            authors: self.authors,
            summary: self.r#abstract,
            url: self.url,
            doi: self.identifiers.doi,
            arxiv_id: self.identifiers.arxiv,
            published: self.published,
            venue: self.venue,
            subjects: self.subjects,
            stars: self.stars,
            links: self.links,
        })
    }
}

impl From<Finding> for Entry {
    fn from(finding: Finding) -> Self {
        let item = finding.item;
        Entry {
            kind: item.kind,
            title: item.title,
            authors: item.authors,
            r#abstract: item.summary,
            url: item.url,
            identifiers: Identifiers { doi: item.doi, arxiv: item.arxiv_id },
            published: item.published,
            venue: item.venue,
            subjects: item.subjects,
            stars: item.stars,
            links: item.links,
            found_in: finding.seen,
            score: rounded(finding.score),
        }
    }
}

impl From<Timing> for SourceTiming {
    fn from(timing: Timing) -> Self {
        SourceTiming {
            source: timing.source,
            ms: millis(timing.elapsed),
            outcome: timing.outcome.to_owned(),
            results: timing.results,
        }
    }
}

/// A score to four decimals: more would be noise.
pub(super) fn rounded(score: f64) -> f64 {
    (score * 1e4).round() / 1e4
}

/// To the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::item;
    use crate::model::{Placed, Source};

    fn page(offset: usize, limit: usize, shown: usize, total: Option<u64>) -> Option<usize> {
        Page::new(&Query { text: "x".into(), limit, offset }, shown, total, 100).next
    }

    #[test]
    fn the_next_page_is_offered_while_there_is_one() {
        assert_eq!(page(0, 10, 10, Some(25)), Some(10));
        assert_eq!(page(20, 10, 5, Some(25)), None);
        assert_eq!(page(0, 10, 10, None), Some(10), "a full page without a total may have more behind it");
        assert_eq!(page(0, 10, 9, None), None);
        assert_eq!(page(90, 10, 10, Some(1000)), None, "the window ends");
        assert_eq!(page(0, 10, 0, Some(1000)), None);
    }

    #[test]
    fn an_item_survives_being_written_and_read() {
        let mut item = item(Source::Arxiv, "1706.03762", "Attention Is All You Need");
        item.authors = vec![Author::named("Ashish Vaswani")];
        item.summary = Some("The Transformer".into());
        item.arxiv_id = Some("1706.03762".into());
        item.doi = Some("10.1/x".into());
        item.published = Some(jiff::civil::date(2017, 6, 12));
        item.links = vec!["http://arxiv.org/pdf/1706.03762v7".into()];
        let entry = Entry::from(Finding::single(Placed { item: item.clone(), position: 3 }));
        let json = serde_json::to_string(&entry).expect("JSON");
        let back: Entry = serde_json::from_str(&json).expect("what was written");
        assert_eq!(back.found_in[0].position, 3);
        assert_eq!(back.into_item(), Some(item));
    }
}
