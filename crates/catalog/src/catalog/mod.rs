//! The catalog: definitions folded from their stream.
//!
//! A change is: look (under one lock), append its event and wait until it is durable, act on the log's partitions, fold it into
//! the image, tell who waits. A crash at any moment leaves the event there or not, and opening acts on what the events say:
//!
//! ```text
//! last event of the name   stream in the log   open does
//! defined                  missing             creates its partitions     (crash after the event of a creation)
//! dropped                  there               drops it                   (crash after the event of a drop)
//! defined                  has more partitions follows the log            (crash before the event of an addition)
//! none                     there               defines it, schema-free    (made past the catalog)
//! ```

mod image;
mod schema;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_eventlog::{AppendError, EventLog, Facets, StreamError, StreamSettings};
use headwater_records::Address;
use headwater_schemas::Schemas;
use parking_lot::RwLock;
use tokio::sync::{Mutex, watch};

use image::Image;

use crate::alteration::Alteration;
use crate::events::{self, Change};
use crate::replace::{Decision, decide};
use crate::{
    CatalogError, Codec, ColumnFacets, CreateMode, Definition, INTERNAL_PREFIX, StreamDefinition, internal, rules,
};

/// Everything defined. Clones share it.
#[derive(Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

struct Inner {
    log: EventLog,
    image: RwLock<Image>,
    /// Held by whoever changes the catalog, from the look to the fold.
    changing: Mutex<()>,
    changes: watch::Sender<u64>,
    internal: BTreeMap<String, Arc<StreamDefinition>>,
    schemas: Schemas,
}

/// What [`Catalog::define`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defined {
    /// It is new.
    Created,
    /// It took the place of an older definition.
    Replaced,
    /// It was there; nothing changed.
    Unchanged,
    /// It was there, and is not any more.
    Dropped,
}

impl Catalog {
    /// Folds `_headwater.catalog` (created where missing) and makes the log's streams agree with it.
    /// Blocks on the disk: called on a thread outside of a runtime, before the doors open.
    pub fn open(log: EventLog) -> Result<Catalog, CatalogError> {
        let mut internal = BTreeMap::new();
        for definition in internal::created_at_open() {
            if log.stream(&definition.name).is_none() {
                log.create_stream(&definition.name, definition.partitions, StreamSettings::default())
                    .map_err(log_error)?;
            }
            internal.insert(definition.name.clone(), Arc::new(definition));
        }
        let schemas = Schemas::open(log.clone()).map_err(log_error)?;
        let (mut image, settings) = Image::read(&log)?;
        mend(&log, &mut image, &settings)?;
        for stream in image.streams.values() {
            tell_facets(&log, &schemas, None, stream)?;
        }
        Ok(Catalog {
            inner: Arc::new(Inner {
                log,
                image: RwLock::new(image),
                changing: Mutex::new(()),
                changes: watch::Sender::new(0),
                internal,
                schemas,
            }),
        })
    }

    /// The catalog as it would be with this definition. Nothing is written, and nobody is told of later changes.
    pub fn supposing(&self, definition: Definition) -> Catalog {
        let Inner {
            log,
            image,
            internal,
            schemas,
            ..
        } = &*self.inner;
        let mut image = image.read().clone();
        image.fold(definition.name().to_owned(), Some(definition));
        Catalog {
            inner: Arc::new(Inner {
                log: log.clone(),
                image: RwLock::new(image),
                changing: Mutex::new(()),
                changes: watch::Sender::new(0),
                internal: internal.clone(),
                schemas: schemas.clone(),
            }),
        }
    }

    /// One definition by name.
    pub fn get(&self, name: &str) -> Option<Arc<Definition>> {
        self.inner.image.read().definitions.get(name).cloned()
    }

    /// The definition of a stream by name, internal ones (`_headwater.*`) included.
    pub fn stream(&self, name: &str) -> Option<Arc<StreamDefinition>> {
        if name.starts_with(INTERNAL_PREFIX) {
            return self.inner.internal_stream(name);
        }
        self.inner.image.read().streams.get(name).cloned()
    }

    /// The streams that a name speaks of; without a name, all but the internal ones.
    pub fn streams_named(&self, name: Option<&str>) -> Vec<Arc<StreamDefinition>> {
        match name {
            Some(name) => self.stream(name).into_iter().collect(),
            None => self.inner.image.read().streams.values().cloned().collect(),
        }
    }

    /// All definitions, by name; internal streams are none.
    pub fn all(&self) -> Vec<Arc<Definition>> {
        self.inner.image.read().definitions.values().cloned().collect()
    }

    /// The internal streams (`_headwater.*`) that there are.
    pub fn own_streams(&self) -> Vec<Arc<StreamDefinition>> {
        let own = self.inner.log.streams().into_iter();
        let own = own.filter(|info| info.name.starts_with(INTERNAL_PREFIX));
        own.filter_map(|info| self.stream(&info.name)).collect()
    }

    /// Writes a definition; visible and durable when this returns. Creates the stream's partitions in the log.
    ///
    /// A stream whose `partitions` are 0 leaves them open: it keeps those that are there, or gets [`crate::PARTITIONS_DEFAULT`].
    /// A stream that a Kafka client made is declared by the first statement that defines it, in every mode.
    pub async fn define(
        &self,
        definition: Definition,
        mode: CreateMode,
        principal: &str,
    ) -> Result<Defined, CatalogError> {
        self.define_with(definition, StreamSettings::default(), mode, false, principal)
            .await
    }

    /// [`Catalog::define`] of a stream with settings: a new one is created with them, one that is replaced or declared has them set
    /// beside those it has. They live in the log; the definition does not repeat them. `is_parked`: whether any of its events is known that does not fit.
    pub async fn define_stream(
        &self,
        definition: StreamDefinition,
        settings: StreamSettings,
        mode: CreateMode,
        is_parked: bool,
        principal: &str,
    ) -> Result<Defined, CatalogError> {
        self.define_with(Definition::Stream(definition), settings, mode, is_parked, principal)
            .await
    }

    async fn define_with(
        &self,
        definition: Definition,
        settings: StreamSettings,
        mode: CreateMode,
        is_parked: bool,
        principal: &str,
    ) -> Result<Defined, CatalogError> {
        rules::check_definition(&definition)?;
        settings
            .check()
            .map_err(|error| CatalogError::Invalid(format!("stream '{}': {error}", definition.name())))?;
        let inner = Arc::clone(&self.inner);
        let principal = principal.to_owned();
        finish(async move { inner.define(definition, settings, mode, is_parked, &principal).await }).await
    }

    /// Gives a stream so many partitions, which must be more than it has. The log says how many there are, and the definition follows.
    pub async fn add_partitions(&self, name: &str, partitions: u32, principal: &str) -> Result<(), CatalogError> {
        let inner = Arc::clone(&self.inner);
        let (name, principal) = (name.to_owned(), principal.to_owned());
        finish(async move { inner.add_partitions(&name, partitions, &principal).await }).await
    }

    /// Drops a definition that nothing depends on. A dropped stream's events go with it.
    pub async fn drop(&self, noun: &'static str, name: &str, principal: &str) -> Result<(), CatalogError> {
        if name.starts_with(INTERNAL_PREFIX) {
            return Err(CatalogError::Invalid(format!(
                "stream '{name}' cannot be dropped: the program keeps it for itself"
            )));
        }
        let inner = Arc::clone(&self.inner);
        let (name, principal) = (name.to_owned(), principal.to_owned());
        finish(async move { inner.remove(noun, &name, &principal).await }).await
    }

    /// What reads and writes the values of a stream.
    pub fn codec(&self, stream: &str) -> Option<Codec> {
        Some(Codec::sharing(self.stream(stream)?, self.schemas()))
    }

    /// What an answer shows of the value of an event, as JSON; `None`: it is shown as it stands.
    pub fn document(&self, address: &Address, appended_at_us: i64, value: &[u8]) -> Option<String> {
        let codec = self.codec(&address.stream)?;
        codec.document_at(address.partition, address.offset, appended_at_us, value)
    }

    /// The registry of the schemas that values name.
    pub fn schemas(&self) -> &Schemas {
        &self.inner.schemas
    }

    /// Grows with every change: wait for it, then look again.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }
}

impl Inner {
    async fn define(
        &self,
        definition: Definition,
        settings: StreamSettings,
        mode: CreateMode,
        is_parked: bool,
        principal: &str,
    ) -> Result<Defined, CatalogError> {
        let _changing = self.changing.lock().await;
        let name = definition.name().to_owned();
        let existing = self.image.read().definitions.get(&name).cloned();
        if existing.is_none() && self.image.read().dropped.contains(&name) && self.log.stream(&name).is_some() {
            // A drop whose event is there and whose partitions could not be taken away then.
            self.drop_partitions(&name).await?;
        }
        let in_log = self.log.stream(&name);
        let standing = self.standing(existing.as_deref(), is_parked);
        let decision = decide(definition, mode, existing.as_deref(), in_log.as_ref(), &standing)?;
        let (definition, defined) = match decision {
            Decision::Keep => return Ok(Defined::Unchanged),
            Decision::Create(definition) => (definition, Defined::Created),
            Decision::Replace(definition) => (definition, Defined::Replaced),
        };
        if let (Definition::Stream(_), Defined::Created) = (&definition, defined) {
            self.check_alike(&name)?;
        }
        self.check_sources(&definition)?;
        let is_new = in_log.is_none();
        let created_with = if is_new {
            settings.clone()
        } else {
            StreamSettings::default()
        };
        if !is_new {
            // Before the event: a crash between them leaves a statement that nobody was told of half done, and it can be repeated.
            self.set(&name, settings.clone()).await?;
        }
        if let Definition::Stream(stream) = &definition
            && is_new
        {
            // Before the event too: a definition without its partitions would be a promise that is not kept.
            let room = self.log.room_for(stream.partitions);
            room.map_err(|error| CatalogError::Invalid(error.to_string()))?;
        }
        let change = Change::into(&definition, existing.as_deref());
        let append = events::append(&name, &change, &created_with, principal)?;
        self.log.append(append).await.map_err(not_written)?;
        if let Definition::Stream(stream) = &definition
            && is_new
        {
            self.create_partitions(stream, settings).await?;
        }
        if let Definition::Stream(stream) = &definition {
            let before = existing.as_deref().and_then(|before| match before {
                Definition::Stream(before) => ColumnFacets::of(before, &self.schemas),
                _ => None,
            });
            tell_facets(&self.log, &self.schemas, before, stream)?;
        }
        self.fold(name, Some(definition));
        Ok(defined)
    }

    async fn add_partitions(&self, name: &str, partitions: u32, principal: &str) -> Result<(), CatalogError> {
        let _changing = self.changing.lock().await;
        let existing = self.image.read().streams.get(name).cloned();
        let existing = existing.ok_or_else(|| CatalogError::Unknown {
            noun: "stream",
            name: name.to_owned(),
        })?;
        let (log, stream) = (self.log.clone(), name.to_owned());
        let added = tokio::task::spawn_blocking(move || log.add_partitions(&stream, partitions)).await;
        match added {
            Ok(Ok(_)) => {}
            Ok(Err(StreamError::Invalid(why))) => return Err(CatalogError::Invalid(why)),
            Ok(Err(error)) => return Err(not_changed(error)),
            Err(error) => return Err(CatalogError::Log(format!("the change was broken off: {error}"))),
        }
        let definition = StreamDefinition {
            partitions,
            ..existing.as_ref().clone()
        };
        self.write_altered(&existing, &definition, principal).await?;
        self.fold(name.to_owned(), Some(Definition::Stream(definition)));
        Ok(())
    }

    async fn remove(&self, noun: &'static str, name: &str, principal: &str) -> Result<(), CatalogError> {
        let _changing = self.changing.lock().await;
        let existing = self.image.read().definitions.get(name).cloned();
        if existing.is_none_or(|existing| existing.noun() != noun) {
            return Err(CatalogError::Unknown {
                noun,
                name: name.to_owned(),
            });
        }
        self.check_not_needed(noun, name)?;
        let append = events::append(name, &Change::Dropped, &StreamSettings::default(), principal)?;
        self.log.append_freeing(append).await.map_err(not_written)?;
        self.fold(name.to_owned(), None);
        if noun == "stream" && self.log.stream(name).is_some() {
            self.drop_partitions(name).await?;
        }
        Ok(())
    }

    fn fold(&self, name: String, definition: Option<Definition>) {
        self.image.write().fold(name, definition);
        self.changes.send_modify(|count| *count += 1);
    }

    fn internal_stream(&self, name: &str) -> Option<Arc<StreamDefinition>> {
        match self.internal.get(name) {
            Some(definition) => Some(Arc::clone(definition)),
            None => self
                .log
                .stream(name)
                .map(|info| Arc::new(StreamDefinition::schema_free(name, info.partitions))),
        }
    }

    /// No stream may look like another in Kafka's metrics.
    fn check_alike(&self, name: &str) -> Result<(), CatalogError> {
        match rules::colliding(name, self.image.read().streams.keys()) {
            Some(other) => Err(CatalogError::Invalid(format!(
                "the name '{name}' is too like that of the stream '{other}': Kafka takes '.' and '_' for the same in names; choose another one"
            ))),
            None => Ok(()),
        }
    }

    /// Everything named must be there now, under the same lock that a drop takes; and no view may come to read itself.
    fn check_sources(&self, definition: &Definition) -> Result<(), CatalogError> {
        let name = definition.name();
        let image = self.image.read();
        let mut waiting: Vec<&str> = Vec::new();
        for source in definition.sources() {
            let is_there = match image.definitions.get(source).map(Arc::as_ref) {
                // A question may ask a graph; a graph itself is made of views, which whoever defines it has looked at.
                Some(Definition::Stream(_) | Definition::View(_) | Definition::Graph(_)) => true,
                Some(Definition::Command(_) | Definition::Schedule(_)) => false,
                None => self.internal_stream(source).is_some(),
            };
            if !is_there && source != name {
                return Err(CatalogError::Unknown {
                    noun: "stream or view",
                    name: source.clone(),
                });
            }
            waiting.push(source);
        }
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        while let Some(source) = waiting.pop() {
            if source == name {
                return Err(CatalogError::Invalid(format!(
                    "{} '{name}' would read itself: take '{name}' out of what its query reads, also through other views",
                    definition.noun()
                )));
            }
            if seen.insert(source)
                && let Some(definition) = image.definitions.get(source)
            {
                waiting.extend(definition.sources().iter().map(String::as_str));
            }
        }
        Ok(())
    }

    fn check_not_needed(&self, noun: &'static str, name: &str) -> Result<(), CatalogError> {
        let image = self.image.read();
        let mut dependents: Vec<String> = Vec::new();
        for definition in image.definitions.values() {
            if definition.sources().iter().any(|source| source == name) {
                dependents.push(format!("{} '{}'", definition.noun(), definition.name()));
            }
        }
        match dependents.is_empty() {
            true => Ok(()),
            false => Err(CatalogError::Needed {
                noun,
                name: name.to_owned(),
                dependents: dependents.join(", "),
            }),
        }
    }

    async fn create_partitions(&self, stream: &StreamDefinition, settings: StreamSettings) -> Result<(), CatalogError> {
        let (log, name, partitions) = (self.log.clone(), stream.name.clone(), stream.partitions);
        blocking(move || log.create_stream(&name, partitions, settings).map(|_| ())).await
    }

    /// Sets settings of a stream beside those it has.
    async fn set(&self, name: &str, settings: StreamSettings) -> Result<(), CatalogError> {
        if settings == StreamSettings::default() {
            return Ok(());
        }
        let (log, name) = (self.log.clone(), name.to_owned());
        let alter = move || {
            let altered = log.alter_stream(&name, |there| {
                there.overlay(&settings);
                Ok(())
            });
            altered.map(|_| ())
        };
        blocking(alter).await
    }

    async fn drop_partitions(&self, name: &str) -> Result<(), CatalogError> {
        let (log, name) = (self.log.clone(), name.to_owned());
        blocking(move || log.drop_stream(&name)).await
    }
}

/// Runs a change to its end even where the one who asked goes away half way: an event without its effect would be seen only after a restart.
async fn finish<T: Send + 'static>(
    change: impl Future<Output = Result<T, CatalogError>> + Send + 'static,
) -> Result<T, CatalogError> {
    match tokio::spawn(change).await {
        Ok(outcome) => outcome,
        Err(error) => Err(CatalogError::Log(format!("the change was broken off: {error}"))),
    }
}

async fn blocking(act: impl FnOnce() -> Result<(), StreamError> + Send + 'static) -> Result<(), CatalogError> {
    match tokio::task::spawn_blocking(act).await {
        Ok(outcome) => outcome.map_err(|error| match error {
            StreamError::Setting { .. } => CatalogError::Invalid(error.to_string()),
            error => not_changed(error),
        }),
        Err(error) => Err(CatalogError::Log(format!("the change was broken off: {error}"))),
    }
}

/// Makes the log's streams agree with the definitions, see the table at the top.
fn mend(log: &EventLog, image: &mut Image, settings: &BTreeMap<String, StreamSettings>) -> Result<(), CatalogError> {
    let streams: Vec<Arc<StreamDefinition>> = image.streams.values().cloned().collect();
    for stream in streams {
        match log.stream(&stream.name) {
            None => {
                tracing::info!(stream = %stream.name, "creating the partitions of a stream that was defined just before a stop");
                let settings = settings.get(&stream.name).cloned().unwrap_or_default();
                log.create_stream(&stream.name, stream.partitions, settings)
                    .map_err(log_error)?;
            }
            Some(info) if info.partitions > stream.partitions => {
                let definition = StreamDefinition {
                    partitions: info.partitions,
                    ..stream.as_ref().clone()
                };
                let change = Change::Altered(Alteration::between(&stream, &definition));
                let append = events::append(&stream.name, &change, &StreamSettings::default(), "")?;
                log.append_blocking(append).map_err(log_error)?;
                image.fold(stream.name.clone(), Some(Definition::Stream(definition)));
            }
            Some(info) if info.partitions < stream.partitions => {
                return Err(CatalogError::Invalid(format!(
                    "stream '{}' is defined with {} partition(s) and the log holds {}: the data folder was put together from \
                     different ones; restore a whole copy",
                    stream.name, stream.partitions, info.partitions
                )));
            }
            Some(_) => {}
        }
    }
    for info in log.streams() {
        if info.name.starts_with(INTERNAL_PREFIX) {
            continue;
        }
        match image.definitions.get(&info.name).map(Arc::as_ref) {
            Some(Definition::Stream(_)) => {}
            None if !image.dropped.contains(&info.name) => {
                let definition = Definition::Stream(StreamDefinition::schema_free(&info.name, info.partitions));
                let settings = StreamSettings::default();
                let append = events::append(&info.name, &Change::Found(&definition), &settings, "")?;
                log.append_blocking(append).map_err(log_error)?;
                image.fold(info.name, Some(definition));
            }
            // Dropped, or dropped and the name given to a view or a command since.
            _ => {
                tracing::info!(stream = %info.name, "removing a stream that was dropped just before a stop");
                log.drop_stream(&info.name).map_err(log_error)?;
            }
        }
    }
    Ok(())
}

/// Tells the log how a stream's events say what they are about, where that is not as it was.
fn tell_facets(
    log: &EventLog,
    schemas: &Schemas,
    before: Option<ColumnFacets>,
    stream: &StreamDefinition,
) -> Result<(), CatalogError> {
    let facets = ColumnFacets::of(stream, schemas);
    if facets == before {
        return Ok(());
    }
    let facets = facets.map(|facets| Arc::new(facets) as Arc<dyn Facets>);
    log.set_facets(&stream.name, facets).map_err(log_error)
}

fn not_changed(error: StreamError) -> CatalogError {
    match error {
        StreamError::Full(_) => CatalogError::Full(error.to_string()),
        error => log_error(error),
    }
}

fn not_written(error: AppendError) -> CatalogError {
    match error {
        AppendError::Full { .. } => CatalogError::Full(error.to_string()),
        error => log_error(error),
    }
}

fn log_error(error: impl std::fmt::Display) -> CatalogError {
    CatalogError::Log(error.to_string())
}

#[cfg(test)]
mod tests;
