//! What an INSERT depends on: `IF VERSION = '2@17'`, `IF NOT EXISTS (SELECT FROM stream WHERE …) AFTER POSITION '…'`.
//!
//! A filter is what the entity index can answer: columns of `KEY`, `KIND` and `TAGS` compared with constants, put together with AND and OR. It
//! becomes a query of the log, item by item: `a AND (b OR c)` is `a AND b`, or `a AND c`. What the filter says of all columns of the key is asked
//! of the entity of that key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, Value};
use headwater_catalog::condition::{Malformed, read_position, read_version};
use headwater_catalog::{ColumnType, StreamDefinition, came_in_between, found_by};
use headwater_eventlog::{AppendError, Boundary, Condition, ConditionFailed, EntityVersion, FoundEvent, QueryItem};
use headwater_records::{Event, Position, Version};

use super::super::call::constants;
use crate::encode::{assign_value, json_of, plain_text_of};
use crate::inner::Inner;
use crate::limits::{CAME_LINES_MAX, CAME_VALUE_CHARS_MAX, CONDITION_ITEMS_MAX};
use crate::syntax::{ConditionTerm, InsertCondition};
use crate::{SqlError, SqlState};

/// The column of every stream that is its key.
const KEY_COLUMN: &str = "_key";

/// The condition of an append of these events to the stream.
pub(super) fn condition(
    inner: &Inner,
    definition: &StreamDefinition,
    written: &InsertCondition,
    events: &[Event],
    parameters: &[ScalarValue],
) -> Result<Condition, SqlError> {
    let after: Option<Position> = match &written.after {
        None => None,
        Some(after) => text(inner, after, parameters)?
            .map(|after| read_position(&after))
            .transpose()?,
    };
    let mut conditions: Vec<Condition> = Vec::new();
    for term in &written.terms {
        conditions.push(match term {
            ConditionTerm::Version(version) => Condition::Entity(EntityVersion {
                stream: definition.name.clone(),
                key: only_key(events)?,
                version: match version {
                    None => None,
                    Some(version) => expected(inner, version, parameters)?,
                },
            }),
            ConditionTerm::NotExists { stream, filter } => {
                let found = inner.catalog.stream(&stream.value);
                let asked = Asked {
                    inner,
                    stream: found.ok_or_else(|| no_stream(inner, &stream.value))?,
                    parameters,
                };
                Condition::Boundary(Boundary {
                    after: after.clone(),
                    none_of: asked.items(filter.as_ref())?,
                })
            }
        });
    }
    Ok(Condition::All(conditions))
}

/// The types of the parameters that stand alone in a condition.
pub(super) fn lone_parameters(inner: &Inner, written: &InsertCondition) -> Vec<(String, DataType)> {
    let mut found: Vec<(String, DataType)> = Vec::new();
    let mut put = |expr: &Expr, data_type: DataType| {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(id) = &value.value
        {
            found.push((id.clone(), data_type));
        }
    };
    for term in &written.terms {
        match term {
            ConditionTerm::Version(Some(version)) => put(version, DataType::Utf8),
            ConditionTerm::Version(None) | ConditionTerm::NotExists { filter: None, .. } => {}
            ConditionTerm::NotExists {
                stream,
                filter: Some(filter),
            } => {
                if let Some(stream) = inner.catalog.stream(&stream.value) {
                    values_in(filter, &stream, &mut put);
                }
            }
        }
    }
    if let Some(after) = &written.after {
        put(after, DataType::Utf8);
    }
    found
}

/// Puts each value of a filter with the type of the column that it is compared with.
fn values_in(filter: &Expr, stream: &StreamDefinition, put: &mut impl FnMut(&Expr, DataType)) {
    let type_beside =
        |name: Option<&Ident>| name.map_or(DataType::Utf8, |name| type_of(stream, &name.value).data_type());
    let mut open = vec![filter];
    while let Some(expr) = open.pop() {
        match expr {
            Expr::Nested(within) => open.push(within),
            Expr::BinaryOp { left, right, .. } if named(left).is_none() && named(right).is_none() => {
                open.extend([left.as_ref(), right.as_ref()]);
            }
            Expr::BinaryOp { left, right, .. } => {
                let data_type = type_beside(named(left).or_else(|| named(right)));
                put(left, data_type.clone());
                put(right, data_type);
            }
            Expr::InList { expr, list, .. } => {
                let data_type = type_beside(named(expr));
                list.iter().for_each(|value| put(value, data_type.clone()));
            }
            _ => {}
        }
    }
}

/// The error of an append whose condition does not hold, with what came in between.
pub(super) async fn failed(inner: &Inner, failed: ConditionFailed) -> SqlError {
    let events = came_in_between(&inner.log, &failed.came).await;
    let mut detail = format!("the log had got to {}", failed.end);
    for (address, event) in failed.came.iter().zip(&events).take(CAME_LINES_MAX) {
        let value = event.as_ref().map(|found| shown(inner, found)).unwrap_or_default();
        let value: String = value.chars().take(CAME_VALUE_CHARS_MAX).collect();
        detail.push_str(&format!("\n{address} {value}"));
    }
    if failed.came.len() > CAME_LINES_MAX {
        detail.push_str("\n…");
    }
    SqlError::from(AppendError::ConditionFailed(Box::new(failed))).detail(detail)
}

fn shown(inner: &Inner, found: &FoundEvent) -> String {
    let value = found.event.value.as_deref().unwrap_or_default();
    let document = inner.catalog.document(&found.address, found.appended_at_us, value);
    document.unwrap_or_else(|| String::from_utf8_lossy(value).into_owned())
}

/// The error of a condition on what is no stream.
fn no_stream(inner: &Inner, name: &str) -> SqlError {
    match inner.catalog.get(name) {
        Some(other) => {
            let message = format!(
                "'{name}' is a {}, and a condition asks about the events of a stream",
                other.noun()
            );
            SqlError::new(SqlState::NOT_SUPPORTED, message).hint("name the stream, or check in a command with REQUIRE")
        }
        None => inner.unknown_table(name),
    }
}

/// The one key that all events have.
fn only_key(events: &[Event]) -> Result<Bytes, SqlError> {
    let keys: BTreeSet<Option<&Bytes>> = events.iter().map(|event| event.key.as_ref()).collect();
    match keys.first() {
        Some(Some(key)) if keys.len() == 1 => Ok((*key).clone()),
        _ => {
            let message = "IF VERSION speaks of one entity, and the rows have no key, or not all the same";
            Err(SqlError::new(SqlState::INVALID_PARAMETER, message)
                .hint("insert the events of one key, or say IF NOT EXISTS (SELECT …)")
                .code("not_one_entity"))
        }
    }
}

fn expected(inner: &Inner, version: &Expr, parameters: &[ScalarValue]) -> Result<Option<Version>, SqlError> {
    match text(inner, version, parameters)? {
        None => Ok(None),
        Some(version) => Ok(read_version(&version)?),
    }
}

/// A constant as text; `None` of NULL.
fn text(inner: &Inner, expr: &Expr, parameters: &[ScalarValue]) -> Result<Option<String>, SqlError> {
    let values = constants(inner, std::slice::from_ref(expr), parameters)?;
    match values.first() {
        Some(value) if !value.is_null() => plain_text_of(value).map(Some),
        _ => Ok(None),
    }
}

/// A stream that is asked about.
struct Asked<'a> {
    inner: &'a Inner,
    stream: Arc<StreamDefinition>,
    parameters: &'a [ScalarValue],
}

/// An item under way: what an event must have, as the filter says it part by part.
#[derive(Clone, Default)]
struct Item {
    kinds: Option<BTreeSet<String>>,
    tags: BTreeSet<String>,
    own_key: Option<Bytes>,
    /// The values of columns of the key.
    key_columns: BTreeMap<String, ScalarValue>,
    /// Whether two parts contradict each other, so that no event has both.
    is_never: bool,
}

impl Asked<'_> {
    /// The query that a filter means.
    fn items(&self, filter: Option<&Expr>) -> Result<Vec<QueryItem>, SqlError> {
        let items = match filter {
            None => vec![Item::default()],
            Some(filter) => self.any(filter)?,
        };
        let mut query: Vec<QueryItem> = Vec::with_capacity(items.len());
        for item in items.into_iter().filter(|item| !item.is_never) {
            query.push(QueryItem {
                stream: Some(self.stream.name.clone()),
                key: self.key_made(&item)?,
                kinds: item.kinds.unwrap_or_default().into_iter().collect(),
                own_key: item.own_key,
                tags: item.tags.into_iter().collect(),
            });
        }
        Ok(query)
    }

    /// The items of an expression: one of them must match.
    fn any(&self, expr: &Expr) -> Result<Vec<Item>, SqlError> {
        match expr {
            Expr::Nested(within) => self.any(within),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Or,
                right,
            } => {
                let mut items = self.any(left)?;
                items.extend(self.any(right)?);
                bounded(items)
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::And,
                right,
            } => {
                let (left, right) = (self.any(left)?, self.any(right)?);
                if left.len() * right.len() > CONDITION_ITEMS_MAX {
                    return Err(too_many());
                }
                let mut items: Vec<Item> = Vec::new();
                for one in &left {
                    for other in &right {
                        items.push(one.clone().and(other.clone()));
                    }
                }
                Ok(items)
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Eq,
                right,
            } => match (named(left), named(right)) {
                (Some(name), None) => Ok(vec![self.item(name, right)?]),
                (None, Some(name)) => Ok(vec![self.item(name, left)?]),
                _ => Err(cannot(expr)),
            },
            Expr::InList {
                expr: column,
                list,
                negated: false,
            } => {
                let name = named(column).ok_or_else(|| cannot(expr))?;
                let items: Result<Vec<Item>, SqlError> = list.iter().map(|value| self.item(name, value)).collect();
                let items = items?;
                match self.stream.kind.as_deref() == Some(name.value.as_str()) {
                    false => bounded(items),
                    // One item has many kinds.
                    true => Ok(vec![Item {
                        kinds: Some(
                            items
                                .into_iter()
                                .flat_map(|item| item.kinds.unwrap_or_default())
                                .collect(),
                        ),
                        ..Item::default()
                    }]),
                }
            }
            other => Err(cannot(other)),
        }
    }

    /// `column = value`
    fn item(&self, name: &Ident, value: &Expr) -> Result<Item, SqlError> {
        let column = name.value.as_str();
        let values = constants(self.inner, std::slice::from_ref(value), self.parameters)?;
        let value = values.into_iter().next().unwrap_or(ScalarValue::Null);
        if value.is_null() {
            let message = format!("{column} is compared with NULL, which no event has");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER, message).hint("give it a value"));
        }
        let value = assign_value(&value, column, type_of(&self.stream, column))?;
        let plain = plain_text_of(&value)?;
        let is_of_key = self.stream.key.iter().any(|key| key == column);
        let is_tag = self.stream.tags.iter().any(|tag| tag == column);
        let mut item = Item::default();
        if column == KEY_COLUMN {
            item.own_key = Some(Bytes::from(plain));
        } else if self.stream.kind.as_deref() == Some(column) {
            item.kinds = Some(BTreeSet::from([plain]));
        } else if is_tag {
            item.tags.insert(format!("{column}:{plain}"));
        } else if !is_of_key {
            return Err(self.no_term(column));
        }
        if is_of_key {
            item.key_columns.insert(column.to_owned(), value);
        }
        Ok(item)
    }

    /// The key that the values of its columns make; `None` where an item does not speak of it, but of its columns as kind and tags.
    fn key_made(&self, item: &Item) -> Result<Option<Bytes>, SqlError> {
        let stream = &self.stream;
        let is_told_otherwise = |name: &String| stream.tags.contains(name) || stream.kind.as_ref() == Some(name);
        if item.key_columns.keys().all(is_told_otherwise) {
            return Ok(None);
        }
        if item.key_columns.len() < stream.key.len() {
            return Err(self.part_of_key());
        }
        if !found_by(stream).iter().any(|found| found.is_key) {
            return Err(self.not_found_by_key());
        }
        let values: Vec<&ScalarValue> = stream
            .key
            .iter()
            .filter_map(|name| item.key_columns.get(name))
            .collect();
        made_of(&values).map(Some)
    }

    /// Where other events may have the values than those whose own key they make, and the index does not know which.
    fn not_found_by_key(&self) -> SqlError {
        let (name, key) = (&self.stream.name, self.stream.key.join(", "));
        let message = format!(
            "events of '{name}' are not found by its key ({key}): it is of a type whose values are written in several ways, or older events had it in \
             another place or with another default"
        );
        SqlError::new(SqlState::NOT_SUPPORTED, message)
            .hint("ask for events' own keys by _key = '…', or check in a command with REQUIRE")
    }

    fn part_of_key(&self) -> SqlError {
        let (name, key) = (&self.stream.name, self.stream.key.join(", "));
        let message = format!("the key of '{name}' is made of ({key}), and the condition names only some of them");
        SqlError::new(SqlState::NOT_SUPPORTED, message).hint("name all of them, or declare TAGS")
    }

    fn no_term(&self, column: &str) -> SqlError {
        let stream = &self.stream;
        if !stream.columns.iter().flatten().any(|known| known.name == column) {
            let message = format!("column \"{column}\" of stream \"{}\" does not exist", stream.name);
            return SqlError::new(SqlState::UNKNOWN_COLUMN, message);
        }
        let message = format!(
            "'{column}' is no column of KEY, KIND or TAGS of '{}', and no other can be asked about here",
            stream.name
        );
        SqlError::new(SqlState::NOT_SUPPORTED, message)
            .hint("declare it in TAGS (…), or check in a command with REQUIRE")
    }
}

impl Item {
    /// What has all that the one has and all that the other has.
    fn and(mut self, other: Item) -> Item {
        self.is_never |= other.is_never;
        self.kinds = match (self.kinds, other.kinds) {
            (Some(one), Some(other)) => {
                let both: BTreeSet<String> = one.intersection(&other).cloned().collect();
                self.is_never |= both.is_empty();
                Some(both)
            }
            (one, other) => one.or(other),
        };
        self.tags.extend(other.tags);
        self.is_never |= matches!((&self.own_key, &other.own_key), (Some(one), Some(other)) if one != other);
        self.own_key = self.own_key.or(other.own_key);
        for (column, value) in other.key_columns {
            let before = self.key_columns.insert(column, value.clone());
            self.is_never |= before.is_some_and(|before| before != value);
        }
        self
    }
}

/// The key that these values of its columns make.
fn made_of(values: &[&ScalarValue]) -> Result<Bytes, SqlError> {
    let parts: Vec<String> = values
        .iter()
        .map(|value| json_of(value))
        .collect::<Result<_, SqlError>>()?;
    Ok(Bytes::from(match parts.as_slice() {
        [only] => serde_json::from_str::<String>(only).unwrap_or_else(|_| only.clone()),
        parts => format!("[{}]", parts.join(",")),
    }))
}

/// The column that an expression is.
fn named(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    }
}

fn type_of(stream: &StreamDefinition, column: &str) -> ColumnType {
    let columns = stream.columns.as_deref().unwrap_or_default();
    let found = columns.iter().find(|known| known.name == column);
    found.map_or(ColumnType::Text, |found| found.column_type)
}

fn bounded(items: Vec<Item>) -> Result<Vec<Item>, SqlError> {
    match items.len() > CONDITION_ITEMS_MAX {
        true => Err(too_many()),
        false => Ok(items),
    }
}

fn too_many() -> SqlError {
    let message = format!("the condition comes to more than {CONDITION_ITEMS_MAX} alternatives");
    SqlError::new(SqlState::TOO_LARGE, message).hint("ask for fewer at once")
}

fn cannot(expr: &Expr) -> SqlError {
    let message =
        format!("'{expr}' cannot be part of a condition: it is made of column = value, column IN (…), AND and OR");
    SqlError::new(SqlState::NOT_SUPPORTED, message).hint("anything else is checked in a command with REQUIRE")
}

impl From<Malformed> for SqlError {
    fn from(error: Malformed) -> SqlError {
        SqlError::new(SqlState::INVALID_TEXT, error.message).code(error.code)
    }
}
