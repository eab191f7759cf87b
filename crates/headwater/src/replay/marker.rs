//! The mark of a copied folder: a program that runs on it changes nothing of its own accord.
//!
//! Retention and compaction stand still, or a copy of last year would be deleted as soon as it ran; schedules and pipelines do, or what they append would be
//! appended again: their events are in the copy already.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure, OrExit};
use crate::moment;

/// The file in the data folder.
const FILE: &str = "replay.json";

/// How often what tends itself is tended in a copy: ten years are more than it lasts.
pub const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Of what a data folder is a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// The folder that was copied.
    pub from: String,
    /// The moment of the copy, microseconds since 1970.
    pub until_us: i64,
    /// Whether everything is there.
    pub finished: bool,
}

impl Replayed {
    /// The mark of a data folder; `None` where it is no copy. A copy that was broken off is refused.
    pub fn of(data: &Path) -> Result<Option<Replayed>, Failure> {
        let path = data.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(Failure::new(Exit::Usage, format!("{}: {why}", path.display()))),
        };
        let replayed: Replayed = serde_json::from_str(&text).or_exit(Exit::Usage)?;
        match replayed.finished {
            true => Ok(Some(replayed)),
            false => Err(Failure::new(
                Exit::Usage,
                format!(
                    "the copy in {} was broken off: remove the folder and replay again",
                    data.display()
                ),
            )),
        }
    }

    /// Marks a data folder.
    pub fn write(&self, data: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string(self).or_exit(Exit::Failed)?;
        fs::write(data.join(FILE), text).or_exit(Exit::Usage)
    }

    /// Takes the mark away.
    pub fn remove(data: &Path) -> std::io::Result<()> {
        fs::remove_file(data.join(FILE))
    }

    /// What is said at the start.
    pub fn line(&self) -> String {
        format!(
            "REPLAY    a copy of {} up to {}: pipelines, schedules, retention and compaction stand still; tables of column files lie in it, whatever LOCATION they have",
            self.from,
            moment::shown(self.until_us)
        )
    }
}
