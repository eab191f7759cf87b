//! How often a test kills the program, and when: a few times in every run of the tests, so often as `HEADWATER_KILLS` says, and at the same moments
//! again where `HEADWATER_SEED` is what another run printed.

use std::time::{SystemTime, UNIX_EPOCH};

/// How many kills there are to be.
pub fn kills(usual: u64) -> u64 {
    number("HEADWATER_KILLS").unwrap_or(usual)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Moments and choices.
pub struct Dice(u64);

impl Dice {
    /// From a seed that is printed.
    pub fn new() -> Dice {
        let seed = number("HEADWATER_SEED").unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.expect("after 1970").as_nanos() as u64
        });
        println!("HEADWATER_SEED={seed}");
        Dice::of(seed)
    }

    /// From this one.
    pub fn of(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        // xorshift64 (Marsaglia, 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
