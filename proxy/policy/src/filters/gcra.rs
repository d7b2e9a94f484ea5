//! The generic cell rate algorithm, in whole nanoseconds (ITU-T I.371, annex A; the "virtual scheduling" form).
//!
//! All it remembers of a client is one number, the theoretical arrival time: when the client's bucket is full again. A
//! request moves it on by one interval, and is refused if that would put it further ahead of now than the burst allows.

use weir_config::units::Rate;

/// How often, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// Time that each request uses up, in nanoseconds; at least 1.
    interval: u64,
    /// The burst's requests times the interval: how far the arrival time may lie ahead.
    depth: u64,
}

/// How far an arrival time may lie ahead: a year, in nanoseconds. So no sum in here overflows for 500 years of uptime.
const MAX_DEPTH: u64 = 365 * 86_400 * 1_000_000_000;

impl Gcra {
    /// `burst` requests at once, and then `rate`. An interval that is no whole number of nanoseconds is rounded up, so
    /// that no more than the rate ever passes. `None` if the burst takes more than a year to come back, or is 0.
    pub(crate) fn new(rate: Rate, burst: u32) -> Option<Self> {
        let interval = rate.per.as_nanos().div_ceil(u128::from(rate.count)).max(1);
        let depth = u64::try_from(interval * u128::from(burst)).ok().filter(|depth| *depth <= MAX_DEPTH)?;
        (burst > 0).then_some(Self { interval: u64::try_from(interval).ok()?, depth })
    }

    /// The arrival time after one more request at `now`; or, when there is no room for it, the nanoseconds until there
    /// is. A client that was never seen has the arrival time 0.
    pub(crate) fn admit(&self, arrival: u64, now: u64) -> Result<u64, u64> {
        let next = arrival.max(now).saturating_add(self.interval);
        match next.saturating_sub(now).checked_sub(self.depth) {
            None | Some(0) => Ok(next),
            Some(wait) => Err(wait),
        }
    }

    /// The furthest ahead that an arrival time may lie.
    pub(crate) fn depth(&self) -> u64 {
        self.depth
    }

    /// Nanoseconds from an empty bucket to a full one.
    pub(crate) fn refill(&self) -> u64 {
        self.depth
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gcra(rate: &str, burst: u32) -> Gcra {
        Gcra::new(Rate::parse(rate).unwrap(), burst).unwrap()
    }

    /// What becomes of requests at these times, in milliseconds: true for admitted.
    fn run(gcra: Gcra, times: &[u64]) -> Vec<bool> {
        let mut arrival = 0;
        times
            .iter()
            .map(|time| match gcra.admit(arrival, time * 1_000_000) {
                Ok(next) => {
                    arrival = next;
                    true
                }
                Err(_) => false,
            })
            .collect()
    }

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        assert_eq!(
            run(gcra("10/s", 3), &[0, 0, 0, 0, 99, 100, 100, 199, 200]),
            [true, true, true, false, false, true, false, false, true]
        );
        assert_eq!(run(gcra("1/s", 1), &[0, 1, 999, 1000, 1999, 2000]), [true, false, false, true, false, true]);
        assert_eq!(run(gcra("10/s", 2), &[0, 0, 10_000, 10_000, 10_000]), [true, true, true, true, false]);
    }

    #[test]
    fn the_wait_is_exact_to_the_nanosecond() {
        for rate in ["3/s", "7/m", "1000000/s", "1/d"] {
            let gcra = gcra(rate, 5);
            let mut arrival = 0;
            for _ in 0..5 {
                arrival = gcra.admit(arrival, 1_000).unwrap();
            }
            let wait = gcra.admit(arrival, 1_000).unwrap_err();
            assert!(gcra.admit(arrival, 1_000 + wait - 1).is_err());
            assert!(gcra.admit(arrival, 1_000 + wait).is_ok());
        }
    }

    #[test]
    fn a_burst_that_takes_more_than_a_year_is_none() {
        assert_eq!(Gcra::new(Rate::parse("1/d").unwrap(), 366), None);
        assert_eq!(Gcra::new(Rate::parse("1/s").unwrap(), 0), None);
        assert_eq!(Gcra::new(Rate::parse("1/36500d").unwrap(), u32::MAX), None);
        assert!(Gcra::new(Rate::parse("1/d").unwrap(), 365).is_some());
        assert!(Gcra::new(Rate::parse("4000000000/ns").unwrap(), u32::MAX).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// The model: a bucket of nanoseconds that fills one a nanosecond; a request takes an interval's worth.
        #[test]
        fn it_admits_what_a_bucket_of_nanoseconds_admits(
            count in 1u32..2000,
            per in 1u64..5_000_000_000,
            burst in 1u32..50,
            steps in prop::collection::vec(prop_oneof![Just(0u64), 0..10u64, 0..100_000_000u64, any::<u32>().prop_map(u64::from)], 1..200),
        ) {
            let rate = Rate { count, per: std::time::Duration::from_nanos(per) };
            let gcra = Gcra::new(rate, burst).unwrap();
            let interval = u128::from(per.div_ceil(u64::from(count)));
            let capacity = interval * u128::from(burst);

            let (mut arrival, mut level, mut now) = (0, capacity, 0);
            for step in steps {
                now += step;
                level = capacity.min(level + u128::from(step));
                match gcra.admit(arrival, now) {
                    Ok(next) => {
                        prop_assert!(level >= interval);
                        level -= interval;
                        arrival = next;
                    }
                    Err(wait) => prop_assert_eq!(u128::from(wait), interval - level),
                }
            }
        }

        #[test]
        fn no_window_admits_more_than_a_burst_and_the_rate(
            count in 1u32..100,
            burst in 1u32..10,
            steps in prop::collection::vec(0u64..200, 1..200),
        ) {
            let rate = Rate { count, per: std::time::Duration::from_secs(1) };
            let mut now = 0;
            let times: Vec<u64> = steps.iter().map(|step| { now += step; now }).collect();
            let admitted: Vec<u64> = std::iter::zip(&times, run(Gcra::new(rate, burst).unwrap(), &times))
                .filter_map(|(time, admitted)| admitted.then_some(*time))
                .collect();
            for (i, from) in admitted.iter().enumerate() {
                for (j, to) in admitted.iter().enumerate().skip(i) {
                    let allowed = u64::from(burst) * 1000 + u64::from(count) * (to - from);
                    prop_assert!((j - i + 1) as u64 * 1000 <= allowed);
                }
            }
        }
    }
}
