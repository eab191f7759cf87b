//! The fold of the registry's events. Decides nothing that costs time, and knows neither log nor clock.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::record::Record;
use crate::{Deleted, Level, Mode, Parsed, Reference, Registered, Schema, SchemaError, SchemaType, SubjectVersion};

/// Everything that the events say.
#[derive(Debug, Default)]
pub(crate) struct Image {
    ids: BTreeMap<u32, Arc<Registered>>,
    /// By type and what makes two texts one schema.
    known: HashMap<(SchemaType, String, Vec<Reference>), u32>,
    pub(crate) subjects: BTreeMap<String, Subject>,
    pub(crate) level: Level,
    pub(crate) mode: Mode,
    /// Of all texts.
    pub(crate) bytes: usize,
}

/// One subject.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    pub(crate) versions: BTreeMap<u32, Version>,
    last: u32,
    pub(crate) level: Option<Level>,
    pub(crate) mode: Option<Mode>,
}

/// A version of a subject: the id of its schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    pub(crate) id: u32,
    pub(crate) is_deleted: bool,
}

impl Image {
    /// Takes an event in. What the events before it do not explain is left out: the log holds what this program wrote.
    pub(crate) fn fold(&mut self, record: Record, appended_at_us: i64) {
        match record {
            Record::Registered {
                subject,
                version,
                id,
                schema,
            } => {
                self.learn(id, schema, appended_at_us);
                let subject = self.subjects.entry(subject).or_default();
                subject.last = subject.last.max(version);
                subject.versions.insert(version, Version { id, is_deleted: false });
            }
            Record::Deleted {
                subject,
                versions,
                permanently,
            } => self.delete(&subject, &versions, permanently),
            Record::Level { subject: None, level } => self.level = level.unwrap_or_default(),
            Record::Level {
                subject: Some(subject),
                level,
            } => self.subjects.entry(subject).or_default().level = level,
            Record::Mode { subject: None, mode } => self.mode = mode.unwrap_or_default(),
            Record::Mode {
                subject: Some(subject),
                mode,
            } => self.subjects.entry(subject).or_default().mode = mode,
        }
    }

    fn learn(&mut self, id: u32, schema: Schema, since_us: i64) {
        if self.ids.contains_key(&id) {
            return;
        }
        let needs = self.needs(&schema.references).unwrap_or_default();
        self.bytes += schema.text.len();
        let registered = Arc::new(Registered::new(id, schema, since_us, needs));
        if let Ok(parsed) = registered.parsed() {
            let schema = &registered.schema;
            let identity = (schema.schema_type, parsed.identity(), schema.references.clone());
            self.known.entry(identity).or_insert(id);
        }
        self.ids.insert(id, registered);
    }

    fn delete(&mut self, name: &str, versions: &[u32], permanently: bool) {
        let Some(subject) = self.subjects.get_mut(name) else {
            return;
        };
        for version in versions {
            if permanently {
                subject.versions.remove(version);
            } else if let Some(version) = subject.versions.get_mut(version) {
                version.is_deleted = true;
            }
        }
        if subject.versions.values().all(|version| version.is_deleted) {
            (subject.level, subject.mode) = (None, None);
        }
        if subject.versions.is_empty() {
            self.subjects.remove(name);
        }
    }

    /// What a schema with these references needs, each behind what it needs itself.
    pub(crate) fn needs(&self, references: &[Reference]) -> Result<Vec<(String, Arc<Registered>)>, SchemaError> {
        let mut needs: Vec<(String, Arc<Registered>)> = Vec::new();
        for reference in references {
            let version = self
                .subjects
                .get(&reference.subject)
                .and_then(|subject| subject.versions.get(&reference.version));
            let Some(registered) = version.and_then(|version| self.ids.get(&version.id)) else {
                return Err(SchemaError::InvalidSchema(format!(
                    "it refers to version {} of the subject '{}', which is not there: register that first",
                    reference.version, reference.subject
                )));
            };
            let own = (reference.name.clone(), Arc::clone(registered));
            for (name, need) in registered.needs.iter().cloned().chain([own]) {
                if !needs.iter().any(|(known, _)| *known == name) {
                    needs.push((name, need));
                }
            }
        }
        Ok(needs)
    }

    /// A schema by its id.
    pub(crate) fn id(&self, id: u32) -> Option<&Arc<Registered>> {
        self.ids.get(&id)
    }

    /// The id of a schema that says the same.
    pub(crate) fn known(&self, schema: &Schema, parsed: &Parsed) -> Option<u32> {
        let identity = (schema.schema_type, parsed.identity(), schema.references.clone());
        self.known.get(&identity).copied()
    }

    /// The largest id; 0 where there is none.
    pub(crate) fn id_max(&self) -> u32 {
        self.ids.keys().next_back().copied().unwrap_or(0)
    }

    /// The versions of a subject, deleted ones too.
    pub(crate) fn versions(&self, subject: &str) -> Vec<SubjectVersion> {
        let found = self.subjects.get(subject);
        let versions = found.iter().flat_map(|found| &found.versions);
        let version = |(version, of): (&u32, &Version)| self.version(subject, *version, of);
        versions.filter_map(version).collect()
    }

    /// The last version of a subject.
    pub(crate) fn latest(&self, subject: &str, deleted: Deleted) -> Option<SubjectVersion> {
        let mut versions = self.subjects.get(subject)?.versions.iter();
        let (version, of) = versions.rfind(|(_, of)| deleted.0 || !of.is_deleted)?;
        self.version(subject, *version, of)
    }

    fn version(&self, subject: &str, version: u32, of: &Version) -> Option<SubjectVersion> {
        Some(SubjectVersion {
            subject: subject.to_owned(),
            version,
            registered: Arc::clone(self.ids.get(&of.id)?),
            is_deleted: of.is_deleted,
        })
    }

    /// The number of a subject's next version.
    pub(crate) fn version_next(&self, subject: &str) -> u32 {
        self.subjects.get(subject).map_or(0, |subject| subject.last) + 1
    }

    /// The ids of the schemas that refer to a version of a subject.
    pub(crate) fn referenced_by(&self, subject: &str, version: u32) -> Vec<u32> {
        let refers = |registered: &&Arc<Registered>| {
            let mut references = registered.schema.references.iter();
            references.any(|reference| reference.subject == subject && reference.version == version)
        };
        let is_there = |id: &u32| {
            let mut versions = self.subjects.values().flat_map(|subject| subject.versions.values());
            versions.any(|version| version.id == *id && !version.is_deleted)
        };
        self.ids
            .values()
            .filter(refers)
            .map(|registered| registered.id)
            .filter(is_there)
            .collect()
    }
}
