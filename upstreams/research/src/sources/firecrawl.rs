//! Firecrawl: web search and scraping, v1 (<https://docs.firecrawl.dev/v1/api-reference/introduction>).

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Page, Query, some_text};
use crate::identifiers;
use crate::model::{Item, Kind, Source};
use crate::transport::Answer;
use crate::upstream::{Exchange, Fault, Upstream, UpstreamError};

pub const BASE_URL: &str = "https://api.firecrawl.dev";
pub const SEARCH: &str = "/v1/search";
pub const SCRAPE: &str = "/v1/scrape";

pub async fn search(upstream: &Upstream, query: &Query, exchange: Exchange<'_>) -> Result<Page, UpstreamError> {
    // v1 has no offset: the head is asked for and skipped.
    let body = json!({ "query": query.text, "limit": query.offset + query.limit });
    let mut page = upstream.ask(upstream.post(SEARCH, &body)?, exchange, read_search).await?;
    page.items.drain(..query.offset.min(page.items.len()));
    Ok(page)
}

/// A page as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scraped {
    pub source: Source,
    pub url: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub language: Option<String>,
    /// The status that the page itself was served with.
    pub status: Option<u16>,
    pub markdown: String,
}

/// Fetches one page as Markdown.
///
/// # Errors
/// As [`super::search`]; a page that Firecrawl cannot get is a refusal with its message.
pub async fn scrape(upstream: &Upstream, url: &str, exchange: Exchange<'_>) -> Result<Scraped, UpstreamError> {
    let request = upstream.post(SCRAPE, &json!({ "url": url, "formats": ["markdown"] }))?;
    upstream.ask(request, exchange, |answer| read_scrape(answer, url)).await
}

/// Both answers have this frame.
#[derive(Deserialize)]
struct Frame<T> {
    success: bool,
    data: Option<T>,
    error: Option<String>,
}

fn open<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<T, Fault> {
    let frame: Frame<T> = answer.json()?;
    if !frame.success {
        let message = frame.error.as_deref().and_then(some_text);
        return Err(Fault::Refused { status: answer.status.as_u16(), message });
    }
    frame.data.ok_or_else(|| Fault::Malformed("a successful answer has no `data`".into()))
}

fn read_search(answer: &Answer) -> Result<Page, Fault> {
    #[derive(Deserialize)]
    struct Hit {
        url: String,
        title: Option<String>,
        description: Option<String>,
    }
    let hits: Vec<Hit> = open(answer)?;
    let items = hits.into_iter().map(|hit| Item {
        source: Source::Firecrawl,
        kind: Kind::Page,
        title: hit.title.as_deref().and_then(some_text).unwrap_or_else(|| hit.url.clone()),
        authors: Vec::new(),
        summary: hit.description.as_deref().and_then(some_text),
        // What a page is, its address says: a paper's page at arXiv or behind its DOI is that paper.
        doi: identifiers::doi(&hit.url),
        arxiv_id: identifiers::arxiv_mention(&hit.url),
        published: None,
        venue: None,
        subjects: Vec::new(),
        stars: None,
        links: Vec::new(),
        id: hit.url.clone(),
        url: hit.url,
    });
    Ok(Page { items: items.collect(), total: None })
}

fn read_scrape(answer: &Answer, asked: &str) -> Result<Scraped, Fault> {
    #[derive(Deserialize)]
    struct Data {
        markdown: Option<String>,
        #[serde(default)]
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        title: Option<String>,
        description: Option<String>,
        language: Option<String>,
        url: Option<String>,
        status_code: Option<u16>,
    }
    let data: Data = open(answer)?;
    let metadata = data.metadata;
    Ok(Scraped {
        source: Source::Firecrawl,
        url: metadata.url.unwrap_or_else(|| asked.to_owned()),
        title: metadata.title.as_deref().and_then(some_text),
        description: metadata.description.as_deref().and_then(some_text),
        language: metadata.language,
        status: metadata.status_code,
        markdown: data.markdown.ok_or_else(|| Fault::Malformed("the page came without its `markdown`".into()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, StatusCode};
    use serde_json::Value;

    fn answer(body: Value) -> Answer {
        Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.to_string().into() }
    }

    #[test]
    fn a_hit_becomes_a_page() {
        let page = read_search(&answer(json!({"success": true, "data": [
            {"url": "https://arxiv.org/abs/1706.03762v7", "title": "Attention", "description": "A paper"},
            {"url": "https://doi.org/10.1038/X"}, {"url": "https://a.org", "title": " "}]})));
        let items = page.expect("hits").items;
        assert_eq!(items[0].arxiv_id.as_deref(), Some("1706.03762"));
        assert_eq!(items[1].doi.as_deref(), Some("10.1038/x"));
        assert_eq!(items[2].title, "https://a.org");
    }

    #[test]
    fn a_success_that_is_none_is_a_refusal() {
        let said = read_search(&answer(json!({"success": false, "error": "Insufficient credits"})));
        let message = Some("Insufficient credits".to_owned());
        assert_eq!(said, Err(Fault::Refused { status: 200, message }));
    }

    #[test]
    fn answers_without_data_are_malformed() {
        for body in [json!({"success": true}), json!({"success": true, "data": {}}), json!({"data": []})] {
            assert!(matches!(read_search(&answer(body.clone())), Err(Fault::Malformed(_))), "{body}");
            assert!(matches!(read_scrape(&answer(body.clone()), "x"), Err(Fault::Malformed(_))), "{body}");
        }
    }

    #[test]
    fn a_scraped_page_keeps_its_text_and_says_where_it_is_from() {
        let body =
            json!({"success": true, "data": {"markdown": "# A\n\nb", "metadata": {"title": "A", "statusCode": 200}}});
        let page = read_scrape(&answer(body), "https://a.org").expect("a page");
        assert_eq!((page.url.as_str(), page.status), ("https://a.org", Some(200)));
        assert_eq!(page.markdown, "# A\n\nb");
    }
}
