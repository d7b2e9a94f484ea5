//! What a proxy under test is started with.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use tempfile::TempDir;
use toml::{Table, Value};

use crate::binaries::binary;
use crate::process::Process;
use crate::proxy::Proxy;

/// A proxy to be: its documents, with port 0 everywhere and everything in a folder of its own.
#[derive(Clone)]
pub struct Setup {
    folder: Arc<TempDir>,
    mesh: Option<String>,
    bootstrap: Table,
    environment: BTreeMap<String, String>,
}

/// How a proxy ended that did not come up.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub output: String,
}

impl Setup {
    /// One plain listener, `edge`, which is the default one, and this mesh document.
    pub fn new(mesh: impl Into<String>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("weir-test-").tempdir().context("a folder for the test")?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let bootstrap = toml::from_str(&format!(
            r#"
            workers = 2
            state_dir = {:?}
            admin.address = "127.0.0.1:0"
            telemetry.metrics = "127.0.0.1:0"
            telemetry.health = "127.0.0.1:0"
            telemetry.access_log = {:?}
            "#,
            path("state"),
            path("access.log")
        ))?;
        let setup = Self { folder: Arc::new(folder), mesh: Some(mesh.into()), bootstrap, environment: BTreeMap::new() };
        setup.listener("edge", "default = true")
    }

    /// Adds a listener, or puts another in its place. `keys` is TOML; the address is a port of the kernel's choice
    /// unless given, and the limits per client are raised, since every client here is the loopback.
    pub fn listener(mut self, name: &str, keys: &str) -> anyhow::Result<Self> {
        let mut listener: Table = toml::from_str(keys).with_context(|| keys.to_owned())?;
        listener.entry("address").or_insert_with(|| "127.0.0.1:0".into());
        let limits = listener.entry("limits").or_insert_with(|| Table::new().into());
        if let Value::Table(limits) = limits {
            limits.entry("connections_per_client").or_insert(20_000.into());
        }
        let listeners = self.bootstrap.entry("listeners").or_insert_with(|| Table::new().into());
        listeners.as_table_mut().context("listeners")?.insert(name.into(), listener.into());
        Ok(self)
    }

    /// Merges TOML into the bootstrap document: `[drain]`, `workers`, `telemetry.secret_query`.
    pub fn bootstrap(mut self, keys: &str) -> anyhow::Result<Self> {
        merge(&mut self.bootstrap, toml::from_str(keys).with_context(|| keys.to_owned())?);
        Ok(self)
    }

    /// An environment variable of the process.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Another mesh document in the same folder: a next start.
    pub fn with_mesh(mut self, mesh: impl Into<String>) -> Self {
        self.mesh = Some(mesh.into());
        self
    }

    /// The folder of everything: documents, `state/`, logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn mesh_file(&self) -> PathBuf {
        self.folder().join("mesh.toml")
    }

    pub fn access_log_file(&self) -> PathBuf {
        self.folder().join("access.log")
    }

    pub fn ready_file(&self) -> PathBuf {
        self.folder().join("state/ready.json")
    }

    /// Starts the proxy and waits until it serves.
    pub async fn start(&self) -> anyhow::Result<Proxy> {
        Proxy::new(self.clone(), self.spawn()?).await
    }

    /// Starts the proxy where it must not come up, and waits for its end.
    pub async fn start_in_vain(&self) -> anyhow::Result<Ended> {
        let mut process = self.spawn()?;
        let code = process.exit_code().await?;
        Ok(Ended { code, output: process.output() })
    }

    fn spawn(&self) -> anyhow::Result<Process> {
        let bootstrap = self.folder().join("bootstrap.toml");
        fs::write(&bootstrap, toml::to_string(&self.bootstrap)?)?;
        let _ = fs::remove_file(self.ready_file());
        let mut command = Command::new(binary("weir-proxy")?);
        command.arg("--config").arg(bootstrap).envs(&self.environment).current_dir(self.folder());
        if let Some(mesh) = &self.mesh {
            fs::write(self.mesh_file(), mesh)?;
            command.arg("--mesh").arg(self.mesh_file());
        }
        Process::start("proxy", command, self.folder())
    }
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}
