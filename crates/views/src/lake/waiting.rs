//! Rows that wait for their table.
//!
//! ```text
//! fold ─> fresh ─ seal ─> sealed ─ append ─> in the table: gone from here
//! ```
//!
//! Sealed rows belong to the commit that is under way, and stay as they are until it has taken place.

use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::table::Standing;

/// Batches below this many rows are joined with their neighbours: a stream of single events would leave as many batches.
const JOIN_ROWS: usize = 4_096;

/// Rows that are not in the table yet.
#[derive(Default)]
pub(crate) struct Waiting {
    sealed: Option<Sealed>,
    fresh: Vec<RecordBatch>,
    fresh_bytes: usize,
}

/// The rows of one commit, and where the table stands when it has them.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub rows: Vec<RecordBatch>,
    pub standing: Standing,
    bytes: usize,
}

impl Waiting {
    /// Takes rows behind those that wait.
    pub(crate) fn take(&mut self, rows: RecordBatch) -> Result<(), ArrowError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.fresh_bytes += bytes_of(&rows);
        self.fresh.push(rows);
        // As when counting in twos: each row is copied once for each doubling.
        while let [.., one, other] = self.fresh.as_slice()
            && one.num_rows() <= other.num_rows()
            && one.num_rows() < JOIN_ROWS
        {
            let joined = concat_batches(&one.schema(), [one, other])?;
            self.fresh.truncate(self.fresh.len() - 2);
            self.fresh.push(joined);
        }
        Ok(())
    }

    /// The next commit: the one that has not taken place yet, else all fresh rows, with which the table stands as said.
    pub(crate) fn seal(&mut self, standing: Standing) -> Sealed {
        let Waiting {
            sealed,
            fresh,
            fresh_bytes,
        } = self;
        let seal = || Sealed {
            rows: std::mem::take(fresh),
            standing,
            bytes: std::mem::take(fresh_bytes),
        };
        sealed.get_or_insert_with(seal).clone()
    }

    /// The sealed rows are in the table now.
    pub(crate) fn committed(&mut self) {
        self.sealed = None;
    }

    /// All that wait, in order.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        let sealed = self.sealed.iter().flat_map(|sealed| &sealed.rows);
        sealed.chain(&self.fresh).cloned().collect()
    }

    /// Bytes of all that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.sealed.as_ref().map_or(0, |sealed| sealed.bytes) + self.fresh_bytes
    }

    /// Bytes of those that no commit has taken yet.
    pub(crate) fn fresh_bytes(&self) -> usize {
        self.fresh_bytes
    }
}

/// The bytes that these rows take, whatever else their buffers hold.
fn bytes_of(rows: &RecordBatch) -> usize {
    let column = |column: &arrow::array::ArrayRef| {
        let data = column.to_data();
        data.get_slice_memory_size()
            .unwrap_or_else(|_| data.get_array_memory_size())
    };
    rows.columns().iter().map(column).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Int64Array};
    use arrow::datatypes::Int64Type;

    use super::*;

    fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
        RecordBatch::try_from_iter([("n", numbers)]).expect("rows")
    }

    fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
        let column = |batch: &RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        batches.iter().flat_map(column).collect()
    }

    #[test]
    fn rows_stay_in_order_and_batches_few() {
        let mut waiting = Waiting::default();
        for number in 0..1_000 {
            waiting.take(rows(number..number + 1)).expect("rows that join");
        }
        assert_eq!(numbers(&waiting.batches()), Vec::from_iter(0..1_000));
        assert!(waiting.batches().len() <= 10, "{} batches", waiting.batches().len());
        assert_eq!(waiting.bytes(), 8_000);
    }

    #[test]
    fn sealed_rows_are_the_same_until_they_are_committed() {
        let mut waiting = Waiting::default();
        waiting.take(rows(0..3)).expect("rows");
        assert_eq!(numbers(&waiting.seal(Standing::default()).rows), [0, 1, 2]);
        waiting.take(rows(3..5)).expect("rows");
        assert_eq!(
            numbers(&waiting.seal(Standing::default()).rows),
            [0, 1, 2],
            "the commit is tried again"
        );
        assert_eq!(numbers(&waiting.batches()), [0, 1, 2, 3, 4]);
        assert_eq!((waiting.bytes(), waiting.fresh_bytes()), (40, 16));
        waiting.committed();
        assert_eq!(numbers(&waiting.batches()), [3, 4]);
        assert_eq!(numbers(&waiting.seal(Standing::default()).rows), [3, 4]);
        waiting.committed();
        assert_eq!((waiting.seal(Standing::default()).rows.len(), waiting.bytes()), (0, 0));
    }
}
