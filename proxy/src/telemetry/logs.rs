//! The process log: what happens to the process, as lines of JSON with ECS names on stderr. Requests are in the access
//! log.
//!
//! Libraries that log through the `log` crate (Pingora among them) come here too; those that say much are kept at `warn`
//! unless they are named.

use std::fmt::{self, Debug};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_log::{AsLog, LogTracer, NormalizeEvent};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry, reload};

use super::clock::Clock;
use super::json;
use super::names::field;

/// The environment variable with the level at start: `debug`, or `info,weir_proxy=trace`.
pub const VARIABLE: &str = "WEIR_LOG";

/// The level without it.
const DEFAULT: &str = "info";

/// Libraries that tell of each connection or request. A directive takes all targets that begin with its name.
const QUIET: &str = "pingora=warn,h2=warn,hyper=warn,rustls=warn,hickory=warn,notify=warn";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{level}` is not a log level: {problem}; write `debug`, or `info,weir_proxy=debug`")]
    Level { level: String, problem: String },
    #[error("a process log is set up already")]
    AlreadySet,
    #[error("the process log is gone")]
    Gone,
}

/// Sets up the log of this process, with the level of [`VARIABLE`].
///
/// # Errors
/// The variable holds no level, or it was set up before.
pub fn start() -> Result<LogLevel, Error> {
    let level = std::env::var(VARIABLE).unwrap_or_else(|_| DEFAULT.to_owned());
    let (subscriber, level) = subscriber(&level, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::AlreadySet)?;
    LogTracer::init().map_err(|_| Error::AlreadySet)?;
    level.tell_log_crate();
    Ok(level)
}

/// A log that writes to `writer`, and the handle to its level.
///
/// # Errors
/// `level` is none.
pub fn subscriber<W>(level: &str, writer: W) -> Result<(impl Subscriber + Send + Sync, LogLevel), Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let lines = tracing_subscriber::fmt::layer().event_format(Ecs).with_writer(writer);
    let level = LogLevel { handle, current: Arc::new(Mutex::new(level.to_owned())) };
    Ok((Registry::default().with(filter).with(lines), level))
}

/// What is logged, to be changed while the process runs.
#[derive(Clone, Debug)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
    current: Arc<Mutex<String>>,
}

impl LogLevel {
    /// As it was last set.
    pub fn get(&self) -> String {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is logged from now on.
    ///
    /// # Errors
    /// `level` is none; nothing is changed.
    pub fn set(&self, level: &str) -> Result<(), Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(filter(level)?).map_err(|_| Error::Gone)?;
        level.clone_into(&mut current);
        self.tell_log_crate();
        Ok(())
    }

    /// Lets the `log` crate refuse, at the price of one load, what no filter would pass.
    fn tell_log_crate(&self) {
        tracing_log::log::set_max_level(LevelFilter::current().as_log());
    }
}

fn filter(level: &str) -> Result<EnvFilter, Error> {
    let wrong = |problem: String| Error::Level { level: level.to_owned(), problem };
    // The library takes a misspelt level for the name of a target, and would then log nothing else.
    let words = || level.split(',').map(str::trim).filter(|word| !word.contains(['=', '[']));
    if let Some(word) = words().find(|word| word.is_empty() || word.parse::<LevelFilter>().is_err()) {
        return Err(wrong(format!("`{word}` is none of off, error, warn, info, debug, trace")));
    }
    if words().next().is_none() {
        return Err(wrong("it names no level for the rest".to_owned()));
    }
    EnvFilter::try_new(format!("{QUIET},{level}")).map_err(|error| wrong(error.to_string()))
}

/// Writes an event as a line of JSON.
struct Ecs;

impl<S, N> FormatEvent<S, N> for Ecs
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // An event that came through the `log` crate has its origin in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let mut fields = Fields::default();
        event.record(&mut fields);

        let mut line = Vec::with_capacity(256);
        line.extend_from_slice(field::TIMESTAMP.as_bytes());
        Clock::default().write(&mut line, SystemTime::now());
        line.push(b'"');
        for (key, value) in [
            (field::LEVEL, level(*metadata.level())),
            (field::MESSAGE, fields.message.as_str()),
            (field::ECS_VERSION, field::ECS),
            (field::LOGGER, metadata.target()),
        ] {
            line.extend_from_slice(key.as_bytes());
            json::escaped(&mut line, value.as_bytes());
            line.push(b'"');
        }
        line.extend_from_slice(&fields.labels);
        line.extend_from_slice(b"}\n");
        // Valid UTF-8, as all that the module writes.
        writer.write_str(str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    /// The others, each with its key, as JSON.
    labels: Vec<u8>,
}

impl Fields {
    /// Writes the key of a field that is a label.
    fn key(&mut self, field: &Field) -> bool {
        // `log.target` and the like, of events that came through the `log` crate.
        if field.name().starts_with("log.") {
            return false;
        }
        self.labels.extend_from_slice(field::LABEL.as_bytes());
        json::escaped(&mut self.labels, field.name().as_bytes());
        self.labels.extend_from_slice(b"\":");
        true
    }

    fn number(&mut self, field: &Field, value: impl itoa::Integer) {
        if self.key(field) {
            json::number(&mut self.labels, value);
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else if self.key(field) {
            self.labels.push(b'"');
            json::escaped(&mut self.labels, value.as_bytes());
            self.labels.push(b'"');
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity. `Display` writes no exponent.
        if value.is_finite() && self.key(field) {
            self.labels.extend_from_slice(value.to_string().as_bytes());
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.key(field) {
            self.labels.extend_from_slice(if value { b"true" } else { b"false" });
        }
    }
}
