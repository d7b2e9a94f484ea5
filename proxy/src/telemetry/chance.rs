//! Random numbers for load balancing, sampling and ids: fast, one generator a thread, never for secrets.
//!
//! wyrand, the generator of wyhash (Wang Yi, public domain; `wyhash.h`, `wyrand`): 64 bits of state, one wide
//! multiplication a number, passes BigCrush and PractRand. Each thread's state starts from the operating system's
//! random source, by way of the keys that the standard library's hash maps take from it.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

const STEP: u64 = 0x2d35_8dcc_aa6c_78a5;
const MIX: u64 = 0x8bb8_4b93_962e_acc9;

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
}

/// The thread's next number, any `u64` with the same chance.
#[inline]
pub fn chance() -> u64 {
    STATE.with(|state| {
        let (next, value) = step(state.get());
        state.set(next);
        value
    })
}

#[inline]
fn step(state: u64) -> (u64, u64) {
    let next = state.wrapping_add(STEP);
    let product = u128::from(next) * u128::from(next ^ MIX);
    (next, (product >> 64) as u64 ^ product as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_bit_is_set_half_of_the_time() {
        let mut counts = [0u32; 64];
        let (mut state, draws) = (7, 100_000);
        for _ in 0..draws {
            let value;
            (state, value) = step(state);
            for (bit, count) in counts.iter_mut().enumerate() {
                *count += (value >> bit & 1) as u32;
            }
        }
        // Six standard deviations (158 each) about the mean.
        assert!(counts.iter().all(|count| count.abs_diff(draws / 2) < 950), "{counts:?}");
    }

    #[test]
    fn threads_draw_different_numbers() {
        let drawn: HashSet<u64> = (0..32).map(|_| std::thread::spawn(chance).join().unwrap()).collect();
        assert_eq!(drawn.len(), 32);
    }
}
