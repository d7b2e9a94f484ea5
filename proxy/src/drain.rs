//! How the process leaves: unready first, then no new connections, then, when nothing is in flight, gone.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::listen::{Phase, Serving};
use crate::telemetry::AccessLog;

/// How long each step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Unready, answers say `close`, idle connections linger: load balancers and clients take their leave.
    pub wait: Duration,
    /// For what is in flight after that.
    pub deadline: Duration,
}

impl Patience {
    /// SIGINT: somebody waits at a terminal.
    const SHORT: Self = Self { wait: Duration::ZERO, deadline: Duration::from_secs(2) };
}

/// What asks the process to leave.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Heard, so that it does not end the process, which is what it does to one that does not listen. It is the sign to
    /// hand over to a successor, and there is none.
    quit: Signal,
}

impl Signals {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits to be asked, by a signal or by `drain`.
    pub async fn asked(&mut self, patience: Patience, drain: &mut watch::Receiver<bool>) -> Patience {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return patience,
                _ = self.interrupt.recv() => return Patience::SHORT,
                Ok(_) = drain.wait_for(|asked| *asked) => return patience,
                _ = self.quit.recv() => {
                    tracing::warn!("SIGQUIT ignored: no successor is ready; SIGTERM drains, SIGINT leaves at once");
                }
            }
        }
    }
}

/// On SIGHUP and SIGUSR1 the access log is opened again, by its path: it was rotated away. Either would end a process
/// that does not listen.
pub fn reopen_on_hangup(log: AccessLog) -> std::io::Result<impl Future<Output = ()>> {
    let (mut hangup, mut user) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined1())?);
    Ok(async move {
        while tokio::select! { told = hangup.recv() => told, told = user.recv() => told }.is_some() {
            log.reopen();
            tracing::info!("access log opened again");
        }
    })
}

/// Leaves. Returns when nothing is in flight any more, or when patience has ended and the rest was cut. A SIGINT on the
/// way makes it short.
pub async fn leave(phase: &watch::Sender<Phase>, serving: &mut Serving, signals: &mut Signals, patience: Patience) {
    phase.send_replace(Phase::Leaving);
    tracing::info!(connections = serving.connections(), wait = ?patience.wait, "leaving: unready, answers say close");
    let mut patience = patience;
    let wait_ends = Instant::now() + patience.wait;
    tokio::select! {
        () = sleep_until(wait_ends) => {}
        _ = signals.interrupt.recv() => patience = Patience::SHORT,
    }
    phase.send_replace(Phase::Stopped);
    let deadline = Instant::now() + patience.deadline;
    tokio::select! {
        () = serving.idle() => {}
        () = sleep_until(deadline) => {}
        _ = signals.interrupt.recv() => {}
    }
    let left = serving.connections();
    if left > 0 {
        tracing::warn!(connections = left, "cut: they were still in flight at the end of the drain");
        serving.cut();
    }
}
