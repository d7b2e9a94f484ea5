//! One timer for all the deadlines of a connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is set back only when it would ring too late.
///
/// Deadlines of a connection mostly move away: each request sets the idle deadline anew, a minute ahead. To move a timer
/// costs a lock of the runtime's timer wheel; to let it ring once too early and look at the clock costs nothing until
/// then. So an earlier deadline sets the timer, a later one waits until it has rung.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    /// Allocated with the first deadline.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `at` has come.
    pub fn poll(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    async fn ring(alarm: &mut Alarm, at: Instant) -> Instant {
        poll_fn(|cx| alarm.poll(at, cx)).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_at_the_deadline_asked_for_last() {
        let start = Instant::now();
        let mut alarm = Alarm::default();
        let far = start + Duration::from_secs(60);
        assert!(futures::poll!(poll_fn(|cx| alarm.poll(far, cx))).is_pending());

        let near = start + Duration::from_secs(2);
        assert_eq!(ring(&mut alarm, near).await, near);
        assert_eq!(ring(&mut alarm, far).await, far);
        assert_eq!(ring(&mut alarm, start).await, far, "a deadline that has passed rings at once");
    }
}
