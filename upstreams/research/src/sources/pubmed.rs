//! PubMed: E-utilities in JSON, ESearch for the ids and ESummary for what they stand for
//! (<https://www.ncbi.nlm.nih.gov/books/NBK25499/>). ESummary gives no abstracts; so neither do we.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Page, Query, some_text};
use crate::identifiers;
use crate::model::{Author, Item, Kind, Source};
use crate::text;
use crate::transport::Answer;
use crate::upstream::{Exchange, Fault, Upstream, UpstreamError};

pub const BASE_URL: &str = "https://eutils.ncbi.nlm.nih.gov";
pub const ESEARCH: &str = "/entrez/eutils/esearch.fcgi";
pub const ESUMMARY: &str = "/entrez/eutils/esummary.fcgi";

/// NCBI asks every program to say its name (<https://www.ncbi.nlm.nih.gov/books/NBK25497/#chapter2.Usage_Guidelines_and_Requiremen>).
const TOOL: &str = "research";

pub async fn search(upstream: &Upstream, query: &Query, exchange: Exchange<'_>) -> Result<Page, UpstreamError> {
    let (start, max) = (query.offset.to_string(), query.limit.to_string());
    let esearch = [
        ("db", "pubmed"),
        ("retmode", "json"),
        ("sort", "relevance"),
        ("tool", TOOL),
        ("retstart", start.as_str()),
        ("retmax", max.as_str()),
        ("term", query.text.as_str()),
    ];
    let found = upstream.ask(upstream.get(ESEARCH, &esearch), exchange, read_ids).await?;
    if found.ids.is_empty() {
        return Ok(Page { items: Vec::new(), total: found.total });
    }
    let ids = found.ids.join(",");
    let esummary = [("db", "pubmed"), ("retmode", "json"), ("tool", TOOL), ("id", ids.as_str())];
    let items = upstream.ask(upstream.get(ESUMMARY, &esummary), exchange, read_summaries).await?;
    Ok(Page { items, total: found.total })
}

#[derive(Debug, PartialEq, Eq)]
struct Found {
    ids: Vec<String>,
    total: Option<u64>,
}

fn read_ids(answer: &Answer) -> Result<Found, Fault> {
    #[derive(Deserialize)]
    struct Body {
        esearchresult: EsearchResult,
    }
    #[derive(Deserialize)]
    struct EsearchResult {
        count: Option<String>,
        idlist: Option<Vec<String>>,
        #[serde(rename = "ERROR")]
        error: Option<String>,
    }
    let body = answer.json::<Body>()?.esearchresult;
    if let Some(message) = body.error {
        return Err(Fault::Refused { status: answer.status.as_u16(), message: some_text(&message) });
    }
    let ids = body.idlist.ok_or_else(|| Fault::Malformed("ESearch's answer has no `idlist`".into()))?;
    if let Some(odd) = ids.iter().find(|id| id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit())) {
        return Err(Fault::Malformed(format!("`{}` is no PubMed id", text::excerpt(odd, 40))));
    }
    Ok(Found { ids, total: body.count.and_then(|count| count.parse().ok()) })
}

fn read_summaries(answer: &Answer) -> Result<Vec<Item>, Fault> {
    #[derive(Deserialize)]
    struct Body {
        result: Map<String, Value>,
    }
    let mut result = answer.json::<Body>()?.result;
    let uids = result.remove("uids").ok_or_else(|| Fault::Malformed("ESummary's answer has no `uids`".into()))?;
    let uids: Vec<String> = from_value(uids, "uids")?;
    let mut items = Vec::with_capacity(uids.len());
    for uid in uids {
        let record = result.remove(&uid).ok_or_else(|| Fault::Malformed(format!("ESummary leaves out {uid}")))?;
        let record: Record = from_value(record, &uid)?;
        // An id that was withdrawn between the two questions: the rest of the answer is good.
        if record.error.is_none() {
            items.push(record.into_item(uid));
        }
    }
    Ok(items)
}

#[derive(Deserialize)]
struct Record {
    error: Option<String>,
    #[serde(default)]
    title: String,
    /// The journal, abbreviated.
    #[serde(default)]
    source: String,
    #[serde(default)]
    pubdate: String,
    /// `2021/08/01 00:00`
    #[serde(default)]
    sortpubdate: String,
    #[serde(default)]
    volume: String,
    #[serde(default)]
    issue: String,
    #[serde(default)]
    pages: String,
    #[serde(default)]
    authors: Vec<RecordAuthor>,
    #[serde(default)]
    articleids: Vec<ArticleId>,
}

#[derive(Deserialize)]
struct RecordAuthor {
    name: String,
}

#[derive(Deserialize)]
struct ArticleId {
    idtype: String,
    value: String,
}

impl Record {
    fn into_item(self, uid: String) -> Item {
        let id_of = |kind: &str| self.articleids.iter().find(|id| id.idtype == kind).map(|id| id.value.as_str());
        let venue = self.citation();
        Item {
            source: Source::Pubmed,
            kind: Kind::Paper,
            title: text::plain(&self.title).trim_end_matches('.').to_owned(),
            authors: self.authors.iter().map(|author| Author::named(author.name.clone())).collect(),
            summary: None,
            url: format!("https://pubmed.ncbi.nlm.nih.gov/{uid}/"),
            doi: id_of("doi").and_then(identifiers::doi),
            // A preprint that PubMed lists carries its arXiv id as the publisher's item id.
            arxiv_id: id_of("pii").and_then(identifiers::arxiv_mention),
            published: self.sortpubdate.get(..10).and_then(|day| day.replace('/', "-").parse().ok()),
            venue: some_text(&venue),
            subjects: Vec::new(),
            stars: None,
            links: id_of("pmc")
                .map(|pmc| format!("https://pmc.ncbi.nlm.nih.gov/articles/{pmc}/"))
                .into_iter()
                .collect(),
            id: uid,
        }
    }

    /// As PubMed prints it: `Nature. 2021 Aug;596(7873):583-589`.
    fn citation(&self) -> String {
        let issue = if self.issue.is_empty() { String::new() } else { format!("({})", self.issue) };
        let pages = if self.pages.is_empty() { String::new() } else { format!(":{}", self.pages) };
        let volume = if self.volume.is_empty() { String::new() } else { format!(";{}", self.volume) };
        format!("{}. {}{volume}{issue}{pages}", self.source, self.pubdate)
    }
}

fn from_value<T: for<'de> Deserialize<'de>>(value: Value, what: &str) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|error| Fault::Malformed(format!("`{what}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, StatusCode};
    use serde_json::json;

    fn answer(body: Value) -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.to_string().into() }
    }

    #[test]
    fn a_summary_becomes_an_item() {
        let items = read_summaries(&answer(json!({"result": {"uids": ["7", "8"],
            "7": {"uid": "7", "title": "CO<sub>2</sub> in <i>vivo</i>.", "source": "Nature", "pubdate": "2021 Aug",
                  "sortpubdate": "2021/08/01 00:00", "volume": "596", "issue": "", "pages": "5-9",
                  "authors": [{"name": "Jumper J", "authtype": "Author"}],
                  "articleids": [{"idtype": "doi", "value": "10.1000/A"}, {"idtype": "pii", "value": "arXiv:2001.00001v2"},
                                 {"idtype": "pmc", "value": "PMC1"}]},
            "8": {"uid": "8", "error": "cannot get document summary"}}})));
        let items = items.expect("summaries");
        assert_eq!(items.len(), 1, "a withdrawn record is left out");
        let item = &items[0];
        assert_eq!(item.title, "CO2 in vivo");
        assert_eq!(item.venue.as_deref(), Some("Nature. 2021 Aug;596:5-9"));
        assert_eq!(item.published, Some(jiff::civil::date(2021, 8, 1)));
        assert_eq!(item.doi.as_deref(), Some("10.1000/a"));
        assert_eq!(item.arxiv_id.as_deref(), Some("2001.00001"));
        assert_eq!(item.url, "https://pubmed.ncbi.nlm.nih.gov/7/");
        assert_eq!(item.links, ["https://pmc.ncbi.nlm.nih.gov/articles/PMC1/"]);
    }

    #[test]
    fn the_errors_of_esearch_are_refusals() {
        let said = read_ids(&answer(json!({"esearchresult": {"ERROR": "Search Backend failed"}})));
        let message = Some("Search Backend failed".to_owned());
        assert_eq!(said, Err(Fault::Refused { status: 200, message }));
    }

    #[test]
    fn ids_that_are_no_ids_never_reach_the_next_request() {
        for id in ["", "1&db=protein", "x"] {
            let said = read_ids(&answer(json!({"esearchresult": {"count": "1", "idlist": [id]}})));
            assert!(matches!(said, Err(Fault::Malformed(_))), "{id}");
        }
    }

    #[test]
    fn what_esummary_must_have_and_has_not_is_malformed() {
        for body in [
            json!({}),
            json!({"result": {}}),
            json!({"result": {"uids": ["1"]}}),
            json!({"result": {"uids": [1]}}),
            json!({"result": {"uids": ["1"], "1": {"authors": "Jumper J"}}}),
            json!([]),
        ] {
            assert!(matches!(read_summaries(&answer(body.clone())), Err(Fault::Malformed(_))), "{body}");
        }
    }
}
