//! The access log.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_config::bootstrap;
use weir_policy::Reason;
use weir_proxy::telemetry::labels::{Driver, HttpVersion, TlsVersion};
use weir_proxy::telemetry::{AccessLog, Line, Metrics, TraceContext};

use crate::Still;

fn line(path: &[u8]) -> Line<'_> {
    Line {
        at: UNIX_EPOCH + Duration::from_millis(1_795_000_000_042),
        duration: Duration::from_micros(1_500),
        method: b"GET",
        host: None,
        path,
        query: None,
        http_version: HttpVersion::V1_1,
        status: 200,
        request_bytes: 0,
        response_bytes: 1024,
        request_id: "0123",
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        source: SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)),
        destination: None,
        tls: None,
        trace: None,
        listener: "edge",
        route: None,
        rule: None,
        upstream: None,
        endpoint: None,
        tenant: None,
        reason: Reason::Ok,
        attempts: 1,
        version: 17,
        driver: Driver::Pingora,
        fields: &[],
    }
}

fn start(folder: &Path, file: &str) -> AccessLog {
    AccessLog::start(&bootstrap::AccessLog::File(file.to_owned()), folder, &["session".to_owned()]).unwrap()
}

fn read(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What one line says.
fn logged(line: &Line<'_>) -> Value {
    let folder = TempDir::new().unwrap();
    let log = start(folder.path(), "access.log");
    log.write(line);
    assert!(log.flush());
    let mut lines = read(&folder.path().join("access.log"));
    assert_eq!(lines.len(), 1);
    lines.remove(0)
}

#[test]
fn a_line_says_everything_in_ecs_names() {
    let trace = TraceContext { trace_id: [0xab; 16], span_id: [0x01; 8], flags: 1 };
    let full = Line {
        host: Some(b"api.example.com"),
        query: Some(b"q=rust&token=abc&session=1"),
        http_version: HttpVersion::V2,
        request_bytes: 3,
        client: "2001:db8::1".parse().unwrap(),
        source: "[::ffff:10.0.0.7]:5555".parse().unwrap(),
        destination: Some("127.0.0.1:8443".parse().unwrap()),
        tls: Some(TlsVersion::V1_3),
        trace: Some(&trace),
        route: Some("papers"),
        rule: Some("search"),
        upstream: Some("search-blue"),
        endpoint: Some("[::1]:7001".parse().unwrap()),
        tenant: Some("acme"),
        reason: Reason::UpstreamReset,
        attempts: 2,
        fields: &[("user_agent.original", b"old"), ("labels.lang", b"en"), ("user_agent.original", b"curl/8 \"x\"")],
        ..line(b"/v1/search")
    };
    let expected = json!({
        "@timestamp": "2026-11-18T11:06:40.042Z",
        "ecs.version": "8.17.0",
        "event.duration": 1_500_000,
        "http.request.method": "GET",
        "url.domain": "api.example.com",
        "url.path": "/v1/search",
        "url.query": "q=rust&token=REDACTED&session=REDACTED",
        "http.version": "2",
        "http.response.status_code": 200,
        "http.request.body.bytes": 3,
        "http.response.body.bytes": 1024,
        "http.request.id": "0123",
        "trace.id": "abababababababababababababababab",
        "span.id": "0101010101010101",
        "client.ip": "2001:db8::1",
        "source.ip": "10.0.0.7",
        "source.port": 5555,
        "destination.ip": "127.0.0.1",
        "destination.port": 8443,
        "tls.version": "1.3",
        "labels.listener": "edge",
        "labels.route": "papers",
        "labels.rule": "search",
        "labels.upstream": "search-blue",
        "labels.tenant": "acme",
        "labels.endpoint": "[::1]:7001",
        "labels.reason": "upstream_reset",
        "labels.attempts": 2,
        "labels.version": 17,
        "labels.driver": "pingora",
        "labels.lang": "en",
        "user_agent.original": "curl/8 \"x\"",
    });
    assert_eq!(logged(&full), expected);
}

#[test]
fn what_is_not_known_is_left_out() {
    let line = logged(&Line { status: 0, ..line(b"/") });
    for absent in
        ["http.response.status_code", "url.query", "trace.id", "labels.route", "labels.endpoint", "tls.version"]
    {
        assert_eq!(line.get(absent), None);
    }
}

#[test]
fn long_values_are_cut_between_characters() {
    let path = format!("/{}", "é".repeat(10_000));
    let line = logged(&Line { query: Some(path.as_bytes()), ..line(path.as_bytes()) });
    for field in ["url.path", "url.query"] {
        let shown = line[field].as_str().unwrap();
        assert!((4_090..=4_100).contains(&shown.len()) && shown.ends_with("é…"), "{}", shown.len());
    }
}

/// The keys of a JSON object in the order of the text, also where one is there twice.
fn keys(text: &str) -> Vec<String> {
    struct Keys(Vec<String>);
    impl<'de> serde::Deserialize<'de> for Keys {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Keys;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                    let mut keys = Vec::new();
                    while let Some((key, _)) = map.next_entry::<String, Value>()? {
                        keys.push(key);
                    }
                    Ok(Keys(keys))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    serde_json::from_str::<Keys>(text).unwrap().0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_bytes_make_one_valid_line_each(
        texts in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>(), any::<Vec<u8>>()), 1..20),
        names in prop::collection::vec("[ -~]{0,8}", 3),
    ) {
        let folder = TempDir::new().unwrap();
        let log = start(folder.path(), "access.log");
        for (path, query, value) in &texts {
            let fields: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_slice())).collect();
            log.write(&Line { method: value, host: Some(query), query: Some(query), fields: &fields, ..line(path) });
        }
        prop_assert!(log.flush());
        let text = fs::read_to_string(folder.path().join("access.log")).unwrap();
        prop_assert_eq!(text.lines().count(), texts.len());
        for (line, (path, ..)) in text.lines().zip(&texts) {
            let mut keys = keys(line);
            let all = keys.len();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), all, "a key twice in {}", line);
            let line: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(line["url.path"].as_str().unwrap(), String::from_utf8_lossy(path));
        }
    }
}

#[test]
fn every_line_of_many_threads_is_written_once_or_counted() {
    const THREADS: usize = 40;
    const EACH: usize = 2_000;
    let folder = TempDir::new().unwrap();
    let log = start(folder.path(), "access.log");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let log = log.clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    log.write(&line(format!("/{thread}/{n}").as_bytes()));
                }
            });
        }
    });
    assert!(log.flush());
    let mut last: HashMap<String, usize> = HashMap::new();
    let lines = read(&folder.path().join("access.log"));
    for line in &lines {
        let path = line["url.path"].as_str().unwrap();
        let (thread, n) = path[1..].split_once('/').unwrap();
        let n: usize = n.parse().unwrap();
        // Threads with an index of their own keep their order; of the others each line is there once at least.
        let seen = last.entry(thread.to_owned()).or_insert(0);
        *seen += 1;
        assert!(n < EACH && *seen <= EACH, "a line twice");
    }
    assert_eq!(lines.len() as u64 + log.dropped(), (THREADS * EACH) as u64);
}

#[test]
fn a_thread_s_lines_keep_their_order() {
    let folder = TempDir::new().unwrap();
    let log = start(folder.path(), "access.log");
    for n in 0..5_000 {
        log.write(&line(format!("/{n}").as_bytes()));
    }
    assert!(log.flush());
    let lines = read(&folder.path().join("access.log"));
    let paths: Vec<_> =
        lines.iter().map(|line| line["url.path"].as_str().unwrap()[1..].parse::<u32>().unwrap()).collect();
    assert!(paths.is_sorted() && paths.len() as u64 + log.dropped() == 5_000);
}

/// A named pipe, its reading end open.
fn pipe(folder: &Path) -> File {
    let path = folder.join("pipe");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    // For reading and writing, so that opening waits for nobody.
    File::options().read(true).write(true).open(path).unwrap()
}

#[test]
fn a_line_is_written_without_more_traffic_after_it() {
    let folder = TempDir::new().unwrap();
    let mut reader = BufReader::new(pipe(folder.path()));
    let log = start(folder.path(), "pipe");
    for n in 0..3 {
        log.write(&line(format!("/{n}").as_bytes()));
        let mut text = String::new();
        reader.read_line(&mut text).unwrap();
        assert!(text.contains(&format!("\"/{n}\"")));
    }
}

#[test]
fn a_target_that_takes_nothing_costs_lines_never_time() {
    let folder = TempDir::new().unwrap();
    let reader = pipe(folder.path());
    let log = start(folder.path(), "pipe");
    let metrics = Metrics::new(&[]);
    metrics.watch_log(log.clone());
    // Until lines are dropped: a pipe and two batches are full. Would hang if it waited for the reader.
    let mut written = 0;
    while log.dropped() < 10 {
        log.write(&line(b"/"));
        written += 1;
    }
    let dropped = log.dropped();
    let text = metrics.gather(&Still);
    assert!(text.contains(&format!("\nweir_log_dropped_total {dropped}\n")), "{text}");
    // What was not dropped comes as soon as somebody reads.
    let lines = BufReader::new(reader).lines().take(written - dropped as usize);
    assert!(
        lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()).all(|line| line["url.path"] == "/")
    );
    assert!(log.flush());
}

#[test]
fn what_a_full_disk_refuses_is_counted() {
    let log = start(Path::new("/dev"), "full");
    for _ in 0..100 {
        log.write(&line(b"/"));
    }
    assert!(log.flush());
    assert_eq!(log.dropped(), 100);
}

#[test]
fn a_rotated_file_is_left_when_told() {
    let folder = TempDir::new().unwrap();
    let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = start(folder.path(), "access.log");
    let paths = |file: &Path| read(file).iter().map(|line| line["url.path"].clone()).collect::<Vec<_>>();
    log.write(&line(b"/1"));
    assert!(log.flush());
    fs::rename(&path, &old).unwrap();
    log.write(&line(b"/2"));
    assert!(log.flush());
    assert_eq!(paths(&old), ["/1", "/2"]);
    log.reopen();
    log.write(&line(b"/3"));
    assert!(log.flush());
    assert_eq!(paths(&old), ["/1", "/2"]);
    assert_eq!(paths(&path), ["/3"]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777 & !0o640, 0, "not for others");
}

#[test]
fn a_file_that_cannot_be_opened_again_stays_in_use() {
    let folder = TempDir::new().unwrap();
    let log = start(folder.path(), "access.log");
    let kept = folder.path().join("kept");
    fs::rename(folder.path().join("access.log"), &kept).unwrap();
    fs::create_dir(folder.path().join("access.log")).unwrap();
    log.reopen();
    log.write(&line(b"/1"));
    assert!(log.flush());
    assert_eq!(read(&kept).len(), 1);
}

#[test]
fn an_existing_file_is_appended_to() {
    let folder = TempDir::new().unwrap();
    for n in 1..=3 {
        let log = start(folder.path(), "access.log");
        log.write(&line(b"/"));
        assert!(log.flush());
        assert_eq!(read(&folder.path().join("access.log")).len(), n);
    }
}

#[test]
fn the_end_of_the_last_handle_writes_what_is_left() {
    let folder = TempDir::new().unwrap();
    let reader = pipe(folder.path());
    let log = start(folder.path(), "pipe");
    let other = log.clone();
    (0..10).for_each(|_| log.write(&line(b"/")));
    drop(log);
    drop(other);
    assert_eq!(
        BufReader::new(reader).lines().take(10).filter(|line| line.as_ref().is_ok_and(|l| l.ends_with('}'))).count(),
        10
    );
}

#[test]
fn a_log_that_is_off_writes_nothing() {
    let log = AccessLog::start(&bootstrap::AccessLog::Off, Path::new("/"), &[]).unwrap();
    assert!(!log.is_on());
    log.write(&line(b"/"));
    log.reopen();
    assert!(log.flush());
    assert_eq!(log.dropped(), 0);
}

#[test]
fn a_file_that_cannot_be_made_is_an_error_at_start() {
    let target = bootstrap::AccessLog::File("no/such/folder/access.log".to_owned());
    assert!(AccessLog::start(&target, Path::new("/proc"), &[]).is_err());
}
