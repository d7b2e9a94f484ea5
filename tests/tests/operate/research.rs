//! A research service from its binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::bail;
use tempfile::TempDir;
use weir_tests::binaries::binary;
use weir_tests::process::Process;
use weir_tests::{H1, Request, Response, until};

/// A running service. Dropping it kills it.
pub struct Research {
    pub address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Research {
    /// A source that answers from its embedded corpus.
    pub async fn source(name: &str) -> anyhow::Result<Self> {
        Self::start(name, &["--offline".into()]).await
    }

    /// The search over a source.
    pub async fn search(name: &str, source: &Self) -> anyhow::Result<Self> {
        Self::start("search", &["--source".into(), format!("{name}=http://{}", source.address)]).await
    }

    async fn start(name: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("weir-test-").tempdir()?;
        let mut command = Command::new(binary("research")?);
        command.arg(name).args(arguments).arg("--state-dir").arg(folder.path());
        let mut process = Process::start(name, command, folder.path())?;
        let file = folder.path().join("ready.json");
        let text = until("the service's ready.json", || {
            if process.ended().is_some() {
                return Some(None);
            }
            std::fs::read_to_string(&file).ok().map(Some)
        })
        .await?;
        let Some(text) = text else { bail!("{name} did not come up:\n{}", process.output()) };
        let ready: BTreeMap<String, SocketAddr> = serde_json::from_str(&text)?;
        let Some(&address) = ready.get("http") else { bail!("no http in {text}") };
        Ok(Self { address, _process: process, _folder: folder })
    }

    pub async fn get(&self, target: &str) -> anyhow::Result<Response> {
        H1::connect(self.address).await?.send(&Request::get(target)).await
    }
}
