//! A world for one test: services and stand-ins on ports of their own, stopped with the test.

#![allow(dead_code)] // each test file uses its part

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prometheus::IntCounter;
use research::api::App;
use research::corpus::Corpus;
use research::federation::Federation;
use research::model::Source;
use research::serve::serve;
use research::service::{Service, SourceService};
use research::telemetry::Metrics;
use research::transport::{self, Transport};
use research::upstream::Upstream;
use serde_json::Value;
use tokio::net::TcpListener;

pub const TIMEOUT: Duration = Duration::from_secs(10);
pub const MAX_ANSWER: usize = 64 * 1024;

/// A service on a free port.
pub struct Served {
    pub address: SocketAddr,
    pub app: Arc<App>,
    /// A caller of it.
    pub client: reqwest::Client,
}

impl Served {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A GET, and what it gives: status and JSON.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(format!("{}{path}", self.url())).send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    /// `GET /VERSION/search` with `q` encoded.
    pub async fn search(&self, version: &str, q: &str, more: &str) -> (u16, Value) {
        let q: String = q.bytes().map(|byte| format!("%{byte:02x}")).collect();
        self.get(&format!("/{version}/search?q={q}{more}")).await
    }

    /// The value of one series of `/metrics`, as it is written there.
    pub async fn metric(&self, series: &str) -> Option<String> {
        let text = self
            .client
            .get(format!("{}/metrics", self.url()))
            .send()
            .await
            .expect("metrics")
            .text()
            .await
            .expect("text");
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
    }
}

pub async fn offline(source: Source) -> Served {
    let transport = Transport::Offline(Corpus::load(source).expect("the embedded corpus"));
    source_service(source, "http://offline.invalid", transport, TIMEOUT).await
}

/// A source in front of a stand-in for its external API.
pub async fn live(source: Source, base: &str) -> Served {
    live_within(source, base, TIMEOUT).await
}

pub async fn live_within(source: Source, base: &str, timeout: Duration) -> Served {
    source_service(source, base, Transport::live(client(), MAX_ANSWER), timeout).await
}

/// The search over the sources at these addresses.
pub async fn search(sources: &[(Source, String)], deadline: Duration) -> Served {
    let metrics = metrics("search");
    let client = client();
    let upstreams = sources.iter().map(|(source, url)| {
        let transport = Transport::live(client.clone(), 4 << 20);
        Upstream::new(*source, url.parse().expect("a URL"), transport, metrics.clone())
    });
    let federation = Federation::new(upstreams.collect(), deadline);
    start(Service::Search(federation), metrics.clone()).await
}

/// All four sources offline, and the search over them.
pub async fn offline_world() -> (HashMap<Source, Served>, Served) {
    let mut sources = HashMap::new();
    let mut addresses = Vec::new();
    for source in Source::ALL {
        let served = offline(source).await;
        addresses.push((source, served.url()));
        sources.insert(source, served);
    }
    let search = search(&addresses, TIMEOUT).await;
    (sources, search)
}

/// A stand-in for something outside: this router, on a free port.
pub async fn stand_in(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A stand-in that accepts connections, reads, and never answers.
pub async fn silent() -> String {
    stand_in(Router::new().fallback(std::future::pending::<()>)).await
}

/// A stand-in that sends these bytes to whoever connects, then closes.
pub async fn blurting(bytes: &'static [u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    format!("http://{address}")
}

/// An address where nobody listens.
pub async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("its address"))
}

async fn source_service(source: Source, base: &str, transport: Transport, timeout: Duration) -> Served {
    let metrics = metrics(source.as_str());
    let api = Upstream::new(source, base.parse().expect("a URL"), transport, metrics.clone());
    let api = api.with_bearer("test-token").expect("a token");
    start(Service::Source(SourceService { api, timeout }), metrics).await
}

async fn start(service: Service, metrics: Arc<Metrics>) -> Served {
    let app = App::new(service, metrics);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(serve(app.clone(), listener, std::future::pending()));
    Served { address, app, client: client() }
}

/// One that speaks no TLS, and so is quickly made.
fn client() -> reqwest::Client {
    transport::client("research-tests", []).expect("a client")
}

fn metrics(service: &'static str) -> Arc<Metrics> {
    let dropped = IntCounter::new("research_log_dropped_total", "Dropped.").expect("a counter");
    Arc::new(Metrics::new(service, dropped).expect("metrics"))
}
