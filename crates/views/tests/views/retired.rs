//! A version whose rows go into its table while another takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use headwater_catalog::{ColumnType, Shape};
use headwater_records::Position;
use headwater_views::{ImageSpec, LakeTable, LakeVersion, Lakes, Replaced, Standing, ViewError, ViewSpec};
use parking_lot::Mutex;

use crate::ground::{EAGER, Ground, until};

/// What all tables share: which of their writes takes until it may go on, and fails then.
#[derive(Default)]
struct Slow {
    is_slow: AtomicBool,
    is_asked: AtomicBool,
    may_go_on: AtomicBool,
    is_done: AtomicBool,
}

/// One of them, and who opens them.
#[derive(Default)]
struct Table {
    slow: Arc<Slow>,
    standing: Mutex<Option<Standing>>,
}

impl Table {
    fn over(slow: &Arc<Slow>) -> Arc<Table> {
        Arc::new(Table {
            slow: Arc::clone(slow),
            ..Table::default()
        })
    }
}

impl Lakes for Table {
    fn check(&self, _: &ImageSpec<'_>) -> Result<(), ViewError> {
        Ok(())
    }

    fn open(&self, _: &ImageSpec<'_>) -> Result<Arc<dyn LakeTable>, ViewError> {
        Ok(Table::over(&self.slow))
    }
}

impl LakeTable for Table {
    fn standing(&self) -> Option<Standing> {
        self.standing.lock().clone()
    }

    fn append(&self, _: &[RecordBatch], _: &Standing) -> Result<(), ViewError> {
        Ok(())
    }

    fn replace(
        &self,
        _: &Replaced,
        rows: &mut (dyn Iterator<Item = Result<RecordBatch, ViewError>> + Send),
        standing: &Standing,
    ) -> Result<(), ViewError> {
        let Slow {
            is_slow,
            is_asked,
            may_go_on,
            is_done,
        } = self.slow.as_ref();
        if is_slow.swap(false, Ordering::AcqRel) {
            is_asked.store(true, Ordering::Release);
            until("it may go on", || may_go_on.load(Ordering::Acquire));
            is_done.store(true, Ordering::Release);
            return Err(ViewError::Failed("its storage went with it".to_owned()));
        }
        let mut taken = Ok(());
        for rows in rows {
            if let Err(error) = rows {
                taken = Err(error);
                break;
            }
        }
        *self.standing.lock() = Some(standing.clone());
        taken
    }

    fn keep_versions(&self, _: Option<u64>) {}

    fn tend(&self) -> Result<(), ViewError> {
        Ok(())
    }

    fn source(&self) -> Arc<dyn TableProvider> {
        let schema: SchemaRef = Arc::new(Schema::empty());
        Arc::new(MemTable::try_new(schema, vec![Vec::new()]).expect("a table"))
    }

    fn as_of(&self, _: &Position) -> Result<Option<LakeVersion>, ViewError> {
        Ok(None)
    }

    fn bytes(&self) -> u64 {
        0
    }
}

fn spec(ground: &Ground, version: u32) -> ViewSpec {
    let mut spec = ground.spec("v", &format!("SELECT k, sum(n + {version}) AS n FROM s GROUP BY k"));
    spec.definition.version = version;
    spec.definition.settings.every_ms = Some(1);
    spec.definition.shape = Some(Shape::Columnar {
        partitioned_by: Vec::new(),
        location: None,
    });
    spec
}

#[test]
fn nothing_is_wrong_with_a_table_whose_view_is_replaced() {
    let ground = Ground::new(
        Some(&[("k", ColumnType::Text, false), ("n", ColumnType::BigInt, true)]),
        1,
    );
    ground.define("v");
    let slow = Arc::new(Slow::default());
    let views = ground.views(&EAGER).with_lakes(Table::over(&slow));
    let old = views.start(spec(&ground, 1)).expect("it starts");
    ground.append(0, &[r#"{"k":"a","n":1}"#]);
    ground.catch_up(&old);
    slow.is_slow.store(true, Ordering::Release);
    ground.append(0, &[r#"{"k":"b","n":1}"#]);
    until("its rows go into the table", || slow.is_asked.load(Ordering::Acquire));
    views.start(spec(&ground, 2)).expect("it starts");
    until("another took its place", || {
        views.get("v").is_some_and(|view| view.definition().version == 2)
    });
    slow.may_go_on.store(true, Ordering::Release);
    until("it fails", || slow.is_done.load(Ordering::Acquire));
    // Whoever folds lets go of it with the next event. Its keeper ends: nothing is tried again, and nothing is to be mended.
    ground.append(0, &[r#"{"k":"c","n":1}"#]);
    until("nobody keeps it any more", || Arc::strong_count(&old) == 1);
    assert_eq!(old.held_up(), None);
    views.close();
}
