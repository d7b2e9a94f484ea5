//! The binary itself: it starts, says where it is, serves, and ends when told.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_research"));
        command.args(arguments);
        Process::run(command)
    }

    fn run(mut command: Command) -> Self {
        command.env_remove("RUST_LOG").env_remove("FIRECRAWL_API_KEY").stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = BufReader::new(child.stderr.take().expect("its log"));
        Process { child, log }
    }

    /// The next line of the log; blocks until there is one.
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.log.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("`{line}` is not JSON: {error}"))
    }

    /// Waits for the line that says it serves, and gives the address in it.
    fn address(&mut self) -> SocketAddr {
        let line = self.line();
        assert_eq!(line["message"], "serving", "{line}");
        let (ip, port) = (line["server.address"].as_str().expect("an address"), line["server.port"].as_u64());
        format!("{ip}:{}", port.expect("a port")).parse().expect("an address")
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("the process is there");
    }

    /// Waits for its end; the rest of its log with it.
    fn end(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("its log");
        (self.child.wait().expect("its end"), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready(folder: &Path) -> Option<Value> {
    serde_json::from_str(&std::fs::read_to_string(folder.join("ready.json")).ok()?).ok()
}

#[tokio::test]
async fn it_says_where_it_serves_and_ends_on_either_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let state_dir = state.to_str().expect("a path");
        let mut process = Process::start(&["arxiv", "--offline", "--listen", "127.0.0.1:0", "--state-dir", state_dir]);
        let address = process.address();
        assert_eq!(ready(&state), Some(serde_json::json!({ "http": address.to_string() })));

        let client = reqwest::Client::new();
        let request = client.get(format!("http://{address}/v1/search?q=attention")).header("x-request-id", "r-1");
        assert_eq!(request.send().await.expect("an answer").status(), 200);
        let line = process.line();
        assert_eq!(line["log.logger"], "access");
        assert_eq!((&line["url.path"], &line["http.response.status_code"]), (&"/v1/search".into(), &200.into()));
        assert_eq!((&line["http.request.id"], &line["client.ip"]), (&"r-1".into(), &"127.0.0.1".into()));
        assert!(line["event.duration"].as_u64().is_some_and(|nanos| nanos > 0));
        assert!(!line.to_string().contains("attention"), "what is searched for is not logged");

        let start = Instant::now();
        process.signal(signal);
        let (status, rest) = process.end();
        assert!(status.success(), "{signal}: {status}: {rest}");
        assert!(rest.contains("\"stopped\""), "{rest}");
        assert!(start.elapsed() < Duration::from_secs(2), "an idle connection does not hold it: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_process() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}", silent.local_addr().expect("its address"));
    let mut process = Process::start(&["arxiv", "--base-url", &base, "--timeout", "60s"]);
    let address = process.address();
    let asked = tokio::spawn(reqwest::get(format!("http://{address}/v1/search?q=x")));
    // The request is in flight once it has reached the API's stand-in.
    let _held = tokio::task::spawn_blocking(move || silent.accept()).await.expect("joined").expect("a connection");
    let start = Instant::now();
    process.signal(Signal::SIGTERM);
    let (status, rest) = process.end();
    let took = start.elapsed();
    assert!(status.success() && rest.contains("requests in flight were cut"), "{status}: {rest}");
    assert!(took > Duration::from_millis(1500) && took < Duration::from_secs(4), "{took:?}");
    assert!(asked.await.expect("joined").is_err(), "the caller sees its connection end");
}

#[test]
fn what_keeps_it_from_serving_is_said_with_the_setting_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let mut process = Process::start(&["github", "--offline", "--listen", &address]);
    let line = process.line();
    assert_eq!((&line["log.level"], &line["message"]), (&"error".into(), &"cannot serve".into()));
    let said = line["error.message"].as_str().expect("a message");
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert_eq!(process.end().0.code(), Some(1));

    let mut process = Process::start(&["firecrawl"]);
    let said = process.line().to_string();
    assert!(said.contains("FIRECRAWL_API_KEY") && said.contains("--offline"), "{said}");
    assert_eq!(process.end().0.code(), Some(1));

    assert_eq!(Process::start(&["arxiv", "--nonsense"]).end().0.code(), Some(2), "usage");
}

#[test]
fn the_search_needs_no_certificates_where_nothing_is_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_research"));
    command.args(["search", "--source", "arxiv=http://127.0.0.1:1"]).env("SSL_CERT_DIR", folder.path());
    command.env("SSL_CERT_FILE", folder.path().join("none.pem"));
    Process::run(command).address();
}

#[test]
fn a_ready_file_of_an_earlier_run_is_gone_before_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ready.json"), r#"{"http":"127.0.0.1:1"}"#).expect("an old file");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let state_dir = folder.path().to_str().expect("a path");
    let process = Process::start(&["arxiv", "--offline", "--listen", &address, "--state-dir", state_dir]);
    assert_eq!(process.end().0.code(), Some(1));
    assert_eq!(ready(folder.path()), None);
}
