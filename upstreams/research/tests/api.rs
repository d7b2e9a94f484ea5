//! What every service has in common: versions, refusals, health, metrics.

mod world;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use research::model::Source;
use serde_json::{Value, json};

/// The fields of a result in version 1.
const SHAPE: [&str; 11] =
    ["abstract", "arxiv_id", "authors", "doi", "id", "published", "score", "source", "sources", "title", "url"];

#[tokio::test]
async fn every_source_answers_in_the_common_shape() {
    let expected = [
        (Source::Arxiv, "attention is all you need", "1706.03762"),
        (Source::Pubmed, "crispr genome", "23287718"),
        (Source::Github, "bert tensorflow", "google-research/bert"),
        (Source::Firecrawl, "illustrated transformer", "https://jalammar.github.io/illustrated-transformer/"),
    ];
    for (source, query, id) in expected {
        let served = world::offline(source).await;
        let (status, answer) = served.search("v1", query, "&limit=3").await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["query"], query);
        let first = &answer["results"][0];
        assert_eq!((&first["source"], &first["id"]), (&json!(source.as_str()), &json!(id)));
        let mut keys: Vec<&str> = first.as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, SHAPE, "no field is left out, unknown ones are null");
    }
}

#[tokio::test]
async fn version_two_says_more_of_the_same() {
    let arxiv = world::offline(Source::Arxiv).await;
    let (_, one) = arxiv.search("v1", "quantum computer factorization", "&limit=1").await;
    let (_, two) = arxiv.search("v2", "quantum computer factorization", "&limit=1").await;
    let (flat, nested) = (&one["results"][0], &two["results"][0]);
    assert_eq!(flat["id"], "quant-ph/9508027", "an identifier of the old scheme");
    assert_eq!(nested["identifiers"], json!({"doi": "10.1137/s0097539795293172", "arxiv": "quant-ph/9508027"}));
    assert_eq!(nested["authors"], json!([{"name": "Peter W. Shor", "affiliation": "AT&T Research"}]));
    assert_eq!(nested["venue"], "SIAM J.Sci.Statist.Comput. 26 (1997) 1484");
    assert_eq!((&flat["title"], &flat["score"]), (&nested["title"], &nested["score"]));
    assert_eq!(two["facets"]["years"], json!([{"value": 1995, "count": 1}]));
    assert_eq!(two["missing"], json!([]));
    assert!(two["page"]["total"].as_u64() >= Some(1));
}

#[tokio::test]
async fn pages_of_a_source_follow_each_other() {
    for source in Source::ALL {
        let served = world::offline(source).await;
        let ids = |answer: &Value| -> Vec<String> {
            let results = answer["results"].as_array().expect("results").iter();
            results.map(|result| result["found_in"][0]["id"].to_string()).collect()
        };
        let query = if source == Source::Pubmed { "algorithms" } else { "models" };
        let (_, first) = served.search("v2", query, "&limit=1").await;
        let next = first["page"]["next"].as_u64();
        assert_eq!(next, Some(1), "{source}: {first}");
        let (_, second) = served.search("v2", query, "&limit=1&offset=1").await;
        let (_, both) = served.search("v2", query, "&limit=2").await;
        let (mut paged, mut whole) = ([ids(&first), ids(&second)].concat(), ids(&both));
        paged.sort();
        whole.sort();
        assert_eq!(paged, whole, "{source}");
    }
}

#[tokio::test]
async fn a_bad_question_is_refused_with_what_to_do() {
    let arxiv = world::offline(Source::Arxiv).await;
    for (path, says) in [
        ("/v1/search", "add `?q=WORDS`"),
        ("/v1/search?q=", "add `?q=WORDS`"),
        ("/v2/search?q=x&limit=0", "from 1 to 50"),
        ("/v2/search?q=x&limit=1000000000000000000000", "from 1 to 50"),
        ("/v2/search?q=x&offset=x", "from 0 to 100"),
        ("/v1/search?q=x&q=y", "duplicate field `q`"),
    ] {
        let (status, problem) = arxiv.get(path).await;
        assert_eq!((status, &problem["reason"]), (400, &json!("bad_request")), "{path}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{path}: {problem}");
        assert_eq!((&problem["type"], &problem["title"]), (&json!("about:blank"), &json!("Bad Request")));
    }
    assert_eq!(arxiv.get("/v1/search?q=%ff%fe").await.0, 400, "what is not UTF-8 has no letter in it");
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_is() {
    let arxiv = world::offline(Source::Arxiv).await;
    let (status, problem) = arxiv.get("/v3/search?q=x").await;
    assert_eq!((status, &problem["reason"]), (404, &json!("not_found")));
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("GET /v1/search")));
    let posted = arxiv.client.post(format!("{}/v1/search?q=x", arxiv.url())).send().await.expect("an answer");
    assert_eq!(posted.status(), 405);
    assert_eq!(posted.headers()["allow"], "GET,HEAD");
    assert_eq!(posted.headers()["content-type"], "application/problem+json");
    let scrape = arxiv.client.post(format!("{}/v1/scrape", arxiv.url())).send().await.expect("an answer");
    assert_eq!(scrape.status(), 404, "only Firecrawl scrapes");
}

#[tokio::test]
async fn a_page_is_scraped_as_markdown() {
    let firecrawl = world::offline(Source::Firecrawl).await;
    let scrape = |body: String| {
        let request = firecrawl.client.post(format!("{}/v1/scrape", firecrawl.url())).body(body);
        async move {
            let response = request.header("content-type", "application/json").send().await.expect("an answer");
            (response.status().as_u16(), response.json::<Value>().await.expect("JSON"))
        }
    };
    let (status, page) = scrape(json!({"url": "http://distill.pub/2021/gnn-intro"}).to_string()).await;
    assert_eq!((status, &page["title"]), (200, &json!("A Gentle Introduction to Graph Neural Networks")));
    assert!(page["markdown"].as_str().is_some_and(|text| text.starts_with("# A Gentle Introduction")));
    let (status, problem) = scrape(json!({"url": "https://example.org/"}).to_string()).await;
    assert_eq!((status, &problem["reason"]), (502, &json!("upstream_refused")));
    for body in ["", "{}", "{\"url\": 1}", "{\"url\": \"file:///etc/passwd\"}", "{\"url\": \"http://a\", \"x\": 1}"] {
        let (status, problem) = scrape(body.to_owned()).await;
        assert_eq!((status, &problem["reason"]), (400, &json!("bad_request")), "{body}");
    }
    assert_eq!(scrape(format!("{{\"url\": \"http://a/{}\"}}", "a".repeat(20_000))).await.0, 400, "too large a body");
}

#[tokio::test]
async fn health_tells_of_each_dependency() {
    let offline = world::offline(Source::Arxiv).await;
    let (status, report) = offline.get("/healthz").await;
    assert_eq!((status, &report["status"]), (200, &json!("up")));
    let (name, critical) = (&report["dependencies"][0]["name"], &report["dependencies"][0]["critical"]);
    assert_eq!((name, critical), (&json!("arxiv-corpus"), &json!(true)));

    let lost = world::live(Source::Github, &world::nobody().await).await;
    let (status, report) = lost.get("/healthz").await;
    assert_eq!((status, &report["status"]), (503, &json!("down")), "nothing without its API");
    let api = &report["dependencies"][0];
    assert_eq!(
        (&api["name"], &api["reachable"], &api["critical"]),
        (&json!("github-api"), &json!(false), &json!(true))
    );
    assert!(api["latency_ms"].is_number() && api["detail"].is_string());

    let sources = [(Source::Arxiv, offline.url()), (Source::Github, world::nobody().await)];
    let (status, report) = world::search(&sources, world::TIMEOUT).await.get("/healthz").await;
    assert_eq!((status, &report["status"]), (200, &json!("degraded")), "the search does without one");
    let reachable: Vec<&Value> =
        report["dependencies"].as_array().expect("dependencies").iter().map(|one| &one["reachable"]).collect();
    assert_eq!(reachable, [&json!(true), &json!(false)]);
    let none = [(Source::Github, world::nobody().await)];
    assert_eq!(world::search(&none, world::TIMEOUT).await.get("/healthz").await.0, 503, "but not without all");
}

#[tokio::test]
async fn a_health_check_costs_the_api_no_request() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let counting = axum::Router::new().fallback(move || async move {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let arxiv = world::live(Source::Arxiv, &world::stand_in(counting).await).await;
    assert_eq!(arxiv.get("/healthz").await.0, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn liveness_looks_at_nothing_and_readiness_ends_with_the_drain() {
    let lost = world::live(Source::Arxiv, &world::nobody().await).await;
    let status =
        async |path: &str| lost.client.get(format!("{}{path}", lost.url())).send().await.expect("an answer").status();
    assert_eq!(status("/livez").await, 200);
    assert_eq!(status("/readyz").await, 200);
    lost.app.drain();
    assert_eq!(status("/readyz").await, 503);
    assert_eq!(status("/livez").await, 200);
}

#[tokio::test]
async fn the_counts_are_what_callers_asked() {
    let arxiv = world::offline(Source::Arxiv).await;
    for path in ["/v1/search?q=deep", "/v2/search?q=deep", "/v1/search", "/nowhere", "/livez", "/readyz", "/metrics"] {
        arxiv.client.get(format!("{}{path}", arxiv.url())).send().await.expect("an answer");
    }
    let requests = |class: &str| format!("research_requests_total{{code_class=\"{class}\",service=\"arxiv\"}}");
    assert_eq!(arxiv.metric(&requests("2xx")).await.as_deref(), Some("2"));
    assert_eq!(arxiv.metric(&requests("4xx")).await.as_deref(), Some("2"));
    assert_eq!(arxiv.metric(&requests("5xx")).await.as_deref(), Some("0"));
    let durations = "research_request_duration_seconds_count{service=\"arxiv\"}";
    assert_eq!(arxiv.metric(durations).await.as_deref(), Some("4"));
    let upstream = "research_upstream_requests_total{outcome=\"ok\",source=\"arxiv\"}";
    assert_eq!(arxiv.metric(upstream).await.as_deref(), Some("2"));
    assert_eq!(arxiv.metric("research_upstream_duration_seconds_count{source=\"arxiv\"}").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn promtool_has_nothing_to_say_about_the_metrics() {
    let (_sources, search) = world::offline_world().await;
    search.search("v1", "deep", "").await;
    let text = search
        .client
        .get(format!("{}/metrics", search.url()))
        .send()
        .await
        .expect("metrics")
        .text()
        .await
        .expect("text");
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let promtool = command.spawn();
    let Ok(mut promtool) = promtool else {
        assert!(std::env::var_os("REQUIRE_SERVICES").is_none(), "promtool is not installed");
        eprintln!("promtool is not installed: this test shows nothing");
        return;
    };
    promtool.stdin.take().expect("its input").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn connections_are_kept_and_http2_is_spoken_by_prior_knowledge() {
    let arxiv = world::offline(Source::Arxiv).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().build().expect("a client");
    let url = format!("{}/v1/search?q=deep", arxiv.url());
    let answers = futures::future::join_all((0..20).map(|_| client.get(&url).send())).await;
    for answer in answers {
        let answer = answer.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
    }
    let one_connection = reqwest::Client::builder().http1_only().build().expect("a client");
    for _ in 0..2 {
        let answer = one_connection.get(&url).send().await.expect("an answer");
        assert_eq!(answer.version(), reqwest::Version::HTTP_11);
        assert!(answer.headers().get("connection").is_none(), "the connection stays");
        answer.bytes().await.expect("a body");
    }
}
