//! Chances from a seed.

use super::super::Dice;

/// Shared by everything in one story, so that the seed tells all of it.
pub(super) struct Draw(pub(super) Dice);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        let dice = Dice::new(seed.wrapping_add(0x5851_F42D_4C95_7F2D));
        for _ in 0..8 {
            dice.next();
        }
        Self(dice)
    }

    pub(super) fn below(&self, n: u64) -> u64 {
        self.0.below(n.max(1))
    }

    pub(super) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a hundred.
    pub(super) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn index(&self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }

    pub(super) fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }
}

impl crate::engine::ports::Entropy for Draw {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
