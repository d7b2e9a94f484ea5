//! Tells when a file is saved, however the editor saves: in place, or by renaming a new file over it. So the folder is
//! watched, not the file, and the text is what counts: an event that leaves it as it was is none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, timeout_at};

use crate::failure::{OrFail, Result};

/// A save may come as several events: the text is read once none has come for this long.
const QUIET: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Watch {
    file: PathBuf,
    /// What was told last; None when the file was gone.
    text: Option<String>,
    events: Receiver<()>,
    /// When the text may be read; None when no event came since it was.
    quiet_at: Option<Instant>,
    /// Ends the watch when dropped.
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches `file`, whose text was `text` when it was last looked at.
    pub fn new(file: &Path, text: String) -> Result<Self> {
        // One place is enough: an event that finds it taken will be seen with the one that took it.
        let (sender, events) = channel(1);
        let seen = move |event: notify::Result<Event>| {
            // After an error (a queue that ran over) something may have changed: look.
            if event.is_ok_and(|event| event.kind.is_access()) {
                return;
            }
            let _ = sender.try_send(());
        };
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let watch = || {
            let mut watcher = notify::recommended_watcher(seen)?;
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok::<_, notify::Error>(watcher)
        };
        let next = "raise fs.inotify.max_user_watches or fs.inotify.max_user_instances with sysctl";
        let watcher = watch().or_fail(format_args!("{} could not be watched", folder.display()), next)?;
        Ok(Self { file: file.to_owned(), text: Some(text), events, quiet_at: None, _watcher: watcher })
    }

    /// Waits for the next save that changes the text, and gives the new one; None when the file is gone. Nothing is lost
    /// when it is dropped and called again.
    pub async fn saved(&mut self) -> Option<String> {
        loop {
            let Some(quiet_at) = self.quiet_at else {
                self.event().await;
                continue;
            };
            if timeout_at(quiet_at, self.event()).await.is_ok() {
                continue;
            }
            self.quiet_at = None;
            let text = std::fs::read_to_string(&self.file).ok();
            if text != self.text {
                self.text.clone_from(&text);
                return text;
            }
        }
    }

    async fn event(&mut self) {
        match self.events.recv().await {
            Some(()) => self.quiet_at = Some(Instant::now() + QUIET),
            // The watcher lives as long as we do, so its sender does too.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_save_is_told_whether_in_place_or_by_a_rename() {
        let world = tempfile::tempdir().expect("a folder");
        let file = world.path().join("mesh.toml");
        fs::write(&file, "one").expect("written");
        let mut watch = Watch::new(&file, "one".to_owned()).expect("watches");

        fs::write(&file, "two").expect("written");
        assert_eq!(watch.saved().await.as_deref(), Some("two"));

        fs::write(world.path().join("new"), "three").expect("written");
        fs::rename(world.path().join("new"), &file).expect("renamed");
        assert_eq!(watch.saved().await.as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn a_save_without_a_change_is_not_told() {
        let world = tempfile::tempdir().expect("a folder");
        let file = world.path().join("mesh.toml");
        fs::write(&file, "one").expect("written");
        let mut watch = Watch::new(&file, "one".to_owned()).expect("watches");

        fs::write(&file, "one").expect("written");
        fs::write(world.path().join("other"), "text").expect("written");
        fs::write(&file, "two").expect("written");
        assert_eq!(watch.saved().await.as_deref(), Some("two"));
    }

    #[tokio::test]
    async fn a_file_that_goes_and_comes_back_is_told_twice() {
        let world = tempfile::tempdir().expect("a folder");
        let file = world.path().join("mesh.toml");
        fs::write(&file, "one").expect("written");
        let mut watch = Watch::new(&file, "one".to_owned()).expect("watches");
        fs::remove_file(&file).expect("removed");
        assert_eq!(watch.saved().await, None);
        fs::write(&file, "one").expect("written");
        assert_eq!(watch.saved().await.as_deref(), Some("one"));
    }
}
