//! A count over the last seconds, shared by all workers without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use weir_resilience::budget::WINDOW_SECONDS;

/// One slot a second, more than the window needs, so that a slot is reused only after it fell out of it.
const SLOTS: usize = 16;
const _: () = assert!(SLOTS > WINDOW_SECONDS as usize);

/// Events in the last [`WINDOW_SECONDS`] seconds. Each slot packs the second that it counts (high half) and the count
/// (low half), so that taking a slot over for a new second and counting are one compare-and-swap: no event is lost.
#[derive(Default)]
pub struct Window {
    slots: [AtomicU64; SLOTS],
}

impl Window {
    /// Counts one event at `second` (since any fixed moment).
    pub fn add(&self, second: u32) {
        let slot = &self.slots[second as usize % SLOTS];
        let mut seen = slot.load(Relaxed);
        loop {
            let next = match unpack(seen) {
                (at, count) if at == second => pack(second, count.saturating_add(1)),
                (at, _) if at > second => return, // a late event of a slot that has moved on
                _ => pack(second, 1),
            };
            match slot.compare_exchange_weak(seen, next, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Events in the window that ends with `second`.
    pub fn sum(&self, second: u32) -> u64 {
        let oldest = second.saturating_sub(WINDOW_SECONDS - 1);
        self.slots
            .iter()
            .map(|slot| unpack(slot.load(Relaxed)))
            .filter(|(at, _)| (oldest..=second).contains(at))
            .map(|(_, count)| u64::from(count))
            .sum()
    }
}

fn pack(second: u32, count: u32) -> u64 {
    u64::from(second) << 32 | u64::from(count)
}

fn unpack(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_last_ten_seconds_and_forgets_the_rest() {
        let window = Window::default();
        for second in 100..130 {
            window.add(second);
            window.add(second);
        }
        assert_eq!(window.sum(129), 20);
        assert_eq!(window.sum(134), 10);
        assert_eq!(window.sum(150), 0);
    }

    #[test]
    fn no_event_is_lost_between_threads() {
        let window = Window::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50_000).for_each(|n| window.add(7 + n / 25_000)));
            }
        });
        assert_eq!(window.sum(8), 200_000);
    }
}
