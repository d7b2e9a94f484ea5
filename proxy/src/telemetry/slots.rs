//! Small numbers, each held by one owner at a time. A set of bits; a claim takes the lowest free one.
//!
//! `tests/loom.rs` tries all interleavings.

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
