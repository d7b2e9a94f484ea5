//! The research services as they are meant to run: behind the edge, and reaching the outside through the egress
//! listener. The routes are those of the research example; only addresses differ.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use futures::FutureExt;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_tests::binaries::binary;
use weir_tests::process::Process;
use weir_tests::upstream::{Received, Refusing};
use weir_tests::wait::until_async;
use weir_tests::{Authority, Claim, H1, H2, Proxy, Request, Response, Setup, Upstream, authority, until};

const SOURCES: [&str; 4] = ["arxiv", "pubmed", "github", "firecrawl"];
const EXAMPLE: &str = include_str!("../../config/examples/research.toml");
/// The edge's name.
const EDGE: &str = "edge.test";

/// Where each service is in the example.
fn written_at(service: &str) -> &'static str {
    match service {
        "arxiv" => "127.0.0.1:7101",
        "pubmed" => "127.0.0.1:7102",
        "github" => "127.0.0.1:7103",
        "firecrawl" => "127.0.0.1:7104",
        _ => "127.0.0.1:7105",
    }
}

/// The public address of the API behind each source.
fn outside(source: &str) -> &'static str {
    match source {
        "arxiv" => "export.arxiv.org",
        "pubmed" => "eutils.ncbi.nlm.nih.gov",
        "github" => "api.github.com",
        _ => "api.firecrawl.dev",
    }
}

/// A process of the `research` program.
struct Service {
    process: Process,
    address: SocketAddr,
}

impl Service {
    async fn start(folder: &Path, name: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let state = folder.join(name);
        let mut command = Command::new(binary("research")?);
        command.arg(name).arg("--state-dir").arg(&state).args(arguments).current_dir(folder);
        command.env_remove("RUST_LOG").env("GITHUB_TOKEN", "token-17").env("FIRECRAWL_API_KEY", "key-17");
        let mut process = Process::start(name, command, folder)?;
        let ready = state.join("ready.json");
        let told = || (process.ended().is_some() || ready.is_file()).then_some(());
        until(&format!("{name} to serve"), told).await?;
        process.must_live()?;
        let addresses: BTreeMap<String, SocketAddr> = serde_json::from_str(&fs::read_to_string(ready)?)?;
        Ok(Self { process, address: addresses["http"] })
    }

    /// Ends it as an operator does.
    async fn stop(&mut self) -> Claim {
        self.process.signal(Signal::SIGTERM)?;
        ensure!(self.process.exit_code().await? == 0);
        Ok(())
    }
}

/// The edge, with TLS.
struct Edge {
    ca: Authority,
    proxy: Proxy,
}

impl Edge {
    /// `ca` signed the edge's certificate and is in `ca.pem`; the services and the outside are where `mesh` says.
    async fn start(ca: Authority, mesh: &str) -> anyhow::Result<Self> {
        let setup = Setup::new(mesh)?;
        ca.write(setup.folder())?;
        let files = ca.issue(&[EDGE])?.write(setup.folder(), "edge")?;
        let setup = setup.listener("edge", &format!("default = true\n[tls]\ncertificates = [{files}]"))?;
        let proxy = setup.listener("egress", "")?.start().await?;
        Ok(Self { ca, proxy })
    }

    async fn h1(&self) -> anyhow::Result<H1> {
        H1::connect_tls(self.proxy.edge(), self.ca.client(authority::H1)?, EDGE).await
    }

    async fn h2(&self) -> anyhow::Result<H2> {
        H2::connect_tls(self.proxy.edge(), self.ca.client(authority::BOTH)?, EDGE).await
    }

    async fn send(&self, request: &Request) -> anyhow::Result<Response> {
        self.h2().await?.send(request).await
    }

    async fn get(&self, target: &str) -> anyhow::Result<Response> {
        self.send(&Request::get(target).host(EDGE)).await
    }

    /// What is answered as JSON, with 200.
    async fn json(&self, target: &str) -> anyhow::Result<Value> {
        let response = self.get(target).await?;
        ensure!(response.status == 200, "{target}: {} {}", response.status, response.text());
        response.json()
    }
}

/// The example with its services and its outside at other addresses. `outside` gives the lines that stand for the `dns`
/// and `tls` lines of a source's API.
fn example(services: &BTreeMap<&str, SocketAddr>, outside_lines: impl Fn(&str) -> String) -> String {
    let mut mesh = EXAMPLE.to_owned();
    for (service, address) in services {
        mesh = mesh.replace(written_at(service), &address.to_string());
    }
    for source in SOURCES {
        let host = outside(source);
        let written = format!("dns = \"{host}:443\"\ntls = {{ sni = \"{host}\" }}\n");
        assert!(mesh.contains(&written), "the example has changed: {written}");
        mesh = mesh.replace(&written, &outside_lines(source));
    }
    mesh
}

/// The four sources on their embedded corpus, the search over them, and the edge.
struct Research {
    services: BTreeMap<&'static str, Service>,
    edge: Edge,
    _folder: TempDir,
}

impl Research {
    async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("weir-research-").tempdir()?;
        let mut services = BTreeMap::new();
        for source in SOURCES {
            services.insert(source, Service::start(folder.path(), source, &["--offline".to_owned()]).await?);
        }
        let named = SOURCES.iter().map(|source| format!("--source={source}=http://{}", services[source].address));
        services.insert("search", Service::start(folder.path(), "search", &named.collect::<Vec<_>>()).await?);
        let addresses = services.iter().map(|(name, service)| (*name, service.address)).collect();
        let mesh = example(&addresses, |_| "endpoints = [\"127.0.0.1:1\"]\n".to_owned());
        let edge = Edge::start(Authority::new("research")?, &mesh).await?;
        Ok(Self { services, edge, _folder: folder })
    }

    fn service(&mut self, name: &str) -> anyhow::Result<&mut Service> {
        self.services.get_mut(name).with_context(|| format!("no service {name}"))
    }
}

/// The sources that an answer says are missing, with the reason of each.
fn missing(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let missing = answer["missing"].as_array().into_iter().flatten();
    missing.map(|missing| (text(&missing["source"]), text(&missing["reason"]))).collect()
}

#[tokio::test]
async fn every_service_answers_both_versions_over_http1_and_http2() -> Claim {
    let research = Research::start().await?;
    let (mut h1, h2) = (research.edge.h1().await?, research.edge.h2().await?);
    for (prefix, query) in [
        ("", "attention"),
        ("/arxiv", "attention"),
        ("/pubmed", "protein%20structure"),
        ("/github", "attention"),
        ("/firecrawl", "attention"),
    ] {
        for (version, shape) in [("v1", "count"), ("v2", "page")] {
            let request = Request::get(&format!("{prefix}/{version}/search?q={query}&limit=5")).host(EDGE);
            let (one, two) = (h1.send(&request).await?, h2.send(&request).await?);
            assert_eq!((one.status, two.status), (200, 200), "{request:?}: {}", one.text());
            let (mut one, mut two): (Value, Value) = (one.json()?, two.json()?);
            for answer in [&mut one, &mut two] {
                let results = answer["results"].as_array().map_or(0, Vec::len);
                assert!((1..=5).contains(&results), "{request:?}: {answer}");
                assert!(!answer[shape].is_null(), "{request:?}: {answer}");
                assert_eq!(missing(answer), []);
                // How long it took is the one thing that may differ.
                answer.as_object_mut().context("an object")?.remove("timings");
            }
            assert_eq!(one, two);
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_search_merges_what_the_sources_know() -> Claim {
    let research = Research::start().await?;
    let answer = research.edge.json("/v2/search?q=attention%20is%20all%20you%20need").await?;
    let first = &answer["results"][0];
    assert_eq!(first["identifiers"]["arxiv"], "1706.03762", "{first}");
    let found_in: Vec<_> =
        first["found_in"].as_array().into_iter().flatten().filter_map(|s| s["source"].as_str()).collect();
    assert_eq!(found_in[0], "arxiv");
    assert!(found_in.contains(&"github") && found_in.contains(&"firecrawl"), "{first}");
    Ok(())
}

#[tokio::test]
async fn the_older_version_says_when_it_ends_and_the_newer_does_not() -> Claim {
    let research = Research::start().await?;
    let old = research.edge.get("/v1/search?q=attention").await?;
    // 2026-12-01 (RFC 9745) and 2027-06-01 (RFC 8594), as the document has them.
    assert_eq!(old.header("deprecation"), Some("@1796083200"));
    assert_eq!(old.header("sunset"), Some("Tue, 01 Jun 2027 00:00:00 GMT"));
    let new = research.edge.get("/v2/search?q=attention").await?;
    assert_eq!((new.status, new.header("deprecation"), new.header("sunset")), (200, None, None));
    // A problem of the service bears them too: it is the version that ends, not the good answers of it.
    let problem = research.edge.get("/v1/search").await?;
    assert_eq!((problem.refusal(), problem.header("deprecation")), ((400, "bad_request".into()), Some("@1796083200")));
    Ok(())
}

#[tokio::test]
async fn accept_version_chooses_where_the_path_does_not() -> Claim {
    let research = Research::start().await?;
    let ask = async |version: Option<&str>| {
        let request = Request::get("/search?q=attention").host(EDGE);
        let request = version.into_iter().fold(request, |request, version| request.header("accept-version", version));
        research.edge.send(&request).await
    };
    let (one, two) = (ask(Some("v1")).await?, ask(Some("v2")).await?);
    assert_eq!((one.status, two.status), (200, 200), "{} {}", one.text(), two.text());
    assert!(one.json::<Value>()?["count"].is_u64() && two.json::<Value>()?["page"].is_object());
    assert_eq!((one.header("deprecation"), two.header("deprecation")), (Some("@1796083200"), None));
    for version in [None, Some("v3")] {
        assert_eq!(ask(version).await?.refusal(), (404, "no_route".into()), "{version:?}");
    }
    // A path that names a version is not overruled.
    let request = Request::get("/v2/search?q=attention").host(EDGE).header("accept-version", "v1");
    assert!(research.edge.send(&request).await?.json::<Value>()?["page"].is_object());
    Ok(())
}

#[tokio::test]
async fn a_source_that_is_gone_is_named_and_the_others_answer() -> Claim {
    let mut research = Research::start().await?;
    research.service("pubmed")?.stop().await?;
    for version in ["v1", "v2"] {
        let answer = research.edge.json(&format!("/{version}/search?q=attention")).await?;
        assert_eq!(missing(&answer), [("pubmed".into(), "unreachable".into())]);
        assert!(answer["results"].as_array().is_some_and(|results| !results.is_empty()), "{answer}");
    }
    // By itself it is not there at all: that the edge says.
    assert_eq!(research.edge.get("/pubmed/v1/search?q=x").await?.refusal(), (502, "connect_fail".into()));
    Ok(())
}

#[tokio::test]
async fn a_source_that_hangs_is_named_within_the_deadline_and_is_back_once_it_goes_on() -> Claim {
    let mut research = Research::start().await?;
    research.service("arxiv")?.process.signal(Signal::SIGSTOP)?;
    // The search's deadline is 2 s, the edge's is 10 s: an answer is the search's.
    let answer = research.edge.json("/v2/search?q=attention").await?;
    assert_eq!(missing(&answer), [("arxiv".into(), "timeout".into())]);
    let sources = answer["timings"]["sources"].as_array().context("timings")?;
    let outcome = |name: &str| sources.iter().find(|s| s["source"] == name).map(|source| source["outcome"].clone());
    assert_eq!((outcome("arxiv"), outcome("github")), (Some("timeout".into()), Some("ok".into())));

    research.service("arxiv")?.process.signal(Signal::SIGCONT)?;
    let edge = &research.edge;
    let whole = async || edge.json("/v2/search?q=attention").await.ok().filter(|answer| missing(answer).is_empty());
    until_async("an answer of all sources", whole).await?;
    Ok(())
}

#[tokio::test]
async fn without_any_source_the_search_says_so_and_the_edge_hands_it_on() -> Claim {
    let mut research = Research::start().await?;
    for source in SOURCES {
        research.service(source)?.stop().await?;
    }
    let request = Request::get("/v1/search?q=attention").host(EDGE).header("x-request-id", "mine-17");
    let response = research.edge.send(&request).await?;
    assert_eq!(response.refusal(), (502, "no_source".into()));
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    let problem: Value = response.json()?;
    assert_eq!(problem["request_id"], "mine-17");
    let gone: Vec<_> = SOURCES.iter().map(|source| ((*source).to_owned(), "unreachable".to_owned())).collect();
    let mut named = missing(&problem);
    named.sort_by_key(|(source, _)| SOURCES.iter().position(|known| known == source));
    assert_eq!(named, gone);
    // It is the upstream's answer, delivered whole.
    assert_eq!(research.edge.proxy.access_log().of_path("/v1/search").await?.reason(), "ok");
    Ok(())
}

/// What a stand-in for an external API answers.
#[derive(Clone)]
struct Script {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

impl Script {
    fn json(body: &Value) -> Self {
        Self { status: 200, headers: vec![("content-type", "application/json")], body: body.to_string() }
    }

    /// One result, as the source's API gives it.
    fn good(source: &str) -> Self {
        match source {
            "arxiv" => Self {
                status: 200,
                headers: vec![("content-type", "application/atom+xml; charset=UTF-8")],
                body: r#"<?xml version="1.0" encoding="UTF-8"?>
                    <feed xmlns="http://www.w3.org/2005/Atom"><entry>
                      <id>http://arxiv.org/abs/1706.03762v7</id><title>Attention Is All You Need</title>
                      <summary>The Transformer.</summary><published>2017-06-12T17:57:34Z</published>
                      <author><name>Ashish Vaswani</name></author>
                      <link href="http://arxiv.org/abs/1706.03762v7" rel="alternate" type="text/html"/>
                    </entry></feed>"#
                    .into(),
            },
            // One answer for both of its questions.
            "pubmed" => Self::json(&json!({
                "esearchresult": { "count": "1", "idlist": ["34265844"] },
                "result": { "uids": ["34265844"], "34265844": { "title": "Protein structure." } },
            })),
            "github" => Self::json(&json!({ "total_count": 1, "items": [{
                "full_name": "a/b", "html_url": "https://github.com/a/b", "owner": { "login": "a" },
            }] })),
            _ => Self::json(&json!({ "success": true, "data": [{ "url": "https://a.org/", "title": "A" }] })),
        }
    }
}

/// A source, live, whose external API is a stand-in behind the egress listener.
struct Live {
    source: &'static str,
    edge: Edge,
    api: Upstream,
    /// None: it never answers.
    script: Arc<Mutex<Option<Script>>>,
    _service: Service,
    _folder: TempDir,
}

impl Live {
    async fn start(source: &'static str) -> anyhow::Result<Self> {
        Self::start_with(source, str::to_owned).await
    }

    /// `edit` changes the document.
    async fn start_with(source: &'static str, edit: impl Fn(&str) -> String) -> anyhow::Result<Self> {
        let ca = Authority::new("research")?;
        let script = Arc::new(Mutex::new(Some(Script::good(source))));
        let scripts = script.clone();
        let names = [outside(source)];
        let api = Upstream::scripted_tls(source, &ca, &names, authority::H1, move |exchange| {
            let script = scripts.lock().unwrap_or_else(PoisonError::into_inner).clone();
            async move {
                match script {
                    Some(Script { status, headers, body }) => exchange.answer(status, &headers, body.as_bytes()).await,
                    None => exchange.given_up().await,
                }
            }
            .boxed()
        });
        let api = api.await?;
        let address = api.address();

        // The proxy's egress must be known to the service, and the service's address to the proxy: the document that
        // names the service comes second.
        let lines = |service: Option<SocketAddr>| {
            let services = service.map(|address| (source, address)).into_iter().collect();
            example(&services, |name| match name == source {
                true => format!(
                    "endpoints = [\"{address}\"]\ntls = {{ sni = \"{}\", ca = \"file:ca.pem\" }}\n",
                    outside(source)
                ),
                false => "endpoints = [\"127.0.0.1:1\"]\n".to_owned(),
            })
        };
        let edge = Edge::start(ca, &edit(&lines(None))).await?;
        let folder = tempfile::Builder::new().prefix("weir-research-").tempdir()?;
        let base = format!("--base-url=http://{}/{source}", edge.proxy.address("egress"));
        let service = Service::start(folder.path(), source, &[base]).await?;
        edge.proxy.apply(&edit(&lines(Some(service.address)))).await?;
        Ok(Self { source, edge, api, script, _service: service, _folder: folder })
    }

    fn answers(&self, script: impl Into<Option<Script>>) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = script.into();
    }

    /// Asks the source through the edge.
    async fn ask(&self) -> anyhow::Result<Response> {
        let target = format!("/{}/v1/search?q=graph%20nets&limit=3", self.source);
        self.edge.send(&Request::get(&target).host(EDGE).header("x-request-id", "mine-17")).await
    }

    /// What the stand-in has received so far.
    fn received(&self) -> Vec<Received> {
        self.api.requests()
    }
}

/// The path, and the parameters as written.
fn split(target: &str) -> (&str, Vec<&str>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (path, query.split('&').filter(|parameter| !parameter.is_empty()).collect())
}

#[tokio::test]
async fn the_outside_sees_its_own_path_host_and_name_and_who_asks() -> Claim {
    for (source, method, paths, parameter) in [
        ("arxiv", "GET", &["/api/query"][..], "search_query=all%3Agraph+AND+all%3Anets"),
        ("pubmed", "GET", &["/entrez/eutils/esearch.fcgi", "/entrez/eutils/esummary.fcgi"], "term=graph+nets"),
        ("github", "GET", &["/search/repositories"], "q=graph+nets"),
        ("firecrawl", "POST", &["/v1/search"], ""),
    ] {
        let live = Live::start(source).await?;
        let response = live.ask().await?;
        assert_eq!(response.status, 200, "{source}: {}", response.text());
        assert_eq!(response.json::<Value>()?["count"], 1, "{source}");
        assert_eq!(response.header("x-request-id"), Some("mine-17"));

        let seen = live.received();
        let seen_paths: Vec<_> = seen.iter().map(|request| split(&request.target).0).collect();
        assert_eq!(seen_paths, paths, "{source}");
        let (_, parameters) = split(&seen[0].target);
        assert!(parameter.is_empty() == parameters.is_empty(), "{source}: {parameters:?}");
        assert!(parameter.is_empty() || parameters.contains(&parameter), "{source}: {parameters:?}");
        for request in &seen {
            assert_eq!((request.method.as_str(), request.authority.as_str()), (method, outside(source)));
            assert_eq!(request.sni.as_deref(), Some(outside(source)));
            assert!(request.header("user-agent").is_some_and(|agent| agent.starts_with("research/")), "{request:?}");
            // One trail from the client through two passages of the proxy.
            assert_eq!(request.header("x-request-id"), Some("mine-17"));
            assert!(request.has("traceparent"), "{request:?}");
            let credential = match source {
                "github" => Some("Bearer token-17"),
                "firecrawl" => Some("Bearer key-17"),
                _ => None,
            };
            assert_eq!(request.header("authorization"), credential, "{source}");
        }
        let log = live.edge.proxy.access_log();
        let line = log.of_path(&format!("/{source}{}", paths[0])).await?;
        assert_eq!((line.text("labels.route").as_str(), line.text("labels.rule").as_str()), ("outside", source));
        assert!(!log.text().contains("token-17") && !log.text().contains("key-17"), "secrets are not logged");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_outside_does_wrong_is_told_as_that_and_asked_once() -> Claim {
    let page = "<!doctype html><title>Maintenance</title>";
    let plain = |status, body: &str| Script { status, headers: Vec::new(), body: body.to_owned() };
    for source in SOURCES {
        let live = Live::start(source).await?;
        for (script, reason, says) in [
            (plain(500, r#"{"message": "boom"}"#), "upstream_server_error", "it failed with status 500: boom"),
            (plain(503, "no"), "upstream_server_error", "it failed with status 503"),
            (plain(401, r#"{"message": "who?"}"#), "upstream_refused", "it refused the request with status 401: who?"),
            (
                Script { headers: vec![("retry-after", "30")], ..plain(429, "slow down") },
                "upstream_rate_limited",
                "it limits our rate (429), to be asked again in 30 s",
            ),
            (
                Script { headers: vec![("content-type", "text/html")], ..plain(200, page) },
                "upstream_html",
                "it answered with a web page instead of data",
            ),
        ] {
            live.answers(script.clone());
            let before = live.received().len();
            let response = live.ask().await?;
            assert_eq!(response.refusal(), (502, reason.to_owned()), "{source}: {}", response.text());
            assert_eq!(response.header("content-type"), Some("application/problem+json"));
            assert_eq!(response.header("retry-after"), (script.status == 429).then_some("30"), "{source}");
            let problem: Value = response.json()?;
            assert_eq!((&problem["source"], &problem["request_id"]), (&source.into(), &"mine-17".into()));
            assert_eq!(problem["detail"], format!("{source}: {says}"));
            assert_eq!(live.received().len() - before, 1, "{source} {reason}: nothing is asked twice");
        }
        live.answers(Script::good(source));
        assert_eq!(live.ask().await?.status, 200, "{source}: a bad answer leaves nothing behind");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_proxy_answers_in_place_of_the_outside_is_told_too() -> Claim {
    // Nobody there: the egress listener's 502 is an upstream's failure to the service.
    let nobody = Refusing::new()?;
    let elsewhere = format!("[upstreams.export-arxiv]\nendpoints = [\"{}\"] # ", nobody.address());
    let gone =
        Live::start_with("arxiv", |mesh| mesh.replace("[upstreams.export-arxiv]\nendpoints = ", &elsewhere)).await?;
    let response = gone.ask().await?;
    assert_eq!(response.refusal(), (502, "upstream_server_error".into()), "{}", response.text());
    assert!(response.text().contains("status 502"), "{}", response.text());
    let line = gone.edge.proxy.access_log().of_path("/arxiv/api/query").await?;
    assert_eq!(line.reason(), "connect_fail");

    // It says nothing, and the route's time is up before the service's.
    let silent = Live::start_with("pubmed", |mesh| mesh.replace("timeout = \"20s\"", "timeout = \"200ms\"")).await?;
    silent.answers(None);
    let response = silent.ask().await?;
    assert_eq!(response.refusal(), (502, "upstream_server_error".into()), "{}", response.text());
    assert!(response.text().contains("status 504"), "{}", response.text());
    let line = silent.edge.proxy.access_log().of_path("/pubmed/entrez/eutils/esearch.fcgi").await?;
    assert_eq!(line.reason(), "request_timeout");
    until("the outside to be let go", || (silent.api.ledger().given_up() == 1).then_some(())).await?;

    // No way out for it: a refusal.
    let barred = Live::start_with("github", |mesh| mesh.replace("\"/github/*\"", "\"/gitlab/*\"")).await?;
    let response = barred.ask().await?;
    assert_eq!(response.refusal(), (502, "upstream_refused".into()), "{}", response.text());
    assert!(response.text().contains("status 404"), "{}", response.text());
    assert_eq!(barred.received().len(), 0);
    Ok(())
}

#[tokio::test]
async fn the_routes_to_the_outside_are_for_the_egress_listener_alone() -> Claim {
    let live = Live::start("arxiv").await?;
    assert_eq!(live.edge.get("/arxiv/api/query?search_query=x").await?.refusal(), (404, "no_route".into()));
    let mut inside = H1::connect(live.edge.proxy.address("egress")).await?;
    let answer = inside.send(&Request::get("/v1/search?q=x")).await?;
    assert_eq!(answer.refusal(), (404, "no_route".into()), "nor do the edge's serve there");
    assert_eq!(inside.send(&Request::get("/arxiv/api/query?search_query=x")).await?.status, 200);
    assert_eq!(live.received().len(), 1);
    Ok(())
}
