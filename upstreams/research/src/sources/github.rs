//! GitHub: repository search of the REST API (<https://docs.github.com/en/rest/search/search#search-repositories>).

use axum::http::{HeaderValue, header};
use serde::Deserialize;

use super::{Page, Query, some_text};
use crate::identifiers;
use crate::model::{Author, Item, Kind, Source, day};
use crate::transport::Answer;
use crate::upstream::{Exchange, Fault, Upstream, UpstreamError};

pub const BASE_URL: &str = "https://api.github.com";
pub const PATH: &str = "/search/repositories";

const API_VERSION: &str = "2022-11-28";
/// GitHub refuses longer queries with 422.
const MAX_QUERY: usize = 256;

pub async fn search(upstream: &Upstream, query: &Query, exchange: Exchange<'_>) -> Result<Page, UpstreamError> {
    // Its paging is by whole pages, which an offset does not fall on: the head is asked for and skipped.
    let per_page = (query.offset + query.limit).to_string();
    let mut request = upstream.get(PATH, &[("q", &search_query(&query.text)), ("per_page", &per_page)]);
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
    request.headers_mut().insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
    let mut page = upstream.ask(request, exchange, read).await?;
    page.items.drain(..query.offset.min(page.items.len()));
    Ok(page)
}

/// The words as they stand, without what GitHub would take for a qualifier (`stars:>1`) or a phrase.
fn search_query(text: &str) -> String {
    let cleaned: String = text.chars().map(|c| if matches!(c, ':' | '"' | '(' | ')') { ' ' } else { c }).collect();
    let mut query = String::new();
    for word in cleaned.split_whitespace().filter(|word| !matches!(*word, "AND" | "OR" | "NOT")) {
        if query.len() + 1 + word.len() > MAX_QUERY {
            break;
        }
        if !query.is_empty() {
            query.push(' ');
        }
        query.push_str(word);
    }
    query
}

fn read(answer: &Answer) -> Result<Page, Fault> {
    #[derive(Deserialize)]
    struct Body {
        total_count: u64,
        items: Vec<Repository>,
    }
    let body: Body = answer.json()?;
    Ok(Page { items: body.items.into_iter().map(Repository::into_item).collect(), total: Some(body.total_count) })
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
    html_url: String,
    owner: Owner,
    description: Option<String>,
    homepage: Option<String>,
    created_at: Option<String>,
    stargazers_count: Option<u64>,
    language: Option<String>,
    #[serde(default)]
    topics: Vec<String>,
}

#[derive(Deserialize)]
struct Owner {
    login: String,
}

impl Repository {
    fn into_item(self) -> Item {
        let homepage = self.homepage.as_deref().map(str::trim).filter(|home| !home.is_empty());
        let description = self.description.as_deref().unwrap_or_default();
        Item {
            source: Source::Github,
            kind: Kind::Repository,
            title: self.full_name.clone(),
            authors: vec![Author::named(self.owner.login)],
            summary: some_text(description),
            url: self.html_url,
            // What a repository is the code of: a home page that is a paper's, or a description that names one.
            doi: homepage.and_then(identifiers::doi),
            arxiv_id: homepage.and_then(identifiers::arxiv_mention).or_else(|| identifiers::arxiv_mention(description)),
            published: self.created_at.as_deref().and_then(day),
            venue: None,
            subjects: self.topics.into_iter().chain(self.language).collect(),
            stars: self.stargazers_count,
            links: homepage.map(str::to_owned).into_iter().collect(),
            id: self.full_name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, StatusCode};
    use serde_json::{Value, json};

    fn read_json(body: Value) -> Result<Page, Fault> {
        read(&Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.to_string().into() })
    }

    fn repository(description: &str, homepage: &str) -> Item {
        let body = json!({"total_count": 1, "incomplete_results": false, "items": [{
            "full_name": "a/b", "html_url": "https://github.com/a/b", "owner": {"login": "a"},
            "description": description, "homepage": homepage, "created_at": "2018-10-25T22:57:34Z",
            "stargazers_count": 7, "language": null, "topics": ["nlp"]}]});
        read_json(body).expect("an answer").items.remove(0)
    }

    #[test]
    fn a_repository_becomes_an_item() {
        let item = repository("A thing", "");
        assert_eq!((item.id.as_str(), item.stars), ("a/b", Some(7)));
        assert_eq!(item.published, Some(jiff::civil::date(2018, 10, 25)));
        assert_eq!(item.summary.as_deref(), Some("A thing"));
        assert!(item.links.is_empty() && item.arxiv_id.is_none() && item.doi.is_none());
    }

    #[test]
    fn a_repository_is_the_code_of_the_paper_it_names() {
        assert_eq!(repository("", "https://arxiv.org/abs/1810.04805").arxiv_id.as_deref(), Some("1810.04805"));
        assert_eq!(repository("code of arXiv:1609.02907", "").arxiv_id.as_deref(), Some("1609.02907"));
        assert_eq!(repository("", "http://doi.org/10.1093/x").doi.as_deref(), Some("10.1093/x"));
        assert_eq!(repository("arXiv:1609.02907, arXiv:1706.03762", "").arxiv_id, None);
    }

    #[test]
    fn an_answer_without_what_the_api_promises_is_malformed() {
        for body in [json!({}), json!({"total_count": 1}), json!({"total_count": 1, "items": [{}]}), json!([1])] {
            assert!(matches!(read_json(body.clone()), Err(Fault::Malformed(_))), "{body}");
        }
    }

    #[test]
    fn a_query_has_no_qualifiers_and_is_never_too_long() {
        assert_eq!(search_query("BERT: \"pre training\" OR x"), "BERT pre training x");
        let long = search_query(&"word ".repeat(100));
        assert!(long.len() <= MAX_QUERY && long.ends_with("word"), "{long}");
    }
}
