//! Peers in Python: gRPC and WebSocket as others implement them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::process::Process;
use crate::tools::{python, run_tool};
use crate::wait::until;

/// A script of `tests/python`.
pub struct Peer {
    python: PathBuf,
    script: String,
}

/// Its running server.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
}

impl Peer {
    /// `None` where there is no Python environment and none is required.
    pub fn of(script: &str) -> anyhow::Result<Option<Self>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script).display().to_string();
        Ok(python()?.map(|python| Self { python, script }))
    }

    /// Starts the script's server; its output goes to `folder`.
    pub async fn serve(&self, folder: &Path) -> anyhow::Result<Server> {
        let mut command = Command::new(&self.python);
        command.args([&self.script, "server"]);
        let mut process = Process::start("python-server", command, folder)?;
        let port = until("the port of the Python server", || {
            let out = process.stdout();
            if process.ended().is_some() {
                return Some(Err(process.output()));
            }
            out.ends_with('\n').then(|| Ok(out.trim().to_owned()))
        })
        .await?;
        let port: u16 = port.map_err(anyhow::Error::msg)?.parse()?;
        Ok(Server { process, address: ([127, 0, 0, 1], port).into() })
    }

    /// Runs the script's client to its end and gives what it saw.
    pub async fn call(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let got = run_tool(self.python.clone(), &[&[self.script.as_str(), "client"], arguments].concat()).await?;
        ensure!(got.code == 0, "{}{}", got.out, got.err);
        serde_json::from_str(got.out.trim()).with_context(|| format!("{}{}", got.out, got.err))
    }
}
