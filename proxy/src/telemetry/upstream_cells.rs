//! What is counted for an upstream.

use std::time::Duration;

use super::cells::{Count, PerWorker};
use super::histogram::{ADDED, EXCHANGE, Histogram};
use super::labels::{AttemptOutcome, RetryOutcome};
use super::series::Series;

/// An upstream's handle, from [`super::Metrics::upstream`].
pub type UpstreamCells = Series<Upstream>;

#[derive(Debug, Default)]
pub struct Upstream {
    pub(super) workers: PerWorker<Block>,
}

#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) attempts: [Count; AttemptOutcome::ALL.len()],
    pub(super) retries: [Count; RetryOutcome::ALL.len()],
    pub(super) duration: Histogram,
    pub(super) added: Histogram,
}

impl UpstreamCells {
    /// An attempt at one of its endpoints ended.
    #[inline]
    pub fn attempt(&self, outcome: AttemptOutcome) {
        let (worker, block) = self.cells().cells.workers.mine();
        block.attempts[outcome as usize].add(worker, 1);
    }

    /// An attempt failed in a way that calls for another one, and this was decided.
    #[inline]
    pub fn retry(&self, outcome: RetryOutcome) {
        let (worker, block) = self.cells().cells.workers.mine();
        block.retries[outcome as usize].add(worker, 1);
    }

    /// From an attempt's start to the last byte of its answer.
    #[inline]
    pub fn duration(&self, duration: Duration) {
        let (worker, block) = self.cells().cells.workers.mine();
        block.duration.record(worker, &EXCHANGE, duration);
    }

    /// What the proxy added to an exchange.
    #[inline]
    pub fn added_latency(&self, duration: Duration) {
        let (worker, block) = self.cells().cells.workers.mine();
        block.added.record(worker, &ADDED, duration);
    }
}
