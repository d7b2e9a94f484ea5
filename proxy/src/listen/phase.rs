//! How far the process has come on its way out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;

/// What the listeners do with connections, in the order in which a process leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    #[default]
    Serving,
    /// Unready. Connections are still taken; answers say `close`, HTTP/2 clients are told to go away, idle connections
    /// linger, so that a request that is under way to one is not lost.
    Leaving,
    /// No new connections; idle ones are closed at once; what is in flight goes on.
    Stopped,
}

/// The phase where every request can read it without a lock, and in the form in which Pingora wants it.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    now: Arc<AtomicU8>,
    leaving: watch::Receiver<bool>,
}

impl Stage {
    /// The stage, and what keeps it up to date; that never ends before the sender of `phase` is gone.
    pub fn follow(mut phase: watch::Receiver<Phase>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let first = *phase.borrow_and_update();
        let now = Arc::new(AtomicU8::new(first as u8));
        let (tell, leaving) = watch::channel(first >= Phase::Leaving);
        let stage = Self { now: now.clone(), leaving };
        let follow = async move {
            while phase.changed().await.is_ok() {
                let next = *phase.borrow_and_update();
                now.store(next as u8, Ordering::Relaxed);
                tell.send_replace(next >= Phase::Leaving);
            }
        };
        (stage, follow)
    }

    pub fn is_leaving(&self) -> bool {
        self.now.load(Ordering::Relaxed) >= Phase::Leaving as u8
    }

    /// True once the process leaves: Pingora then answers `connection: close`.
    pub fn leaving(&self) -> &watch::Receiver<bool> {
        &self.leaving
    }
}

/// Resolves when `phase` has come, or never if nobody is left to say so.
pub(super) async fn reached(phase: &mut watch::Receiver<Phase>, wanted: Phase) {
    if phase.wait_for(|now| *now >= wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}
