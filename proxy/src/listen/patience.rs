//! How long a slow request body is waited for.

use std::time::Duration;

use tokio::time::Instant;
use weir_config::bootstrap::Limits;

/// What every body gets before the rate counts.
const GRACE: Duration = Limits::BODY_GRACE;
/// Most that a body can earn by coming fast, so that a quick start does not pay for an endless stall.
const MOST: Duration = Duration::from_secs(30);

/// A slow body lives on credit: it begins with its grace, each byte earns the time in which the slowest body allowed would
/// have sent it, and only the time in which we wait for the client is spent. So a client is never charged for an upstream
/// that reads slowly, and one that sends at the slowest rate or faster is never cut (the rule of Kestrel's
/// `MinRequestBodyDataRate`, with a bound on what can be saved up).
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// Bytes per second; 0 waits for ever.
    rate: u64,
    left: Duration,
    waiting: Option<Instant>,
}

impl Patience {
    pub fn new(rate: u64) -> Self {
        Self { rate, left: GRACE, waiting: None }
    }

    /// For another body.
    pub fn renew(&mut self) {
        self.left = GRACE;
        self.waiting = None;
    }

    /// We wait for bytes: when to give up.
    pub fn ends(&mut self) -> Option<Instant> {
        if self.rate == 0 {
            return None;
        }
        let since = *self.waiting.get_or_insert_with(Instant::now);
        Some(since + self.left)
    }

    /// Bytes came.
    pub fn fed(&mut self, bytes: usize) {
        if self.rate == 0 {
            return;
        }
        if let Some(since) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let earned = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        self.left = self.left.saturating_add(earned).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(seconds: f64) {
        tokio::time::advance(Duration::from_secs_f64(seconds)).await;
    }

    fn is_over(patience: &mut Patience) -> bool {
        patience.ends().is_some_and(|end| end <= Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_at_the_slowest_rate_goes_on_for_ever() {
        let mut patience = Patience::new(500);
        for _ in 0..1000 {
            assert!(!is_over(&mut patience));
            after(1.0).await;
            patience.fed(500);
        }
        assert!(!is_over(&mut patience));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slower_body_ends_when_its_grace_is_spent() {
        let mut patience = Patience::new(500);
        let start = Instant::now();
        while !is_over(&mut patience) {
            patience.fed(250);
            assert!(!is_over(&mut patience));
            after(1.0).await;
        }
        // Half of each second is paid for by the bytes before it, the other half by the grace.
        assert_eq!(start.elapsed(), 2 * GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_start_buys_no_more_than_half_a_minute() {
        let mut patience = Patience::new(500);
        assert!(!is_over(&mut patience));
        patience.fed(100_000_000);
        assert_eq!(patience.ends(), Some(Instant::now() + MOST));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_reads_is_not_charged() {
        let mut patience = Patience::new(500);
        patience.fed(1);
        after(3600.0).await;
        assert!(!is_over(&mut patience));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_there_is_no_end() {
        assert_eq!(Patience::new(0).ends(), None);
    }
}
