//! The adapters: each speaks one external API. It builds the request that the API documents and reads the answer that
//! it gives, into [`Item`]s; a field that the API leaves out is left out here too, never guessed.

pub mod arxiv;
pub mod firecrawl;
pub mod github;
pub mod pubmed;

use crate::model::{Item, Source};
use crate::upstream::{Exchange, Upstream, UpstreamError};

/// What is asked of a source: the best `limit` items after the first `offset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Not blank, with a letter or a digit in it.
    pub text: String,
    /// At least 1.
    pub limit: usize,
    pub offset: usize,
}

/// A source's answer, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub items: Vec<Item>,
    /// How many items the source knows for this query, where it says so.
    pub total: Option<u64>,
}

/// How an external API is reached where nothing else is said: its public address, and the variable that holds its key.
pub struct Defaults {
    pub base_url: &'static str,
    pub key_variable: Option<&'static str>,
    /// Whether the public API answers at all without a key.
    pub key_required: bool,
}

pub fn defaults(source: Source) -> Defaults {
    match source {
        Source::Arxiv => Defaults { base_url: arxiv::BASE_URL, key_variable: None, key_required: false },
        Source::Pubmed => Defaults { base_url: pubmed::BASE_URL, key_variable: None, key_required: false },
        // Ten searches a minute without a token, thirty with one.
        Source::Github => {
            Defaults { base_url: github::BASE_URL, key_variable: Some("GITHUB_TOKEN"), key_required: false }
        }
        Source::Firecrawl => {
            Defaults { base_url: firecrawl::BASE_URL, key_variable: Some("FIRECRAWL_API_KEY"), key_required: true }
        }
    }
}

/// Asks the external API that `upstream` stands for.
///
/// # Errors
/// What came instead of an answer: [`crate::upstream::Fault`].
pub async fn search(upstream: &Upstream, query: &Query, exchange: Exchange<'_>) -> Result<Page, UpstreamError> {
    match upstream.source {
        Source::Arxiv => arxiv::search(upstream, query, exchange).await,
        Source::Pubmed => pubmed::search(upstream, query, exchange).await,
        Source::Github => github::search(upstream, query, exchange).await,
        Source::Firecrawl => firecrawl::search(upstream, query, exchange).await,
    }
}

/// Some text, in one line; nothing where it is blank.
fn some_text(text: &str) -> Option<String> {
    Some(crate::text::one_line(text)).filter(|text| !text.is_empty())
}
