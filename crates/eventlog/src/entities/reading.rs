//! Reading entities, and events that match a query: pages in the order of appending.

use std::sync::Arc;

use headwater_records::{Position, Version};

use crate::entities::build::Unready;
use crate::entities::cursor::{FIRST, LAST, next};
use crate::entities::facets::{Facets, NoSuchTerm};
use crate::entities::postings::Order;
use crate::entities::query::{Direction, EntityPage, FoundEvent, QueryError, QueryItem};
use crate::entities::reach::Reach;
use crate::entities::search::{Bounds, Search, Sought};
use crate::limits::{PAGE_BYTES_MAX, PAGE_EVENTS_MAX, QUERY_ITEMS_MAX, QUERY_TERMS_MAX};
use crate::read::PartitionReader;
use crate::shared::Shared;
use crate::streams::{Partition, Stream};
use crate::wait::block_on;

pub(crate) fn of_key(key: &[u8]) -> QueryItem {
    QueryItem {
        key: Some(key.to_vec().into()),
        ..QueryItem::default()
    }
}

/// Some events of an entity, and its version.
pub(crate) fn entity(
    shared: &Shared,
    sought: &Sought,
    from: Option<Version>,
    limit: usize,
    direction: Direction,
    reach: &Reach,
) -> Result<EntityPage, QueryError> {
    let bounds = Arc::new(Bounds::below(shared.stable_ends(&sought.stream)));
    let begin = match from {
        Some(from) => next(direction, shared.order(&sought.stream, from)?),
        None if direction == Direction::Forward => Some(FIRST),
        None => Some(LAST),
    };
    let limit = limit.clamp(1, PAGE_EVENTS_MAX);
    let mut search = Search::new(direction, reach);
    if let Some(begin) = begin {
        search.add(shared, sought, &bounds, begin, limit + 1);
    }
    let (events, more) = page(&mut search, limit)?;
    let version_of = |event: &FoundEvent| event.address.version();
    let version = match direction {
        Direction::Backward if from.is_none() => events.first().map(version_of),
        Direction::Forward if from.is_none() && !more => events.last().map(version_of),
        // Nobody asks for it.
        _ if reach.has_missed() => None,
        // Its last event is on another page.
        _ => {
            let mut newest = Search::new(Direction::Backward, reach);
            newest.add(shared, sought, &bounds, LAST, 1);
            newest.next()?.map(|(_, event)| version_of(&event))
        }
    };
    let next = events.last().filter(|_| more).map(version_of);
    Ok(EntityPage { events, version, next })
}

/// The next events, and whether there are more.
pub(crate) fn page(search: &mut Search<'_>, limit: usize) -> Result<(Vec<FoundEvent>, bool), QueryError> {
    let mut events: Vec<FoundEvent> = Vec::new();
    let mut bytes = 0;
    while let Some((_, found)) = search.next()? {
        let event = &found.event;
        bytes += [&event.key, &event.value]
            .into_iter()
            .flatten()
            .map(|part| part.len())
            .sum::<usize>();
        if events.len() == limit || (!events.is_empty() && bytes > PAGE_BYTES_MAX) {
            return Ok((events, true));
        }
        events.push(found);
    }
    Ok((events, false))
}

/// What of a stream is at or behind a position and below these ends.
pub(crate) fn bounds_after(stream: &Stream, after: Option<&Position>, ends: Vec<u64>) -> Bounds {
    let from = |partition: u32| after.map_or(0, |after| after.get(&stream.name, partition));
    Bounds {
        after: (0..ends.len() as u32).map(from).collect(),
        ends,
    }
}

impl Shared {
    /// An item of a query in one stream.
    pub(crate) fn sought(&self, stream: &str, item: &QueryItem) -> Result<Sought, QueryError> {
        let unknown = || QueryError::UnknownStream {
            stream: stream.to_owned(),
        };
        let (found, index) = loop {
            let found = self.stream(stream).ok_or_else(unknown)?;
            let index = found.index.get().ok_or_else(|| QueryError::NotIndexed {
                stream: stream.to_owned(),
            })?;
            match block_on(index.ready(&found)) {
                Ok(()) => break (found, index),
                Err(Unready::Gone) => {}
                Err(Unready::No(error)) => return Err(error),
            }
        };
        let has_tags = index.terms.facets.as_ref().is_some_and(|facets| facets.has_tags());
        if !(has_tags || item.kinds.is_empty() && item.tags.is_empty()) {
            return Err(QueryError::NoFacets {
                stream: stream.to_owned(),
                what: "KIND and no TAGS",
            });
        }
        let item = match index.terms.facets.as_deref() {
            Some(facets) => as_events_have_it(stream, facets, item)?,
            None => item.clone(),
        };
        Ok(Sought {
            stream: found,
            index,
            item,
        })
    }

    /// The items of a query, each in every stream that it speaks of.
    pub(crate) fn resolve(&self, query: &[QueryItem]) -> Result<Vec<Sought>, QueryError> {
        if query.len() > QUERY_ITEMS_MAX {
            return Err(QueryError::TooLarge(format!(
                "a query has at most {QUERY_ITEMS_MAX} items, this one {}: ask for less at once",
                query.len()
            )));
        }
        let mut all: Vec<Sought> = Vec::new();
        for item in query {
            let terms = item.tags.len() + item.kinds.len();
            if terms > QUERY_TERMS_MAX {
                return Err(QueryError::TooLarge(format!(
                    "an item of a query has at most {QUERY_TERMS_MAX} kinds and tags, this one {terms}: ask for less at once"
                )));
            }
            match &item.stream {
                Some(stream) => all.push(self.sought(stream, item)?),
                None => all.extend(self.in_every_stream(item)?),
            }
        }
        Ok(all)
    }

    fn in_every_stream(&self, item: &QueryItem) -> Result<Vec<Sought>, QueryError> {
        let names: Vec<String> = self.streams.read().by_name.keys().cloned().collect();
        let mut all: Vec<Sought> = Vec::new();
        let mut unknown: Option<QueryError> = None;
        for name in names {
            match self.sought(&name, item) {
                Ok(sought) => all.push(sought),
                // Another may declare it, or have a column of that name with another type.
                Err(error @ (QueryError::UnknownTag { .. } | QueryError::UnfitTerm { .. })) => {
                    unknown = Some(also(unknown, error));
                }
                // A stream without an index, without kinds and tags, or gone meanwhile has no event that matches.
                Err(QueryError::NotIndexed { .. } | QueryError::NoFacets { .. } | QueryError::UnknownStream { .. }) => {
                }
                Err(error) => return Err(error),
            }
        }
        match unknown {
            _ if !all.is_empty() => Ok(all),
            Some(error) => Err(error),
            None => Err(QueryError::NowhereIndexed { what: what_of(item) }),
        }
    }

    /// The last stable offset of every partition.
    pub(crate) fn stable_ends(&self, stream: &Stream) -> Vec<u64> {
        let _still = self.watermarks.read();
        stream.partitions.iter().map(|partition| partition.stable()).collect()
    }

    /// The next offset to be given out of every partition.
    pub(crate) fn sequenced_ends(&self, stream: &Stream) -> Vec<u64> {
        stream
            .partitions
            .iter()
            .map(|partition| partition.tail.lock().end)
            .collect()
    }

    /// Whether every position asked about is there, and is not before what its partition has kept from some offset on.
    pub(crate) fn check_position(
        &self,
        after: Option<&Position>,
        kept_from: impl Fn(&Partition) -> u64,
    ) -> Result<(), QueryError> {
        for (name, number, offset) in after.iter().flat_map(|after| after.iter()) {
            let stream = self.stream(name).ok_or_else(|| QueryError::UnknownStream {
                stream: name.to_owned(),
            })?;
            let partition = there(&stream, number)?;
            let end = partition.tail.lock().end;
            let kept_from = kept_from(partition);
            let stream = name.to_owned();
            if offset > end {
                return Err(QueryError::Beyond {
                    stream,
                    partition: number,
                    offset,
                    end,
                });
            }
            if offset > 0 && offset < kept_from {
                return Err(QueryError::Gone {
                    stream,
                    partition: number,
                    offset,
                    kept_from,
                });
            }
        }
        Ok(())
    }

    /// Where an event stands in the order of appending.
    pub(crate) fn order(&self, stream: &Stream, at: Version) -> Result<Order, QueryError> {
        let partition = there(stream, at.partition)?.clone();
        let end = partition.tail.lock().end;
        if at.offset >= end {
            return Err(QueryError::Beyond {
                stream: stream.name.to_string(),
                partition: at.partition,
                offset: at.offset,
                end,
            });
        }
        let reader = PartitionReader {
            shared: self,
            partition,
            stream: &stream.name,
        };
        // What is gone came before everything that is kept.
        let appended_at_us = reader.appended_before(at.offset + 1)?.unwrap_or(i64::MIN);
        Ok(Order {
            appended_at_us,
            partition: at.partition as u16,
            offset: at.offset,
        })
    }
}

/// The item with its kinds and tags as they stand in the index, however they are written.
fn as_events_have_it(stream: &str, facets: &dyn Facets, item: &QueryItem) -> Result<QueryItem, QueryError> {
    let unfit = |what: &'static str, term: &str, column_type: String| QueryError::UnfitTerm {
        what,
        term: term.to_owned(),
        column_type,
    };
    let kind = |kind: &String| {
        facets.kind(kind).map_err(|why| match why {
            NoSuchTerm::Undeclared(_) => QueryError::NoFacets {
                stream: stream.to_owned(),
                what: "KIND",
            },
            NoSuchTerm::Unfit(column_type) => unfit("kind", kind, column_type),
        })
    };
    let tag = |tag: &String| {
        facets.tag(tag).map_err(|why| match why {
            NoSuchTerm::Undeclared(names) => QueryError::UnknownTag {
                tag: tag.clone(),
                declared: declared(stream, &names),
            },
            NoSuchTerm::Unfit(column_type) => unfit("tag", tag, column_type),
        })
    };
    Ok(QueryItem {
        kinds: item.kinds.iter().map(kind).collect::<Result<_, QueryError>>()?,
        tags: item.tags.iter().map(tag).collect::<Result<_, QueryError>>()?,
        ..item.clone()
    })
}

/// What a stream must declare for events of it to match.
fn what_of(item: &QueryItem) -> &'static str {
    match (item.tags.is_empty(), item.kinds.is_empty()) {
        (false, _) => "TAGS",
        (true, false) => "KIND",
        (true, true) => "KEY, KIND or TAGS",
    }
}

/// What a stream declares in TAGS, in words.
fn declared(stream: &str, names: &[String]) -> String {
    match names.is_empty() {
        true => format!("'{stream}' declares none"),
        false => format!("'{stream}' declares {}", names.join(", ")),
    }
}

/// One tag that no stream knows, with what each of them declares.
fn also(before: Option<QueryError>, error: QueryError) -> QueryError {
    match (before, error) {
        (
            Some(QueryError::UnknownTag { tag, declared }),
            QueryError::UnknownTag {
                declared: of_another, ..
            },
        ) => QueryError::UnknownTag {
            tag,
            declared: format!("{declared}, {of_another}"),
        },
        (_, error) => error,
    }
}

/// The partition of a number.
pub(crate) fn there(stream: &Stream, number: u32) -> Result<&Arc<Partition>, QueryError> {
    stream.partition(number).ok_or_else(|| QueryError::UnknownPartition {
        stream: stream.name.to_string(),
        partition: number,
        partitions: stream.partitions.len() as u32,
    })
}
