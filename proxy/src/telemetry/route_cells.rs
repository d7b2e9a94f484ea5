//! What is counted for a route: requests by upstream, class of status and reason; their durations; the decisions of its
//! rate limits.
//!
//! A worker's block has the durations, a histogram for each class of status that occurred. Requests are counted in
//! blocks of their own, one for each upstream that answered for the route (a *pair*): few for a route, found by a walk
//! along a list that only changes when an upstream answers for the first time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use weir_policy::Reason;

use super::cells::{Apart, Count, Durations, EXCHANGE, Histogram, PerWorker};
use super::labels::{CodeClass, RateDecision};
use super::names;
use super::series::{Labelled, Series};
use super::upstream_cells::{Upstream, UpstreamCells};

/// Upstreams that have a label of their own beside one route. A split over more, or as many renamed ones since the last
/// [`Route::sweep`], counts the rest as [`names::OTHER`].
const UPSTREAMS_OF_A_ROUTE: usize = 32;

const CLASSES: usize = CodeClass::ALL.len();
const REASONS: usize = Reason::ALL.len();

/// Counts by [`Reason`] and [`CodeClass`], both `as usize`.
pub(super) type Matrix = [[u64; CLASSES]; REASONS];

/// A route's handle, from [`super::Metrics::route`].
pub type RouteCells = Series<Route>;

#[derive(Debug, Default)]
pub struct Route {
    workers: PerWorker<Block>,
    pairs: ArcSwap<Vec<Arc<Pair>>>,
    /// Held while `pairs` is replaced.
    changing_pairs: Mutex<()>,
}

#[derive(Debug, Default)]
struct Block {
    durations: [OnceLock<Box<Apart<Histogram>>>; CLASSES],
    rate: [Count; RateDecision::ALL.len()],
}

/// The requests of a route that one upstream answered, or none did.
#[derive(Debug)]
struct Pair {
    upstream: Option<Arc<Labelled<Upstream>>>,
    workers: PerWorker<Outcomes>,
}

/// Requests by reason and class. Nearly all end with `ok`; the whole matrix is made when one does not.
#[derive(Debug, Default)]
struct Outcomes {
    ok: [Count; CLASSES],
    others: OnceLock<Box<Apart<[[Count; CLASSES]; REASONS]>>>,
}

impl RouteCells {
    /// A request ended. `upstream` is the one that was chosen for it, if it came so far; `status` is what was sent to
    /// the client, 0 if nothing was.
    #[inline]
    pub fn finish(&self, upstream: Option<&UpstreamCells>, status: u16, reason: Reason, duration: Duration) {
        let route = &self.cells().cells;
        let class = CodeClass::from(status) as usize;
        let (worker, block) = route.workers.mine();
        block.durations[class].get_or_init(Box::default).0.record(worker, &EXCHANGE, duration);

        let pairs = route.pairs.load();
        let cells = upstream.map(Series::cells);
        match pairs.iter().find(|pair| pair.is_of(cells)) {
            Some(pair) => pair.count(class, reason),
            None => route.pair(upstream).count(class, reason),
        }
    }

    /// A rate limit of the route decided.
    #[inline]
    pub fn ratelimit(&self, decision: RateDecision) {
        let (worker, block) = self.cells().cells.workers.mine();
        block.rate[decision as usize].add(worker, 1);
    }
}

impl Route {
    /// The pair of an upstream, made if it is new and there is room, else that of [`names::OTHER`].
    #[cold]
    fn pair(&self, upstream: Option<&UpstreamCells>) -> Arc<Pair> {
        let _changing = self.changing_pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = self.pairs.load_full();
        let cells = match upstream {
            Some(upstream) if pairs.len() >= UPSTREAMS_OF_A_ROUTE => Some(upstream.other()),
            upstream => upstream.map(Series::cells),
        };
        if let Some(pair) = pairs.iter().find(|pair| pair.is_of(cells)) {
            return pair.clone();
        }
        let new = Arc::new(Pair { upstream: cells.cloned(), workers: PerWorker::default() });
        self.pairs.store(Arc::new(pairs.iter().cloned().chain([new.clone()]).collect()));
        new
    }

    /// Forgets the pairs of upstreams that have no series any more.
    pub(super) fn sweep(&self, live: &[Arc<Labelled<Upstream>>]) {
        if self.pairs.load().iter().all(|pair| pair.is_live(live)) {
            return;
        }
        let _changing = self.changing_pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.pairs.load().iter().filter(|pair| pair.is_live(live)).cloned().collect();
        self.pairs.store(Arc::new(kept));
    }

    /// Requests by the label of their upstream, then by reason and class.
    pub(super) fn requests(&self) -> BTreeMap<Arc<str>, Matrix> {
        let mut requests = BTreeMap::new();
        for pair in self.pairs.load().iter() {
            // Two pairs have one label where an upstream lost its series, came back and has not been swept yet.
            let sums = requests.entry(pair.label()).or_insert([[0; CLASSES]; REASONS]);
            pair.workers.all().for_each(|outcomes| outcomes.fold(sums));
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
}

impl Pair {
    #[inline]
    fn is_of(&self, upstream: Option<&Arc<Labelled<Upstream>>>) -> bool {
        match (&self.upstream, upstream) {
            (Some(own), Some(asked)) => Arc::ptr_eq(own, asked),
            (None, None) => true,
            _ => false,
        }
    }

    fn is_live(&self, live: &[Arc<Labelled<Upstream>>]) -> bool {
        self.upstream.is_none() || live.iter().any(|upstream| self.is_of(Some(upstream)))
    }

    fn label(&self) -> Arc<str> {
        self.upstream.as_ref().map_or_else(|| names::NONE.into(), |upstream| upstream.label.clone())
    }

    #[inline]
    fn count(&self, class: usize, reason: Reason) {
        let (worker, outcomes) = self.workers.mine();
        let counts = match reason {
            Reason::Ok => &outcomes.ok,
            reason => &outcomes.others.get_or_init(Box::default).0[reason as usize],
        };
        counts[class].add(worker, 1);
    }
}

impl Outcomes {
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
}
