//! Small numbers, each held by one owner at a time. A set of bits; a claim takes the lowest free one.

use super::sync::{AtomicU64, Ordering};

const BITS: usize = u64::BITS as usize;

/// The numbers from 0 to a bound.
#[derive(Debug)]
pub struct Slots {
    /// Bit `n % 64` of word `n / 64` is set while `n` is held, or lies beyond the bound.
    words: Vec<AtomicU64>,
}

impl Slots {
    /// The numbers below `bound`.
    pub fn new(bound: usize) -> Self {
        let words = (0..bound.div_ceil(BITS))
            .map(|word| match bound - word * BITS {
                free @ 0..BITS => AtomicU64::new(u64::MAX << free),
                _ => AtomicU64::new(0),
            })
            .collect();
        Self { words }
    }

    /// A number that nobody holds, if there is one. What its last holder wrote before [`release`](Self::release) is
    /// seen by the caller, so a plain read-and-store counter can change hands.
    pub fn claim(&self) -> Option<usize> {
        for (at, word) in self.words.iter().enumerate() {
            let mut taken = word.load(Ordering::Relaxed);
            while taken != u64::MAX {
                let free = taken.trailing_ones();
                match word.compare_exchange_weak(taken, taken | 1 << free, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => return Some(at * BITS + free as usize),
                    Err(now) => taken = now,
                }
            }
        }
        None
    }

    /// Gives a claimed number back.
    pub fn release(&self, slot: usize) {
        self.words[slot / BITS].fetch_and(!(1 << (slot % BITS)), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_each_number_below_the_bound_once() {
        for bound in [0, 1, 63, 64, 65, 127, 128, 130] {
            let slots = Slots::new(bound);
            let claimed: Vec<usize> = std::iter::from_fn(|| slots.claim()).collect();
            assert_eq!(claimed, (0..bound).collect::<Vec<_>>());
        }
    }

    #[test]
    fn hands_out_the_lowest_free_number() {
        let slots = Slots::new(70);
        while slots.claim().is_some() {}
        slots.release(66);
        slots.release(3);
        assert_eq!([slots.claim(), slots.claim(), slots.claim()], [Some(3), Some(66), None]);
    }
}
