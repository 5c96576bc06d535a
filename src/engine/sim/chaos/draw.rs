//! Chances from a seed.

use super::super::Dice;

/// Shared by everything in one story, so that the seed tells all of it.
pub(in crate::engine::sim) struct Draw(pub(super) Dice);

impl Draw {
    pub(in crate::engine::sim) fn new(seed: u64) -> Self {
        let dice = Dice::new(seed.wrapping_add(0x5851_F42D_4C95_7F2D));
        for _ in 0..8 {
            dice.next();
        }
        Self(dice)
    }

    pub(in crate::engine::sim) fn below(&self, n: u64) -> u64 {
        self.0.below(n.max(1))
    }

    pub(in crate::engine::sim) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a hundred.
    pub(in crate::engine::sim) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(in crate::engine::sim) fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub(in crate::engine::sim) fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }
}

impl crate::engine::ports::Entropy for Draw {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
