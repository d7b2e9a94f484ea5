//! Which of the per-worker cells a thread writes. Each thread that records gets a small index at its first use and
//! gives it back when it ends, so two live threads never have the same one, and a cell has one writer: plain loads and
//! stores do. When there are more threads than indices, the rest share index 0 ([`SHARED`]), where cells are written with
//! atomic additions instead.

use std::cell::Cell;
use std::sync::{LazyLock, OnceLock};
use std::thread::available_parallelism;

use super::slots::Slots;

/// No index is this big. 128 is twice the threads of a 64-core machine; each active route holds one pointer for each.
pub const MAX_WORKERS: usize = 128;

/// The index of all threads that found no free one.
pub const SHARED: usize = 0;

/// Threads beside the runtime's workers that may record: accept loops, health probes, tests.
const OTHER_THREADS: usize = 14;

/// No thread has this index; [`worker`] looks for one.
const UNSET: usize = usize::MAX;

static SLOTS: LazyLock<Slots> = LazyLock::new(|| Slots::new(workers() - 1));

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(UNSET) };
    // Apart from INDEX: a value with a destructor costs a check at each access.
    static CLAIM: Claim = const { Claim };
}

/// The calling thread's index, below [`workers`].
#[inline]
pub fn worker() -> usize {
    let index = INDEX.get();
    if index == UNSET { claim() } else { index }
}

/// How many indices there are in this process, the shared one among them: two a core (the runtime's workers and a
/// second runtime beside it) and a few, at most [`MAX_WORKERS`].
pub fn workers() -> usize {
    static WORKERS: OnceLock<usize> = OnceLock::new();
    *WORKERS.get_or_init(|| (2 * available_parallelism().map_or(1, usize::from) + OTHER_THREADS).min(MAX_WORKERS))
}

#[cold]
fn claim() -> usize {
    let index = match CLAIM.try_with(|_| SLOTS.claim()) {
        Ok(Some(slot)) => slot + 1,
        Ok(None) => SHARED,
        // This thread's locals are being destroyed: it could not give an index back.
        Err(_) => SHARED,
    };
    INDEX.set(index);
    index
}

/// Gives the thread's index back when the thread ends.
struct Claim;

impl Drop for Claim {
    fn drop(&mut self) {
        // What other destructors of this thread still record goes to the shared cells.
        let index = INDEX.replace(SHARED);
        if index != SHARED && index != UNSET {
            SLOTS.release(index - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_keeps_its_index() {
        assert_eq!(worker(), worker());
        assert!(worker() < workers());
    }

    #[test]
    fn live_threads_share_only_the_shared_index() {
        let threads = 2 * MAX_WORKERS;
        let all_have_one = Barrier::new(threads);
        let indices: Vec<usize> = thread::scope(|scope| {
            let spawned: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let index = worker();
                        all_have_one.wait();
                        index
                    })
                })
                .collect();
            spawned.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let own: Vec<usize> = indices.iter().copied().filter(|&index| index != SHARED).collect();
        assert_eq!(own.iter().collect::<HashSet<_>>().len(), own.len(), "an index with two owners");
        assert!(own.len() < threads, "there are fewer indices than threads here");
    }

    #[test]
    fn an_index_is_reused_when_its_thread_ends() {
        let seen: HashSet<usize> = (0..4 * MAX_WORKERS).map(|_| thread::spawn(worker).join().unwrap()).collect();
        assert!(seen.len() <= workers());
    }
}
