//! Names that two sources can share: DOIs, arXiv ids, addresses. Each in one normal form, so that equal means the same.

use std::sync::LazyLock;

use regex::Regex;
use reqwest::Url;

/// Both arXiv schemes (<https://info.arxiv.org/help/arxiv_identifier.html>): `YYMM.number` since 2007, before that
/// `archive.CLASS/YYMMnumber`.
const ARXIV_ID: &str = r"(?<id>\d{4}\.\d{4,5}|[a-z]+(?:-[a-z]+)?(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?";

static ARXIV_ALONE: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("^(?i:arxiv:)?{ARXIV_ID}$")));
static ARXIV_MENTION: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r"(?i:arxiv\.org/(?:abs|pdf|html)/|arxiv:\s?|10\.48550/arxiv\.){ARXIV_ID}\b")));
/// A DOI as Crossref sees it in the wild (<https://www.crossref.org/blog/dois-and-matching-regular-expressions/>).
static DOI: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?i:https?://(?:dx\.)?doi\.org/|doi:\s?)?(?<doi>10\.\d{4,9}/[^\s?#]+)$"));

/// Query parameters that say where a click came from, not what is at the address.
const TRACKING: [&str; 5] = ["fbclid", "gclid", "mc_cid", "mc_eid", "ref_src"];

/// One name by which things are told to be the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    Doi(String),
    Arxiv(String),
    Url(String),
}

/// A DOI in lower case and without its resolver; `None` where `text` is something else.
pub fn doi(text: &str) -> Option<String> {
    let found = DOI.captures(text.trim())?;
    Some(found["doi"].trim_end_matches(['.', ',', ';', '/']).to_lowercase())
}

/// An arXiv id without prefix and version; `None` where `text` is something else.
pub fn arxiv_id(text: &str) -> Option<String> {
    Some(ARXIV_ALONE.captures(text.trim())?["id"].to_owned())
}

/// The arXiv id that a text speaks of. A text that speaks of two is about neither.
pub fn arxiv_mention(text: &str) -> Option<String> {
    let mut found = ARXIV_MENTION.captures_iter(text).map(|capture| capture["id"].to_owned());
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

/// What an item is known by. A DOI that arXiv gave (`10.48550/arXiv.…`) is an arXiv id.
pub fn identities(doi: Option<&str>, arxiv: Option<&str>, url: &str) -> Vec<Identity> {
    let mut known = Vec::with_capacity(3);
    if let Some(doi) = doi {
        known.push(match arxiv_mention(doi) {
            Some(id) => Identity::Arxiv(id),
            None => Identity::Doi(doi.to_lowercase()),
        });
    }
    known.extend(arxiv.map(|id| Identity::Arxiv(id.to_owned())));
    known.extend(normal_url(url).map(Identity::Url));
    known
}

/// An address without what does not change where it leads: scheme, `www.`, a default port, a fragment, a trailing
/// slash, tracking parameters, the order of the query, and on GitHub case and `.git`.
pub fn normal_url(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let host = url.host_str()?;
    let host = host.strip_prefix("www.").unwrap_or(host);
    let mut path = url.path().trim_end_matches('/').to_owned();
    if host == "github.com" {
        path = path.to_lowercase();
        path = path.strip_suffix(".git").unwrap_or(&path).to_owned();
    }
    let mut query: Vec<String> = url
        .query_pairs()
        .filter(|(name, _)| !name.starts_with("utm_") && !TRACKING.contains(&name.as_ref()))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    query.sort();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mark = if query.is_empty() { "" } else { "?" };
    Some(format!("{host}{port}{path}{mark}{}", query.join("&")))
}

fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("the patterns of this file compile: its tests use each")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doi_is_the_same_however_it_is_written() {
        for text in ["10.1038/Nature14539", "doi: 10.1038/nature14539", "http://dx.doi.org/10.1038/nature14539."] {
            assert_eq!(doi(text).as_deref(), Some("10.1038/nature14539"), "{text}");
        }
        assert_eq!(doi("S0140-6736(20)30183-5"), None);
        assert_eq!(doi("https://example.org/10.1038/nature14539"), None);
    }

    #[test]
    fn an_arxiv_id_loses_prefix_and_version() {
        assert_eq!(arxiv_id("arXiv:1706.03762v7").as_deref(), Some("1706.03762"));
        assert_eq!(arxiv_id("quant-ph/9508027v2").as_deref(), Some("quant-ph/9508027"));
        assert_eq!(arxiv_id("math.GT/0309136").as_deref(), Some("math.GT/0309136"));
        for other in ["transformer", "3.14", "1706.037", "1706.03762 attention"] {
            assert_eq!(arxiv_id(other), None, "{other}");
        }
    }

    #[test]
    fn a_text_that_mentions_one_paper_is_about_it() {
        assert_eq!(arxiv_mention("code for arXiv:1609.02907 (GCN)").as_deref(), Some("1609.02907"));
        assert_eq!(arxiv_mention("https://arxiv.org/pdf/1609.02907v4").as_deref(), Some("1609.02907"));
        assert_eq!(arxiv_mention("arxiv.org/abs/1609.02907v1, arXiv:1609.02907").as_deref(), Some("1609.02907"));
        assert_eq!(arxiv_mention("arXiv:1609.02907 and arXiv:1706.03762"), None);
        assert_eq!(arxiv_mention("version 1609.02907"), None);
    }

    #[test]
    fn a_url_is_the_same_however_it_is_decorated() {
        let plain = normal_url("https://github.com/numpy/numpy");
        for text in [
            "http://www.github.com/numpy/numpy/",
            "https://github.com:443/NumPy/numpy.git",
            "https://github.com/numpy/numpy?utm_source=x#readme",
        ] {
            assert_eq!(normal_url(text), plain, "{text}");
        }
        assert_ne!(normal_url("https://a.org/x?id=1"), normal_url("https://a.org/x?id=2"));
        assert_eq!(normal_url("https://a.org/x?b=2&a=1"), normal_url("https://a.org/x?a=1&b=2"));
        assert_eq!(normal_url("https://a.org:8443/x").as_deref(), Some("a.org:8443/x"));
        assert_eq!(normal_url("mailto:a@b.org"), None);
        assert_eq!(normal_url("not a url"), None);
    }

    #[test]
    fn a_doi_given_by_arxiv_is_an_arxiv_id() {
        let known = identities(Some("10.48550/arxiv.1706.03762"), None, "x");
        assert_eq!(known, [Identity::Arxiv("1706.03762".into())]);
    }
}
