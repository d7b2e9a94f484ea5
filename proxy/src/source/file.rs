//! The mesh document as a file that is watched.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::FutureExt;
use notify::{RecursiveMode, Watcher};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::{SourceError, apply};
use crate::node::Node;

/// The link that Kubernetes renames when a mounted ConfigMap changes; the file itself is a link through it, and hears
/// nothing.
const CONFIG_MAP: &str = "..data";

/// How long a changed file must rest before it is read.
const QUIET: Duration = Duration::from_millis(25);

/// Applies the file whenever it changes, for as long as the returned watch lives.
///
/// The folder is watched rather than the file: editors and tools replace files, and a watch on one that was replaced hears
/// nothing any more. Each event only says "look again"; what is read then is the newest content.
///
/// All of it happens on a thread of its own: to read and compile a document of 10,000 routes takes a good part of a
/// second, in which a worker would serve nobody.
pub fn watch(node: Arc<Node>, file: PathBuf, state: PathBuf) -> anyhow::Result<Watch> {
    let changed = Arc::new(Notify::new());
    let tell = changed.clone();
    let name = file.file_name().map(ToOwned::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let of_interest = |event: &notify::Event| {
            // Reading is an event too; ours must not wake us.
            let ours = |path: &PathBuf| {
                path.file_name() == name.as_deref() || path.file_name().is_some_and(|name| name == CONFIG_MAP)
            };
            !event.kind.is_access() && event.paths.iter().any(ours)
        };
        if event.as_ref().map_or(true, of_interest) {
            tell.notify_one();
        }
    })?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    watcher.watch(folder, RecursiveMode::NonRecursive)?;

    // It may have changed since it was read, before anybody watched.
    changed.notify_one();

    let (alive, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let follow = async move {
        loop {
            changed.notified().await;
            // A file that is written in place is empty for a moment, and then a part of itself.
            while timeout(QUIET, changed.notified()).await.is_ok() {}
            // One document that is too much for us must not be the last that is looked at.
            if AssertUnwindSafe(refresh(&node, &file, &state)).catch_unwind().await.is_err() {
                node.metrics.panicked();
            }
        }
    };
    let until_ended = async {
        tokio::select! {
            () = follow => {}
            _ = ended => {}
        }
    };
    let thread = std::thread::Builder::new().name("weir-config".to_owned());
    let thread = thread.spawn(move || runtime.block_on(until_ended))?;
    Ok(Watch { _watcher: watcher, alive: Some(alive), thread: Some(thread) })
}

/// The file is watched while this lives.
pub struct Watch {
    _watcher: notify::RecommendedWatcher,
    /// Its end ends the thread.
    alive: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watch {
    /// Waits for the document that is being applied: one that took over is kept for the next start too.
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn refresh(node: &Arc<Node>, file: &Path, state: &Path) {
    match apply(node, file, state).await {
        Ok(()) => {}
        // Between the removal of the old file and the arrival of the new one.
        Err(SourceError::Unreadable { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            let version = node.current.version();
            tracing::error!(document = %file.display(), version, "document refused, the last good one serves on: {error}");
        }
    }
}
