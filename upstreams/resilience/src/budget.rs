//! The retry budget: retries may be a share of the requests, not a number for each request.
//!
//! With a fixed number of retries for each request, an upstream that fails under load gets its load multiplied just
//! then; with a budget the amplification is bounded by `1 + share` however much fails (Google SRE book, ch. 22; the
//! sliding window is that of tower's `TpsBudget`). A retry is charged when it is decided, so that those which still back
//! off count already.

/// Seconds that the window spans.
pub const WINDOW_SECONDS: u32 = 10;

/// How many retries an upstream bears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Retries as a share of the requests in the window, 0.0 to 1.0.
    pub share: f64,
    /// Retries in each second that are always allowed, so that a quiet upstream has them too.
    pub floor_per_second: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { share: 0.2, floor_per_second: 3 }
    }
}

impl Budget {
    /// Whether one more retry fits, given the requests (first attempts) and the retries of the last
    /// [`WINDOW_SECONDS`].
    pub fn allows(&self, requests: u64, retries: u64) -> bool {
        (retries + 1) as f64 <= self.ceiling(requests)
    }

    /// What is left of the budget, 0.0 (spent) to 1.0 (untouched).
    pub fn left(&self, requests: u64, retries: u64) -> f64 {
        (1.0 - retries as f64 / self.ceiling(requests)).clamp(0.0, 1.0)
    }

    fn ceiling(&self, requests: u64) -> f64 {
        requests as f64 * self.share + f64::from(self.floor_per_second * WINDOW_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quiet_upstream_has_three_retries_a_second() {
        let budget = Budget::default();
        assert!(budget.allows(0, 29));
        assert!(!budget.allows(0, 30));
    }

    proptest! {
        #[test]
        fn retries_never_exceed_the_share_and_the_floor(requests in 0u64..1_000_000, share in 0.0f64..1.0, floor in 0u32..100) {
            let budget = Budget { share, floor_per_second: floor };
            let mut retries = 0u64;
            while retries < 2_000_000 && budget.allows(requests, retries) {
                retries += 1 + retries / 8; // jumps, to keep the loop short; each stands for a decision
            }
            let bound = requests as f64 * share + f64::from(floor * WINDOW_SECONDS);
            prop_assert!(!budget.allows(requests, bound.floor() as u64));
        }
    }
}
