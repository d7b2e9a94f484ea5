//! Durations, by bounds.

use std::time::Duration;

use super::cells::Count;

/// Buckets of every histogram, beside the last one without a bound.
pub const BOUNDS: usize = 13;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// 1 ms to 10 s: what clients and upstreams take. Has the bounds that objectives are usually written for (0.1, 0.25,
/// 0.5 and 1 s).
pub static EXCHANGE: Bounds = Bounds::new([
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
]);

/// 25 µs to 250 ms: what a proxy adds.
pub static ADDED: Bounds = Bounds::new([
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
]);

/// Upper bounds, each inclusive, as Prometheus' `le` is.
#[derive(Debug)]
pub struct Bounds {
    /// In nanoseconds; each at least twice the one before. The last one is none: everything is below it.
    upper: [u64; BOUNDS + 1],
    /// By the number of leading zero bits of a duration: how many bounds are smaller than any such duration. Of two
    /// bounds one is at least twice the other, so at most one more lies among them.
    below: [u8; 65],
}

impl Bounds {
    const fn new(bounds: [u64; BOUNDS]) -> Self {
        let mut upper = [u64::MAX; BOUNDS + 1];
        let mut at = 0;
        while at < BOUNDS {
            assert!(at == 0 || bounds[at] >= 2 * bounds[at - 1]);
            upper[at] = bounds[at];
            at += 1;
        }
        let mut below = [0; 65];
        let mut zeros = 0;
        while zeros < 64 {
            let smallest = 1 << (63 - zeros);
            while upper[below[zeros] as usize] < smallest {
                below[zeros] += 1;
            }
            zeros += 1;
        }
        Self { upper, below }
    }

    /// The bounds, in nanoseconds.
    pub fn upper(&self) -> &[u64] {
        &self.upper[..BOUNDS]
    }

    /// The first bucket whose bound is not smaller.
    #[inline]
    fn bucket(&self, ns: u64) -> usize {
        let below = usize::from(self.below[ns.leading_zeros() as usize]);
        below + usize::from(ns > self.upper[below])
    }
}

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
        let ns = duration.as_secs().saturating_mul(1_000 * MS).saturating_add(u64::from(duration.subsec_nanos()));
        self.buckets[bounds.bucket(ns)].add(worker, 1);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Prometheus defines it.
    fn expected(bounds: &Bounds, ns: u64) -> usize {
        bounds.upper().iter().position(|&bound| ns <= bound).unwrap_or(BOUNDS)
    }

    #[test]
    fn a_bound_is_inclusive() {
        for bounds in [&EXCHANGE, &ADDED] {
            for &bound in bounds.upper() {
                for ns in [bound - 1, bound, bound + 1] {
                    assert_eq!(bounds.bucket(ns), expected(bounds, ns), "{ns}");
                }
            }
            assert_eq!([bounds.bucket(0), bounds.bucket(1), bounds.bucket(u64::MAX)], [0, 0, BOUNDS]);
        }
    }

    proptest! {
        #[test]
        fn a_duration_is_in_the_first_bucket_that_is_not_smaller(ns: u64, shift in 0..64u32) {
            for bounds in [&EXCHANGE, &ADDED] {
                prop_assert_eq!(bounds.bucket(ns >> shift), expected(bounds, ns >> shift));
            }
        }
    }

    #[test]
    fn durations_add_up() {
        let histogram = Histogram::default();
        for duration in [Duration::ZERO, Duration::from_millis(3), Duration::from_secs(100)] {
            histogram.record(0, &EXCHANGE, duration);
        }
        let mut sums = Durations::default();
        histogram.fold(&mut sums);
        assert_eq!((sums.count(), sums.nanoseconds), (3, 100_003_000_000));
        assert_eq!((sums.buckets[0], sums.buckets[2], sums.buckets[BOUNDS]), (1, 1, 1));
    }
}
