//! What has been defined, as of now: the fold of the definition events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_eventlog::{EventLog, StreamSettings};

use crate::events::{self, Found, Said};
use crate::{CatalogError, Definition, StreamDefinition};

/// The definitions that stand.
#[derive(Clone, Default)]
pub(super) struct Image {
    pub(super) definitions: BTreeMap<String, Arc<Definition>>,
    /// The streams among them, asked for with every append and every question.
    pub(super) streams: BTreeMap<String, Arc<StreamDefinition>>,
    /// Names whose last event is a drop.
    pub(super) dropped: BTreeSet<String>,
}

impl Image {
    /// Folds every event of the log, and says what the partitions of the streams are to be created with.
    pub(super) fn read(log: &EventLog) -> Result<(Image, BTreeMap<String, StreamSettings>), CatalogError> {
        let mut folding = Folding::default();
        events::read_all(log, |found: Found| folding.fold(found))?;
        let Folding {
            definitions,
            dropped,
            settings,
        } = folding;
        let mut image = Image {
            dropped,
            ..Image::default()
        };
        for (name, definition) in definitions {
            image.fold(name, Some(definition));
        }
        Ok((image, settings))
    }

    /// Takes in what became of a name: its definition, or `None` where that was dropped.
    pub(super) fn fold(&mut self, name: String, definition: Option<Definition>) {
        self.streams.remove(&name);
        match definition {
            Some(definition) => {
                self.dropped.remove(&name);
                if let Definition::Stream(stream) = &definition {
                    self.streams.insert(name.clone(), Arc::new(stream.clone()));
                }
                self.definitions.insert(name, Arc::new(definition));
            }
            None => {
                self.definitions.remove(&name);
                self.dropped.insert(name);
            }
        }
    }
}

/// The image while events are read: nobody shares it yet, so that an alteration costs what it changes.
#[derive(Default)]
struct Folding {
    definitions: BTreeMap<String, Definition>,
    dropped: BTreeSet<String>,
    settings: BTreeMap<String, StreamSettings>,
}

impl Folding {
    fn fold(&mut self, found: Found) -> Result<(), String> {
        let Found { name, said, settings } = found;
        match said {
            Said::Defined(definition) => {
                self.dropped.remove(&name);
                self.definitions.insert(name.clone(), definition);
            }
            Said::Altered(alteration) => match self.definitions.get_mut(&name) {
                // Its partitions are created with what its creation said.
                Some(Definition::Stream(stream)) => return alteration.apply(stream),
                _ => return Err(format!("it alters a stream '{name}', which is not there")),
            },
            Said::Dropped => {
                self.definitions.remove(&name);
                self.dropped.insert(name.clone());
            }
        }
        self.settings.insert(name, settings);
        Ok(())
    }
}
