//! One Delta table: opened or made, committed to, and seen as of its last commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, StructType, Transaction};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, OutputMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use headwater_host::Shortage;
use headwater_records::Position;
use headwater_views::{LakeTable, LakeVersion, Replaced, Standing, ViewError};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use crate::files::Files;
use crate::limits::{CHECKPOINT_COMMITS, KEEP_VERSIONS};
use crate::mark::Mark;
use crate::own::Own;
use crate::replace;
use crate::runtime::Storage;
use crate::source::Source;
use crate::spec::TableSpec;
use crate::strangers;

/// The table's property that names its view.
const VIEW: &str = "headwater.view";
/// How long files that are no longer part of the table stay, and how long its commits do.
const FILES_STAY: &str = "delta.deletedFileRetentionDuration";
const COMMITS_STAY: &str = "delta.logRetentionDuration";

/// A view's table.
pub(crate) struct Table {
    storage: Arc<Storage>,
    pub(crate) spec: TableSpec,
    /// The newest version that is known; held while it is changed.
    delta: Mutex<DeltaTable>,
    own: parking_lot::Mutex<Own>,
    published: RwLock<Published>,
}

/// What others see of it without waiting.
#[derive(Clone)]
struct Published {
    mark: Option<Mark>,
    source: Arc<Source>,
    bytes: u64,
}

/// What one commit does to the rows.
enum Change<'a> {
    Append(&'a [RecordBatch]),
    Replace(
        &'a Replaced,
        &'a mut (dyn Iterator<Item = Result<RecordBatch, ViewError>> + Send),
    ),
}

impl Table {
    /// Opens a view's table, or makes it.
    pub(crate) async fn open(storage: Arc<Storage>, spec: TableSpec, store: LogStoreRef) -> Result<Table, ViewError> {
        let own = Own::open(spec.folder.as_deref().filter(|_| spec.is_named));
        let own = own.map_err(|error| noted(&spec, &error))?;
        let opened = open(store.clone()).await;
        let delta = match opened.map_err(|error| failed(&spec, "cannot be opened", &error))? {
            Some(delta) => delta,
            None if own.has_any() => return Err(gone(&spec)),
            None => {
                let made = create(&spec, store).await;
                made.map_err(|error| failed(&spec, "cannot be made", &error))?
            }
        };
        check_owner(&spec, &delta)?;
        let delta = follow_settings(&spec, delta).await;
        let delta = delta.map_err(|error| failed(&spec, "takes no new settings", &error))?;
        let mark = newest_mark(&spec, &delta).await;
        let mark = mark.map_err(|error| failed(&spec, "does not say where it stands", &error))?;
        if let Some(mark) = &mark {
            if spec.is_named {
                check_newest(&spec, &own, mark)?;
            }
            if let Some(change) = strangers::since_own(&spec.view, &delta).await? {
                return Err(stopped(&spec, &change.to_string()));
            }
        }
        let published = published(&spec, &delta, mark)?;
        Ok(Table {
            storage,
            spec,
            delta: Mutex::new(delta),
            own: parking_lot::Mutex::new(own),
            published: RwLock::new(published),
        })
    }

    /// Does something to it. Where that fails and nothing is left of the table, it is gone: one whose storage does not say is there.
    async fn with(&self, done: impl Future<Output = Result<(), ViewError>>) -> Result<(), ViewError> {
        let why = match done.await {
            Err(ViewError::Failed(why)) => why,
            done => return done,
        };
        let store = self.delta.lock().await.log_store();
        match store.is_delta_table_location().await {
            Ok(false) => Err(gone(&self.spec)),
            _ => Err(ViewError::Failed(why)),
        }
    }

    /// One change, unless the table stands there already: files are written, then named by a commit.
    async fn change(&self, change: Change<'_>, standing: &Standing) -> Result<(), ViewError> {
        let mut delta = self.delta.lock().await;
        let known = self.published.read().mark.clone();
        if known.as_ref().is_some_and(|mark| mark.standing == *standing) {
            return Ok(());
        }
        self.check_unchanged(&mut delta).await?;
        let newest = self.newest_mark(&delta).await?;
        let number = known.as_ref().map_or(0, |mark| mark.number) + 1;
        let last = known.as_ref().map(|mark| mark.id.as_str());
        let id = self.own.lock().begin(number, last);
        let mark = Mark {
            number,
            log: self.spec.log.clone(),
            id: id.map_err(|error| noted(&self.spec, &error))?,
            standing: standing.clone(),
        };
        if newest.as_ref() == Some(&mark) {
            // It took place, and its answer was lost.
            return self.publish(&delta, Some(mark));
        }
        if newest != known {
            return Err(overtaken(&self.spec));
        }
        let mode = match &change {
            Change::Append(_) => OutputMode::Append,
            Change::Replace(..) => OutputMode::Update,
        };
        let written = self.write(&delta, change).await;
        let actions = written.map_err(|error| self.failed("cannot be written", &error))?;
        if let Err(error) = self.commit(&mut delta, mode, actions, &mark).await {
            // Where the answer was lost, the table says whether it took place.
            match self.newest_mark(&delta).await? {
                Some(newest) if newest == mark => {}
                newest if newest == known => return Err(self.failed("cannot be committed to", &error)),
                _ => return Err(overtaken(&self.spec)),
            }
        }
        self.publish(&delta, Some(mark))
    }

    async fn newest_mark(&self, delta: &DeltaTable) -> Result<Option<Mark>, ViewError> {
        let newest = newest_mark(&self.spec, delta).await;
        newest.map_err(|error| self.failed("does not say where it stands", &error))
    }

    /// Looks at what was committed since the last look: nobody else changes the rows of a table that a view writes.
    async fn check_unchanged(&self, delta: &mut DeltaTable) -> Result<(), ViewError> {
        let since = delta.version();
        let updated = delta.update_state().await;
        updated.map_err(|error| self.failed("cannot be read", &error))?;
        match strangers::between(&self.spec.view, delta, since).await? {
            Some(change) => Err(stopped(&self.spec, &change.to_string())),
            None => Ok(()),
        }
    }

    /// Writes rows into files that no commit names yet.
    async fn write(&self, delta: &DeltaTable, change: Change<'_>) -> Result<Vec<Action>, DeltaTableError> {
        let mut files = Files::new(delta, &self.spec)?;
        match change {
            Change::Append(rows) => {
                for rows in rows {
                    files.write(rows).await?;
                }
            }
            Change::Replace(replaced, rows) => {
                replace::without(delta, &self.spec, replaced, &mut files).await?;
                for rows in rows {
                    files
                        .write(&rows.map_err(|error| DeltaTableError::Generic(error.to_string()))?)
                        .await?;
                }
            }
        }
        files.close().await
    }

    /// One commit. After it, and also where it failed, the table is known as it is now.
    async fn commit(
        &self,
        delta: &mut DeltaTable,
        output_mode: OutputMode,
        actions: Vec<Action>,
        mark: &Mark,
    ) -> Result<(), DeltaTableError> {
        let operation = DeltaOperation::StreamingUpdate {
            output_mode,
            query_id: self.spec.view.clone(),
            epoch_id: mark.number,
        };
        let transaction = Transaction::new(&self.spec.view, mark.number);
        let properties = properties(&self.spec, Some(mark)).with_application_transaction(transaction);
        let committed = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(delta.snapshot()?), delta.log_store(), operation)
            .await;
        let updated = delta.update_state().await;
        updated.and(committed.map(|_| ()))
    }

    async fn tend_files(&self) -> Result<(), ViewError> {
        let mut delta = self.delta.lock().await;
        let followed = follow_settings(&self.spec, delta.clone()).await;
        *delta = followed.map_err(|error| self.failed("takes no new settings", &error))?;
        let mark = self.published.read().mark.clone();
        let tended = crate::upkeep::tend(&mut delta, &|| properties(&self.spec, mark.as_ref()), mark.as_ref()).await;
        tended.map_err(|error| self.failed("cannot be put in order", &error))?;
        self.publish(&delta, mark)
    }

    fn publish(&self, delta: &DeltaTable, mark: Option<Mark>) -> Result<(), ViewError> {
        let published = published(&self.spec, delta, mark)?;
        *self.published.write() = published;
        Ok(())
    }

    fn failed(&self, what: &str, error: &DeltaTableError) -> ViewError {
        failed(&self.spec, what, error)
    }
}

impl LakeTable for Table {
    fn standing(&self) -> Option<Standing> {
        self.published.read().mark.as_ref().map(|mark| mark.standing.clone())
    }

    fn append(&self, rows: &[RecordBatch], standing: &Standing) -> Result<(), ViewError> {
        self.storage
            .wait(self.with(self.change(Change::Append(rows), standing)))
    }

    fn replace(
        &self,
        replaced: &Replaced,
        rows: &mut (dyn Iterator<Item = Result<RecordBatch, ViewError>> + Send),
        standing: &Standing,
    ) -> Result<(), ViewError> {
        self.storage
            .wait(self.with(self.change(Change::Replace(replaced, rows), standing)))
    }

    fn keep_versions(&self, milliseconds: Option<u64>) {
        // What is kept is said in the table, with the next commit.
        *self.spec.keep_versions.lock() = milliseconds.map_or(KEEP_VERSIONS, Duration::from_millis);
    }

    fn tend(&self) -> Result<(), ViewError> {
        self.storage.wait(self.with(self.tend_files()))
    }

    fn source(&self) -> Arc<dyn TableProvider> {
        self.published.read().source.clone()
    }

    fn as_of(&self, at: &Position) -> Result<Option<LakeVersion>, ViewError> {
        // Not the one that a commit holds: who looks back does not wait for it.
        let newest = self.published.read().source.delta().clone();
        let found = async {
            let found = crate::past::as_of(&self.spec, &newest, at).await;
            found.map_err(|error| self.failed("cannot be read as it was", &error))
        };
        self.storage.wait(found)
    }

    fn bytes(&self) -> u64 {
        self.published.read().bytes
    }
}

/// The table that is there.
async fn open(store: LogStoreRef) -> Result<Option<DeltaTable>, DeltaTableError> {
    let mut delta = DeltaTable::new(store);
    if !delta.verify_deltatable_existence().await? {
        return Ok(None);
    }
    delta.load().await?;
    Ok(Some(delta))
}

async fn create(spec: &TableSpec, store: LogStoreRef) -> Result<DeltaTable, DeltaTableError> {
    let schema: StructType = spec.stored.as_ref().try_into_kernel()?;
    let mut configuration: Vec<(String, Option<String>)> = vec![
        (VIEW.to_owned(), Some(spec.view.clone())),
        (
            "delta.checkpointInterval".to_owned(),
            Some(CHECKPOINT_COMMITS.to_string()),
        ),
        // Commits go when we say so: the newest of ours says where the view stands.
        ("delta.enableExpiredLogCleanup".to_owned(), Some("false".to_owned())),
    ];
    configuration.extend(kept(spec).into_iter().map(|(name, value)| (name, Some(value))));
    CreateBuilder::new()
        .with_log_store(store)
        .with_columns(schema.fields().cloned())
        .with_partition_columns(&spec.partitioned_by)
        .with_configuration(configuration)
        .with_raise_if_key_not_exists(false)
        .await
}

/// A table of another view, or of another version of this one, is not touched.
fn check_owner(spec: &TableSpec, delta: &DeltaTable) -> Result<(), ViewError> {
    let snapshot = delta
        .snapshot()
        .map_err(|error| failed(spec, "cannot be read", &error))?;
    let owner = snapshot.metadata().configuration().get(VIEW);
    if owner == Some(&spec.view) {
        return Ok(());
    }
    let whose = match owner {
        Some(owner) => format!("the table of {owner}"),
        None => "a table of another program".to_owned(),
    };
    Err(ViewError::Unfit {
        part: format!("LOCATION '{}', where {whose} lies,", spec.location),
        hint: "give the view a place of its own, or take that table away".to_owned(),
    })
}

/// Refuses a place where there is a table that is not the view's.
pub(crate) async fn check_whose(spec: &TableSpec, store: LogStoreRef) -> Result<(), ViewError> {
    let opened = open(store).await;
    match opened.map_err(|error| failed(spec, "cannot be opened", &error))? {
        Some(delta) => check_owner(spec, &delta),
        None => Ok(()),
    }
}

/// The newest commit of the view is one of the program's own, or nothing is written to the table.
fn check_newest(spec: &TableSpec, own: &Own, mark: &Mark) -> Result<(), ViewError> {
    if mark.log != spec.log {
        return Err(stopped(
            spec,
            "was written of another log, such as the one that this is a copy of",
        ));
    }
    match own.holds(&mark.id) {
        true => Ok(()),
        false => Err(overtaken(spec)),
    }
}

fn gone(spec: &TableSpec) -> ViewError {
    ViewError::Stopped {
        view: spec.name.clone(),
        why: format!(
            "the table at {} is not there any more, and nothing is written in its place: put it back and start again, or DROP the view and CREATE it, which \
             makes the table of the events that are kept",
            spec.location
        ),
    }
}

fn overtaken(spec: &TableSpec) -> ViewError {
    stopped(
        spec,
        "has commits of the view that this program did not make: its data folder was restored from a copy, a copy of it runs beside it, or another program \
         was given the same place",
    )
}

/// Nothing is written to the table any more.
fn stopped(spec: &TableSpec, what: &str) -> ViewError {
    ViewError::Stopped {
        view: spec.name.clone(),
        why: format!(
            "the table at {} {what}; nothing is written to it any more: give the view a LOCATION of its own, or take that table away, DROP the view and \
             CREATE it",
            spec.location
        ),
    }
}

fn noted(spec: &TableSpec, error: &std::io::Error) -> ViewError {
    let why = format!(
        "which commits of the table at {} are the program's own is not noted: {error}",
        spec.location
    );
    full_or_failed(&error.to_string(), why)
}

/// The properties that say how long what is no longer part of the table stays.
fn kept(spec: &TableSpec) -> HashMap<String, String> {
    let interval = format!("interval {} seconds", spec.keep_versions.lock().as_secs());
    let stay = [FILES_STAY, COMMITS_STAY].map(|name| (name.to_owned(), interval.clone()));
    HashMap::from(stay)
}

/// Brings a table to settings that changed.
async fn follow_settings(spec: &TableSpec, delta: DeltaTable) -> Result<DeltaTable, DeltaTableError> {
    let kept = kept(spec);
    let snapshot = delta.snapshot()?;
    let known = snapshot.metadata().configuration();
    if kept.iter().all(|(name, value)| known.get(name) == Some(value)) {
        return Ok(delta);
    }
    let mark = newest_mark(spec, &delta).await?;
    delta
        .set_tbl_properties()
        .with_properties(kept)
        .with_commit_properties(properties(spec, mark.as_ref()))
        .await
}

/// What goes with every commit of ours.
fn properties(spec: &TableSpec, mark: Option<&Mark>) -> CommitProperties {
    let entries = mark.map(|mark| mark.entries(&spec.view)).unwrap_or_default();
    let entries = entries.into_iter().map(|(name, value)| (name, value.into()));
    CommitProperties::default()
        .with_metadata(entries)
        .with_cleanup_expired_logs(Some(true))
}

/// The newest of the view's marks; `None` where it has committed nothing yet.
async fn newest_mark(spec: &TableSpec, delta: &DeltaTable) -> Result<Option<Mark>, DeltaTableError> {
    let store = delta.log_store();
    let committed = delta
        .snapshot()?
        .transaction_version(store.as_ref(), &spec.view)
        .await?;
    let Some(number) = committed else {
        return Ok(None);
    };
    let mut commits = delta.history(None);
    while let Some(commit) = commits.try_next().await? {
        if let Some(mark) = Mark::of(&spec.view, &commit).filter(|mark| mark.number == number) {
            return Ok(Some(mark));
        }
    }
    Err(DeltaTableError::Generic(format!(
        "commit {number} of the view is in it, and none of the commits that are kept says what it holds; DROP the view, take the table away and create it again"
    )))
}

fn published(spec: &TableSpec, delta: &DeltaTable, mark: Option<Mark>) -> Result<Published, ViewError> {
    let source = Source::new(delta, &spec.schema).map_err(|error| ViewError::Failed(error.to_string()))?;
    let snapshot = delta
        .snapshot()
        .map_err(|error| failed(spec, "cannot be read", &error))?;
    let bytes = snapshot.log_data().iter().map(|file| file.size().max(0) as u64).sum();
    Ok(Published {
        mark,
        source: Arc::new(source),
        bytes,
    })
}

fn failed(spec: &TableSpec, what: &str, error: &DeltaTableError) -> ViewError {
    full_or_failed(
        &error.to_string(),
        format!("the table at {} {what}: {error}", spec.location),
    )
}

/// What a full disk refused is no failure: it is done when there is room.
fn full_or_failed(said: &str, why: String) -> ViewError {
    match Shortage::said_in(said) {
        Some(Shortage::Room) => ViewError::Full(why),
        _ => ViewError::Failed(why),
    }
}
