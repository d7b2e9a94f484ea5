//! What Prometheus' own tool says of our metrics, and of `deploy/prometheus`.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use weir_proxy::telemetry::Metrics;

use crate::metrics::record_everything;
use crate::{Still, name};

/// Runs promtool. None where it is not installed, unless `REQUIRE_SERVICES=1`.
fn promtool(arguments: &[&str], input: &str) -> Option<Output> {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus");
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(deploy);
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
