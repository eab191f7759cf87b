//! Events in the order in which they were appended, out of several reads each of which has its own in that order.
//!
//! Within a partition offsets and append times ascend together, so that no event is sorted: of the first event of each read the earliest comes next,
//! and with it those behind it that are earlier than everything else.
//!
//! Invariant: what is read has the columns of [`PLACE`].

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{DataFusionError, Result};

/// The columns that say where an event stands in the order, from its stream on.
pub(super) const PLACE: [&str; 3] = ["_appended_at", "_partition", "_offset"];

/// Where an event stands among those of a view: moment, rank of its stream by name, partition, offset.
pub(crate) type Place = (i64, usize, i32, i64);

/// Events that were read and not taken yet.
pub(super) struct Head {
    rows: RecordBatch,
    at: usize,
    /// The rank of their stream among those that are read together.
    stream: usize,
}

impl Head {
    /// `None` where there are no events.
    pub(super) fn new(rows: RecordBatch, stream: usize) -> Option<Head> {
        (rows.num_rows() > 0).then_some(Head { rows, at: 0, stream })
    }

    fn place(&self, row: usize) -> Result<Place> {
        place(&self.rows, row, self.stream)
    }
}

/// Where an event of a batch stands.
pub(super) fn place(events: &RecordBatch, row: usize, stream: usize) -> Result<Place> {
    let column = |name: &str| {
        let missing = || DataFusionError::Internal(format!("the order of events needs {name}"));
        events.column_by_name(name).ok_or_else(missing)
    };
    let [appended_at, partition, offset] = PLACE;
    Ok((
        column(appended_at)?
            .as_primitive::<TimestampMicrosecondType>()
            .value(row),
        stream,
        column(partition)?.as_primitive::<Int32Type>().value(row),
        column(offset)?.as_primitive::<Int64Type>().value(row),
    ))
}

/// Takes the next events off one of the heads, `most` of them or fewer, and says off which; `None` where there are none. A read without a head has
/// ended.
pub(super) fn next_run(heads: &mut [Option<Head>], most: usize) -> Result<Option<(usize, RecordBatch)>> {
    let mut first: Option<(Place, usize)> = None;
    let mut second: Option<Place> = None;
    for (index, head) in heads.iter().enumerate() {
        let Some(head) = head else { continue };
        let place = head.place(head.at)?;
        match first {
            Some((known, _)) if known <= place => second = second.filter(|second| *second <= place).or(Some(place)),
            _ => {
                second = first.map(|(known, _)| known);
                first = Some((place, index));
            }
        }
    }
    let Some((_, index)) = first else { return Ok(None) };
    let Some(head) = &mut heads[index] else { return Ok(None) };
    let end = head.rows.num_rows().min(head.at + most.max(1));
    let mut upto = head.at + 1;
    while upto < end && second.is_none_or(|second| head.place(upto).is_ok_and(|place| place < second)) {
        upto += 1;
    }
    let run = head.rows.slice(head.at, upto - head.at);
    head.at = upto;
    if head.at == head.rows.num_rows() {
        heads[index] = None;
    }
    Ok(Some((index, run)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, TimestampMicrosecondArray};

    use super::*;

    /// Events of a partition, by their moments.
    fn events(partition: i32, moments: &[i64]) -> RecordBatch {
        let column = |array: ArrayRef| array;
        let count = moments.len();
        RecordBatch::try_from_iter([
            (
                PLACE[0],
                column(Arc::new(TimestampMicrosecondArray::from(moments.to_vec()))),
            ),
            (PLACE[1], column(Arc::new(Int32Array::from(vec![partition; count])))),
            (
                PLACE[2],
                column(Arc::new(Int64Array::from_iter_values(0..count as i64))),
            ),
        ])
        .expect("events")
    }

    /// Reads, each the moments of its events; then which reads the runs come off, and how long they are.
    fn check(reads: &[&[i64]], most: usize, expected: &[(usize, usize)]) {
        let mut heads: Vec<Option<Head>> = Vec::new();
        for (partition, moments) in reads.iter().enumerate() {
            heads.push(Head::new(events(partition as i32, moments), 0));
        }
        let mut runs: Vec<(usize, usize)> = Vec::new();
        while let Some((index, run)) = next_run(&mut heads, most).expect("places") {
            runs.push((index, run.num_rows()));
        }
        assert_eq!(runs, expected, "{reads:?}");
    }

    #[test]
    fn the_earliest_comes_next() {
        check(&[], 9, &[]);
        check(&[&[], &[]], 9, &[]);
        check(&[&[1, 2, 3]], 9, &[(0, 3)]);
        check(&[&[1, 2, 3]], 2, &[(0, 2), (0, 1)]);
        check(&[&[4, 5], &[1, 2, 7]], 9, &[(1, 2), (0, 2), (1, 1)]);
        check(&[&[1, 9], &[2, 3], &[3, 8]], 9, &[(0, 1), (1, 2), (2, 2), (0, 1)]);
        // What one append brought is in the order of its addresses.
        check(&[&[1, 1], &[1, 1]], 9, &[(0, 2), (1, 2)]);
    }
}
