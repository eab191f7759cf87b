//! Tables of column files in memory, which outlast those who opened them.

use std::any::Any;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::RowConverter;
use datafusion::catalog::{MemTable, TableProvider};
use headwater_records::Position;
use headwater_views::{ImageSpec, LakeTable, LakeVersion, Lakes, Replaced, Standing, ViewError, key_fields};
use parking_lot::Mutex;

use super::bugs::Bug;

/// All tables of a machine, by their folders.
pub struct Tables {
    tables: Mutex<HashMap<PathBuf, Arc<Table>>>,
    bug: Option<Bug>,
}

impl Tables {
    pub fn new(bug: Option<Bug>) -> Tables {
        Tables {
            tables: Mutex::default(),
            bug,
        }
    }
}

impl Lakes for Tables {
    fn check(&self, _spec: &ImageSpec<'_>) -> Result<(), ViewError> {
        Ok(())
    }

    fn open(&self, spec: &ImageSpec<'_>) -> Result<Arc<dyn LakeTable>, ViewError> {
        let folder = spec.folder.expect("a folder");
        let mut tables = self.tables.lock();
        let is_there = folder.exists();
        std::fs::create_dir_all(folder).expect("a folder");
        if let Some(table) = tables.get(folder)
            && is_there
        {
            return Ok(Arc::clone(table) as Arc<dyn LakeTable>);
        }
        let table = Arc::new(Table {
            schema: Arc::clone(&spec.schema),
            key_columns: spec.key_columns.to_vec(),
            kept: Mutex::default(),
            bug: self.bug,
        });
        tables.insert(folder.to_owned(), Arc::clone(&table));
        Ok(table)
    }
}

struct Table {
    schema: SchemaRef,
    key_columns: Vec<usize>,
    kept: Mutex<Kept>,
    bug: Option<Bug>,
}

/// What a commit left.
#[derive(Default)]
struct Kept {
    rows: Vec<RecordBatch>,
    standing: Option<Standing>,
}

impl Table {
    /// The rows that have none of these keys.
    fn without(&self, rows: &RecordBatch, replaced: &Replaced) -> RecordBatch {
        let Replaced::Keys(keys) = replaced else {
            return rows.slice(0, 0);
        };
        let columns: Vec<ArrayRef> = self
            .key_columns
            .iter()
            .map(|column| Arc::clone(rows.column(*column)))
            .collect();
        let converter = RowConverter::new(key_fields(columns.iter().map(|column| column.data_type())));
        let found = converter
            .and_then(|converter| converter.convert_columns(&columns))
            .expect("keys");
        let stays: Vec<bool> = found.iter().map(|key| !keys.contains(key.data())).collect();
        filter_record_batch(rows, &BooleanArray::from(stays)).expect("rows that stay")
    }
}

impl LakeTable for Table {
    fn standing(&self) -> Option<Standing> {
        self.kept.lock().standing.clone()
    }

    fn append(&self, rows: &[RecordBatch], standing: &Standing) -> Result<(), ViewError> {
        let mut kept = self.kept.lock();
        if kept.standing.as_ref() == Some(standing) {
            return Ok(());
        }
        kept.rows.extend_from_slice(rows);
        match self.bug {
            Some(Bug::TableDoubled) => kept.rows.extend_from_slice(rows),
            // Rows without their position are folded again.
            Some(Bug::TableBehind) if kept.standing.is_some() => return Ok(()),
            _ => {}
        }
        kept.standing = Some(standing.clone());
        Ok(())
    }

    fn replace(
        &self,
        replaced: &Replaced,
        rows: &mut (dyn Iterator<Item = Result<RecordBatch, ViewError>> + Send),
        standing: &Standing,
    ) -> Result<(), ViewError> {
        let rows: Vec<RecordBatch> = rows.collect::<Result<_, _>>()?;
        let mut kept = self.kept.lock();
        if kept.standing.as_ref() == Some(standing) && *replaced != Replaced::All {
            return Ok(());
        }
        if self.bug != Some(Bug::RowsNotReplaced) {
            kept.rows = kept.rows.iter().map(|rows| self.without(rows, replaced)).collect();
        }
        kept.rows.extend(rows);
        kept.standing = Some(standing.clone());
        Ok(())
    }

    fn keep_versions(&self, _: Option<u64>) {}

    fn tend(&self) -> Result<(), ViewError> {
        Ok(())
    }

    fn source(&self) -> Arc<dyn TableProvider> {
        let rows = self.kept.lock().rows.clone();
        Arc::new(MemTable::try_new(Arc::clone(&self.schema), vec![rows]).expect("a table"))
    }

    fn as_of(&self, _: &Position) -> Result<Option<LakeVersion>, ViewError> {
        // Of earlier versions it keeps none.
        Ok(None)
    }

    fn bytes(&self) -> u64 {
        0
    }
}

/// The rows of what [`Table::source`] gave.
pub fn rows_of(source: &(dyn TableProvider + 'static)) -> Vec<RecordBatch> {
    let source: &dyn Any = source;
    let table: &MemTable = source.downcast_ref().expect("a table of these");
    table
        .batches
        .iter()
        .flat_map(|partition| partition.blocking_read().clone())
        .collect()
}
