//! Power of two choices: look at two endpoints at random, take the one with fewer requests in flight.
//!
//! Against one random choice the longest queue shrinks from `log n / log log n` to `log log n` (Mitzenmacher, "The
//! Power of Two Choices in Randomized Load Balancing", 1996), and unlike "the least of all" it looks at two numbers and
//! does not herd: many proxies that see the same idle endpoint do not all pick it.

/// Picks one of `count` endpoints. `load` tells the requests in flight at one, `usable` whether it may be picked (it was
/// not tried for this request, it is ready). Ties go to the first of the two, which is as random as the draw. `None` when
/// none is usable.
///
/// `chance` is 64 uniform random bits. Expected cost is constant; when both draws are unusable it scans once from a
/// random place, so one usable endpoint among many is found.
pub fn two_choices(
    count: usize,
    chance: u64,
    load: impl Fn(usize) -> u32,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    if count == 0 {
        return None;
    }
    let first = scale(chance as u32, count);
    if count == 1 {
        return usable(first).then_some(first);
    }
    // The second draw is among the others, so that it never falls on the first.
    let second = (first + 1 + scale((chance >> 32) as u32, count - 1)) % count;
    match (usable(first), usable(second)) {
        (true, true) if load(second) < load(first) => Some(second),
        (true, _) => Some(first),
        (false, true) => Some(second),
        (false, false) => (0..count).map(|step| (first + step) % count).find(|&at| usable(at)),
    }
}

/// Scales 32 random bits to `0..count` (Lemire, "Fast Random Integer Generation in an Interval", 2019, without the
/// rejection: the bias is below `count / 2^32`).
fn scale(bits: u32, count: usize) -> usize {
    ((u64::from(bits) * count as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn picks_a_usable_one_whenever_there_is_one(usable in prop::collection::vec(any::<bool>(), 0..40), chance: u64) {
            let picked = two_choices(usable.len(), chance, |_| 0, |at| usable[at]);
            match picked {
                Some(at) => prop_assert!(usable[at]),
                None => prop_assert!(usable.iter().all(|&u| !u)),
            }
        }

        #[test]
        fn never_picks_the_most_loaded_of_all_when_loads_differ(count in 2usize..40, worst: prop::sample::Index, chance: u64) {
            let worst = worst.index(count);
            let picked = two_choices(count, chance, |at| u32::from(at == worst), |_| true);
            prop_assert_ne!(picked, Some(worst));
        }
    }

    #[test]
    fn equal_loads_are_picked_equally_often() {
        let mut counts = [0u32; 5];
        let mut state = 1u64;
        for _ in 0..50_000 {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            counts[two_choices(5, z ^ (z >> 31), |_| 3, |_| true).unwrap()] += 1;
        }
        assert!(counts.iter().all(|&c| (9_000..11_000).contains(&c)), "{counts:?}");
    }
}
