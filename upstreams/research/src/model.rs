//! What the services speak of: items as a source gave them, findings as we answer with them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Where an item came from. A closed set: it is a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Arxiv,
    Pubmed,
    Github,
    Firecrawl,
}

/// What an item is. The order is the order of preference when a merged result is named after one of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Paper,
    Repository,
    Page,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affiliation: Option<String>,
}

/// One thing that a source knows, in our terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub source: Source,
    /// The source's own name for it: an arXiv id without its version, a PMID, `owner/name`, a URL.
    pub id: String,
    pub kind: Kind,
    pub title: String,
    pub authors: Vec<Author>,
    /// A paper's abstract, a repository's description, a page's snippet. ESummary has none.
    pub summary: Option<String>,
    /// The page for people.
    pub url: String,
    /// Lower case, without a resolver: `10.1038/nature14539`.
    pub doi: Option<String>,
    /// Without `arXiv:` and version: `1706.03762`, `quant-ph/9508027`.
    pub arxiv_id: Option<String>,
    pub published: Option<Date>,
    /// Journal, volume and pages, as the source writes them.
    pub venue: Option<String>,
    /// arXiv categories, repository topics.
    pub subjects: Vec<String>,
    pub stars: Option<u64>,
    /// Further addresses: a PDF, a repository's home page. They say nothing about identity.
    pub links: Vec<String>,
}

/// An item in its place in the source's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub item: Item,
    /// From 0, in the order that the source gave.
    pub position: usize,
}

/// That a source knows a finding, and how highly it placed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    pub source: Source,
    pub id: String,
    pub url: String,
    /// From 0, in the order that the source gave.
    pub position: usize,
}

/// One result: the items that are the same thing, told as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub item: Item,
    /// Never empty; the first is the one that `item` is named after.
    pub seen: Vec<Sighting>,
    /// Higher is better; comparable only within one answer.
    pub score: f64,
}

/// A source that has no part in an answer, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub source: Source,
    /// One word of a closed set: an outcome of [`crate::upstream::Fault::word`], or `not_configured`.
    pub reason: String,
    pub detail: String,
}

/// What asking one source took and brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    pub source: Source,
    pub elapsed: Duration,
    pub outcome: &'static str,
    pub results: usize,
}

impl Source {
    pub const ALL: [Source; 4] = [Source::Arxiv, Source::Pubmed, Source::Github, Source::Firecrawl];

    pub fn as_str(self) -> &'static str {
        match self {
            Source::Arxiv => "arxiv",
            Source::Pubmed => "pubmed",
            Source::Github => "github",
            Source::Firecrawl => "firecrawl",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Source::ALL
            .into_iter()
            .find(|source| source.as_str() == name)
            .ok_or_else(|| format!("no source is called `{name}`: use arxiv, pubmed, github or firecrawl"))
    }
}

impl Author {
    pub fn named(name: impl Into<String>) -> Self {
        Author { name: name.into(), affiliation: None }
    }
}

impl Finding {
    /// A finding of one item, before it is ranked.
    pub fn single(placed: Placed) -> Self {
        let Placed { item, position } = placed;
        let seen = vec![Sighting { source: item.source, id: item.id.clone(), url: item.url.clone(), position }];
        Finding { item, seen, score: 0.0 }
    }
}

/// The calendar day at the head of an ISO 8601 timestamp; `None` where there is none.
pub fn day(timestamp: &str) -> Option<Date> {
    timestamp.get(..10)?.parse().ok()
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// An item with nothing but what identifies it.
    pub fn item(source: Source, id: &str, title: &str) -> Item {
        let kind = match source {
            Source::Arxiv | Source::Pubmed => Kind::Paper,
            Source::Github => Kind::Repository,
            Source::Firecrawl => Kind::Page,
        };
        Item {
            source,
            id: id.to_owned(),
            kind,
            title: title.to_owned(),
            authors: Vec::new(),
            summary: None,
            url: format!("https://{source}.example/{id}"),
            doi: None,
            arxiv_id: None,
            published: None,
            venue: None,
            subjects: Vec::new(),
            stars: None,
            links: Vec::new(),
        }
    }
}
