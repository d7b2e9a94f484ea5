//! What the running proxy says that it serves. A document is called live only when the proxy says so.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::children::tail;
use crate::failure::{OrFail, Result};

/// The admin interface is on this machine: it answers at once, or something is wrong with it.
const ANSWER: Duration = Duration::from_secs(1);

/// A proxy, seen through its admin interface.
#[derive(Clone, Debug)]
pub struct Proxy {
    client: reqwest::Client,
    table: String,
}

/// What a proxy serves: which of the documents it was given, counted from its start, and the digest of that document.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Served {
    pub version: u64,
    pub digest: String,
}

impl Proxy {
    pub fn new(admin: SocketAddr) -> Result<Self> {
        // A web proxy of the environment has no business between us and a loopback address.
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER).build().or_fail(
            "the HTTP client could not be made",
            "look at the message; the machine may be out of descriptors",
        )?;
        Ok(Self { client, table: format!("http://{admin}/table") })
    }

    /// None when it does not answer as expected: it may be busy, or about to end.
    pub async fn served(&self) -> Option<Served> {
        let answer = self.client.get(&self.table).send().await.ok()?.error_for_status().ok()?;
        answer.json().await.ok()
    }
}

/// Why the proxy refused a document last, from its log: what only it can know, such as a certificate that it cannot read.
pub fn last_refusal(log: &Path) -> Option<String> {
    let line = |line: String| serde_json::from_str::<Value>(&line).ok();
    let refuses = |line: &Value| {
        let of_source = line["log.logger"].as_str().is_some_and(|logger| logger.starts_with("weir_proxy::source"));
        of_source && line["log.level"] == "error"
    };
    let line = tail(log).into_iter().rev().filter_map(line).find(refuses)?;
    line["message"].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_refusal_in_a_log_is_found_among_other_lines() {
        let world = tempfile::tempdir().expect("a folder");
        let log = world.path().join("proxy.log");
        let text = r#"
{"log.level":"error","message":"first","log.logger":"weir_proxy::source::file"}
{"log.level":"error","message":"second","log.logger":"weir_proxy::source::file"}
{"log.level":"info","message":"document live","log.logger":"weir_proxy::source"}
{"log.level":"error","message":"something else","log.logger":"weir_proxy::drain"}
not JSON
"#;
        std::fs::write(&log, text).expect("written");
        assert_eq!(last_refusal(&log).as_deref(), Some("second"));
        assert_eq!(last_refusal(&world.path().join("none")), None);
    }
}
