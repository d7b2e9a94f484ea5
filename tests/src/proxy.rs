//! A running proxy.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use nix::sys::signal::Signal;

use crate::access_log::AccessLog;
use crate::client::{H1, H2};
use crate::message::{Request, Response};
use crate::metrics::Metrics;
use crate::process::Process;
use crate::setup::Setup;
use crate::wait::{until, until_async};

/// A proxy that serves. Dropping it kills it; see [`Proxy::stop`] for the orderly way.
pub struct Proxy {
    setup: Setup,
    ready: BTreeMap<String, SocketAddr>,
    pub process: Process,
}

impl Proxy {
    /// One plain default listener `edge` and this mesh document.
    pub async fn start(mesh: impl Into<String>) -> anyhow::Result<Self> {
        Setup::new(mesh)?.start().await
    }

    pub(crate) async fn new(setup: Setup, mut process: Process) -> anyhow::Result<Self> {
        let file = setup.ready_file();
        let text = until("ready.json", || {
            if process.ended().is_some() {
                return Some(None);
            }
            fs::read_to_string(&file).ok().map(Some)
        })
        .await?;
        let Some(text) = text else { bail!("the proxy did not come up:\n{}", process.output()) };
        let ready = serde_json::from_str(&text).with_context(|| format!("ready.json: {text}"))?;
        Ok(Self { setup, ready, process })
    }

    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// What `ready.json` says: listeners by name, and `admin`, `metrics`, `health`.
    pub fn ready(&self) -> &BTreeMap<String, SocketAddr> {
        &self.ready
    }

    /// The address of a listener, or of `admin`, `metrics`, `health`.
    pub fn address(&self, name: &str) -> SocketAddr {
        *self.ready.get(name).unwrap_or_else(|| panic!("ready.json names no {name}: {:?}", self.ready))
    }

    /// The address of the listener `edge`.
    pub fn edge(&self) -> SocketAddr {
        self.address("edge")
    }

    /// A fresh plain HTTP/1.1 connection to `edge`.
    pub async fn h1(&self) -> anyhow::Result<H1> {
        H1::connect(self.edge()).await
    }

    /// A fresh HTTP/2 connection to `edge` by prior knowledge.
    pub async fn h2(&self) -> anyhow::Result<H2> {
        H2::connect(self.edge()).await
    }

    /// One exchange over a fresh plain HTTP/1.1 connection to `edge`.
    pub async fn send(&self, request: &Request) -> anyhow::Result<Response> {
        self.h1().await?.send(request).await
    }

    /// `GET` of a target, as [`Proxy::send`].
    pub async fn get(&self, target: &str) -> anyhow::Result<Response> {
        self.send(&Request::get(target)).await
    }

    /// One exchange with `admin`, `metrics` or `health`.
    pub async fn ask(&self, server: &str, target: &str) -> anyhow::Result<Response> {
        H1::connect(self.address(server)).await?.send(&Request::get(target)).await
    }

    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        Metrics::scrape(self.address("metrics")).await
    }

    /// Scrapes until a sum is as claimed; shows the last one if it never is.
    pub async fn metric_becomes(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        claim: impl Fn(f64) -> bool,
    ) -> anyhow::Result<f64> {
        let mut last = f64::NAN;
        let found = until_async(name, async || {
            last = self.metrics().await.ok()?.sum(name, labels);
            claim(last).then_some(last)
        })
        .await;
        found.with_context(|| format!("{name}{labels:?} stayed {last}"))
    }

    pub fn access_log(&self) -> AccessLog {
        AccessLog::at(&self.setup.access_log_file())
    }

    /// Puts a document in the place of the mesh file, as an editor that renames does. Does not wait.
    pub fn write_mesh(&self, text: &str) -> anyhow::Result<()> {
        let temporary = self.setup.folder().join("mesh.toml.new");
        fs::write(&temporary, text)?;
        Ok(fs::rename(temporary, self.setup.mesh_file())?)
    }

    /// Changes the mesh document and waits until it is in force.
    pub async fn apply(&self, text: &str) -> anyhow::Result<()> {
        let before = self.version().await?;
        self.write_mesh(text)?;
        self.metric_becomes("weir_config_version", &[], |now| now != before).await?;
        Ok(())
    }

    /// Changes the mesh document to one that must be refused, and waits for that.
    pub async fn apply_refused(&self, text: &str) -> anyhow::Result<()> {
        let before = self.metrics().await?.sum("weir_config_rejected_total", &[]);
        self.write_mesh(text)?;
        self.metric_becomes("weir_config_rejected_total", &[], |now| now > before).await?;
        Ok(())
    }

    /// The version in force.
    pub async fn version(&self) -> anyhow::Result<f64> {
        Ok(self.metrics().await?.sum("weir_config_version", &[]))
    }

    /// Sends SIGTERM; see [`Process::exit_code`] for the end.
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::SIGTERM)
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(mut self) -> anyhow::Result<i32> {
        self.terminate()?;
        self.process.exit_code().await
    }
}
