//! The bytes of one simulated file: what programs see, and what is left of it when the power is cut.
//!
//! Invariant: of what was not flushed each write is kept, lost or torn between sectors, in any order.

use super::Random;

/// A write reaches the disk in pieces of this size.
const SECTOR_BYTES: usize = 512;

#[derive(Default)]
pub(super) struct Content {
    pub(super) now: Vec<u8>,
    durable: Vec<u8>,
    unflushed: Vec<Unflushed>,
}

pub(super) enum Unflushed {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Content {
    pub(super) fn flush(&mut self) {
        for unflushed in std::mem::take(&mut self.unflushed) {
            unflushed.apply(&mut self.durable);
        }
    }

    pub(super) fn change(&mut self, unflushed: Unflushed) {
        unflushed.apply(&mut self.now);
        self.unflushed.push(unflushed);
    }

    pub(super) fn lose(&mut self, random: &mut Random) {
        let mut left = std::mem::take(&mut self.unflushed);
        while !left.is_empty() {
            let unflushed = left.swap_remove(random.below(left.len()));
            match (random.below(3), unflushed) {
                (0, _) => {}
                (1, unflushed) => unflushed.apply(&mut self.durable),
                (_, Unflushed::Length(length)) => Unflushed::Length(length).apply(&mut self.durable),
                (_, Unflushed::Write(at, bytes)) => {
                    let prefix = random.coin().then(|| random.below(bytes.len() / SECTOR_BYTES + 1));
                    for (number, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        if prefix.map_or_else(|| random.coin(), |prefix| number < prefix) {
                            let at = at + (number * SECTOR_BYTES) as u64;
                            Unflushed::Write(at, sector.to_vec()).apply(&mut self.durable);
                        }
                    }
                }
            }
        }
        self.now = self.durable.clone();
    }
}

impl Unflushed {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Unflushed::Write(at, from) => {
                let at = *at as usize;
                if bytes.len() < at + from.len() {
                    bytes.resize(at + from.len(), 0);
                }
                bytes[at..at + from.len()].copy_from_slice(from);
            }
            Unflushed::Length(length) => bytes.resize(*length as usize, 0),
        }
    }
}
