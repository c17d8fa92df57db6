//! Chance, from a seed: the order of equals and the spread of waits.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A generator (splitmix64) that is shared by everything that draws from it. One seed, one sequence.
#[derive(Debug)]
pub(crate) struct Seed(AtomicU64);

/// The increment of splitmix64: 2^64 divided by the golden ratio.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Seed {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A seed of the process's own, for callers that gave none: nothing here has to be secret, only
    /// different from process to process.
    pub(crate) fn of_process() -> Self {
        Self::new(RandomState::new().hash_one(std::process::id()))
    }

    fn next(&self) -> u64 {
        let state = self
            .0
            .fetch_add(GAMMA, Ordering::Relaxed)
            .wrapping_add(GAMMA);
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    }

    /// A number from 0 to `most`, both included.
    pub(crate) fn up_to(&self, most: u64) -> u64 {
        let range = u128::from(most) + 1;
        // The high half of the product: as even as 64 bits can be, without a division.
        u64::try_from((u128::from(self.next()) * range) >> 64).unwrap_or(most)
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn one_seed_is_one_sequence_within_its_range() {
        let draw = |seed| {
            let seed = Seed::new(seed);
            (0..1_000).map(|_| seed.up_to(9)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let mut counts = [0; 10];
        for drawn in draw(7) {
            counts[usize::try_from(drawn).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (60..140).contains(count)),
            "{counts:?}"
        );
        assert_eq!(Seed::new(1).up_to(0), 0);
    }
}
