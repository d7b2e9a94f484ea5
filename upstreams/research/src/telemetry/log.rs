//! The log: one JSON object a line on standard error, with ECS field names
//! (<https://www.elastic.co/guide/en/ecs/current/>).
//!
//! Lines are written by a thread of their own, behind a bounded queue. A reader of our standard error that stalls
//! costs lines, which are counted, and never a request.

use std::fmt;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use prometheus::IntCounter;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

const ECS_VERSION: &str = "8.11.0";
/// Lines that may wait: about two seconds of a busy service, a few MiB.
const QUEUE: usize = 8192;
/// How long the end of the process waits for the last lines.
const FINISH: Duration = Duration::from_secs(1);

/// The running log. Dropping it changes nothing; [`Log::finish`] writes what waits.
pub struct Log {
    queue: Queue,
}

enum Entry {
    Line(Vec<u8>),
    /// All lines before this one are to be written, then the sender told.
    Flush(SyncSender<()>),
}

#[derive(Clone)]
struct Queue {
    entries: SyncSender<Entry>,
    dropped: IntCounter,
}

/// Starts the log of this process. `RUST_LOG` filters it, `info` without.
///
/// # Panics
/// Never in practice: the counter's name is a constant that the `prometheus` crate accepts.
pub fn start(service: &'static str) -> Log {
    let dropped = IntCounter::new("research_log_dropped_total", "Log lines that found the queue full.")
        .expect("a constant name that is valid");
    let (entries, waiting) = sync_channel(QUEUE);
    std::thread::Builder::new().name("log".into()).spawn(move || write_lines(&waiting)).map_or_else(
        |error| eprintln!("no thread for the log, it will be lost: {error}"),
        drop, // it ends with the process
    );
    let queue = Queue { entries, dropped };
    let writer = queue.clone();
    let layer = tracing_subscriber::fmt::layer().event_format(Ecs { service }).with_writer(move || writer.clone());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Only a second log in one process could fail here, and then the first one goes on.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    Log { queue }
}

impl Log {
    /// The count of lines that found the queue full.
    pub fn dropped(&self) -> IntCounter {
        self.queue.dropped.clone()
    }

    /// Waits until what was logged is written, for at most a second.
    pub fn finish(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.entries.try_send(Entry::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(FINISH);
        }
    }
}

fn write_lines(waiting: &Receiver<Entry>) {
    let mut out = io::stderr();
    while let Ok(entry) = waiting.recv() {
        // Where standard error is gone there is nowhere left to say so.
        match entry {
            Entry::Line(line) => _ = out.write_all(&line),
            Entry::Flush(done) => _ = out.flush().map(|()| done.try_send(())),
        }
    }
}

/// The formatter writes each event with one call.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.entries.try_send(Entry::Line(line.to_vec())).is_err() {
            self.dropped.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event as a flat ECS document: field names are taken as they are, dots included.
struct Ecs {
    service: &'static str,
}

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // What comes by the `log` crate has its real origin in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut document = Map::new();
        document.insert("@timestamp".into(), format!("{:.3}", jiff::Timestamp::now()).into());
        document.insert("log.level".into(), metadata.level().as_str().to_lowercase().into());
        document.insert("ecs.version".into(), ECS_VERSION.into());
        document.insert("service.name".into(), self.service.into());
        document.insert("log.logger".into(), metadata.target().into());
        event.record(&mut Fields(&mut document));
        let line = serde_json::to_string(&document).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    /// The fields in which the `log` bridge carries an event's origin are no part of the event.
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        if !field.name().starts_with("log.") {
            self.0.insert(field.name().into(), value.into());
        }
    }
}

impl Visit for Fields<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_lines_and_counts_them() {
        let (entries, waiting) = sync_channel(1);
        let dropped = IntCounter::new("dropped_total", "Dropped.").expect("a counter");
        let mut queue = Queue { entries, dropped: dropped.clone() };
        for line in [b"a", b"b", b"c"] {
            assert_eq!(queue.write(line).expect("a queue never fails"), 1);
        }
        assert_eq!(dropped.get(), 2);
        assert!(matches!(waiting.recv(), Ok(Entry::Line(line)) if line == b"a"));
    }

    #[test]
    fn an_event_becomes_a_flat_document() {
        let (entries, waiting) = sync_channel(4);
        let queue = Queue { entries, dropped: IntCounter::new("dropped_total", "Dropped.").expect("a counter") };
        let layer =
            tracing_subscriber::fmt::layer().event_format(Ecs { service: "arxiv" }).with_writer(move || queue.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let nobody: Option<&str> = None;
            tracing::event!(target: "access", tracing::Level::INFO, http.response.status_code = 200, client.ip = nobody, url.path = %"/a\"b");
        });
        let Ok(Entry::Line(line)) = waiting.recv() else { panic!("no line") };
        let document: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(document["http.response.status_code"], 200);
        assert_eq!(document["url.path"], "/a\"b");
        assert_eq!(document["service.name"], "arxiv");
        assert_eq!(document["log.logger"], "access");
        assert!(document.get("client.ip").is_none(), "what is not known is left out");
        assert!(document["@timestamp"].as_str().is_some_and(|at| at.ends_with('Z')));
    }
}
