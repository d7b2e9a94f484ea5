//! The process log.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing_log::log;
use weir_proxy::telemetry::logs::{LogLevel, subscriber};

/// What was written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines that are logged meanwhile.
fn logged(level: &str, work: impl FnOnce(&LogLevel)) -> Vec<Value> {
    let written = Written::default();
    let writer = written.clone();
    let (subscriber, level) = subscriber(level, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || work(&level));
    let written = written.0.lock().unwrap();
    str::from_utf8(&written).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_event_is_a_line_of_json_with_ecs_names() {
    let lines = logged("info", |_| {
        let error = io::Error::other("disk \"full\"\n");
        tracing::error!(path = "/x", %error, tries = -3, free = 7u64, durable = false, load = 0.5, "not written");
    });
    let [line] = &lines[..] else { panic!("{lines:?}") };
    for (field, value) in [
        ("log.level", json!("error")),
        ("message", json!("not written")),
        ("log.logger", json!("telemetry::process_log")),
        ("labels.path", json!("/x")),
        ("labels.error", json!("disk \"full\"\n")),
        ("labels.tries", json!(-3)),
        ("labels.free", json!(7)),
        ("labels.durable", json!(false)),
        ("labels.load", json!(0.5)),
    ] {
        assert_eq!(line[field], value, "{field}");
    }
    assert!(line["@timestamp"].as_str().unwrap().ends_with('Z') && line["ecs.version"].is_string());
}

#[test]
fn the_level_changes_while_the_process_runs() {
    let lines = logged("warn", |level| {
        tracing::info!("too little to be said");
        level.set("debug").unwrap();
        assert_eq!(level.get(), "debug");
        tracing::debug!("now it is");
        level.set("error,telemetry=info").unwrap();
        tracing::debug!("no longer");
        tracing::info!("as named");
    });
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["now it is", "as named"]);
}

#[test]
fn a_level_that_is_none_changes_nothing_and_is_explained() {
    logged("info", |level| {
        for (bad, word) in
            [("debgu", "debgu"), ("", "`` is none"), ("weir_proxy=debug", "rest"), ("info,a=b=c", "a=b=c")]
        {
            let problem = level.set(bad).unwrap_err().to_string();
            assert!(problem.contains(word) && problem.contains("info,weir_proxy=debug"), "{problem}");
            assert_eq!(level.get(), "info");
        }
    });
    assert!(subscriber("loud", io::sink).is_err());
}

#[test]
fn what_comes_through_the_log_crate_keeps_its_origin_and_libraries_are_quiet() {
    let say = |level, target| {
        let message = format_args!("from {target}");
        let record = log::Record::builder().args(message).level(level).target(target).build();
        tracing_log::format_trace(&record).unwrap();
    };
    let lines = logged("debug", |level| {
        say(log::Level::Info, "pingora_core::server");
        say(log::Level::Warn, "pingora_proxy");
        say(log::Level::Debug, "anything");
        level.set("info,pingora_core=debug").unwrap();
        say(log::Level::Debug, "pingora_core::server");
    });
    let origins: Vec<_> = lines.iter().map(|line| (line["log.level"].as_str(), line["log.logger"].as_str())).collect();
    assert_eq!(
        origins,
        [
            (Some("warn"), Some("pingora_proxy")),
            (Some("debug"), Some("anything")),
            (Some("debug"), Some("pingora_core::server"))
        ]
    );
    assert!(lines.iter().all(|line| line.as_object().unwrap().keys().all(|key| !key.starts_with("labels.log"))));
}
