//! The search over real services: what it merges, whom it waits for, what it says of those who are missing.

mod world;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use research::model::Source;
use serde_json::{Value, json};

/// Far above what an offline source takes, far below any timeout in these tests.
const DEADLINE: Duration = Duration::from_millis(700);
/// What a busy machine may add; that the deadline itself is kept to the millisecond is shown on a clock that is set.
const SLACK: Duration = Duration::from_millis(1000);

fn reasons(answer: &Value) -> Vec<(String, String)> {
    let missing = answer["missing"].as_array().expect("missing");
    let word = |entry: &Value, field: &str| entry[field].as_str().expect("a word").to_owned();
    missing.iter().map(|entry| (word(entry, "source"), word(entry, "reason"))).collect()
}

#[tokio::test]
async fn what_several_sources_know_is_told_once() {
    let (_sources, search) = world::offline_world().await;
    let (status, answer) = search.search("v2", "biomedical text mining", "").await;
    assert_eq!(status, 200);
    let first = &answer["results"][0];
    assert_eq!(first["identifiers"], json!({"doi": "10.1093/bioinformatics/btz682", "arxiv": "1901.08746"}));
    let found_in: Vec<&str> =
        first["found_in"].as_array().expect("sightings").iter().filter_map(|seen| seen["source"].as_str()).collect();
    assert_eq!(found_in, ["arxiv", "pubmed", "github"]);
    assert_eq!(first["kind"], "paper");
    assert_eq!(first["stars"], 1800, "completed from the repository");
    assert!(first["venue"].as_str().is_some_and(|venue| venue.starts_with("Bioinformatics")), "completed from PubMed");
    let results = answer["results"].as_array().expect("results");
    let urls: BTreeSet<&str> = results.iter().filter_map(|result| result["url"].as_str()).collect();
    assert_eq!(urls.len(), results.len());
    assert_eq!(answer["timings"]["sources"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_source_that_never_answers_is_left_out_at_the_deadline() {
    let arxiv = world::offline(Source::Arxiv).await;
    let sources = [(Source::Arxiv, arxiv.url()), (Source::Pubmed, world::silent().await)];
    let search = world::search(&sources, DEADLINE).await;
    let start = Instant::now();
    let (status, answer) = search.search("v1", "attention is all you need", "").await;
    let took = start.elapsed();
    assert!(took < DEADLINE + SLACK, "answered after {took:?}");
    assert_eq!((status, &answer["results"][0]["id"]), (200, &json!("1706.03762")));
    let absent = |source: &str, reason: &str| (source.to_owned(), reason.to_owned());
    assert_eq!(
        reasons(&answer),
        [absent("github", "not_configured"), absent("firecrawl", "not_configured"), absent("pubmed", "timeout")]
    );
}

#[tokio::test]
async fn every_way_to_be_missing_has_its_reason() {
    let (sources, _) = world::offline_world().await;
    let api_down = world::live(Source::Pubmed, &world::nobody().await).await;
    let html = world::stand_in(Router::new().fallback(|| async { axum::response::Html("<p>hello") })).await;
    let search = world::search(
        &[
            (Source::Arxiv, sources[&Source::Arxiv].url()),
            (Source::Pubmed, api_down.url()),
            (Source::Github, html),
            (Source::Firecrawl, world::nobody().await),
        ],
        world::TIMEOUT,
    )
    .await;
    let (status, answer) = search.search("v2", "deep learning", "").await;
    assert_eq!(status, 200);
    let expected = [("pubmed", "server_error"), ("github", "html"), ("firecrawl", "unreachable")];
    assert_eq!(reasons(&answer), expected.map(|(source, reason)| (source.to_owned(), reason.to_owned())));
    let detail = answer["missing"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains("502") && detail.contains("pubmed: cannot be reached"), "{detail}");
    let outcomes: Vec<&str> = answer["timings"]["sources"]
        .as_array()
        .expect("timings")
        .iter()
        .filter_map(|timing| timing["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["ok", "server_error", "html", "unreachable"]);
    let series = "research_upstream_requests_total{outcome=\"html\",source=\"github\"}";
    assert_eq!(search.metric(series).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_source_that_answers_for_another_is_not_believed() {
    let arxiv = world::offline(Source::Arxiv).await;
    let sources = [(Source::Arxiv, arxiv.url()), (Source::Pubmed, arxiv.url())];
    let search = world::search(&sources, world::TIMEOUT).await;
    let (_, answer) = search.search("v1", "deep learning", "").await;
    assert!(reasons(&answer).contains(&("pubmed".into(), "malformed".into())), "{answer}");
}

#[tokio::test]
async fn no_source_at_all_is_a_problem_that_names_each() {
    let down = [(Source::Arxiv, world::nobody().await), (Source::Pubmed, world::nobody().await)];
    let (status, problem) = world::search(&down, DEADLINE).await.search("v1", "x", "").await;
    assert_eq!((status, &problem["reason"]), (502, &json!("no_source")));
    assert_eq!(problem["missing"].as_array().map(Vec::len), Some(4));
    let slow = [(Source::Arxiv, world::silent().await)];
    let (status, problem) = world::search(&slow, DEADLINE).await.search("v2", "x", "").await;
    assert_eq!((status, &problem["status"]), (504, &json!(504)));
}

#[tokio::test]
async fn nothing_found_is_an_answer() {
    let (_sources, search) = world::offline_world().await;
    let (status, answer) = search.search("v1", "qwertyuiop", "").await;
    assert_eq!((status, &answer["count"], &answer["missing"]), (200, &json!(0), &json!([])));
}

#[tokio::test]
async fn the_trail_reaches_every_source() {
    let noted: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let notes = noted.clone();
    let noting = Router::new().fallback(move |headers: HeaderMap| async move {
        notes.lock().expect("notes").push(headers);
        StatusCode::NOT_FOUND
    });
    let base = world::stand_in(noting).await;
    let sources = [(Source::Arxiv, base.clone()), (Source::Github, base)];
    let search = world::search(&sources, world::TIMEOUT).await;
    let request = search.client.get(format!("{}/v1/search?q=x", search.url()));
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = request.header("x-request-id", "r-9").header("traceparent", parent).send().await.expect("an answer");
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(problem["request_id"], "r-9");
    let noted = noted.lock().expect("notes");
    assert_eq!(noted.len(), 2);
    assert!(noted.iter().all(|headers| headers["x-request-id"] == "r-9" && headers["traceparent"] == parent));
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let (_sources, search) = world::offline_world().await;
    let name = |result: &Value| result["found_in"][0]["id"].as_str().expect("an id").to_owned();
    let names = |answer: &Value| answer["results"].as_array().expect("results").iter().map(name).collect::<Vec<_>>();
    let (_, whole) = search.search("v2", "deep learning", "&limit=20").await;
    let mut paged = Vec::new();
    let mut offset = Some(0);
    while let Some(at) = offset.filter(|at| *at < 20) {
        let (status, answer) = search.search("v2", "deep learning", &format!("&limit=5&offset={at}")).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["facets"], whole["facets"], "facets are of all that was found");
        paged.extend(names(&answer));
        offset = answer["page"]["next"].as_u64();
    }
    assert_eq!(paged, names(&whole));
    assert!(paged.len() > 10, "{paged:?}");
}
