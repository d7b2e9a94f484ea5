//! The process' own servers, asked over sockets.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_proxy::admin::{ExplainQuery, Sockets, View, serve};
use weir_proxy::telemetry::logs::{self, LogLevel};
use weir_proxy::telemetry::{Gauges, Metrics, UpstreamGauges};

use crate::Still;

/// A process to look at.
#[derive(Default)]
struct Process {
    missing: Mutex<Vec<String>>,
    unhealthy: Mutex<bool>,
    drained: AtomicU32,
    explained: Mutex<Option<ExplainQuery>>,
}

impl Gauges for Process {
    fn config_version(&self) -> u64 {
        Still.config_version()
    }

    fn generations_alive(&self) -> u64 {
        Still.generations_alive()
    }

    fn upstreams(&self) -> Vec<UpstreamGauges> {
        Still.upstreams()
    }

    fn certificates(&self) -> Vec<(String, i64)> {
        Still.certificates()
    }

    fn dependencies(&self) -> Vec<(String, bool)> {
        Still.dependencies()
    }
}

impl View for Process {
    fn table(&self) -> Value {
        json!({ "routes": ["papers"] })
    }

    fn upstreams_json(&self) -> Value {
        json!({ "upstreams": [] })
    }

    fn certificates_json(&self) -> Value {
        json!({ "certificates": [] })
    }

    fn limits(&self) -> Value {
        json!({ "connections": 20_000 })
    }

    fn explain(&self, query: ExplainQuery) -> Result<Value, String> {
        if query.path == "/panic" {
            panic!("on purpose");
        }
        if query.listener.as_deref() == Some("nowhere") {
            return Err("no listener `nowhere`; there is `edge`".to_owned());
        }
        *self.explained.lock().unwrap() = Some(query);
        Ok(json!({ "rule": "papers/search" }))
    }

    fn drain(&self) {
        self.drained.fetch_add(1, Ordering::Relaxed);
    }

    fn ready(&self) -> Result<(), Vec<String>> {
        let missing = self.missing.lock().unwrap().clone();
        if missing.is_empty() { Ok(()) } else { Err(missing) }
    }

    fn health(&self) -> Value {
        json!({ "healthy": !*self.unhealthy.lock().unwrap(), "version": 17 })
    }
}

/// The three servers of a process.
struct Servers {
    admin: SocketAddr,
    metrics: SocketAddr,
    health: SocketAddr,
    process: Arc<Process>,
    log: LogLevel,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<io::Result<()>>>,
    runtime: Runtime,
    // What the log's handle changes.
    _subscriber: Box<dyn tracing::Subscriber + Send + Sync>,
}

impl Servers {
    fn start() -> Self {
        let socket = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let sockets = Sockets { admin: socket(), metrics: socket(), health: socket() };
        let address = |socket: &TcpListener| socket.local_addr().unwrap();
        let [admin, metrics, health] = [&sockets.admin, &sockets.metrics, &sockets.health].map(address);
        let process = Arc::new(Process::default());
        let (subscriber, log) = logs::subscriber("info", io::sink).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stopped = async { drop(stopped.await) };
        let serving = serve(sockets, process.clone(), Metrics::new(&[]), log.clone(), stopped);
        let serving = Some(runtime.spawn(serving));
        let (stop, _subscriber) = (Some(stop), Box::new(subscriber));
        Self { admin, metrics, health, process, log, stop, serving, runtime, _subscriber }
    }

    fn stop(&mut self) -> io::Result<()> {
        drop(self.stop.take());
        self.runtime.block_on(self.serving.take().unwrap()).unwrap()
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends a request as it stands and reads until the server closes.
fn exchange(to: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn get(to: SocketAddr, target: &str) -> Answer {
    exchange(to, &format!("GET {target} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n"))
}

fn send(to: SocketAddr, method: &str, target: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("{method} {target} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {length}\r\n");
    exchange(to, &format!("{head}{headers}\r\n{body}"))
}

const JSON: &str = "content-type: application/json\r\n";

#[test]
fn metrics_are_in_prometheus_text_format() {
    let servers = Servers::start();
    let answer = get(servers.metrics, "/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.body.contains("\nweir_config_version 17\n"));
}

#[test]
fn who_is_not_ready_lives_and_says_what_is_missing() {
    let servers = Servers::start();
    assert_eq!(get(servers.health, "/readyz").json(), json!({ "ready": true }));
    *servers.process.missing.lock().unwrap() = vec!["a table".to_owned(), "listener `edge`".to_owned()];
    *servers.process.unhealthy.lock().unwrap() = true;
    let answer = get(servers.health, "/readyz");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json(), json!({ "ready": false, "missing": ["a table", "listener `edge`"] }));
    assert_eq!(get(servers.health, "/livez").status, 200);
}

#[test]
fn health_is_a_status_too() {
    let servers = Servers::start();
    assert_eq!(get(servers.health, "/healthz").status, 200);
    *servers.process.unhealthy.lock().unwrap() = true;
    let answer = get(servers.health, "/healthz");
    assert_eq!((answer.status, &answer.json()["version"]), (503, &json!(17)));
}

#[test]
fn every_page_of_the_list_is_there() {
    let servers = Servers::start();
    let index = get(servers.admin, "/").json();
    let pages = index["pages"].as_array().unwrap();
    assert!(pages.len() > 5);
    for page in pages.iter().filter(|page| page["method"] == "GET") {
        let target = page["path"].as_str().unwrap().replace("path=", "path=/").replace("name:value", "a:b");
        let answer = get(servers.admin, &target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.body);
        answer.json();
    }
    assert_eq!(get(servers.admin, "/tables").status, 404);
    assert_eq!(send(servers.admin, "DELETE", "/table", JSON, "").status, 405);
}

#[test]
fn a_page_in_a_browser_reaches_nothing() {
    let servers = Servers::start();
    for request in [
        "GET /table HTTP/1.1\r\nhost: evil.example:15000\r\nconnection: close\r\n\r\n",
        "GET /table HTTP/1.1\r\nconnection: close\r\n\r\n",
        "GET /table HTTP/1.0\r\n\r\n",
        "GET http://evil.example/table HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "GET /table HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
        "POST /drain HTTP/1.1\r\nhost: evil.example\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
    ] {
        let answer = exchange(servers.admin, request);
        assert!(matches!(answer.status, 400 | 403), "{request}: {}", answer.status);
    }
    // A form, or a script of another origin that does not ask first.
    for headers in ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"] {
        assert_eq!(send(servers.admin, "POST", "/drain", headers, "").status, 415);
        assert_eq!(send(servers.admin, "PUT", "/log", headers, r#"{"level":"trace"}"#).status, 415);
    }
    assert_eq!(servers.process.drained.load(Ordering::Relaxed), 0);
    assert_eq!(servers.log.get(), "info");
}

#[test]
fn drain_is_passed_on() {
    let servers = Servers::start();
    let answer = send(servers.admin, "POST", "/drain", JSON, "");
    assert_eq!((answer.status, answer.json()), (202, json!({ "draining": true })));
    assert_eq!(servers.process.drained.load(Ordering::Relaxed), 1);
    assert_eq!(get(servers.admin, "/drain").status, 405, "looking does nothing");
    assert_eq!(servers.process.drained.load(Ordering::Relaxed), 1);
}

#[test]
fn the_log_level_is_shown_and_changed() {
    let servers = Servers::start();
    assert_eq!(get(servers.admin, "/log").json(), json!({ "level": "info" }));
    let put = |body: &str| send(servers.admin, "PUT", "/log", JSON, body);
    assert_eq!(put(r#"{"level":"debug,pingora=info"}"#).status, 200);
    assert_eq!(get(servers.admin, "/log").json(), json!({ "level": "debug,pingora=info" }));
    for bad in [r#"{"level":"loud"}"#, r#"{"levels":"info"}"#, r#"{"level":"info","more":1}"#, "debug", ""] {
        let answer = put(bad);
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    assert_eq!(put(&"x".repeat(100_000)).status, 413);
    assert_eq!(servers.log.get(), "debug,pingora=info");
}

#[test]
fn a_request_to_explain_is_passed_on_as_written() {
    let servers = Servers::start();
    let target = "/explain?listener=edge&host=api.example.com&path=/v1/search%3Fq%3Da&method=POST&header=x-a:1&header=x-b:%20http://c";
    assert_eq!(get(servers.admin, target).json(), json!({ "rule": "papers/search" }));
    let query = servers.process.explained.lock().unwrap().take().unwrap();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        query,
        ExplainQuery {
            listener: Some(text("edge")),
            host: Some(text("api.example.com")),
            path: text("/v1/search?q=a"),
            method: Some(text("POST")),
            headers: vec![(text("x-a"), text("1")), (text("x-b"), text("http://c"))],
        }
    );
    for (bad, word) in [("?path=/&listener=nowhere", "edge"), ("", "path"), ("?path=/&hots=x", "hots")] {
        let answer = get(servers.admin, &format!("/explain{bad}"));
        assert_eq!(answer.status, 400);
        assert!(answer.json()["detail"].as_str().unwrap().contains(word), "{}", answer.body);
    }
}

#[test]
fn a_page_that_panics_takes_nothing_with_it() {
    let servers = Servers::start();
    assert_eq!(get(servers.admin, "/explain?path=/panic").status, 500);
    assert_eq!(get(servers.admin, "/table").status, 200);
}

#[test]
fn silent_connections_end_with_the_servers() {
    let mut servers = Servers::start();
    let mut silent: Vec<_> = (0..10).map(|_| TcpStream::connect(servers.admin).unwrap()).collect();
    assert_eq!(get(servers.admin, "/").status, 200);
    servers.stop().unwrap();
    for stream in &mut silent {
        // Closed, or reset where it still stood in the queue.
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
    assert!(TcpStream::connect(servers.admin).is_err());
}

#[test]
fn many_silent_connections_leave_room_when_they_go() {
    let servers = Servers::start();
    // More than there are places; the rest waits in the kernel's queue.
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(servers.health).unwrap()).collect();
    assert_eq!(get(servers.metrics, "/metrics").status, 200, "each server has its own places");
    drop(silent);
    assert_eq!(get(servers.health, "/livez").status, 200);
}

#[test]
fn admin_is_refused_on_an_address_that_others_reach() {
    let socket = |address: Ipv4Addr| TcpListener::bind((address, 0)).unwrap();
    let sockets = Sockets {
        admin: socket(Ipv4Addr::UNSPECIFIED),
        metrics: socket(Ipv4Addr::LOCALHOST),
        health: socket(Ipv4Addr::LOCALHOST),
    };
    let (_subscriber, log) = logs::subscriber("info", io::sink).unwrap();
    let serving = serve(sockets, Arc::<Process>::default(), Metrics::new(&[]), log, async {});
    let error = Runtime::new().unwrap().block_on(serving).unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
}
