//! What is counted in: numbers that one worker writes and a scrape reads.
//!
//! Invariant: a cell in a [`PerWorker`] block is written only through the index that the block belongs to. So adding is
//! a load and a store, no locked instruction, and no cache line is written by two cores. The shared index is the
//! exception, and there additions are atomic ([`SHARED`]).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::worker::{SHARED, worker, workers};

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds, on behalf of the thread whose index `worker` is.
    #[inline]
    pub fn add(&self, worker: usize, n: u64) {
        if worker == SHARED {
            self.0.fetch_add(n, Ordering::Relaxed);
        } else {
            self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        }
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Buckets of every histogram, beside the last one without a bound.
pub const BOUNDS: usize = 13;

/// Upper bounds in nanoseconds, each inclusive, as Prometheus' `le` is.
pub type Bounds = [u64; BOUNDS];

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// 1 ms to 10 s: what clients and upstreams take. Has the bounds that objectives are usually written for (0.1, 0.25,
/// 0.5 and 1 s).
pub const EXCHANGE: Bounds = [
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    1_000 * MS,
    2_500 * MS,
    5_000 * MS,
    10_000 * MS,
];

/// 25 µs to 250 ms: what a proxy adds.
pub const ADDED: Bounds = [
    25 * US,
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2_500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
];

/// How many durations fell between which bounds, and their sum. Two cache lines.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Count; BOUNDS + 1],
    nanoseconds: Count,
}

impl Histogram {
    /// Records a duration; `bounds` are the same at each call.
    #[inline]
    pub fn record(&self, worker: usize, bounds: &Bounds, duration: Duration) {
        // 584 years saturate.
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        // Without a branch: durations of traffic are not predictable.
        let bucket: usize = bounds.iter().map(|&bound| usize::from(ns > bound)).sum();
        self.buckets[bucket].add(worker, 1);
        self.nanoseconds.add(worker, ns);
    }

    /// Adds what was recorded to `sums`.
    pub fn fold(&self, sums: &mut Durations) {
        for (sum, bucket) in sums.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.get();
        }
        sums.nanoseconds = sums.nanoseconds.wrapping_add(self.nanoseconds.get());
    }
}

/// A histogram as read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Not cumulative.
    pub buckets: [u64; BOUNDS + 1],
    pub nanoseconds: u64,
}

impl Durations {
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// One block for each worker, made when that worker first writes.
#[derive(Debug)]
pub struct PerWorker<T>(Box<[OnceLock<Box<Apart<T>>>]>);

/// Begins at a multiple of 128 bytes, so that no two workers write to one line: x86 prefetches lines of 64 in pairs, and
/// some ARM cores have lines of 128.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Apart<T>(pub T);

impl<T: Default> Default for PerWorker<T> {
    fn default() -> Self {
        Self((0..workers()).map(|_| OnceLock::new()).collect())
    }
}

impl<T: Default> PerWorker<T> {
    /// The calling thread's block, and the index to write it with.
    #[inline]
    pub fn mine(&self) -> (usize, &T) {
        let worker = worker();
        (worker, &self.0[worker].get_or_init(Box::default).0)
    }

    /// The blocks that there are.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get).map(|block| &block.0)
    }

    /// The sum of a count over all blocks.
    pub fn sum(&self, count: impl Fn(&T) -> &Count) -> u64 {
        self.all().map(|block| count(block).get()).fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_lost_when_threads_outnumber_the_indices() {
        let counts = PerWorker::<Count>::default();
        let threads = 2 * workers();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let (worker, count) = counts.mine();
                        count.add(worker, 1);
                    }
                });
            }
        });
        assert_eq!(counts.sum(|count| count), threads as u64 * 10_000);
    }

    #[test]
    fn an_index_that_changes_hands_keeps_its_count() {
        let counts = PerWorker::<Count>::default();
        for _ in 0..1_000 {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let (worker, count) = counts.mine();
                    count.add(worker, 1);
                });
            });
        }
        assert_eq!(counts.sum(|count| count), 1_000);
    }

    #[test]
    fn bounds_are_inclusive_and_rise() {
        for bounds in [EXCHANGE, ADDED] {
            assert!(bounds.is_sorted());
            let histogram = Histogram::default();
            for bound in bounds {
                histogram.record(0, &bounds, Duration::from_nanos(bound));
            }
            histogram.record(0, &bounds, Duration::from_nanos(bounds[BOUNDS - 1] + 1));
            histogram.record(0, &bounds, Duration::ZERO);
            let mut sums = Durations::default();
            histogram.fold(&mut sums);
            assert_eq!(sums.buckets[0], 2, "zero and the first bound");
            assert!(sums.buckets[1..].iter().all(|&count| count == 1));
            assert_eq!(sums.count(), BOUNDS as u64 + 2);
        }
    }

    #[test]
    fn blocks_of_two_workers_share_no_line() {
        assert!(align_of::<Apart<Count>>() == 128 && size_of::<Apart<Count>>() == 128);
        assert_eq!(size_of::<Apart<Histogram>>(), 128);
    }
}
