//! Settings by name, as text: what stands on the disk, in SQL and in DESCRIBE.
//!
//! ```text
//! cleanup                   delete | compact | compact,delete | none
//! retention_ms              milliseconds | forever                retention_bytes          bytes | forever
//! segment_bytes             bytes                                 segment_ms               milliseconds
//! tombstone_ms              milliseconds                          dirty_ratio_min          0 to 1
//! compaction_lag_ms_min     milliseconds                          compaction_lag_ms_max    milliseconds | forever
//! batch_bytes_max           bytes                                 timestamps               create | append
//! timestamp_before_ms_max   milliseconds | forever                timestamp_after_ms_max   milliseconds | forever
//! compression               as sent | none | gzip | snappy | lz4 | zstd
//! durability                flushed | relaxed                     flush_ms                 milliseconds
//! entities                  none | indexed
//! label.NAME                any text
//! ```

use headwater_records::Compression;

use super::{Cleanup, Entities, Keep, Packing, StreamSettings, Timestamps};
use crate::limits::{FLUSH_MS_MAX, LABELS_BYTES_MAX, LABELS_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// Every setting that is no label, in the order in which they are shown.
pub const SETTING_NAMES: [&str; 17] = [
    "cleanup",
    "retention_ms",
    "retention_bytes",
    "segment_bytes",
    "segment_ms",
    "tombstone_ms",
    "compaction_lag_ms_min",
    "compaction_lag_ms_max",
    "dirty_ratio_min",
    "batch_bytes_max",
    "timestamps",
    "timestamp_before_ms_max",
    "timestamp_after_ms_max",
    "compression",
    "durability",
    "flush_ms",
    "entities",
];

const LABEL_PREFIX: &str = "label.";

/// The largest span or size there is: what fits into 63 bits, so that a sum of two never overflows.
const NUMBER_MAX: u64 = i64::MAX as u64;

const PACKINGS: [(&str, Packing); 6] = [
    ("as sent", Packing::AsSent),
    ("none", Packing::Always(Compression::None)),
    ("gzip", Packing::Always(Compression::Gzip)),
    ("snappy", Packing::Always(Compression::Snappy)),
    ("lz4", Packing::Always(Compression::Lz4)),
    ("zstd", Packing::Always(Compression::Zstd)),
];

/// Why a setting was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no such setting.
    #[error("'{0}' is no setting of a stream")]
    Unknown(String),
    /// The value is none that the setting can have.
    #[error("{name} cannot be '{value}': it is {wanted}")]
    Value {
        /// The setting.
        name: String,
        /// What was given.
        value: String,
        /// What can be given.
        wanted: String,
    },
    /// Two settings contradict each other, or there are too many.
    #[error("{0}")]
    Whole(String),
}

impl StreamSettings {
    /// Everything that was set, by name.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let set = SETTING_NAMES.iter();
        let set = set.filter_map(|name| self.get(name).map(|value| ((*name).to_owned(), value)));
        let labels = self.labels.iter();
        set.chain(labels.map(|(name, value)| (format!("{LABEL_PREFIX}{name}"), value.clone())))
            .collect()
    }

    /// What was set under a name; `None` where nothing was, or where there is no such setting.
    pub fn get(&self, name: &str) -> Option<String> {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        match name {
            "cleanup" => self.cleanup.map(|cleanup| cleanup_text(cleanup).to_owned()),
            "retention_ms" => self.retention_ms.map(keep_text),
            "retention_bytes" => self.retention_bytes.map(keep_text),
            "segment_bytes" => number(self.segment_bytes),
            "segment_ms" => number(self.segment_ms),
            "tombstone_ms" => number(self.tombstone_ms),
            "compaction_lag_ms_min" => number(self.compaction_lag_ms_min),
            "compaction_lag_ms_max" => self.compaction_lag_ms_max.map(keep_text),
            "dirty_ratio_min" => self.dirty_ratio_min.map(ratio_text),
            "batch_bytes_max" => number(self.batch_bytes_max.map(u64::from)),
            "timestamps" => self.timestamps.map(|timestamps| timestamps_text(timestamps).to_owned()),
            "timestamp_before_ms_max" => self.timestamp_before_ms_max.map(keep_text),
            "timestamp_after_ms_max" => self.timestamp_after_ms_max.map(keep_text),
            "compression" => self.compression.map(|packing| packing_text(packing).to_owned()),
            "durability" => self.relaxed.map(|relaxed| durability_text(relaxed).to_owned()),
            "flush_ms" => number(self.flush_ms),
            "entities" => self.entities.map(|entities| entities_text(entities).to_owned()),
            _ => {
                let label = name.strip_prefix(LABEL_PREFIX)?;
                self.labels.get(label).cloned()
            }
        }
    }

    /// Sets one setting by name, or takes it back. [`StreamSettings::check`] afterwards looks at all of them together.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), SettingError> {
        let numbers = |least, most| move |value: &str| number(name, value, least, most);
        let keeping = |value: &str| keep(name, value);
        match name {
            "cleanup" => self.cleanup = read(value, |value| cleanup(name, value))?,
            "retention_ms" => self.retention_ms = read(value, keeping)?,
            "retention_bytes" => self.retention_bytes = read(value, keeping)?,
            "segment_bytes" => self.segment_bytes = read(value, numbers(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX))?,
            "segment_ms" => self.segment_ms = read(value, numbers(1, NUMBER_MAX))?,
            "tombstone_ms" => self.tombstone_ms = read(value, numbers(0, NUMBER_MAX))?,
            "compaction_lag_ms_min" => self.compaction_lag_ms_min = read(value, numbers(0, NUMBER_MAX))?,
            "compaction_lag_ms_max" => self.compaction_lag_ms_max = read(value, keeping)?,
            "dirty_ratio_min" => self.dirty_ratio_min = read(value, |value| ratio(name, value))?,
            "batch_bytes_max" => {
                let bytes = read(value, numbers(0, i32::MAX as u64))?;
                self.batch_bytes_max = bytes.and_then(|bytes| u32::try_from(bytes).ok());
            }
            "timestamps" => self.timestamps = read(value, |value| timestamps(name, value))?,
            "timestamp_before_ms_max" => self.timestamp_before_ms_max = read(value, keeping)?,
            "timestamp_after_ms_max" => self.timestamp_after_ms_max = read(value, keeping)?,
            "compression" => self.compression = read(value, |value| packing(name, value))?,
            "durability" => self.relaxed = read(value, |value| relaxed(name, value))?,
            "flush_ms" => self.flush_ms = read(value, numbers(1, FLUSH_MS_MAX))?,
            "entities" => self.entities = read(value, |value| entities(name, value))?,
            _ => match (name.strip_prefix(LABEL_PREFIX), value) {
                (Some(label), Some(value)) => {
                    self.labels.insert(label.to_owned(), value.to_owned());
                }
                (Some(label), None) => {
                    self.labels.remove(label);
                }
                (None, _) => return Err(SettingError::Unknown(name.to_owned())),
            },
        }
        Ok(())
    }

    /// The settings of these names and values.
    pub fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<StreamSettings, SettingError> {
        let mut settings = StreamSettings::default();
        for (name, value) in pairs {
            settings.set(name, Some(value))?;
        }
        Ok(settings)
    }

    /// Everything that was set in `other` is set here too.
    pub fn overlay(&mut self, other: &StreamSettings) {
        for (name, value) in other.pairs() {
            // What `pairs` gives out, `set` takes.
            let _ = self.set(&name, Some(&value));
        }
    }

    /// What holds of every setting that is no label, by name: what was set, or the default, and whether it was set.
    pub fn in_force(&self, segment_bytes: u64, batch_bytes_max: usize) -> Vec<(&'static str, String, bool)> {
        let optional = |value: Option<u64>| value.map_or("forever".to_owned(), |value| value.to_string());
        let mut all: Vec<(&'static str, String, bool)> = Vec::with_capacity(SETTING_NAMES.len());
        for name in SETTING_NAMES {
            let value = match name {
                "cleanup" => cleanup_text(self.cleanup()).to_owned(),
                "retention_ms" => optional(self.retention_ms()),
                "retention_bytes" => optional(self.retention_bytes()),
                "segment_bytes" => self.segment_bytes.unwrap_or(segment_bytes).to_string(),
                "segment_ms" => self.segment_ms().to_string(),
                "tombstone_ms" => self.tombstone_ms().to_string(),
                "compaction_lag_ms_min" => self.compaction_lag_ms_min().to_string(),
                "compaction_lag_ms_max" => optional(self.compaction_lag_ms_max()),
                "dirty_ratio_min" => ratio_text(self.dirty_ratio_min()),
                "batch_bytes_max" => self
                    .batch_bytes_max
                    .map_or(batch_bytes_max as u64, u64::from)
                    .to_string(),
                "timestamps" => timestamps_text(self.timestamps()).to_owned(),
                "timestamp_before_ms_max" => optional(self.timestamp_before_ms_max()),
                "timestamp_after_ms_max" => optional(self.timestamp_after_ms_max()),
                "compression" => packing_text(self.compression()).to_owned(),
                "durability" => durability_text(self.relaxed == Some(true)).to_owned(),
                "flush_ms" => self.flush_ms().to_string(),
                _ => entities_text(self.entities.unwrap_or(Entities::None)).to_owned(),
            };
            all.push((name, value, self.get(name).is_some()));
        }
        all
    }

    /// Looks at the settings together.
    pub fn check(&self) -> Result<(), SettingError> {
        if let Some(most) = self.compaction_lag_ms_max()
            && most < self.compaction_lag_ms_min()
        {
            return Err(SettingError::Whole(format!(
                "compaction_lag_ms_max is {most} and compaction_lag_ms_min {}: the first must not be less than the second",
                self.compaction_lag_ms_min()
            )));
        }
        if let Some(flush_ms) = self.flush_ms
            && self.relaxed != Some(true)
        {
            return Err(SettingError::Whole(format!(
                "flush_ms is {flush_ms} and durability is not 'relaxed': only relaxed streams wait for their flush; set both, or neither"
            )));
        }
        let bytes: usize = self.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.labels.len() > LABELS_MAX || bytes > LABELS_BYTES_MAX {
            return Err(SettingError::Whole(format!(
                "{} labels of {bytes} bytes are more than the {LABELS_MAX} of {LABELS_BYTES_MAX} bytes that are kept beside a stream",
                self.labels.len()
            )));
        }
        Ok(())
    }
}

fn read<T>(
    value: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, SettingError>,
) -> Result<Option<T>, SettingError> {
    value.map(|value| parse(value.trim())).transpose()
}

fn refuse<T>(name: &str, value: &str, wanted: impl Into<String>) -> Result<T, SettingError> {
    Err(SettingError::Value {
        name: name.to_owned(),
        value: value.chars().take(64).collect(),
        wanted: wanted.into(),
    })
}

fn number(name: &str, value: &str, least: u64, most: u64) -> Result<u64, SettingError> {
    match value.parse::<u64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => refuse(name, value, format!("a whole number from {least} to {most}")),
    }
}

fn keep(name: &str, value: &str) -> Result<Keep, SettingError> {
    if value == "forever" {
        return Ok(Keep::Forever);
    }
    match value.parse::<u64>() {
        Ok(most) if most <= NUMBER_MAX => Ok(Keep::AtMost(most)),
        _ => refuse(
            name,
            value,
            format!("'forever' or a whole number from 0 to {NUMBER_MAX}"),
        ),
    }
}

fn keep_text(keep: Keep) -> String {
    match keep {
        Keep::Forever => "forever".to_owned(),
        Keep::AtMost(most) => most.to_string(),
    }
}

fn cleanup(name: &str, value: &str) -> Result<Cleanup, SettingError> {
    let mut cleanup = Cleanup {
        delete: false,
        compact: false,
    };
    if value == "none" {
        return Ok(cleanup);
    }
    for part in value.split(',') {
        match part.trim() {
            "delete" => cleanup.delete = true,
            "compact" => cleanup.compact = true,
            _ => return refuse(name, value, "'delete', 'compact', 'compact,delete' or 'none'"),
        }
    }
    Ok(cleanup)
}

fn cleanup_text(cleanup: Cleanup) -> &'static str {
    match (cleanup.compact, cleanup.delete) {
        (true, true) => "compact,delete",
        (true, false) => "compact",
        (false, true) => "delete",
        (false, false) => "none",
    }
}

/// A part of one, read into millionths.
fn ratio(name: &str, value: &str) -> Result<u32, SettingError> {
    match value.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok((ratio * 1e6).round() as u32),
        _ => refuse(name, value, "a number from 0 to 1"),
    }
}

fn ratio_text(millionths: u32) -> String {
    (f64::from(millionths) / 1e6).to_string()
}

fn timestamps(name: &str, value: &str) -> Result<Timestamps, SettingError> {
    match value {
        "create" => Ok(Timestamps::Create),
        "append" => Ok(Timestamps::Append),
        _ => refuse(name, value, "'create' or 'append'"),
    }
}

fn timestamps_text(timestamps: Timestamps) -> &'static str {
    match timestamps {
        Timestamps::Create => "create",
        Timestamps::Append => "append",
    }
}

fn packing(name: &str, value: &str) -> Result<Packing, SettingError> {
    match PACKINGS.iter().find(|(text, _)| *text == value) {
        Some((_, packing)) => Ok(*packing),
        None => refuse(name, value, "'as sent', 'none', 'gzip', 'snappy', 'lz4' or 'zstd'"),
    }
}

fn packing_text(packing: Packing) -> &'static str {
    let found = PACKINGS.iter().find(|(_, known)| *known == packing);
    found.map_or("as sent", |(text, _)| text)
}

fn relaxed(name: &str, value: &str) -> Result<bool, SettingError> {
    match value {
        "flushed" => Ok(false),
        "relaxed" => Ok(true),
        _ => refuse(name, value, "'flushed' or 'relaxed'"),
    }
}

fn entities(name: &str, value: &str) -> Result<Entities, SettingError> {
    match value {
        "none" => Ok(Entities::None),
        "indexed" => Ok(Entities::Indexed),
        _ => refuse(name, value, "'indexed' or 'none'"),
    }
}

fn entities_text(entities: Entities) -> &'static str {
    match entities {
        Entities::None => "none",
        Entities::Indexed => "indexed",
    }
}

fn durability_text(relaxed: bool) -> &'static str {
    match relaxed {
        true => "relaxed",
        false => "flushed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets one setting and reads it back.
    fn check(name: &str, value: &str, expected: Result<&str, &str>) {
        let mut settings = StreamSettings::default();
        let found = settings.set(name, Some(value)).and_then(|()| settings.check());
        match (found, expected) {
            (Ok(()), Ok(expected)) => {
                assert_eq!(settings.get(name).as_deref(), Some(expected), "{name}={value}");
                let pairs = settings.pairs();
                let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                assert_eq!(StreamSettings::of_pairs(pairs), Ok(settings.clone()), "{name}={value}");
                settings.set(name, None).unwrap();
                assert_eq!(settings, StreamSettings::default(), "{name}={value}");
            }
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{name}={value}: {error}"),
            (found, expected) => panic!("{name}={value}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn every_setting_both_sides_of_its_limits() {
        check("cleanup", "delete", Ok("delete"));
        check("cleanup", "delete , compact", Ok("compact,delete"));
        check("cleanup", "none", Ok("none"));
        check("cleanup", "", Err("cleanup cannot be ''"));
        check("cleanup", "squeeze", Err("'delete', 'compact'"));
        for name in [
            "retention_ms",
            "retention_bytes",
            "compaction_lag_ms_max",
            "timestamp_before_ms_max",
            "timestamp_after_ms_max",
        ] {
            check(name, "forever", Ok("forever"));
            check(name, "0", Ok("0"));
            check(name, "9223372036854775807", Ok("9223372036854775807"));
            check(name, "9223372036854775808", Err("'forever' or a whole number"));
            check(name, "-1", Err("'forever' or a whole number"));
        }
        check("segment_bytes", "1024", Ok("1024"));
        check("segment_bytes", "1023", Err("from 1024"));
        check("segment_bytes", "2147483647", Ok("2147483647"));
        check("segment_bytes", "2147483648", Err("to 2147483647"));
        check("segment_ms", "1", Ok("1"));
        check("segment_ms", "0", Err("from 1 "));
        check("tombstone_ms", "0", Ok("0"));
        check("compaction_lag_ms_min", "0", Ok("0"));
        check("dirty_ratio_min", "0.25", Ok("0.25"));
        check("dirty_ratio_min", "1", Ok("1"));
        check("dirty_ratio_min", "1.01", Err("from 0 to 1"));
        check("dirty_ratio_min", "NaN", Err("from 0 to 1"));
        check("batch_bytes_max", "2147483647", Ok("2147483647"));
        check("batch_bytes_max", "2147483648", Err("from 0 to 2147483647"));
        check("timestamps", "append", Ok("append"));
        check("timestamps", "LogAppendTime", Err("'create' or 'append'"));
        check("compression", "as sent", Ok("as sent"));
        check("compression", "zstd", Ok("zstd"));
        check("compression", "lzma", Err("'gzip'"));
        check("durability", "relaxed", Ok("relaxed"));
        check("durability", "hopeful", Err("'flushed' or 'relaxed'"));
        check("flush_ms", "60000", Err("durability is not 'relaxed'"));
        check("flush_ms", "0", Err("from 1 to 60000"));
        check("flush_ms", "60001", Err("from 1 to 60000"));
        check("label.x", "any", Ok("any"));
        check(
            "label.x",
            &"y".repeat(LABELS_BYTES_MAX - 1),
            Ok(&"y".repeat(LABELS_BYTES_MAX - 1)),
        );
        check("label.x", &"y".repeat(LABELS_BYTES_MAX), Err("labels"));
        check("colour", "red", Err("no setting"));
    }

    #[test]
    fn settings_are_looked_at_together_and_the_defaults_are_told_apart() {
        let mut settings = StreamSettings::of_pairs([("compaction_lag_ms_min", "10"), ("compaction_lag_ms_max", "9")]);
        assert!(settings.as_mut().unwrap().check().is_err());
        let settings = settings.unwrap();
        for (durability, holds) in [("relaxed", true), ("flushed", false)] {
            let both = StreamSettings::of_pairs([("flush_ms", "1"), ("durability", durability)]).unwrap();
            assert_eq!(both.check().is_ok(), holds, "{durability}");
        }
        let mut over = StreamSettings::of_pairs([("retention_ms", "forever"), ("flush_ms", "7")]).unwrap();
        over.overlay(&settings);
        assert_eq!(over.pairs().len(), 4);
        let all = over.in_force(1 << 20, 1000);
        assert_eq!(all.len(), SETTING_NAMES.len());
        assert!(all.contains(&("retention_ms", "forever".to_owned(), true)));
        assert!(all.contains(&("retention_bytes", "forever".to_owned(), false)));
        assert!(all.contains(&("segment_bytes", "1048576".to_owned(), false)));
        assert!(all.contains(&("flush_ms", "7".to_owned(), true)));
    }
}
