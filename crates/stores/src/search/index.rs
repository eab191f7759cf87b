//! The index on the disk, or in memory: opened, committed to, looked at.
//!
//! The position stands in the payload of the library's own commit (`meta.json`, written anew and renamed into place), so that documents and
//! position are one write. It is flushed to the disk: after a power cut an index may be further than the rows it belongs to, never less far.

use std::path::{Path, PathBuf};

use headwater_records::Position;
use parking_lot::Mutex;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError};

use super::analyze;
use super::field::{Document, Field};
use super::limits::{DELETED_SHARE_MAX, KEY_BLOCKS_CACHED, WRITER_BYTES, WRITER_THREADS};
use super::schema::IndexSchema;
use super::snapshot::SearchSnapshot;
use crate::{StoreError, files};

/// An index over the rows of one view.
pub struct SearchIndex {
    schema: IndexSchema,
    path: Option<PathBuf>,
    // Dropped, and so closed, before the index that it writes to. `None`: a commit failed, and the next one opens it anew.
    writer: Mutex<Option<IndexWriter>>,
    index: Index,
    reader: IndexReader,
    position: Mutex<Option<Position>>,
}

impl SearchIndex {
    /// Opens the index in a folder; `None`: in memory. One that is not of these fields, or cannot be read, is made anew.
    pub fn open(path: Option<&Path>, fields: &[Field]) -> Result<SearchIndex, StoreError> {
        let schema = IndexSchema::new(fields);
        let Some(path) = path else {
            let index = Index::builder().schema(schema.schema.clone()).create_in_ram();
            return SearchIndex::over(index.map_err(|error| failed(None, &error))?, schema, None);
        };
        let opened = open_existing(path, &schema);
        match opened {
            Ok(Some(index)) => return Ok(index),
            Ok(None) => {}
            Err(error @ TantivyError::LockFailure(..)) => return Err(failed(Some(path), &error)),
            Err(error) => {
                if let full @ StoreError::Full { .. } = refused(Some(path), &error) {
                    return Err(full);
                }
                tracing::warn!(index = %path.display(), "the index is made anew from the rows: it cannot be read ({error})");
            }
        }
        files::remove(path)?;
        files::make(path)?;
        let made = Index::builder().schema(schema.schema.clone()).create_in_dir(path);
        SearchIndex::over(made.map_err(|error| refused(Some(path), &error))?, schema, Some(path))
    }

    fn over(index: Index, schema: IndexSchema, path: Option<&Path>) -> Result<SearchIndex, StoreError> {
        SearchIndex::try_over(index, schema, path).map_err(|error| refused(path, &error))
    }

    fn try_over(mut index: Index, schema: IndexSchema, path: Option<&Path>) -> tantivy::Result<SearchIndex> {
        index.set_tokenizers(analyze::analyzers(schema.languages()));
        let payload = index.load_metas()?.payload;
        let position = payload
            .map(|text| text.parse::<Position>())
            .transpose()
            .map_err(|error| TantivyError::InternalError(format!("its position is none: {error}")))?;
        let writer = writer(&index)?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(KEY_BLOCKS_CACHED)
            .try_into()?;
        Ok(SearchIndex {
            schema,
            path: path.map(Path::to_owned),
            writer: Mutex::new(Some(writer)),
            index,
            reader,
            position: Mutex::new(position),
        })
    }

    /// The position of its last commit; `None` in a new one.
    pub fn position(&self) -> Option<Position> {
        self.position.lock().clone()
    }

    /// Its fields.
    pub fn fields(&self) -> &[Field] {
        &self.schema.fields
    }

    /// Replaces and deletes documents by their keys, and notes the position, all or nothing. After a commit that failed the index is as the one before
    /// left it, and the same may be tried again.
    pub fn commit<'a>(
        &self,
        replaced: impl Iterator<Item = &'a [u8]>,
        documents: impl Iterator<Item = Document>,
        position: &Position,
    ) -> Result<(), StoreError> {
        let mut open = self.writer.lock();
        let refused = |error: TantivyError| refused(self.path.as_deref(), &error);
        let mut taken = match open.take() {
            Some(writer) => writer,
            None => writer(&self.index).map_err(refused)?,
        };
        let committed = self.try_commit(&mut taken, replaced, documents, position);
        // Dropped otherwise: it takes nothing any more.
        committed.map_err(refused)?;
        *open = Some(taken);
        *self.position.lock() = Some(position.clone());
        Ok(())
    }

    fn try_commit<'a>(
        &self,
        writer: &mut IndexWriter,
        replaced: impl Iterator<Item = &'a [u8]>,
        documents: impl Iterator<Item = Document>,
        position: &Position,
    ) -> tantivy::Result<()> {
        // A new index has nothing to be replaced.
        if self.position.lock().is_some() {
            for key in replaced {
                writer.delete_term(self.schema.id(key));
            }
        }
        for document in documents {
            if let Err(error) = writer.add_document(self.schema.document(document)) {
                // It says that its thread ended. Why, the thread says to whoever waits for it.
                drop(writer.prepare_commit()?);
                return Err(error);
            }
        }
        let mut prepared = writer.prepare_commit()?;
        prepared.set_payload(&position.to_string());
        prepared.commit()?;
        Ok(())
    }

    /// What the last commit left, to be asked as long as it is held.
    pub fn snapshot(&self) -> Result<SearchSnapshot, StoreError> {
        let reloaded = self.reader.reload();
        reloaded.map_err(|error| refused(self.path.as_deref(), &error))?;
        Ok(SearchSnapshot::new(self.schema.clone(), self.reader.searcher()))
    }
}

/// Opens an index to be written, as its last commit left it.
fn writer(index: &Index) -> tantivy::Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(WRITER_THREADS)
        .num_merge_threads(WRITER_THREADS)
        .memory_budget_per_thread(WRITER_BYTES)
        .build();
    let writer: IndexWriter = index.writer_with_options(options)?;
    let mut merges = LogMergePolicy::default();
    merges.set_del_docs_ratio_before_merge(DELETED_SHARE_MAX);
    writer.set_merge_policy(Box::new(merges));
    // What a commit wrote that did not come to its end: the same commit would find its names taken.
    writer.garbage_collect_files().wait()?;
    Ok(writer)
}

fn open_existing(path: &Path, schema: &IndexSchema) -> tantivy::Result<Option<SearchIndex>> {
    if files::is_empty(path) {
        return Ok(None);
    }
    let directory = MmapDirectory::open(path)?;
    if !Index::exists(&directory)? {
        return Err(TantivyError::InternalError("it was never completed".to_owned()));
    }
    let index = Index::open(directory)?;
    if index.schema() != schema.schema {
        return Err(TantivyError::InternalError("it has other fields".to_owned()));
    }
    SearchIndex::try_over(index, schema.clone(), Some(path)).map(Some)
}

/// The error of what is opened, written or looked at: where room on the disk or a file was wanting for it, the same may succeed later.
fn refused(path: Option<&Path>, error: &TantivyError) -> StoreError {
    match path.and_then(|path| Some((path, files::shortage_of(path, &error.to_string())?))) {
        Some((path, shortage)) => StoreError::Full {
            path: path.display().to_string(),
            why: format!("{shortage}: the search index waits"),
        },
        None => failed(path, error),
    }
}

pub(super) fn failed(path: Option<&Path>, error: &TantivyError) -> StoreError {
    let why = match error {
        TantivyError::LockFailure(..) => {
            "another process uses it: stop that one, or name another data folder".to_owned()
        }
        error => format!("the search index failed: {error}"),
    };
    StoreError::Failed {
        path: path.map_or("in memory".to_owned(), |path| path.display().to_string()),
        why,
    }
}
