//! One proxy process from its start to its end, in order.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Context, bail};
use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use tokio::sync::{oneshot, watch};
use weir_config::bootstrap::{Admin, Bootstrap, Telemetry};
use weir_config::problem::Problems;

use crate::admin::{self, Sockets};
use crate::drain::{self, Patience, Signals};
use crate::listen::{Listeners, Phase};
use crate::node::Node;
use crate::service::{MAX_ATTEMPTS, Service};
use crate::source::{self, last_good::write_atomically};
use crate::telemetry::AccessLog;
use crate::telemetry::logs;
use crate::view::ProcessView;

/// Kept upstream connections that a worker's pool holds at most, of each protocol: more than its requests at a time, or
/// every request would dial.
const POOL: usize = 1024;

/// Serves as `config` says until the process is asked to leave.
pub fn run(config: &Path, mesh: Option<PathBuf>) -> anyhow::Result<()> {
    let bootstrap = read_bootstrap(config)?;
    let base = config.parent().map(Path::to_path_buf).unwrap_or_default();
    let log_level = logs::start().context("cannot start the process log")?;
    raise_descriptor_limit();
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string);
        tracing::error!(message, place, thread = std::thread::current().name(), "panic");
    }));
    // Both sides' TLS comes from the process's provider; this one alone has X25519MLKEM768.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        bail!("a TLS provider is installed already");
    }
    let workers = match bootstrap.workers {
        Some(workers) => usize::from(workers),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("weir-worker")
        .enable_all()
        .build()
        .context("cannot start the worker threads")?;
    let served = runtime.block_on(serve(&bootstrap, &base, mesh, workers, log_level));
    // What was cut at the end of the drain ends here.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    served
}

async fn serve(
    bootstrap: &Bootstrap,
    base: &Path,
    mesh: Option<PathBuf>,
    workers: usize,
    log_level: logs::LogLevel,
) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot listen to signals")?;
    let state = base.join(&bootstrap.state_dir);
    std::fs::create_dir_all(&state).with_context(|| format!("cannot make the state folder {}", state.display()))?;
    let telemetry = bootstrap.telemetry.clone().unwrap_or_default();
    let sockets = bind_operators(bootstrap.admin.as_ref(), &telemetry)?;
    let listeners = Listeners::bind(bootstrap, base)?;
    let mesh = match (mesh, &bootstrap.mesh) {
        (Some(file), _) => file,
        (None, Some(file)) => base.join(file),
        (None, None) => bail!("no mesh document: give one with --mesh, or set `mesh` in the bootstrap document"),
    };

    let log = telemetry.access_log.clone().unwrap_or_default();
    let access_log = AccessLog::start(&log, base, &telemetry.secret_query).context("cannot open the access log")?;
    let node = Node::new(bootstrap, &listeners, base, access_log.clone());
    source::start(&node, &mesh, &state).await?;
    let watch_mesh = source::file::watch(node.clone(), mesh.clone(), state.clone())
        .with_context(|| format!("cannot watch {}", mesh.display()))?;

    let addresses = addresses(&listeners, &sockets)?;
    let leaving = Arc::new(AtomicBool::new(false));
    let (ask_drain, mut drain_asked) = watch::channel(false);
    let view = Arc::new(ProcessView {
        node: node.clone(),
        certificates: listeners.certificates(),
        drain: ask_drain,
        leaving: leaving.clone(),
    });
    let (stop_operators, stopped) = oneshot::channel::<()>();
    let stop = async { drop(stopped.await) };
    let operators = tokio::spawn(admin::serve(sockets, view, node.metrics.clone(), log_level, stop));

    let (phase, follow_phase) = watch::channel(Phase::Serving);
    let proxy = Arc::new(http_proxy(&Arc::new(pingora_settings(workers)), Service::new(node.clone())));
    let mut serving = listeners.serve(proxy, node.clone(), follow_phase);
    let ready = serde_json::to_vec(&addresses)?;
    let ready_file = state.join("ready.json");
    write_atomically(&ready_file, &ready).context("cannot write ready.json")?;
    tracing::info!(?addresses, version = node.current.version(), workers, "serving");

    let patience = patience(bootstrap);
    let patience = signals.asked(patience, &mut drain_asked).await;
    leaving.store(true, Relaxed);
    drain::leave(&phase, &mut serving, &mut signals, patience).await;
    drop(watch_mesh);
    // Unless a successor has taken the place already.
    if std::fs::read(&ready_file).is_ok_and(|content| content == ready) {
        let _ = std::fs::remove_file(&ready_file);
    }
    let _ = stop_operators.send(());
    if let Ok(Err(error)) = operators.await {
        tracing::warn!(%error, "the admin servers ended badly");
    }
    tokio::task::spawn_blocking(move || access_log.flush()).await?;
    tracing::info!("gone");
    Ok(())
}

/// Takes as many file descriptors as we may: the usual soft limit, 1024, is there for programs that use `select`.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, hard, "the limit on file descriptors stays low");
    }
}

fn read_bootstrap(file: &Path) -> anyhow::Result<Bootstrap> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the bootstrap document {name}; give the path of one with --config"))?;
    let parsed = Bootstrap::parse(&name, &text);
    match parsed.value {
        Some(bootstrap) => Ok(bootstrap),
        None => bail!("the bootstrap document is refused\n{}", Problems::new(&name, &text, &parsed.problems)),
    }
}

/// Binds the addresses for operators. A live process that nobody can ask is worse than none.
fn bind_operators(admin: Option<&Admin>, telemetry: &Telemetry) -> anyhow::Result<Sockets> {
    let bind = |address: SocketAddr, setting: &str| {
        TcpListener::bind(address).with_context(|| {
            format!(
                "cannot listen on {address}; change `{setting}` in the bootstrap document, or end what uses the port"
            )
        })
    };
    Ok(Sockets {
        admin: bind(admin.cloned().unwrap_or_default().address(), "admin.address")?,
        metrics: bind(telemetry.metrics(), "telemetry.metrics")?,
        health: bind(telemetry.health(), "telemetry.health")?,
    })
}

/// Every bound address by its name, for `ready.json`.
fn addresses(listeners: &Listeners, sockets: &Sockets) -> anyhow::Result<BTreeMap<String, SocketAddr>> {
    let mut addresses: BTreeMap<_, _> =
        listeners.addresses().map(|(name, address)| (name.to_string(), address)).collect();
    for (name, socket) in [("admin", &sockets.admin), ("metrics", &sockets.metrics), ("health", &sockets.health)] {
        if addresses.insert(name.to_owned(), socket.local_addr()?).is_some() {
            bail!("a listener can't be named `{name}`: that is an address for operators; rename `listeners.{name}`");
        }
    }
    Ok(addresses)
}

fn pingora_settings(workers: usize) -> ServerConf {
    ServerConf {
        max_retries: MAX_ATTEMPTS,
        threads: workers,
        upstream_keepalive_pool_size: POOL,
        ..ServerConf::default()
    }
}

fn patience(bootstrap: &Bootstrap) -> Patience {
    let drain = bootstrap.drain.clone().unwrap_or_default();
    Patience { wait: drain.wait(), deadline: drain.deadline() }
}
