//! Randomness.

/// A source of random numbers.
pub trait Dice: Send + Sync {
    /// 64 random bits.
    fn roll(&self) -> u64;
}
