//! What Prometheus' own tool says of our metrics, and of `deploy/prometheus`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use weir_proxy::telemetry::{Metrics, names};

use crate::metrics::record_everything;
use crate::{Still, name};

fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus").canonicalize().unwrap()
}

/// Runs promtool. None where it is not installed, unless `REQUIRE_SERVICES=1`.
fn promtool(arguments: &[&str], input: &str) -> Option<Output> {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(deploy());
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let required = std::env::var_os("REQUIRE_SERVICES").is_some_and(|required| required == "1");
            assert!(!required, "promtool (Debian: prometheus) does not run: {error}");
            eprintln!("skipped: promtool does not run: {error}");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

fn read(file: &str) -> String {
    fs::read_to_string(deploy().join(file)).unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let metrics = Metrics::new(&[name("edge")]);
    record_everything(&metrics);
    let Some(output) = promtool(&["check", "metrics"], &metrics.gather(&Still)) else { return };
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
}

#[test]
fn the_configuration_and_the_rules_are_valid() {
    let Some(output) = promtool(&["check", "config", "--lint=all", "--lint-fatal", "prometheus.yml"], "") else {
        return;
    };
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_rules_do_what_their_tests_say() {
    let Some(output) = promtool(&["test", "rules", "rules_test.yml"], "") else { return };
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn rules_ask_only_for_metrics_that_there_are() {
    for file in ["rules/alerts.yml", "rules/recording.yml"] {
        let rules = read(file);
        // Names with a colon are those of recording rules.
        let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && !"_:".contains(c));
        for word in words.filter(|word| word.starts_with("weir_")) {
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
            let known = |name| names::ALL.iter().any(|family| family.name == name);
            assert!(known(family.unwrap_or(word)), "{file} asks for {word}");
        }
    }
}

#[test]
fn every_alert_has_a_test() {
    let (alerts, tests) = (read("rules/alerts.yml"), read("rules_test.yml"));
    let names: Vec<_> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 10);
    for name in names {
        let firing = tests
            .split("- alertname: ")
            .skip(1)
            .any(|test| test.lines().next() == Some(name) && test.contains("exp_labels"));
        assert!(firing, "no test in which {name} fires");
    }
}
