//! The registry: what is asked of the image, and what changes it.
//!
//! A change is: decide (under one lock), append its event and wait until it is durable, fold it, answer.

use std::sync::Arc;

use bytes::Bytes;
use headwater_eventlog::{Append, AppendError, EventLog, Part, StreamSettings};
use headwater_records::{Batch, Compression, Event};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use crate::image::Image;
use crate::limits::{READ_BYTES, SCHEMAS_BYTES_MAX, SUBJECT_BYTES_MAX};
use crate::record::{Record, SCHEMAS_STREAM};
use crate::{Deleted, Level, Mode, Parsed, Registered, Schema, SchemaError, SubjectVersion, Wanted};

/// The registry. Clones share it; the default one is empty and cannot be written to.
#[derive(Debug, Clone, Default)]
pub struct Schemas {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    log: Option<EventLog>,
    image: Arc<RwLock<Image>>,
    /// Held by whoever changes it, from the look to the fold.
    changing: Mutex<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schemas")
            .field("ids", &self.image.read().id_max())
            .finish_non_exhaustive()
    }
}

impl Schemas {
    /// Folds `_headwater.schemas` (created where missing). Blocks on the disk: called on a thread outside of a runtime.
    pub fn open(log: EventLog) -> Result<Schemas, SchemaError> {
        if log.stream(SCHEMAS_STREAM).is_none() {
            log.create_stream(SCHEMAS_STREAM, 1, StreamSettings::default())
                .map_err(log_error)?;
        }
        let mut image = Image::default();
        read_all(&log, &mut image)?;
        Ok(Schemas {
            inner: Arc::new(Inner {
                log: Some(log),
                image: Arc::new(RwLock::new(image)),
                changing: Mutex::new(()),
            }),
        })
    }

    /// The same schemas for who only reads them, and without the log: what the log itself holds must not hold the log.
    pub fn reader(&self) -> Schemas {
        Schemas {
            inner: Arc::new(Inner {
                log: None,
                image: Arc::clone(&self.inner.image),
                changing: Mutex::default(),
            }),
        }
    }

    /// The schema of an id, whether or not a subject has it still.
    pub fn id(&self, id: u32) -> Option<Arc<Registered>> {
        self.inner.image.read().id(id).cloned()
    }

    /// The schema that an event appended at a moment may have been written with: an id counts from when it was given.
    pub fn id_at(&self, id: u32, appended_at_us: i64) -> Option<Arc<Registered>> {
        self.id(id).filter(|registered| registered.since_us <= appended_at_us)
    }

    /// The largest id.
    pub fn id_max(&self) -> u32 {
        self.inner.image.read().id_max()
    }

    /// The subjects with any version.
    pub fn subjects(&self, deleted: Deleted) -> Vec<String> {
        let image = self.inner.image.read();
        let has = |name: &&String| {
            image.subjects.get(*name).is_some_and(|subject| {
                subject
                    .versions
                    .values()
                    .any(|version| deleted.0 || !version.is_deleted)
            })
        };
        image.subjects.keys().filter(has).cloned().collect()
    }

    /// A subject's versions, in order.
    pub fn versions(&self, subject: &str, deleted: Deleted) -> Result<Vec<SubjectVersion>, SchemaError> {
        let mut versions = self.inner.image.read().versions(subject);
        versions.retain(|version| deleted.0 || !version.is_deleted);
        match versions.is_empty() {
            true => Err(SchemaError::UnknownSubject(subject.to_owned())),
            false => Ok(versions),
        }
    }

    /// One version of a subject.
    pub fn version(&self, subject: &str, wanted: Wanted, deleted: Deleted) -> Result<SubjectVersion, SchemaError> {
        if wanted == Wanted::Latest
            && let Some(latest) = self.inner.image.read().latest(subject, deleted)
        {
            // What rows are written by is asked for row by row.
            return Ok(latest);
        }
        let mut versions = self.versions(subject, deleted)?.into_iter();
        let found = versions.find(|version| Wanted::Number(version.version) == wanted);
        found.ok_or_else(|| {
            SchemaError::UnknownVersion(match wanted {
                Wanted::Latest => "latest".to_owned(),
                Wanted::Number(number) => number.to_string(),
            })
        })
    }

    /// The subjects and versions of an id.
    pub fn versions_of(&self, id: u32, deleted: Deleted) -> Result<Vec<SubjectVersion>, SchemaError> {
        let image = self.inner.image.read();
        if image.id(id).is_none() {
            return Err(unknown_id(id));
        }
        let all = image.subjects.keys().flat_map(|subject| image.versions(subject));
        Ok(all
            .filter(|version| version.registered.id == id && (deleted.0 || !version.is_deleted))
            .collect())
    }

    /// The ids of schemas that refer to a version.
    pub fn referenced_by(&self, subject: &str, wanted: Wanted) -> Result<Vec<u32>, SchemaError> {
        let version = self.version(subject, wanted, Deleted(true))?;
        Ok(self.inner.image.read().referenced_by(subject, version.version))
    }

    /// The version under which a subject has this schema.
    pub fn lookup(&self, subject: &str, schema: Schema, deleted: Deleted) -> Result<SubjectVersion, SchemaError> {
        let versions = self.versions(subject, deleted)?;
        let candidate = self.inner.candidate(schema)?;
        let found = versions
            .into_iter()
            .rev()
            .find(|version| Some(version.registered.id) == candidate.known);
        found.ok_or_else(|| SchemaError::UnknownSchema(String::new()))
    }

    /// Registers a schema: the version that the subject has it under, durable when this returns.
    pub async fn register(
        &self,
        subject: &str,
        schema: Schema,
        principal: &str,
    ) -> Result<SubjectVersion, SchemaError> {
        check_subject(subject)?;
        let (subject, principal) = (subject.to_owned(), principal.to_owned());
        self.change(move |inner| async move { inner.register(&subject, schema, &principal).await })
            .await
    }

    /// What is in the way of a schema behind a version of a subject (all that the subject's level compares with, where none is named).
    pub fn obstacles(&self, subject: &str, wanted: Option<Wanted>, schema: Schema) -> Result<Vec<String>, SchemaError> {
        let level = self.level(subject);
        let earlier = match wanted {
            Some(wanted) => vec![self.version(subject, wanted, Deleted(false))?.registered],
            None => self.inner.earlier(subject),
        };
        let candidate = self.inner.candidate(schema)?;
        let compared = level.compared(&earlier).iter();
        Ok(compared
            .flat_map(|earlier| level.obstacles(candidate.parsed(), earlier))
            .collect())
    }

    /// Deletes versions of a subject; all where none is named. Those that were deleted, durably so when this returns.
    pub async fn delete(
        &self,
        subject: &str,
        wanted: Option<Wanted>,
        permanently: bool,
        principal: &str,
    ) -> Result<Vec<u32>, SchemaError> {
        let (subject, principal) = (subject.to_owned(), principal.to_owned());
        self.change(move |inner| async move { inner.delete(&subject, wanted, permanently, &principal).await })
            .await
    }

    /// The level that counts for a subject.
    pub fn level(&self, subject: &str) -> Level {
        let image = self.inner.image.read();
        image
            .subjects
            .get(subject)
            .and_then(|subject| subject.level)
            .unwrap_or(image.level)
    }

    /// The level that a subject has of its own; that of all where none is named.
    pub fn own_level(&self, subject: Option<&str>) -> Option<Level> {
        let image = self.inner.image.read();
        match subject {
            None => Some(image.level),
            Some(subject) => image.subjects.get(subject).and_then(|subject| subject.level),
        }
    }

    /// Sets a level, or takes it back; of all where no subject is named.
    pub async fn set_level(
        &self,
        subject: Option<&str>,
        level: Option<Level>,
        principal: &str,
    ) -> Result<(), SchemaError> {
        let set = |subject| Record::Level { subject, level };
        self.set(subject, set, principal).await
    }

    /// The mode that a subject has of its own; that of all where none is named.
    pub fn own_mode(&self, subject: Option<&str>) -> Option<Mode> {
        let image = self.inner.image.read();
        match subject {
            None => Some(image.mode),
            Some(subject) => image.subjects.get(subject).and_then(|subject| subject.mode),
        }
    }

    /// Sets a mode, or takes it back; of all where no subject is named.
    pub async fn set_mode(
        &self,
        subject: Option<&str>,
        mode: Option<Mode>,
        principal: &str,
    ) -> Result<(), SchemaError> {
        let set = |subject| Record::Mode { subject, mode };
        self.set(subject, set, principal).await
    }

    async fn set(
        &self,
        subject: Option<&str>,
        record: impl FnOnce(Option<String>) -> Record,
        principal: &str,
    ) -> Result<(), SchemaError> {
        subject.map_or(Ok(()), check_subject)?;
        let record = record(subject.map(str::to_owned));
        let principal = principal.to_owned();
        self.change(move |inner| async move { inner.write(record, &principal).await })
            .await
    }

    /// Runs a change to its end even where the one who asked goes away half way: an event that is not folded would be seen only after a restart.
    async fn change<T, F>(&self, change: impl FnOnce(Arc<Inner>) -> F + Send + 'static) -> Result<T, SchemaError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, SchemaError>> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let changed = tokio::spawn(async move {
            let turn = Arc::clone(&inner);
            let _changing = turn.changing.lock().await;
            change(inner).await
        });
        match changed.await {
            Ok(outcome) => outcome,
            Err(error) => Err(SchemaError::Log(format!("the change was broken off: {error}"))),
        }
    }
}

/// A schema that asks to be taken: parsed, and whether it has an id.
struct Candidate {
    registered: Registered,
    known: Option<u32>,
}

impl Candidate {
    fn parsed(&self) -> &Parsed {
        self.registered
            .parsed()
            .expect("it was parsed when the candidate was made")
    }
}

impl Inner {
    fn candidate(&self, schema: Schema) -> Result<Candidate, SchemaError> {
        let needs = self.image.read().needs(&schema.references)?;
        let registered = Registered::new(0, schema, 0, needs);
        let parsed = registered.parsed().map_err(SchemaError::InvalidSchema)?;
        let known = self.image.read().known(&registered.schema, parsed);
        Ok(Candidate { registered, known })
    }

    /// The schemas of a subject that were not deleted, oldest first.
    fn earlier(&self, subject: &str) -> Vec<Arc<Registered>> {
        let versions = self.image.read().versions(subject);
        versions
            .into_iter()
            .filter(|version| !version.is_deleted)
            .map(|version| version.registered)
            .collect()
    }

    async fn register(&self, subject: &str, schema: Schema, principal: &str) -> Result<SubjectVersion, SchemaError> {
        let candidate = self.candidate(schema)?;
        if let Some(known) = candidate.known {
            let versions = self.image.read().versions(subject);
            let there = versions
                .into_iter()
                .rev()
                .find(|version| version.registered.id == known && !version.is_deleted);
            if let Some(there) = there {
                return Ok(there);
            }
        }
        let (level, mode, bytes) = {
            let image = self.image.read();
            let own = image.subjects.get(subject);
            let level = own.and_then(|own| own.level).unwrap_or(image.level);
            (level, own.and_then(|own| own.mode).unwrap_or(image.mode), image.bytes)
        };
        if mode == Mode::ReadOnly {
            return Err(SchemaError::ReadOnly(subject.to_owned()));
        }
        let earlier = self.earlier(subject);
        let compared = level.compared(&earlier).iter();
        let why: Vec<String> = compared
            .flat_map(|earlier| level.obstacles(candidate.parsed(), earlier))
            .collect();
        if !why.is_empty() {
            let subject = subject.to_owned();
            return Err(SchemaError::Incompatible { subject, why });
        }
        let text = candidate.registered.schema.text.len();
        if candidate.known.is_none() && bytes + text > SCHEMAS_BYTES_MAX {
            return Err(SchemaError::Full(format!(
                "its schemas have {bytes} bytes, and {SCHEMAS_BYTES_MAX} are taken"
            )));
        }
        let (version, id) = {
            let image = self.image.read();
            (
                image.version_next(subject),
                candidate.known.unwrap_or(image.id_max() + 1),
            )
        };
        let record = Record::Registered {
            subject: subject.to_owned(),
            version,
            id,
            schema: candidate.registered.schema,
        };
        self.write(record, principal).await?;
        let versions = self.image.read().versions(subject);
        let registered = versions.into_iter().find(|found| found.version == version);
        registered.ok_or_else(|| SchemaError::Log("what was written is not there".to_owned()))
    }

    async fn delete(
        &self,
        subject: &str,
        wanted: Option<Wanted>,
        permanently: bool,
        principal: &str,
    ) -> Result<Vec<u32>, SchemaError> {
        let versions = self.image.read().versions(subject);
        let chosen = deletable(subject, &versions, wanted, permanently)?;
        for version in &chosen {
            if let [by, ..] = self.image.read().referenced_by(subject, *version).as_slice() {
                return Err(SchemaError::Referenced(format!(
                    "{{subject={subject},version={version}}}, the first of them id {by}"
                )));
            }
        }
        let record = Record::Deleted {
            subject: subject.to_owned(),
            versions: chosen.clone(),
            permanently,
        };
        self.write(record, principal).await?;
        Ok(chosen)
    }

    async fn write(&self, record: Record, principal: &str) -> Result<(), SchemaError> {
        let Some(log) = &self.log else {
            return Err(SchemaError::Log("this registry has no log behind it".to_owned()));
        };
        let value = serde_json::to_vec(&record).map_err(log_error)?;
        let event = Event {
            key: Some(Bytes::copy_from_slice(record.subject().as_bytes())),
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
            // No writer's clock stands behind it: when it was made is the log's append time.
            timestamp_ms: -1,
        };
        let append = Append {
            parts: vec![Part {
                stream: SCHEMAS_STREAM.to_owned(),
                partition: 0,
                batch: Batch::encode(&[event], Compression::None, None),
            }],
            principal: principal.to_owned(),
            condition: None,
        };
        let appended = match log.append(append).await {
            Ok(appended) => appended,
            Err(error @ AppendError::TooLarge { .. }) => {
                let why = format!("its text is too large once it is JSON: {error}");
                return Err(SchemaError::InvalidSchema(why));
            }
            Err(error) => return Err(log_error(error)),
        };
        self.image.write().fold(record, appended.appended_at_us);
        Ok(())
    }
}

/// The versions that a request deletes.
fn deletable(
    subject: &str,
    versions: &[SubjectVersion],
    wanted: Option<Wanted>,
    permanently: bool,
) -> Result<Vec<u32>, SchemaError> {
    if versions.is_empty() {
        return Err(SchemaError::UnknownSubject(subject.to_owned()));
    }
    let subject = || subject.to_owned();
    let Some(wanted) = wanted else {
        let kept = versions.iter().filter(|version| !version.is_deleted);
        return match (kept.count(), permanently) {
            (0, false) => Err(SchemaError::SubjectDeleted(subject())),
            (1.., true) => Err(SchemaError::SubjectNotDeleted(subject())),
            (0, true) => Ok(versions.iter().map(|version| version.version).collect()),
            (1.., false) => Ok(versions
                .iter()
                .filter(|version| !version.is_deleted)
                .map(|version| version.version)
                .collect()),
        };
    };
    let found = match wanted {
        Wanted::Number(number) => versions.iter().find(|version| version.version == number),
        Wanted::Latest => versions.iter().rfind(|version| version.is_deleted == permanently),
    };
    let name = match wanted {
        Wanted::Number(number) => number.to_string(),
        Wanted::Latest => "latest".to_owned(),
    };
    let found = found.ok_or(SchemaError::UnknownVersion(name))?;
    match (found.is_deleted, permanently) {
        (true, false) => Err(SchemaError::VersionDeleted(subject(), found.version)),
        (false, true) => Err(SchemaError::VersionNotDeleted(subject(), found.version)),
        _ => Ok(vec![found.version]),
    }
}

fn check_subject(subject: &str) -> Result<(), SchemaError> {
    let fits = (1..=SUBJECT_BYTES_MAX).contains(&subject.len()) && !subject.chars().any(char::is_control);
    match fits {
        true => Ok(()),
        false => Err(SchemaError::InvalidSubject(
            subject.chars().take(SUBJECT_BYTES_MAX).collect(),
        )),
    }
}

/// The refusal of an id that nobody has.
pub(crate) fn unknown_id(id: u32) -> SchemaError {
    SchemaError::UnknownSchema(format!("{id} "))
}

fn log_error(error: impl std::fmt::Display) -> SchemaError {
    SchemaError::Log(error.to_string())
}

/// Reads every event from the beginning.
fn read_all(log: &EventLog, image: &mut Image) -> Result<(), SchemaError> {
    let Some(offsets) = log.offsets(SCHEMAS_STREAM, 0) else {
        return Ok(());
    };
    let mut next = offsets.start;
    while next < offsets.high_watermark {
        let batches = log.read(SCHEMAS_STREAM, 0, next, READ_BYTES).map_err(log_error)?;
        if batches.is_empty() {
            break;
        }
        for stored in batches {
            for (offset, event) in stored.batch.events().map_err(log_error)? {
                let Some(value) = event.value.filter(|_| offset >= next) else {
                    continue;
                };
                let record: Record = serde_json::from_slice(&value).map_err(|error| {
                    SchemaError::Log(format!(
                        "{SCHEMAS_STREAM}/0@{offset} is no event that this program knows: {error}; \
                         open the data folder with the version that wrote it, or a newer one"
                    ))
                })?;
                image.fold(record, stored.appended_at_us);
            }
            next = stored.batch.next_offset();
        }
    }
    Ok(())
}
