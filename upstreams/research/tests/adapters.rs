//! Each source in front of a stand-in for its external API: what is asked, and what becomes of every kind of answer.

mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use research::model::Source;
use serde_json::{Value, json};

/// What a stand-in was asked.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Value,
}

impl Asked {
    fn parameter(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A stand-in that notes what it is asked and answers `body` to all of it.
async fn noting(body: &'static str) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let notes: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let noted = notes.clone();
    let handler = move |request: Request| async move {
        let (parts, content) = request.into_parts();
        let content = axum::body::to_bytes(content, 1 << 20).await.expect("a body");
        let url = reqwest::Url::parse(&format!("http://x{}", parts.uri)).expect("a URL");
        noted.lock().expect("notes").push(Asked {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            headers: parts.headers,
            body: serde_json::from_slice(&content).unwrap_or_default(),
        });
        body
    };
    (world::stand_in(Router::new().fallback(handler)).await, notes)
}

/// A stand-in that answers everything with this.
async fn saying(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> String {
    world::stand_in(Router::new().fallback(move || std::future::ready(answer.clone()))).await
}

const EMPTY_FEED: &str = r#"<feed xmlns="http://www.w3.org/2005/Atom"/>"#;

#[tokio::test]
async fn arxiv_is_asked_as_its_manual_says() {
    let (base, notes) = noting(EMPTY_FEED).await;
    let arxiv = world::live(Source::Arxiv, &format!("{base}/through/a/proxy/")).await;
    assert_eq!(arxiv.search("v2", "graph \"nets\"", "&limit=7&offset=3").await.0, 200);
    assert_eq!(arxiv.search("v1", "arXiv:1706.03762v7", "").await.0, 200);
    let asked = notes.lock().expect("notes").clone();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("GET", "/through/a/proxy/api/query"));
    assert_eq!(asked[0].parameter("search_query"), "all:graph AND all:nets");
    assert_eq!((asked[0].parameter("start"), asked[0].parameter("max_results")), ("3", "7"));
    assert_eq!(asked[0].header("user-agent"), "research-tests");
    assert_eq!(asked[1].parameter("id_list"), "1706.03762");
}

#[tokio::test]
async fn pubmed_is_asked_for_ids_and_then_for_their_summaries() {
    let (base, notes) = noting(
        r#"{"esearchresult": {"count": "99", "idlist": ["7", "8"]}, "result": {"uids": ["7"], "7": {"title": "T."}}}"#,
    )
    .await;
    let pubmed = world::live(Source::Pubmed, &base).await;
    let (status, answer) = pubmed.search("v2", "cancer & [au]", "&limit=2").await;
    assert_eq!((status, &answer["page"]["total"]), (200, &json!(99)));
    let asked = notes.lock().expect("notes").clone();
    assert_eq!(asked[0].path, "/entrez/eutils/esearch.fcgi");
    assert_eq!((asked[0].parameter("db"), asked[0].parameter("retmode")), ("pubmed", "json"));
    assert_eq!((asked[0].parameter("term"), asked[0].parameter("retmax")), ("cancer & [au]", "2"));
    assert_eq!(asked[1].path, "/entrez/eutils/esummary.fcgi");
    assert_eq!((asked[1].parameter("id"), asked[1].parameter("retmode")), ("7,8", "json"));
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn pubmed_is_not_asked_for_summaries_of_nothing() {
    let (base, notes) = noting(r#"{"esearchresult": {"count": "0", "idlist": []}}"#).await;
    let (status, answer) = world::live(Source::Pubmed, &base).await.search("v1", "qwertyuiop", "").await;
    assert_eq!((status, &answer["count"]), (200, &json!(0)));
    assert_eq!(notes.lock().expect("notes").len(), 1);
}

#[tokio::test]
async fn github_is_asked_with_its_version_and_token() {
    let (base, notes) = noting(r#"{"total_count": 0, "items": []}"#).await;
    let github = world::live(Source::Github, &base).await;
    assert_eq!(github.search("v2", "bert: nlp", "&limit=5&offset=10").await.0, 200);
    let asked = notes.lock().expect("notes").remove(0);
    assert_eq!(asked.path, "/search/repositories");
    assert_eq!((asked.parameter("q"), asked.parameter("per_page")), ("bert nlp", "15"));
    assert_eq!(asked.header("accept"), "application/vnd.github+json");
    assert_eq!(asked.header("x-github-api-version"), "2022-11-28");
    assert_eq!(asked.header("authorization"), "Bearer test-token");
}

#[tokio::test]
async fn firecrawl_is_asked_to_search_and_to_scrape() {
    let (base, notes) = noting(r#"{"success": true, "data": []}"#).await;
    let firecrawl = world::live(Source::Firecrawl, &base).await;
    assert_eq!(firecrawl.search("v1", "transformers", "&limit=3").await.0, 200);
    let scrape = firecrawl.client.post(format!("{}/v1/scrape", firecrawl.url()));
    let answer = scrape.json(&json!({"url": "https://example.org/a"})).send().await.expect("an answer");
    assert_eq!(answer.status(), 502, "an empty list is no page");
    let asked = notes.lock().expect("notes").clone();
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("POST", "/v1/search"));
    assert_eq!(asked[0].body, json!({"query": "transformers", "limit": 3}));
    assert_eq!(asked[0].header("authorization"), "Bearer test-token");
    assert_eq!(asked[0].header("content-type"), "application/json");
    assert_eq!(asked[1].path, "/v1/scrape");
    assert_eq!(asked[1].body, json!({"url": "https://example.org/a", "formats": ["markdown"]}));
}

#[tokio::test]
async fn the_trail_reaches_the_external_api_and_comes_back() {
    let (base, notes) = noting(EMPTY_FEED).await;
    let arxiv = world::live(Source::Arxiv, &base).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = arxiv.client.get(format!("{}/v1/search?q=x", arxiv.url()));
    let answer = request.header("x-request-id", "r-1").header("traceparent", parent).send().await.expect("an answer");
    assert_eq!(answer.headers()["x-request-id"], "r-1");
    let asked = notes.lock().expect("notes").remove(0);
    assert_eq!((asked.header("x-request-id"), asked.header("traceparent")), ("r-1", parent));
}

/// For stand-ins that would keep their caller waiting for ever.
const SHORT: Duration = Duration::from_millis(200);

/// What a source answers when its API gives `base`'s answers: status, reason and detail.
async fn problem(source: Source, base: &str, timeout: Duration) -> (u16, String, String) {
    let served = world::live_within(source, base, timeout).await;
    let response = served.client.get(format!("{}/v1/search?q=deep", served.url())).send().await.expect("an answer");
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = response.json().await.expect("JSON");
    assert_eq!((&body["status"], &body["source"]), (&json!(status), &json!(source.as_str())), "{body}");
    let reason = body["reason"].as_str().expect("a reason").to_owned();
    let outcome = reason.strip_prefix("upstream_").expect("an upstream's fault");
    let series = format!("research_upstream_requests_total{{outcome=\"{outcome}\",source=\"{source}\"}}");
    assert_eq!(served.metric(&series).await.as_deref(), Some("1"), "{series}");
    (status, reason, body["detail"].as_str().expect("a detail").to_owned())
}

#[tokio::test]
async fn every_bad_answer_is_named_for_every_source() {
    let limited = saying((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")], "slow down")).await;
    let failing = saying((StatusCode::SERVICE_UNAVAILABLE, "no")).await;
    let refusing = saying((StatusCode::UNAUTHORIZED, r#"{"message": "Bad credentials"}"#)).await;
    let moved = saying((StatusCode::FOUND, [("location", "https://elsewhere.example/")])).await;
    let page = saying(([("content-type", "text/html")], "<!doctype html><title>Maintenance</title>")).await;
    let undeclared_page = saying("<html><body>Sign in to the network</body></html>").await;
    let empty = saying("").await;
    let nonsense = saying("{]").await;
    let other_json = saying(r#"{"hello": "world"}"#).await;
    let cut = saying(r#"{"total_count": 1, "esearchresult": {"idlist": ["7""#).await;
    let huge = saying("x".repeat(world::MAX_ANSWER + 1)).await;
    let half = world::blurting(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"items\": [").await;
    let half_head = world::blurting(b"HTTP/1.1 200 OK\r\ncontent-le").await;
    let nobody = world::nobody().await;
    let silent = world::silent().await;

    for source in Source::ALL {
        for (base, status, reasons, says) in [
            (&limited, 502, &["upstream_rate_limited"][..], "in 30 s"),
            (&failing, 502, &["upstream_server_error"], "status 503"),
            (&refusing, 502, &["upstream_refused"], "status 401: Bad credentials"),
            (&moved, 502, &["upstream_redirected"], "https://elsewhere.example/"),
            (&page, 502, &["upstream_html"], "web page"),
            (&undeclared_page, 502, &["upstream_html"], "web page"),
            (&empty, 502, &["upstream_malformed", "upstream_truncated"], ""),
            (&nonsense, 502, &["upstream_malformed"], "cannot be read"),
            (&other_json, 502, &["upstream_malformed"], "cannot be read"),
            (&cut, 502, &["upstream_truncated", "upstream_malformed"], ""),
            (&huge, 502, &["upstream_too_large"], "65536 bytes"),
            (&half, 502, &["upstream_truncated"], "too soon"),
            (&half_head, 502, &["upstream_truncated"], "too soon"),
            (&nobody, 502, &["upstream_unreachable"], "refused"),
            (&silent, 504, &["upstream_timeout"], "no answer within"),
        ] {
            let timeout = if status == 504 { SHORT } else { world::TIMEOUT };
            let (given, reason, detail) = problem(source, base, timeout).await;
            assert_eq!(given, status, "{source}: {detail}");
            assert!(reasons.contains(&reason.as_str()), "{source}: {reason} is not of {reasons:?}: {detail}");
            assert!(detail.starts_with(source.as_str()) && detail.contains(says), "{source}: {detail}");
        }
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_a_timeout() {
    use futures::stream::{self, StreamExt};
    let stalls = Router::new().fallback(|| async {
        let head = stream::iter([Ok::<_, std::io::Error>("<feed")]);
        axum::body::Body::from_stream(head.chain(stream::pending()))
    });
    let (status, reason, _) = problem(Source::Arxiv, &world::stand_in(stalls).await, SHORT).await;
    assert_eq!((status, reason.as_str()), (504, "upstream_timeout"));
}

#[tokio::test]
async fn connections_to_the_api_are_used_again() {
    use axum::extract::ConnectInfo;
    use std::collections::HashSet;
    use std::net::SocketAddr;
    let callers: Arc<Mutex<HashSet<SocketAddr>>> = Arc::default();
    let seen = callers.clone();
    let handler = move |ConnectInfo(caller): ConnectInfo<SocketAddr>| async move {
        seen.lock().expect("callers").insert(caller);
        EMPTY_FEED
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("its address"));
    let router = Router::new().fallback(handler).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let arxiv = world::live(Source::Arxiv, &base).await;
    for _ in 0..20 {
        assert_eq!(arxiv.search("v1", "deep", "").await.0, 200);
    }
    assert_eq!(callers.lock().expect("callers").len(), 1);
}
