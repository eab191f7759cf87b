//! Searching: candidates looked up in the log, so that what is given is what is there, in the order of appending.

use std::collections::VecDeque;
use std::sync::Arc;

use headwater_records::{Address, Batch, Compression};

use crate::entities::cursor::{Candidates, FIRST};
use crate::entities::index::{EntityIndex, Watched};
use crate::entities::opened::OpenBatch;
use crate::entities::postings::{Order, Posting};
use crate::entities::query::{Direction, FoundEvent, QueryError, QueryItem};
use crate::entities::reach::Reach;
use crate::error::ReadError;
use crate::limits::EVENTS_FEW;
use crate::read::PartitionReader;
use crate::read::stored::StoredBatch;
use crate::shared::Shared;
use crate::streams::{Partition, Stream};

/// One item of a query in one stream.
pub(crate) struct Sought {
    pub(crate) stream: Arc<Stream>,
    pub(crate) index: Arc<EntityIndex>,
    pub(crate) item: QueryItem,
}

/// Which offsets of a stream's partitions are looked at: those at or behind `after` and below `ends`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) after: Vec<u64>,
    pub(crate) ends: Vec<u64>,
}

/// A search under way.
pub(crate) struct Search<'a> {
    lanes: Vec<Lane<'a>>,
    direction: Direction,
    reach: &'a Reach,
}

/// What one list of terms leads to.
struct Lane<'a> {
    lookup: Lookup<'a>,
    item: QueryItem,
    bounds: Arc<Bounds>,
    way: Way,
    head: Option<(Order, FoundEvent)>,
}

/// How candidates are come by.
enum Way {
    Index(Candidates),
    /// Nothing is asked but that it is in the stream: event by event.
    Scan(Vec<Strip>),
}

/// One partition of a scan.
struct Strip {
    partition: u16,
    at: u64,
    found: VecDeque<Order>,
}

/// Looks events up, and keeps the last batch in hand, with its partition.
pub(crate) struct Lookup<'a> {
    shared: &'a Shared,
    reach: &'a Reach,
    stream: Arc<Stream>,
    index: Option<Arc<EntityIndex>>,
    /// Whether the batches that it opens are kept for others: not of a walk over a whole stream.
    keeps: bool,
    last: Option<(u32, Arc<OpenBatch>)>,
}

impl Sought {
    /// What a condition must hear of, and what candidates are found by: an event matches where one of these does.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        let terms = &self.index.terms;
        let keys = [&self.item.key, &self.item.own_key].into_iter().flatten();
        let keys = keys.map(|key| terms.of_key(key));
        let tags = self.item.tags.iter().map(|tag| terms.of_tag(tag));
        let all: Vec<_> = keys.chain(tags).collect();
        let kinds = self.item.kinds.iter();
        if all.is_empty() && !self.item.kinds.is_empty() {
            let alone = kinds.map(|kind| Watched {
                terms: vec![terms.of_kind(kind)],
                kinds: Vec::new(),
            });
            return alone.collect();
        }
        vec![Watched {
            terms: all,
            kinds: kinds.map(|kind| terms.kind_hash(kind)).collect(),
        }]
    }
}

impl Bounds {
    /// Everything that is kept, below these ends.
    pub(crate) fn below(ends: Vec<u64>) -> Bounds {
        Bounds {
            after: vec![0; ends.len()],
            ends,
        }
    }

    pub(crate) fn hold(&self, partition: u16, offset: u64) -> bool {
        let partition = usize::from(partition);
        match (self.after.get(partition), self.ends.get(partition)) {
            (Some(after), Some(end)) => (*after..*end).contains(&offset),
            _ => false,
        }
    }
}

impl<'a> Search<'a> {
    /// A search for whatever matches one of the items, as far as the look reaches.
    pub(crate) fn new(direction: Direction, reach: &'a Reach) -> Search<'a> {
        Search {
            lanes: Vec::new(),
            direction,
            reach,
        }
    }

    /// Searches for an item too, from a place in the order of appending on. `few`: about how many are wanted.
    pub(crate) fn add(&mut self, shared: &'a Shared, sought: &Sought, bounds: &Arc<Bounds>, from: Order, few: usize) {
        for watched in sought.watched() {
            let way = match watched.terms.is_empty() {
                false => Way::Index(Candidates::new(
                    &sought.index,
                    self.direction,
                    &watched.terms,
                    &watched.kinds,
                    from,
                    few,
                )),
                true => Way::Scan(strips(bounds)),
            };
            self.lanes.push(Lane {
                lookup: Lookup {
                    keeps: matches!(way, Way::Index(_)),
                    ..Lookup::of_postings(shared, self.reach, &sought.stream, &sought.index)
                },
                item: sought.item.clone(),
                bounds: bounds.clone(),
                way,
                head: None,
            });
        }
    }

    /// The next event that matches. Where the look missed something there is none: what came behind would count for nothing.
    pub(crate) fn next(&mut self) -> Result<Option<(Order, FoundEvent)>, QueryError> {
        let mut best: Option<usize> = None;
        for number in 0..self.lanes.len() {
            let lane = &mut self.lanes[number];
            lane.fill()?;
            let Some((order, event)) = &self.lanes[number].head else {
                continue;
            };
            let better = best
                .and_then(|best| self.lanes[best].head.as_ref())
                .is_none_or(|(known, other)| {
                    let (one, other) = ((order, &event.address.stream), (known, &other.address.stream));
                    match self.direction {
                        Direction::Forward => one < other,
                        Direction::Backward => one > other,
                    }
                });
            if better {
                best = Some(number);
            }
        }
        if self.reach.has_missed() {
            return Ok(None);
        }
        let Some(found) = best.and_then(|best| self.lanes[best].head.take()) else {
            return Ok(None);
        };
        for lane in &mut self.lanes {
            if lane
                .head
                .as_ref()
                .is_some_and(|(_, event)| event.address == found.1.address)
            {
                lane.head = None;
            }
        }
        Ok(Some(found))
    }
}

impl Lane<'_> {
    fn fill(&mut self) -> Result<(), QueryError> {
        while self.head.is_none() && !self.lookup.reach.has_missed() {
            let order = match &mut self.way {
                Way::Index(candidates) => candidates.next(self.lookup.reach)?.map(|posting| posting.order()),
                Way::Scan(strips) => next_of(strips, &mut self.lookup, &self.bounds)?,
            };
            let Some(order) = order else { return Ok(()) };
            if self.bounds.hold(order.partition, order.offset)
                && let Some(event) = self.lookup.event(order.partition.into(), order.offset, &self.item)?
            {
                self.head = Some((order, event));
            }
        }
        Ok(())
    }
}

fn strips(bounds: &Bounds) -> Vec<Strip> {
    let numbered = (0..).zip(bounds.after.iter().zip(&bounds.ends));
    let strips = numbered
        .filter(|(_, (after, end))| after < end)
        .map(|(partition, (after, _))| Strip {
            partition,
            at: *after,
            found: VecDeque::new(),
        });
    strips.collect()
}

/// The next event of several partitions in the order of appending. A scan goes forward only.
fn next_of(strips: &mut Vec<Strip>, lookup: &mut Lookup<'_>, bounds: &Bounds) -> Result<Option<Order>, ReadError> {
    for strip in strips.iter_mut() {
        let end = bounds.ends[usize::from(strip.partition)];
        while strip.found.is_empty() && strip.at < end {
            strip.at = strip.at.max(lookup.start(strip.partition));
            let Some((next, orders)) = lookup.orders(strip.partition, strip.at)? else {
                // At the end, or a deletion came in between.
                if strip.at >= lookup.start(strip.partition) {
                    strip.at = end;
                }
                continue;
            };
            strip.found = orders.into_iter().filter(|order| order.offset >= strip.at).collect();
            strip.at = next;
        }
    }
    strips.retain(|strip| !strip.found.is_empty());
    let first = strips.iter_mut().min_by_key(|strip| strip.found.front().copied());
    Ok(first.and_then(|strip| strip.found.pop_front()))
}

impl<'a> Lookup<'a> {
    /// Looks events up whose postings an index gave.
    pub(crate) fn of_postings(
        shared: &'a Shared,
        reach: &'a Reach,
        stream: &Arc<Stream>,
        index: &Arc<EntityIndex>,
    ) -> Lookup<'a> {
        Lookup {
            shared,
            reach,
            stream: stream.clone(),
            index: Some(index.clone()),
            keeps: true,
            last: None,
        }
    }

    /// Looks into a stream for events of any kind.
    pub(crate) fn of_stream(shared: &'a Shared, reach: &'a Reach, stream: &Arc<Stream>) -> Lookup<'a> {
        Lookup {
            shared,
            reach,
            stream: stream.clone(),
            index: None,
            keeps: false,
            last: None,
        }
    }

    /// Whether a posting is of use still: its event is there, and was not taken back. In doubt it is.
    pub(crate) fn stays(&mut self, posting: &Posting) -> bool {
        let Some(partition) = self.stream.partition(posting.partition.into()).cloned() else {
            return false;
        };
        if posting.offset < partition.start().offset {
            return false;
        }
        let is_undecided = posting.offset >= partition.stable();
        let may_be_gone = posting.transactional || posting.offset < partition.compacted().offset;
        if is_undecided || !may_be_gone {
            return true;
        }
        let found = self.event(posting.partition.into(), posting.offset, &QueryItem::default());
        !matches!(found, Ok(None))
    }

    /// The event at an address, where it is there, counts or may count yet, and matches.
    fn event(&mut self, partition: u32, offset: u64, item: &QueryItem) -> Result<Option<FoundEvent>, ReadError> {
        let Some(opened) = self.batch(partition, offset)? else {
            return Ok(None);
        };
        let (stored, Some(events)) = (&opened.stored, &opened.events) else {
            return Ok(None);
        };
        let Some(slice) = events.get(offset) else {
            return Ok(None);
        };
        let Ok(event) = events.events().event(&slice) else {
            return Ok(None);
        };
        let (appended_at_us, principal) = (stored.appended_at_us, stored.principal.clone());
        let found = FoundEvent {
            address: Address {
                stream: self.stream.name.to_string(),
                partition,
                offset,
            },
            appended_at_us,
            principal,
            event,
        };
        Ok(self.matches(&found, item).then_some(found))
    }

    fn matches(&self, found: &FoundEvent, item: &QueryItem) -> bool {
        let own = found.event.key.as_deref();
        // Whose own key tells is not read further.
        if item.own_key.as_deref().is_some_and(|wanted| own != Some(wanted)) {
            return false;
        }
        let is_told = item.key.as_deref().is_none_or(|wanted| own == Some(wanted));
        if is_told && item.kinds.is_empty() && item.tags.is_empty() {
            return true;
        }
        let Some(index) = &self.index else { return false };
        let facets = index.terms.facets_of(&found.event);
        item.matches(&found.address.stream, own, &facets)
    }

    /// The first offset of a partition that is kept.
    fn start(&self, partition: u16) -> u64 {
        let partition = self.stream.partition(partition.into());
        partition.map_or(0, |partition| partition.start().offset)
    }

    /// The places of the events of the batch that holds an offset, or the next after it; and the offset after them.
    fn orders(&mut self, partition: u16, offset: u64) -> Result<Option<(u64, Vec<Order>)>, ReadError> {
        let Some(opened) = self.batch(partition.into(), offset)? else {
            return Ok(None);
        };
        let stored = &opened.stored;
        let events = opened.events.iter().flat_map(|events| events.events().iter());
        let mut orders: Vec<Order> = Vec::new();
        for event in events.map_while(Result::ok) {
            orders.push(Order {
                appended_at_us: stored.appended_at_us,
                partition,
                offset: event.offset,
            });
        }
        Ok(Some((stored.batch.next_offset(), orders)))
    }

    /// The batch that holds an offset or the next after it, of those that are sequenced; `None` where there is none any more, and where it was missed.
    fn batch(&mut self, number: u32, offset: u64) -> Result<Option<&OpenBatch>, ReadError> {
        let opened = self.opened(number, offset)?;
        Ok(opened.map(|opened| opened.as_ref()))
    }

    /// The same for whoever keeps it.
    pub(crate) fn opened(&mut self, number: u32, offset: u64) -> Result<Option<&Arc<OpenBatch>>, ReadError> {
        let Some(partition) = self.stream.partition(number) else {
            return Ok(None);
        };
        // Also of the batch in hand: its first events may be deleted.
        if offset < partition.start().offset {
            return Ok(None);
        }
        let is_here = |(at, opened): &(u32, Arc<OpenBatch>)| *at == number && opened.holds(offset);
        if !self.last.as_ref().is_some_and(is_here) {
            let Some(opened) = self.open(partition, offset)? else {
                return Ok(None);
            };
            self.last = Some((number, opened));
        }
        Ok(self.last.as_ref().map(|(_, opened)| opened))
    }

    fn open(&self, partition: &Arc<Partition>, offset: u64) -> Result<Option<Arc<OpenBatch>>, ReadError> {
        let known = self.shared.desk.opened.get(partition, offset);
        if known.is_some() {
            return Ok(known);
        }
        let reader = PartitionReader {
            shared: self.shared,
            partition: partition.clone(),
            stream: &self.stream.name,
        };
        let end = partition.tail.lock().end;
        let recent = reader.recent_at(offset, end);
        // Of a transaction the disk may have to say whether it was taken back.
        let at_hand = recent.filter(|stored| !stored.batch.is_transactional());
        // Nothing is to be waited for, and next to nothing to be done.
        let is_near = at_hand.as_ref().is_some_and(|stored| is_opened_at_once(&stored.batch));
        let stored = match at_hand {
            Some(stored) if is_near || self.reach.goes_on() => Some(stored),
            None if self.reach.goes_on() => self.read(&reader, offset, end)?,
            _ => return Ok(None),
        };
        let Some(stored) = stored else { return Ok(None) };
        let opened = Arc::new(OpenBatch::new(stored));
        // Where it stands it is as near as it would be there.
        if self.keeps && !is_near {
            self.shared.desk.opened.keep(partition, &opened);
        }
        Ok(Some(opened))
    }

    fn read(&self, reader: &PartitionReader<'_>, offset: u64, end: u64) -> Result<Option<StoredBatch>, ReadError> {
        match reader.read_one(offset, end) {
            Ok(stored) => Ok(stored),
            // A deletion came in between.
            Err(_) if offset < reader.partition.start().offset => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether a batch is opened within moments: nothing in it is compressed, and its events are few.
fn is_opened_at_once(batch: &Batch) -> bool {
    batch.compression() == Compression::None && batch.event_count() <= EVENTS_FEW
}

/// Where, in the order of appending, the first event at or behind `after` can stand.
pub(crate) fn order_of(shared: &Shared, stream: &Arc<Stream>, bounds: &Bounds) -> Result<Order, ReadError> {
    let mut least: Option<i64> = None;
    for partition in &stream.partitions {
        let number = partition.number as usize;
        let (after, end) = match (bounds.after.get(number), bounds.ends.get(number)) {
            (Some(after), Some(end)) if after < end => (*after, *end),
            _ => continue,
        };
        let reader = PartitionReader {
            shared,
            partition: partition.clone(),
            stream: &stream.name,
        };
        if after <= partition.start().offset {
            return Ok(FIRST);
        }
        // The last event below came before it; where that one is not known any more, everything did.
        let before = reader.appended_before(after.min(end))?;
        let Some(before) = before else { return Ok(FIRST) };
        least = Some(least.map_or(before, |least| least.min(before)));
    }
    Ok(Order {
        appended_at_us: least.unwrap_or(i64::MAX),
        ..FIRST
    })
}
