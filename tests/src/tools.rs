//! Programs of others that tests use: real clients, a real Prometheus.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::process::{Output, run};

/// Time for one run of a tool. Generous, for the same reason as [`crate::wait::PATIENCE`].
const TIME: Duration = Duration::from_secs(120);

/// Finds a program. `None` where it is not installed, which is a failure where `REQUIRE_SERVICES=1`.
pub fn tool(name: &str) -> anyhow::Result<Option<PathBuf>> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    missing_is_failure(name, found)
}

/// The Python of the test environment, which has grpcio, websockets and h2.
pub fn python() -> anyhow::Result<Option<PathBuf>> {
    let found = env::var_os("WEIR_TEST_PYTHON").map(PathBuf::from).filter(|path| path.is_file()).or_else(|| {
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
        Some(cache.join("weir/venv/bin/python")).filter(|path| path.is_file())
    });
    missing_is_failure("the Python environment of the tests (tests/run makes it)", found)
}

fn missing_is_failure(name: &str, found: Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    if found.is_none() {
        if env::var_os("REQUIRE_SERVICES").is_some_and(|value| value == "1") {
            bail!("{name} is not installed");
        }
        eprintln!("SKIPPED: {name} is not installed");
    }
    Ok(found)
}

/// Runs curl, quiet but for errors. The output is the body; `-w` adds what it is told to.
pub async fn curl(arguments: &[&str]) -> anyhow::Result<Output> {
    let curl = tool("curl")?.context("curl is not installed")?;
    run(Command::new(curl).args(["-sS", "--noproxy", "*", "--max-time", "60"]).args(arguments), TIME).await
}

/// Runs a tool to its end.
pub async fn run_tool(path: PathBuf, arguments: &[&str]) -> anyhow::Result<Output> {
    run(Command::new(path).args(arguments), TIME).await
}

/// Whether long sweeps were asked for (`tests/run --long`).
pub fn long() -> bool {
    env::var_os("WEIR_TEST_LONG").is_some_and(|value| value == "1")
}
