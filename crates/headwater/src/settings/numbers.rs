//! Settings that are sizes and counts: read from text or a number, and held to their bounds.

use std::ops::RangeInclusive;

use headwater_eventlog::LogOptions;
use headwater_schedules::SchedulesOptions;
use headwater_sql::EngineOptions;
use headwater_sql::parse::size_bytes;
use headwater_views::ViewOptions;

use super::{FILE, refused};
use crate::exit::Failure;
use crate::limits::{ENTITY_MEMORY_BYTES, REWIND_EVENTS, SCHEDULES_MAX, VIEW_MEMORY_BYTES};

/// How the log is opened, where the memory of its entity indexes is set to `'128 MiB'` or a number of bytes.
pub(super) fn log(entity_memory: Option<String>) -> Result<LogOptions, Failure> {
    let mut options = LogOptions::default();
    if let Some(text) = entity_memory {
        let bytes = size_bytes(&text).ok();
        let advice = "a whole number and a unit, such as '128 MiB'";
        options.entity_memory_bytes = within("entity_memory_bytes", &text, bytes, ENTITY_MEMORY_BYTES, advice)?;
    }
    Ok(options)
}

/// How views are kept, where the memory of one's resident rows is set.
pub(super) fn views(memory: Option<String>) -> Result<ViewOptions, Failure> {
    let mut options = ViewOptions::default();
    if let Some(text) = memory {
        let bytes = size_bytes(&text).ok();
        let advice = "a whole number and a unit, such as '1 GiB'";
        options.memory_bytes_max = within("view_memory_bytes", &text, bytes, VIEW_MEMORY_BYTES, advice)?;
    }
    Ok(options)
}

/// How many schedules may wait.
pub(super) fn schedules(pending_max: Option<String>) -> Result<SchedulesOptions, Failure> {
    let mut options = SchedulesOptions::default();
    if let Some(text) = pending_max {
        let count = text.trim().replace('_', "").parse::<u64>().ok();
        options.pending_max = within("schedules_max", &text, count, SCHEDULES_MAX, "a whole number")?;
    }
    Ok(options)
}

/// How questions are answered, where it is set how many events a rewind may read.
pub(super) fn questions(rewind_events: Option<String>) -> Result<EngineOptions, Failure> {
    let mut options = EngineOptions::default();
    if let Some(text) = rewind_events {
        let count = text.trim().replace('_', "").parse::<u64>().ok();
        options.rewind_events_max = within("rewind_events_max", &text, count, REWIND_EVENTS, "a whole number")? as u64;
    }
    Ok(options)
}

/// A number of the settings file as text: it may stand with or without quotes.
pub(super) fn text(name: &str, value: Option<toml::Value>) -> Result<Option<String>, Failure> {
    match value {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text)),
        Some(toml::Value::Integer(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(refused(format!("{name} in {FILE} is no text and no whole number"))),
    }
}

fn within(
    name: &str,
    written: &str,
    value: Option<u64>,
    bounds: RangeInclusive<u64>,
    advice: &str,
) -> Result<usize, Failure> {
    let value = value.filter(|value| bounds.contains(value));
    value.and_then(|value| usize::try_from(value).ok()).ok_or_else(|| {
        let (least, most) = bounds.into_inner();
        refused(format!("{name} = '{written}': write {advice}, from {least} to {most}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_have_bounds() {
        fn check(read: impl Fn(Option<String>) -> Result<usize, Failure>, text: &str, expected: Option<u64>) {
            let found = read(Some(text.to_owned())).map(|found| found as u64);
            match expected {
                Some(_) => assert_eq!(found.ok(), expected, "{text}"),
                None => assert!(found.unwrap_err().to_string().contains(text), "{text}"),
            }
        }
        let memory = |text| log(text).map(|options| options.entity_memory_bytes);
        check(memory, "128 MiB", Some(128 << 20));
        check(memory, "1048576", Some(1 << 20));
        check(memory, "1048575", None);
        check(memory, "1 TiB", Some(1 << 40));
        check(memory, "1025 GiB", None);
        check(memory, "forever", None);
        check(memory, "plenty", None);
        let views = |text| views(text).map(|options| options.memory_bytes_max);
        check(views, "1 GiB", Some(1 << 30));
        check(views, "1 MiB", Some(1 << 20));
        check(views, "1048575", None);
        check(views, "1025 GiB", None);
        check(views, "all", None);
        let pending = |text| schedules(text).map(|options| options.pending_max);
        check(pending, "1", Some(1));
        check(pending, "100_000_000", Some(100_000_000));
        check(pending, "0", None);
        check(pending, "100000001", None);
        check(pending, "-1", None);
        let rewind = |text| questions(text).map(|options| options.rewind_events_max as usize);
        check(rewind, "1", Some(1));
        check(rewind, "1_000_000_000_000", Some(1_000_000_000_000));
        check(rewind, "0", None);
        check(rewind, "1000000000001", None);
    }

    #[test]
    fn a_number_in_the_file_needs_no_quotes() {
        let check = |value: toml::Value, expected: Option<&str>| {
            let found = text("schedules_max", Some(value)).ok().flatten();
            assert_eq!(found.as_deref(), expected);
        };
        check(toml::Value::Integer(5), Some("5"));
        check(toml::Value::String("5".to_owned()), Some("5"));
        check(toml::Value::Boolean(true), None);
    }
}
