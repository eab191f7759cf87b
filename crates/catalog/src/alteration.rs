//! A change of a stream that is there, as its event says it: what became otherwise, and nothing else. So what is written grows with what changes,
//! however many columns and versions the stream has; folding makes the versions.
//!
//! ```text
//! columns     the new columns in order: [first, count] of those that were there, one of them with another name, or a column as it has become
//! ended       the columns that were there are an earlier schema from now on: up to where, by which statement, with which upcaster
//! upcasters   of schemas that had ended before, by their versions
//! members     the definition's other members that have become others
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Column, EarlierSchema, FormerName, StreamDefinition, Upcaster};

/// What makes one definition of a stream of the one before it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Alteration {
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<Piece>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Ended>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    upcasters: BTreeMap<u32, Upcaster>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    members: Map<String, Value>,
}

/// A part of a list of columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Piece {
    /// So many columns as they were, from this one on.
    Kept(usize, usize),
    /// One of them, and the name that it has now: it keeps those that it had.
    Renamed(Renamed),
    /// A column that was not there so.
    Column(Column),
}

/// A column that was renamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Renamed {
    /// Its place among those that were there.
    was: usize,
    name: String,
    /// The last version with the name that it had.
    until: u32,
}

/// How the schema that was the newest ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    until: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upcaster: Option<Upcaster>,
    statement: String,
}

impl Alteration {
    /// What makes `new` of `old`: definitions of one stream, the schemas of the old one among those of the new one.
    pub(crate) fn between(old: &StreamDefinition, new: &StreamDefinition) -> Alteration {
        let there = members(old);
        let alteration = Alteration {
            columns: (old.columns != new.columns).then(|| pieces(columns(old), columns(new))),
            ended: new.earlier.get(old.earlier.len()).map(|ended| Ended {
                until: ended.until.clone(),
                upcaster: ended.upcaster.clone(),
                statement: ended.statement.clone(),
            }),
            upcasters: upcasters_set(&old.earlier, &new.earlier),
            members: members(new)
                .into_iter()
                .filter(|(name, value)| there.get(name) != Some(value))
                .collect(),
        };
        let mut folded = old.clone();
        let outcome = alteration.clone().apply(&mut folded);
        assert!(
            outcome.is_ok() && folded == *new,
            "what a stream is folded into is what it became: {outcome:?}"
        );
        alteration
    }

    /// Makes a definition the one after it; `Err` says why this is no change of it.
    pub(crate) fn apply(self, stream: &mut StreamDefinition) -> Result<(), String> {
        let before = stream.columns.take();
        let mut earlier = std::mem::take(&mut stream.earlier);
        if !self.members.is_empty() {
            let mut members = members(stream);
            members.extend(self.members);
            *stream = serde_json::from_value(Value::Object(members)).map_err(|error| error.to_string())?;
        }
        for (version, upcaster) in self.upcasters {
            let schema = earlier.get_mut((version as usize).wrapping_sub(1));
            let schema = schema.ok_or_else(|| format!("there is no version {version} before the newest"))?;
            Arc::make_mut(schema).upcaster = Some(upcaster);
        }
        stream.columns = match self.columns {
            Some(pieces) => Some(put_together(pieces, before.as_deref().unwrap_or_default())?),
            None => before.clone(),
        };
        if let Some(ended) = self.ended {
            earlier.push(Arc::new(EarlierSchema {
                columns: before,
                until: ended.until,
                upcaster: ended.upcaster,
                statement: ended.statement,
            }));
        }
        stream.earlier = earlier;
        Ok(())
    }
}

fn columns(stream: &StreamDefinition) -> &[Column] {
    stream.columns.as_deref().unwrap_or_default()
}

/// The members of a definition that are neither its columns nor its history.
fn members(stream: &StreamDefinition) -> Map<String, Value> {
    let others = StreamDefinition {
        columns: None,
        earlier: Vec::new(),
        ..stream.clone()
    };
    match serde_json::to_value(others) {
        Ok(Value::Object(members)) => members,
        other => unreachable!("a definition is written as an object: {other:?}"),
    }
}

fn upcasters_set(old: &[Arc<EarlierSchema>], new: &[Arc<EarlierSchema>]) -> BTreeMap<u32, Upcaster> {
    let mut set = BTreeMap::new();
    for (version, (old, new)) in (1..).zip(old.iter().zip(new)) {
        if let Some(upcaster) = &new.upcaster
            && old.upcaster != new.upcaster
        {
            set.insert(version, upcaster.clone());
        }
    }
    set
}

fn pieces(old: &[Column], new: &[Column]) -> Vec<Piece> {
    let places: HashMap<&str, usize> = (0..).zip(old).map(|(at, column)| (column.name.as_str(), at)).collect();
    let place = |name: &str| places.get(name).copied();
    let mut pieces: Vec<Piece> = Vec::new();
    for column in new {
        let kept = place(&column.name).filter(|at| old[*at] == *column);
        match (kept, pieces.last_mut()) {
            (Some(at), Some(Piece::Kept(first, count))) if *first + *count == at => *count += 1,
            (Some(at), _) => pieces.push(Piece::Kept(at, 1)),
            (None, _) => pieces.push(match renamed(old, column, place) {
                Some(renamed) => Piece::Renamed(renamed),
                None => Piece::Column(column.clone()),
            }),
        }
    }
    pieces
}

/// The column that was there under the name that this one had last, where nothing but its name is another.
fn renamed(old: &[Column], column: &Column, place: impl Fn(&str) -> Option<usize>) -> Option<Renamed> {
    let former = column.former.last()?;
    let renamed = Renamed {
        was: place(&former.name)?,
        name: column.name.clone(),
        until: former.until,
    };
    (renamed.of(old).as_ref() == Some(column)).then_some(renamed)
}

impl Renamed {
    fn of(&self, there: &[Column]) -> Option<Column> {
        let mut column = there.get(self.was)?.clone();
        let name = std::mem::replace(&mut column.name, self.name.clone());
        column.former.push(FormerName {
            name,
            until: self.until,
        });
        Some(column)
    }
}

fn put_together(pieces: Vec<Piece>, there: &[Column]) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Kept(first, count) => {
                let kept = first.checked_add(count).and_then(|end| there.get(first..end));
                let kept =
                    kept.ok_or_else(|| format!("it keeps {count} columns from {first} on, of {}", there.len()))?;
                columns.extend_from_slice(kept);
            }
            Piece::Renamed(renamed) => {
                let column = renamed.of(there);
                columns.push(column.ok_or_else(|| format!("it renames column {}, of {}", renamed.was, there.len()))?);
            }
            Piece::Column(column) => columns.push(column),
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ColumnType;

    /// `a b c`, and `old>c`: c, which was called old.
    fn columns_of(text: &str) -> Vec<Column> {
        let of_word = |word: &str| {
            let mut names: Vec<&str> = word.split('>').collect();
            let name = names.pop().unwrap_or_default();
            let former = |name: &str| FormerName {
                name: name.to_owned(),
                until: 1,
            };
            Column {
                former: names.into_iter().map(former).collect(),
                ..Column::new(name, ColumnType::Text, true)
            }
        };
        text.split_whitespace().map(of_word).collect()
    }

    fn json(alteration: &Alteration) -> String {
        serde_json::to_string(alteration).expect("it is written")
    }

    #[test]
    fn of_the_columns_those_are_said_that_became_others() {
        let check = |old: &str, new: &str, expected: &str| {
            let pieces: Vec<String> = pieces(&columns_of(old), &columns_of(new))
                .iter()
                .map(|piece| match piece {
                    Piece::Kept(first, count) => format!("{first}+{count}"),
                    Piece::Renamed(renamed) => format!("{}={}", renamed.was, renamed.name),
                    Piece::Column(column) => column.name.clone(),
                })
                .collect();
            assert_eq!(pieces.join(" "), expected, "{old} to {new}");
        };
        check("a b", "a b c", "0+2 c");
        check("a b c d", "a c d", "0+1 2+2");
        check("a b c d", "a b>x c d y", "0+1 1=x 2+2 y");
        check("a>b c", "a>b>d c", "0=d 1+1");
        check("a b c", "a z>x c", "0+1 x 2+1");
        check("a b", "b a", "1+1 0+1");
        check("", "a b", "a b");
        check("a b", "a>b b>a", "0=b 1=a");
    }

    #[test]
    fn only_what_changed_is_written_and_reads_back() {
        let old = StreamDefinition {
            name: "s".to_owned(),
            columns: Some(columns_of("a b")),
            key: vec!["a".to_owned()],
            time: Some("b".to_owned()),
            statement: "CREATE STREAM s …".to_owned(),
            ..StreamDefinition::default()
        };
        let new = StreamDefinition {
            columns: Some(columns_of("a b>d c")),
            earlier: vec![Arc::new(EarlierSchema {
                columns: old.columns.clone(),
                until: vec![5],
                upcaster: None,
                statement: "ALTER STREAM s …".to_owned(),
            })],
            time: None,
            reading: 1,
            ..old.clone()
        };
        let check = |old: &StreamDefinition, new: &StreamDefinition, expected: &[&str]| {
            let written = json(&Alteration::between(old, new));
            let members: Map<String, Value> = serde_json::from_str(&written).expect("an object");
            let mut names: Vec<&str> = members.keys().map(String::as_str).collect();
            names.extend(
                members
                    .get("members")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flat_map(Map::keys)
                    .map(String::as_str),
            );
            assert_eq!(names, expected, "{written}");
            let mut folded = old.clone();
            let read: Alteration = serde_json::from_str(&written).expect("it reads");
            read.apply(&mut folded).expect("it applies");
            assert_eq!(folded, *new);
        };
        check(&old, &new, &["columns", "ended", "members", "reading", "time"]);
        check(&old, &old, &[]);
        let mut upcast = new.clone();
        Arc::make_mut(&mut upcast.earlier[0]).upcaster = Some(Upcaster {
            query: "SELECT …".to_owned(),
            statement: String::new(),
        });
        check(&new, &upcast, &["upcasters"]);
        let free = StreamDefinition {
            columns: None,
            ..old.clone()
        };
        check(&free, &old, &["columns"]);
    }

    #[test]
    fn what_is_no_change_of_a_stream_is_refused() {
        let check = |written: &str, expected: &str| {
            let read = serde_json::from_str::<Alteration>(written).map_err(|error| error.to_string());
            let mut stream = StreamDefinition {
                columns: Some(columns_of("a b")),
                ..StreamDefinition::default()
            };
            let why = read
                .and_then(|alteration| alteration.apply(&mut stream))
                .expect_err(written);
            assert!(why.contains(expected), "{written}: {why}");
        };
        check(r#"{"columns":[[1,2]]}"#, "it keeps 2 columns from 1 on, of 2");
        check(&format!(r#"{{"columns":[[{},2]]}}"#, usize::MAX), "it keeps 2 columns");
        check(
            r#"{"upcasters":{"1":{"query":"","statement":""}}}"#,
            "no version 1 before",
        );
        check(
            r#"{"upcasters":{"0":{"query":"","statement":""}}}"#,
            "no version 0 before",
        );
        check(
            r#"{"columns":[{"was":2,"name":"x","until":1}]}"#,
            "it renames column 2, of 2",
        );
        check(r#"{"colums":[]}"#, "unknown field `colums`");
        check(r#"{"members":{"reading":"x"}}"#, "invalid type");
    }
}
