//! What the running proxy says of its documents. One is called live, or refused, only when the proxy says so.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// A document that a proxy refused, for what only it can know, such as a file that it cannot read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refused {
    /// Counts up with each refusal.
    pub number: u64,
    /// None where the text was no document at all.
    pub digest: Option<String>,
    pub problems: Value,
    /// The problems, for people.
    pub report: String,
}

/// What a proxy says of its documents.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct State {
    #[serde(flatten)]
    pub served: Served,
    /// What was refused since that serves.
    pub refused: Option<Refused>,
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
    pub async fn state(&self) -> Option<State> {
        let answer = self.client.get(&self.table).send().await.ok()?.error_for_status().ok()?;
        answer.json().await.ok()
    }
}
