//! From a command line to a served port, and back to silence.

use std::fs::{self, File};
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::serve::ListenerExt;
use prometheus::IntCounter;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::api::{self, App};
use crate::cli::Cli;
use crate::telemetry::Metrics;

/// How long requests in flight may take to end once we are told to stop.
const DRAIN: Duration = Duration::from_secs(2);
const READY_FILE: &str = "ready.json";

/// Serves what the command line asks for, until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from serving, with the setting to change.
pub async fn run(cli: Cli, log_dropped: IntCounter) -> anyhow::Result<()> {
    let args = cli.serve_args();
    if let Some(folder) = &args.state_dir {
        forget_ready(folder).with_context(|| format!("--state-dir {}", folder.display()))?;
    }
    // Before the port is bound, so that no signal finds us without an ear.
    let stop = Stop::new().context("cannot listen for signals")?;
    let metrics = Arc::new(Metrics::new(cli.service_name(), log_dropped)?);
    let app = App::new(cli.service(&metrics)?, metrics);
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another address with --listen", args.listen))?;
    let address = listener.local_addr()?;
    if let Some(folder) = &args.state_dir {
        write_ready(folder, address).with_context(|| format!("--state-dir {}", folder.display()))?;
    }
    tracing::info!(server.address = %address.ip(), server.port = address.port(), "serving");
    serve(app, listener, stop.asked()).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Serves `app` until `stop` is done, then lets what is in flight end, for at most two seconds.
///
/// # Errors
/// Where the listener fails for good.
pub async fn serve(app: Arc<App>, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let (drain, draining) = oneshot::channel::<()>();
    let router = api::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
    // Answers are small and whole: waiting to fill a segment would only delay them.
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    let served = axum::serve(listener, router).with_graceful_shutdown(async {
        // A sender that is gone says the same as one that sent.
        let _ = draining.await;
    });
    let mut served = pin!(served.into_future());
    tokio::select! {
        ended = &mut served => return ended,
        () = stop => {}
    }
    app.drain();
    let _ = drain.send(());
    match tokio::time::timeout(DRAIN, served).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!(labels.drain_ms = DRAIN.as_millis() as u64, "requests in flight were cut");
            Ok(())
        }
    }
}

/// The two signals that ask a process to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A file of an earlier run would send callers to a port that is not ours.
fn forget_ready(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    match fs::remove_file(folder.join(READY_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Name to bound address, whole or not at all: a temporary file, fsync, rename.
fn write_ready(folder: &Path, address: SocketAddr) -> io::Result<()> {
    let temporary = folder.join(format!("{READY_FILE}.{}", std::process::id()));
    let mut file = File::create(&temporary)?;
    file.write_all(serde_json::json!({ "http": address.to_string() }).to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(READY_FILE))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_written_whole_and_an_old_one_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("state");
        forget_ready(&inner).expect("makes the folder");
        write_ready(&inner, "127.0.0.1:41233".parse().expect("an address")).expect("writes");
        let ready = fs::read_to_string(inner.join(READY_FILE)).expect("the file");
        assert_eq!(ready, r#"{"http":"127.0.0.1:41233"}"#);
        assert_eq!(fs::read_dir(&inner).expect("the folder").count(), 1, "no temporary file stays");
        forget_ready(&inner).expect("removes it");
        assert_eq!(fs::read_dir(&inner).expect("the folder").count(), 0);
    }
}
