//! The mesh document as a file that is watched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{SourceError, apply};
use crate::node::Node;

/// How long a changed file must rest before it is read.
const QUIET: Duration = Duration::from_millis(25);

/// Applies the file whenever it changes, for as long as the returned watcher lives.
///
/// The folder is watched rather than the file: editors and tools replace files, and a watch on one that was replaced hears
/// nothing any more. Each event only says "look again"; what is read then is the newest content.
pub fn watch(node: Arc<Node>, file: PathBuf, state: PathBuf) -> notify::Result<impl Drop> {
    let changed = Arc::new(Notify::new());
    let tell = changed.clone();
    let name = file.file_name().map(ToOwned::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let of_interest = |event: &notify::Event| {
            // Reading is an event too; ours must not wake us.
            !event.kind.is_access() && event.paths.iter().any(|path| path.file_name() == name.as_deref())
        };
        if event.as_ref().map_or(true, of_interest) {
            tell.notify_one();
        }
    })?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    let task = tokio::spawn(async move {
        loop {
            changed.notified().await;
            // A file that is written in place is empty for a moment, and then a part of itself.
            while timeout(QUIET, changed.notified()).await.is_ok() {}
            refresh(&node, &file, &state).await;
        }
    });
    Ok(Watch { _watcher: watcher, task: task.abort_handle() })
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

struct Watch {
    _watcher: notify::RecommendedWatcher,
    task: tokio::task::AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
