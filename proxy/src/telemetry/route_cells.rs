//! What is counted for a route: requests by upstream, class of status and reason; their durations; the decisions of its
//! rate limits.
//!
//! A worker's block has a histogram for each class of status that occurred, and a list of *pairs*: one for each upstream
//! that was asked for the route, with the requests counted by class and reason. The list is short, only its worker
//! appends to it, and it is never shortened: a pair whose upstream has no series any more is emptied and used again.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use weir_policy::Reason;

use super::cells::{Apart, Count, PerWorker};
use super::histogram::{Durations, EXCHANGE, Histogram};
use super::labels::{CodeClass, RateDecision};
use super::series::Series;
use super::upstream_cells::UpstreamCells;
use super::worker::worker;

/// Pairs in a list. Where a route has been split over more upstreams than this, or over as many renamed ones since the
/// last [`Route::sweep`], the rest counts as [`super::names::OTHER`].
const PAIRS: usize = 32;

const CLASSES: usize = CodeClass::ALL.len();
const REASONS: usize = Reason::ALL.len();

/// Counts by [`Reason`] and [`CodeClass`], both `as usize`.
pub(super) type Matrix = [[u64; CLASSES]; REASONS];

/// A route's handle, from [`super::Metrics::route`].
pub type RouteCells = Series<Route>;

#[derive(Debug, Default)]
pub struct Route {
    workers: PerWorker<Block>,
}

#[derive(Debug, Default)]
struct Block {
    durations: [OnceLock<Box<Apart<Histogram>>>; CLASSES],
    rate: [Count; RateDecision::ALL.len()],
    pairs: Link,
}

type Link = OnceLock<Box<Apart<Pair>>>;

/// Requests that one upstream was chosen for, or none. Nearly all end with `ok`; the matrix is made when one does not.
#[derive(Debug, Default)]
struct Pair {
    /// The `id` of the upstream's cells, [`NOBODY`] or [`FREE`].
    upstream: AtomicU64,
    ok: [Count; CLASSES],
    others: OnceLock<Box<Apart<[[Count; CLASSES]; REASONS]>>>,
    next: Link,
}

/// No upstream was chosen.
pub(super) const NOBODY: u64 = 0;
/// May be taken for an upstream.
const FREE: u64 = u64::MAX;

impl RouteCells {
    /// A request ended. `upstream` is the one that was chosen for it, if it came so far; `status` is what was sent to
    /// the client, 0 if nothing was.
    #[inline]
    pub fn finish(&self, upstream: Option<&UpstreamCells>, status: u16, reason: Reason, duration: Duration) {
        let worker = worker();
        let block = self.cells().cells.workers.of(worker);
        let class = CodeClass::from(status) as usize;
        block.durations[class].get_or_init(Box::default).0.record(worker, &EXCHANGE, duration);
        block.pair(upstream).count(worker, class, reason);
    }

    /// A rate limit of the route decided.
    #[inline]
    pub fn ratelimit(&self, decision: RateDecision) {
        let (worker, block) = self.cells().cells.workers.mine();
        block.rate[decision as usize].add(worker, 1);
    }
}

impl Route {
    /// Requests by the `id` of their upstream's cells ([`NOBODY`] where there is none), then by reason and class.
    pub(super) fn requests(&self) -> BTreeMap<u64, Matrix> {
        let mut requests = BTreeMap::new();
        for pair in self.workers.all().flat_map(Block::pairs) {
            match pair.upstream.load(Ordering::Acquire) {
                FREE => {}
                upstream => pair.fold(requests.entry(upstream).or_insert([[0; CLASSES]; REASONS])),
            }
        }
        requests
    }

    /// Durations by class, without classes that never occurred.
    pub(super) fn durations(&self) -> impl Iterator<Item = (CodeClass, Durations)> {
        CodeClass::ALL.iter().filter_map(|&class| {
            let mut sums = Durations::default();
            for histogram in self.workers.all().filter_map(|block| block.durations[class as usize].get()) {
                histogram.0.fold(&mut sums);
            }
            (sums.count() > 0).then_some((class, sums))
        })
    }

    /// How often the rate limits decided so.
    pub(super) fn decisions(&self, decision: RateDecision) -> u64 {
        self.workers.sum(|block| &block.rate[decision as usize])
    }

    /// Empties the pairs of upstreams other than these, which nobody may hold any more. Not while
    /// [`requests`](Self::requests) is read: a pair could be counted to the upstream that had it before.
    pub(super) fn sweep(&self, upstreams: &HashSet<u64>) {
        for pair in self.workers.all().flat_map(Block::pairs) {
            let upstream = pair.upstream.load(Ordering::Relaxed);
            if upstream != NOBODY && upstream != FREE && !upstreams.contains(&upstream) {
                pair.reset();
                pair.upstream.store(FREE, Ordering::Release);
            }
        }
    }
}

impl Block {
    #[inline]
    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        std::iter::successors(self.pairs.get(), |pair| pair.0.next.get()).map(|pair| &pair.0)
    }

    /// The pair of an upstream, made if it is new.
    #[inline]
    fn pair(&self, upstream: Option<&UpstreamCells>) -> &Pair {
        let id = upstream.map_or(NOBODY, |upstream| upstream.cells().id);
        let known = self.pairs().find(|pair| pair.upstream.load(Ordering::Relaxed) == id);
        known.unwrap_or_else(|| self.new_pair(id, upstream))
    }

    #[cold]
    fn new_pair(&self, id: u64, upstream: Option<&UpstreamCells>) -> &Pair {
        let take = |pair: &&Pair| pair.upstream.compare_exchange(FREE, id, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if let Some(pair) = self.pairs().find(take) {
            return pair;
        }
        let full = self.pairs().count() >= PAIRS;
        let id = upstream.filter(|_| full).map_or(id, |upstream| upstream.other().id);
        let mut link = &self.pairs;
        loop {
            // At the shared index somebody else may append meanwhile: then his pair is looked at too.
            let pair = &link.get_or_init(|| Box::new(Apart(Pair::of(id)))).0;
            if pair.upstream.load(Ordering::Relaxed) == id {
                return pair;
            }
            link = &pair.next;
        }
    }
}

impl Pair {
    fn of(upstream: u64) -> Self {
        Self { upstream: AtomicU64::new(upstream), ..Self::default() }
    }

    #[inline]
    fn count(&self, worker: usize, class: usize, reason: Reason) {
        let counts = match reason {
            Reason::Ok => &self.ok,
            reason => &self.others.get_or_init(Box::default).0[reason as usize],
        };
        counts[class].add(worker, 1);
    }

    fn fold(&self, sums: &mut Matrix) {
        let add = |sums: &mut [u64; CLASSES], counts: &[Count; CLASSES]| {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count.get();
            }
        };
        add(&mut sums[Reason::Ok as usize], &self.ok);
        if let Some(others) = self.others.get() {
            sums.iter_mut().zip(&others.0).for_each(|(sums, counts)| add(sums, counts));
        }
    }

    fn reset(&self) {
        let others = self.others.get().into_iter().flat_map(|others| others.0.iter().flatten());
        self.ok.iter().chain(others).for_each(Count::reset);
    }
}
