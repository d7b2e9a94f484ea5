//! What is counted in: numbers that one worker writes and a scrape reads.
//!
//! Invariant: a cell in a [`PerWorker`] block is written only through the index that the block belongs to. So adding is
//! a load and a store, no locked instruction, and no cache line is written by two cores. The shared index is the
//! exception, and there additions are atomic ([`SHARED`]).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

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

    /// Back to 0. Only while nobody adds.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
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
        (worker, self.of(worker))
    }

    /// The block of the calling thread, whose index `worker` is.
    #[inline]
    pub fn of(&self, worker: usize) -> &T {
        &self.0[worker].get_or_init(Box::default).0
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
    fn blocks_of_two_workers_share_no_line() {
        assert!(align_of::<Apart<Count>>() == 128 && size_of::<Apart<Count>>() == 128);
    }
}
