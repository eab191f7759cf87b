//! A compacted topic: of each key the newest value stays, whatever was killed when.

use std::collections::{BTreeMap, HashMap};

use super::idempotent::Written;
use super::{Place, Row};

const KEYS: u64 = 40;

/// Keys in turn; every eleventh event takes its key away.
pub fn changing(number: u64) -> (String, Option<String>) {
    let value = (!number.is_multiple_of(11)).then(|| format!("{number} {}", "text ".repeat(50)));
    (format!("key{}", number % KEYS), value)
}

/// Nothing is there that was not acknowledged there, each key's newest value is, and older ones went away.
pub fn check(topic: &str, written: &Written, rows: &BTreeMap<Place, Row>) {
    assert_eq!(
        written.acknowledged.len() as u64,
        written.sent,
        "{topic}: every event has a place of its own"
    );
    for (place, row) in rows {
        assert_eq!(
            written.acknowledged.get(place),
            Some(row),
            "{topic}: what is at {place:?}"
        );
    }
    let mut newest: HashMap<&str, Place> = HashMap::new();
    for (place, row) in &written.acknowledged {
        let key = row.key.as_deref().expect("a key");
        newest
            .entry(key)
            .and_modify(|newest| *newest = place.max(newest).to_owned())
            .or_insert(*place);
    }
    for (key, place) in newest {
        let taken_away = written.acknowledged[&place].value.is_none();
        let older = rows
            .iter()
            .any(|(other, row)| other < &place && row.key.as_deref() == Some(key));
        let there = rows.contains_key(&place);
        assert!(
            there || (taken_away && !older),
            "{topic}: the newest of {key}, at {place:?}, is gone"
        );
    }
    println!("{topic}: {} of {} events are left", rows.len(), written.sent);
}

/// Whether compaction took anything away.
pub fn compacted(written: &Written, rows: &BTreeMap<Place, Row>) -> bool {
    (rows.len() as u64) < written.sent
}
