//! The arrival times of a rate limit's clients: bounded, without locks, and exact whatever the threads do.
//!
//! Exact means that no interleaving admits more than one thread would: every change of an arrival time is one
//! compare-and-swap, and an entry is only taken out of the map after it was marked [`DEAD`] by one too, so nobody counts
//! on an entry that nobody else finds any more.
//!
//! The map's hasher takes its key from the operating system, once a process. It decides where in memory an entry stands,
//! and never what is admitted; with a fixed key, clients could choose keys that collide.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use papaya::HashMap;

use super::gcra::Gcra;

/// Clients that a rate limit tells apart at a time, some 15 MB. Who comes when it is full shares one bucket.
pub(crate) const MAX_KEYS: usize = 100_000;
/// New clients after which it is worth looking for those whose bucket is full again.
const MIN_SWEEP: usize = 1024;
/// While the map is full it is swept this often, in nanoseconds of `now`.
const FULL_SWEEP: u64 = 1_000_000_000;
/// The arrival time of an entry that is being removed: no one has it, a year is the furthest ahead.
const DEAD: u64 = u64::MAX;

/// What a client is known by: up to 64 bytes as they are, more by their digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The bytes in use, or [`Key::DIGEST`].
    length: u8,
    bytes: [u8; Key::LONGEST],
}

impl Key {
    const LONGEST: usize = 64;
    const DIGEST: u8 = u8::MAX;

    pub(crate) fn new(value: &[u8]) -> Self {
        let mut bytes = [0; Self::LONGEST];
        if value.len() <= Self::LONGEST {
            bytes[..value.len()].copy_from_slice(value);
            return Self { length: value.len() as u8, bytes };
        }
        let digest = sha2::Digest::finalize(sha2::Digest::chain_update(<sha2::Sha256 as sha2::Digest>::new(), value));
        bytes[..digest.len()].copy_from_slice(&digest);
        Self { length: Self::DIGEST, bytes }
    }
}

/// Arrival times by client.
#[derive(Default)]
pub(crate) struct Buckets {
    by_key: HashMap<Key, AtomicU64>,
    /// Entries of the map, and those about to be.
    count: AtomicUsize,
    /// Entries since the last sweep, and how many it left.
    since_sweep: AtomicUsize,
    left_by_sweep: AtomicUsize,
    swept_at: AtomicU64,
    sweeping: AtomicBool,
    /// Requests without a key, and all requests of a limit that tells no clients apart.
    shared: AtomicU64,
    /// Clients for whom there is no place.
    overflow: AtomicU64,
}

/// A limit, and whether the arrival times may come from another one.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub gcra: Gcra,
    /// The settings changed since some of the buckets were filled: an arrival time further ahead than the depth is cut
    /// back to it. Otherwise, a client that used up a slow limit's burst would be shut out long after it became fast.
    pub changed: bool,
}

impl Buckets {
    /// Takes one request from the bucket that all share; the error is the wait in nanoseconds.
    pub(crate) fn take_shared(&self, limit: Limit, now: u64) -> Result<(), u64> {
        take(&self.shared, limit, now).unwrap_or(Ok(()))
    }

    /// Takes one request from a client's bucket; the error is the wait in nanoseconds.
    pub(crate) fn take(&self, key: Key, limit: Limit, now: u64) -> Result<(), u64> {
        let by_key = self.by_key.pin();
        loop {
            if let Some(arrival) = by_key.get(&key) {
                match take(arrival, limit, now) {
                    Some(taken) => return taken,
                    None => self.bury(&key),
                }
                continue;
            }
            if !self.reserve(now) {
                return take(&self.overflow, limit, now).unwrap_or(Ok(()));
            }
            // The first request of a burst of one or more always passes.
            let Ok(first) = limit.gcra.admit(0, now) else { return Ok(()) };
            match by_key.try_insert(key, AtomicU64::new(first)) {
                Ok(_) => return Ok(()),
                // Another thread was first: its entry counts.
                Err(_) => self.count.fetch_sub(1, Relaxed),
            };
        }
    }

    /// How many clients are told apart.
    #[cfg(test)]
    pub(crate) fn keys(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Makes room for one entry more, if there is any.
    fn reserve(&self, now: u64) -> bool {
        let since_sweep = self.since_sweep.fetch_add(1, Relaxed);
        if since_sweep >= self.left_by_sweep.load(Relaxed).max(MIN_SWEEP) {
            self.sweep(now);
        }
        let add = |count| (count < MAX_KEYS).then_some(count + 1);
        if self.count.fetch_update(Relaxed, Relaxed, add).is_ok() {
            return true;
        }
        if now.saturating_sub(self.swept_at.load(Relaxed)) >= FULL_SWEEP {
            self.sweep(now);
        }
        self.count.fetch_update(Relaxed, Relaxed, add).is_ok()
    }

    /// Removes the clients whose bucket is full again: they are as good as new. One thread at a time; the others go on.
    ///
    /// As many entries came since the last sweep as it left, so a sweep costs each of them a few steps; while the map
    /// is full, it costs a thousandth of a second once a second.
    fn sweep(&self, now: u64) {
        if self.sweeping.swap(true, Relaxed) {
            return;
        }
        for (key, arrival) in &self.by_key.pin() {
            let full_again = arrival.load(Relaxed);
            if full_again <= now && arrival.compare_exchange(full_again, DEAD, Relaxed, Relaxed).is_ok() {
                self.bury(key);
            }
        }
        self.since_sweep.store(0, Relaxed);
        self.left_by_sweep.store(self.count.load(Relaxed), Relaxed);
        self.swept_at.store(now, Relaxed);
        self.sweeping.store(false, Relaxed);
    }

    /// Takes a dead entry out of the map, if nobody has done so yet.
    fn bury(&self, key: &Key) {
        if let Ok(Some(_)) = self.by_key.pin().remove_if(key, |_, arrival| arrival.load(Relaxed) == DEAD) {
            self.count.fetch_sub(1, Relaxed);
        }
    }
}

/// Takes one request, or says how long to wait. `None` if the entry is dead.
fn take(cell: &AtomicU64, limit: Limit, now: u64) -> Option<Result<(), u64>> {
    let mut arrival = cell.load(Relaxed);
    loop {
        if arrival == DEAD {
            return None;
        }
        let bounded = if limit.changed { arrival.min(now.saturating_add(limit.gcra.depth())) } else { arrival };
        let (next, taken) = match limit.gcra.admit(bounded, now) {
            Ok(next) => (next, Ok(())),
            Err(wait) => (bounded, Err(wait)),
        };
        if next == arrival {
            return Some(taken);
        }
        match cell.compare_exchange_weak(arrival, next, Relaxed, Relaxed) {
            Ok(_) => return Some(taken),
            Err(other) => arrival = other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use weir_config::units::Rate;

    use super::*;

    fn limit(rate: &str, burst: u32) -> Limit {
        Limit { gcra: Gcra::new(Rate::parse(rate).unwrap(), burst).unwrap(), changed: false }
    }

    fn key(number: usize) -> Key {
        Key::new(&number.to_be_bytes())
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn trap_14_a_hundred_thousand_noise_keys_never_throttle_a_quiet_one() {
        let buckets = Buckets::default();
        let limit = limit("1/s", 1);
        let quiet = Key::new(b"quiet");
        for round in 0..3 {
            assert_eq!(buckets.take(quiet, limit, round * SECOND), Ok(()), "round {round}");
            for noise in 0..100_000 {
                let _ = buckets.take(key(noise), limit, round * SECOND);
            }
            assert!(buckets.keys() <= MAX_KEYS);
        }
        // The same for one that comes after the noise.
        let late = Key::new(b"late");
        for noise in 0..100_000 {
            let _ = buckets.take(key(noise + 1_000_000), limit, 10 * SECOND);
        }
        assert_eq!(buckets.take(late, limit, 10 * SECOND), Ok(()));
    }

    #[test]
    fn the_number_of_keys_is_bounded_and_the_rest_shares_a_bucket() {
        let buckets = Buckets::default();
        let limit = limit("1/m", 5);
        let admitted = (0..MAX_KEYS + 1000).filter(|number| buckets.take(key(*number), limit, 0).is_ok()).count();
        assert_eq!(buckets.keys(), MAX_KEYS);
        assert_eq!(admitted, MAX_KEYS + 5);
        // Known ones go on in their own buckets.
        assert_eq!((0..4).filter(|_| buckets.take(key(7), limit, 0).is_ok()).count(), 4);
        assert!(buckets.take(key(7), limit, 0).is_err());
        // Once the buckets are full again, there is room.
        let later = 61 * SECOND;
        assert_eq!(buckets.take(key(MAX_KEYS + 5), limit, later), Ok(()));
        assert!(buckets.keys() < 10, "{}", buckets.keys());
        assert!(buckets.take(key(7), limit, later).is_ok(), "four of its five came back");
    }

    #[test]
    fn keys_that_are_full_again_make_room_long_before_it_is_short() {
        let buckets = Buckets::default();
        let limit = limit("1000/s", 1);
        for number in 0..200_000 {
            assert_eq!(buckets.take(key(number), limit, number as u64 * 1_000_000), Ok(()));
        }
        assert!(buckets.keys() <= 2 * MIN_SWEEP, "{}", buckets.keys());
    }

    #[test]
    fn threads_admit_together_what_one_would() {
        const THREADS: usize = 8;
        const BURST: u32 = 1000;
        let buckets = Buckets::default();
        let limit = limit("1/h", BURST);
        let keys = [Key::new(b"one"), Key::new(b"two"), Key::new(&[7; 200])];
        let start = Barrier::new(THREADS);
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        (0..2 * BURST as usize).filter(|turn| buckets.take(keys[turn % 3], limit, 0).is_ok()).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 3 * BURST as usize);
        let shared = (0..2 * BURST).filter(|_| buckets.take_shared(limit, 0).is_ok()).count();
        assert_eq!(shared, BURST as usize);
    }

    #[test]
    fn sweeping_while_others_take_loses_nothing() {
        // Everything the keys use up at one instant is back at the next, so they are swept between and during takes.
        let buckets = Buckets::default();
        let limit = limit("1/s", 3);
        for now in (1..50).map(|second| second * 3 * SECOND) {
            let admitted: usize = std::thread::scope(|scope| {
                let takers: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| (0..60).filter(|turn| buckets.take(key(turn % 10), limit, now).is_ok()).count())
                    })
                    .collect();
                let sweeper = scope.spawn(|| (0..20).for_each(|_| buckets.sweep(now)));
                sweeper.join().unwrap();
                takers.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(admitted, 10 * 3, "at {now}");
            assert_eq!(buckets.keys(), buckets.by_key.pin().len());
        }
    }

    #[test]
    fn a_slow_limits_debt_is_cut_back_when_it_becomes_fast() {
        let buckets = Buckets::default();
        let slow = limit("1/d", 100);
        let client = Key::new(b"client");
        (0..100).for_each(|_| assert_eq!(buckets.take(client, slow, 0), Ok(())));
        let fast = Limit { changed: true, ..limit("10/s", 10) };
        assert_eq!(buckets.take(client, fast, 0), Err(SECOND / 10));
        assert_eq!(buckets.take(client, fast, SECOND / 10), Ok(()));
        assert!(buckets.take(client, fast, SECOND / 10).is_err());
    }

    #[test]
    fn long_keys_are_told_apart() {
        let (mut one, mut other) = ([b'a'; 100], [b'a'; 100]);
        one[99] = b'1';
        other[99] = b'2';
        assert!(Key::new(&one) == Key::new(&one));
        assert!(Key::new(&one) != Key::new(&other));
        assert!(Key::new(&one[..64]) == Key::new(&other[..64]));
        assert!(Key::new(b"") != Key::new(b"\0"));
    }
}
