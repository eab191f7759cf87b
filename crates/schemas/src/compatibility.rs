//! Which schemas may follow which: the levels, as pairs of who reads what whom wrote.
//!
//! ```text
//! BACKWARD    the new one reads what the last one wrote        …_TRANSITIVE    what any earlier one wrote
//! FORWARD     the last one reads what the new one writes                       any earlier one
//! FULL        both                                             NONE            anything may follow
//! ```

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Parsed, Registered};

/// A level of compatibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the table above says what each means")]
pub enum Level {
    None,
    #[default]
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Level {
    const NAMES: [(Level, &str); 7] = [
        (Level::None, "NONE"),
        (Level::Backward, "BACKWARD"),
        (Level::BackwardTransitive, "BACKWARD_TRANSITIVE"),
        (Level::Forward, "FORWARD"),
        (Level::ForwardTransitive, "FORWARD_TRANSITIVE"),
        (Level::Full, "FULL"),
        (Level::FullTransitive, "FULL_TRANSITIVE"),
    ];

    fn is_transitive(self) -> bool {
        matches!(
            self,
            Level::BackwardTransitive | Level::ForwardTransitive | Level::FullTransitive
        )
    }

    fn reads_earlier(self) -> bool {
        !matches!(self, Level::None | Level::Forward | Level::ForwardTransitive)
    }

    fn is_read_by_earlier(self) -> bool {
        !matches!(self, Level::None | Level::Backward | Level::BackwardTransitive)
    }

    /// Those of the earlier schemas, oldest first, that a new one is compared with.
    pub(crate) fn compared(self, earlier: &[Arc<Registered>]) -> &[Arc<Registered>] {
        match self {
            Level::None => &[],
            level if level.is_transitive() => earlier,
            _ => earlier.get(earlier.len().saturating_sub(1)..).unwrap_or_default(),
        }
    }

    /// What is in the way of a new schema behind one that is there.
    pub(crate) fn obstacles(self, new: &Parsed, earlier: &Registered) -> Vec<String> {
        let id = earlier.id;
        let old = match earlier.parsed() {
            Ok(old) => old,
            Err(why) => return vec![format!("the schema with id {id} cannot be read: {why}")],
        };
        let mut why: Vec<String> = Vec::new();
        if self.reads_earlier() {
            let found = Parsed::obstacles(new, old);
            why.extend(
                found
                    .into_iter()
                    .map(|why| format!("the new schema cannot read what id {id} wrote: {why}")),
            );
        }
        if self.is_read_by_earlier() {
            let found = Parsed::obstacles(old, new);
            why.extend(
                found
                    .into_iter()
                    .map(|why| format!("id {id} cannot read what the new schema writes: {why}")),
            );
        }
        why
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Level::NAMES.iter().find(|(level, _)| level == self);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Level, ()> {
        let text = text.to_ascii_uppercase();
        let level = Level::NAMES.iter().find(|(_, name)| *name == text);
        level.map(|(level, _)| *level).ok_or(())
    }
}
