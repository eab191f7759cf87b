//! The rows that commands appended lately and that a view may not have folded yet: what a row of the view will be follows from them.
//!
//! Invariants
//! - Of every row of the view that is in here, every event is that changed it, from `from` of each partition on: those of others too, whose rows
//!   nobody has at hand.
//! - It is derived, bounded, and may be thrown away.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use headwater_views::GroupKey;

use crate::limits::{COMING_BYTES_MAX, COMING_MAX};

/// So many steps are in here before anybody looks which of them the view has folded; or so many bytes.
const CLEAR_FROM: usize = 4_096;
const CLEAR_FROM_BYTES: usize = COMING_BYTES_MAX / 8;

/// A row that was appended.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// Rows of a stream, in its declared columns.
    pub(crate) rows: Arc<RecordBatch>,
    /// Which of them.
    pub(crate) row: usize,
}

/// What became of a row of a view.
#[derive(Debug, Clone)]
pub(crate) enum Since {
    /// Nothing.
    Same,
    /// It took these rows.
    Took(Vec<Taken>),
    /// It changed, and nobody can say to what.
    Changed,
}

/// What the rows of one view take of one stream.
#[derive(Default)]
pub(crate) struct Coming {
    steps: HashMap<GroupKey, Vec<Step>>,
    count: usize,
    /// Bytes of the rows' batches: each is here as a whole as long as one of its rows is. Some may be counted twice until it is cleared up.
    bytes: usize,
    /// The batch that was counted last.
    counted: Option<Arc<RecordBatch>>,
    /// At so many steps, or bytes, those are cleared away that the view has folded.
    clear_at: usize,
    clear_at_bytes: usize,
    /// For each partition from where on every step is here; from its beginning where it is not named.
    from: HashMap<u32, u64>,
}

struct Step {
    partition: u32,
    offset: u64,
    taken: Option<Taken>,
}

impl Coming {
    /// A row of the view takes an event.
    pub(crate) fn note(&mut self, key: GroupKey, partition: u32, offset: u64, taken: Option<Taken>) {
        if let Some(Taken { rows, .. }) = &taken
            && !self.counted.as_ref().is_some_and(|counted| Arc::ptr_eq(counted, rows))
        {
            self.bytes += rows.get_array_memory_size();
            self.counted = Some(Arc::clone(rows));
        }
        let step = Step {
            partition,
            offset,
            taken,
        };
        self.steps.entry(key).or_default().push(step);
        self.count += 1;
    }

    /// Clears away what the view has folded, where much has come; all of it where that is not enough. `stands`: for a partition where the view stands, and
    /// where the events end that are in here.
    pub(crate) fn make_room(&mut self, stands: impl Fn(u32) -> (u64, u64)) {
        if self.count < self.clear_at.max(CLEAR_FROM) && self.bytes < self.clear_at_bytes.max(CLEAR_FROM_BYTES) {
            return;
        }
        let mut partitions: Vec<u32> = self.steps.values().flatten().map(|step| step.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        let stands: HashMap<u32, (u64, u64)> = partitions
            .iter()
            .map(|partition| (*partition, stands(*partition)))
            .collect();
        let is_folded = |step: &Step| stands.get(&step.partition).is_some_and(|(at, _)| step.offset < *at);
        self.steps.retain(|_, steps| {
            steps.retain(|step| !is_folded(step));
            !steps.is_empty()
        });
        self.count_up();
        let is_full = self.count > COMING_MAX || self.bytes > COMING_BYTES_MAX;
        for (partition, (at, upto)) in stands {
            let from = self.from.entry(partition).or_default();
            *from = if is_full { upto } else { at }.max(*from);
        }
        if is_full {
            self.steps.clear();
            self.count_up();
        }
        self.clear_at = (2 * self.count).min(COMING_MAX);
        self.clear_at_bytes = (2 * self.bytes).min(COMING_BYTES_MAX);
    }

    /// Counts what is here, each batch once.
    fn count_up(&mut self) {
        let mut batches: HashSet<*const RecordBatch> = HashSet::new();
        (self.count, self.bytes, self.counted) = (0, 0, None);
        for step in self.steps.values().flatten() {
            self.count += 1;
            if let Some(Taken { rows, .. }) = &step.taken
                && batches.insert(Arc::as_ptr(rows))
            {
                self.bytes += rows.get_array_memory_size();
            }
        }
    }

    /// What became of a row since it was looked at. `from`: where that was, in each partition; `last`: the last event since then that changed it, in each
    /// partition that has one.
    pub(crate) fn since(&self, key: &GroupKey, from: &[u64], last: &[(u32, u64)]) -> Since {
        if last.is_empty() {
            return Since::Same;
        }
        let since = |step: &&Step| {
            from.get(step.partition as usize)
                .is_none_or(|from| step.offset >= *from)
        };
        let steps = self.steps.get(key).into_iter().flatten().filter(since);
        let mut taken: Vec<Taken> = Vec::new();
        let mut seen: HashMap<u32, u64> = HashMap::new();
        for step in steps {
            let Some(row) = &step.taken else { return Since::Changed };
            taken.push(row.clone());
            let last = seen.entry(step.partition).or_default();
            *last = step.offset.max(*last);
        }
        // Whoever has the same hash may have changed instead; and what was cleared away is not here.
        let is_whole = |(partition, offset): &(u32, u64)| {
            let start = self.from.get(partition).copied().unwrap_or(0);
            let at = from.get(*partition as usize).copied().unwrap_or(0);
            start <= at && seen.get(partition) == Some(offset)
        };
        match last.iter().all(is_whole) {
            true => Since::Took(taken),
            false => Since::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn key(name: &str) -> GroupKey {
        GroupKey(name.as_bytes().to_vec())
    }

    fn taken(row: usize) -> Option<Taken> {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0; row + 1]));
        let rows = RecordBatch::try_from_iter([("n", column)]).expect("rows");
        let rows = Arc::new(rows);
        Some(Taken { rows, row })
    }

    fn shown(since: &Since) -> String {
        match since {
            Since::Same => "same".to_owned(),
            Since::Changed => "changed".to_owned(),
            Since::Took(taken) => format!("{:?}", taken.iter().map(|taken| taken.row).collect::<Vec<usize>>()),
        }
    }

    #[test]
    fn a_row_is_what_it_took_where_all_of_it_is_at_hand() {
        let mut coming = Coming::default();
        coming.note(key("ann"), 0, 5, taken(1));
        coming.note(key("ann"), 1, 2, taken(2));
        coming.note(key("ann"), 0, 7, taken(3));
        coming.note(key("bob"), 0, 6, None);
        coming.note(key("bob"), 0, 8, taken(4));
        let check = |name: &str, from: [u64; 2], last: &[(u32, u64)], expected: &str| {
            assert_eq!(
                shown(&coming.since(&key(name), &from, last)),
                expected,
                "{name} {from:?}"
            );
        };
        check("ann", [0, 0], &[(0, 7), (1, 2)], "[1, 2, 3]");
        check("ann", [6, 0], &[(0, 7), (1, 2)], "[2, 3]");
        check("ann", [6, 3], &[(0, 7)], "[3]");
        check("ann", [8, 3], &[], "same");
        check("bob", [0, 0], &[(0, 8)], "changed");
        check("bob", [7, 0], &[(0, 8)], "[4]");
        // Somebody with the same hash.
        check("cid", [0, 0], &[(0, 8)], "changed");
        check("ann", [0, 0], &[(0, 8), (1, 2)], "changed");
    }

    /// Rows of so many bytes or some more.
    fn large(bytes: usize) -> Option<Taken> {
        taken(bytes / size_of::<i64>())
    }

    /// Notes the rows of batches of so many bytes, none of which the view has folded; whether they are all there still.
    fn holds(batches: &[usize]) -> bool {
        let mut coming = Coming::default();
        let mut offset = 0;
        for bytes in batches {
            let rows = large(*bytes);
            // What is here as a whole counts once, however many of its rows are in here, and in whatever order.
            for _ in 0..3 {
                coming.note(key(&offset.to_string()), 0, offset, rows.clone());
                offset += 1;
            }
            coming.make_room(|_| (0, offset));
        }
        coming.count as u64 == offset
    }

    #[test]
    fn what_it_holds_is_bounded_in_bytes() {
        const PART: usize = COMING_BYTES_MAX / 8;
        assert!(holds(&[PART - 4_096; 8]));
        assert!(!holds(&[PART; 9]));
        assert!(!holds(&[COMING_BYTES_MAX]));
    }

    #[test]
    fn it_is_bounded_and_knows_what_it_cleared_away() {
        let mut coming = Coming::default();
        for offset in 0..CLEAR_FROM as u64 {
            coming.note(key(&offset.to_string()), 0, offset, taken(0));
        }
        coming.make_room(|_| (1_000, CLEAR_FROM as u64));
        assert_eq!(coming.count, CLEAR_FROM - 1_000);
        let at = |coming: &Coming, from: u64, offset: u64| {
            shown(&coming.since(&key(&offset.to_string()), &[from], &[(0, offset)]))
        };
        assert_eq!(at(&coming, 1_000, 1_000), "[0]");
        assert_eq!(
            at(&coming, 999, 1_000),
            "changed",
            "somebody looked before what was cleared away"
        );
        for offset in CLEAR_FROM as u64..=(COMING_MAX + 1_000) as u64 {
            coming.note(key(&offset.to_string()), 0, offset, taken(0));
        }
        let upto = (COMING_MAX + 1_001) as u64;
        coming.make_room(|_| (1_000, upto));
        assert_eq!(coming.count, 0);
        assert_eq!(at(&coming, 1_000, upto - 1), "changed");
        coming.note(key(&upto.to_string()), 0, upto, taken(0));
        assert_eq!(at(&coming, upto, upto), "[0]");
    }
}
