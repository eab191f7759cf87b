//! What an INSERT depends on: `IF VERSION = '2@17'`, `IF NOT EXISTS (SELECT FROM stream WHERE …) AFTER POSITION '…'`.
//!
//! A filter is what the entity index can answer: columns of `KEY`, `KIND` and `TAGS` compared with constants, put together with AND and OR. It
//! becomes a query of the log, item by item: `a AND (b OR c)` is `a AND b`, or `a AND c`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, Value};
use headwater_catalog::condition::{Malformed, read_position, read_version};
use headwater_catalog::{ColumnType, StreamDefinition, came_in_between};
use headwater_eventlog::{AppendError, Boundary, Condition, ConditionFailed, EntityVersion, FoundEvent, QueryItem};
use headwater_records::{Event, Position, Version};

use super::call::constants;
use crate::encode::{assign_value, json_of, plain_text_of};
use crate::engine::Inner;
use crate::limits::{CAME_LINES_MAX, CAME_VALUE_CHARS_MAX, CONDITION_ITEMS_MAX};
use crate::statement::{ConditionTerm, InsertCondition};
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
                    stream: found.ok_or_else(|| inner.unknown_table(&stream.value))?,
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
                let Some(stream) = inner.catalog.stream(&stream.value) else {
                    continue;
                };
                let mut open = vec![filter];
                while let Some(expr) = open.pop() {
                    match expr {
                        Expr::Nested(within) => open.push(within),
                        Expr::BinaryOp { left, right, .. } if named(left).is_none() && named(right).is_none() => {
                            open.extend([left.as_ref(), right.as_ref()]);
                        }
                        Expr::BinaryOp { left, right, .. } => {
                            let name = named(left).or_else(|| named(right));
                            let data_type =
                                name.map_or(DataType::Utf8, |name| type_of(&stream, &name.value).data_type());
                            put(left, data_type.clone());
                            put(right, data_type);
                        }
                        Expr::InList { expr, list, .. } => {
                            let data_type =
                                named(expr).map_or(DataType::Utf8, |name| type_of(&stream, &name.value).data_type());
                            list.iter().for_each(|value| put(value, data_type.clone()));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    if let Some(after) = &written.after {
        put(after, DataType::Utf8);
    }
    found
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

/// An item under way: the parts of a key come one by one.
#[derive(Clone, Default)]
struct Item {
    kinds: Option<BTreeSet<String>>,
    tags: BTreeSet<String>,
    key: Option<Bytes>,
    /// The JSON of each column of the key.
    key_parts: BTreeMap<String, String>,
}

impl Asked<'_> {
    /// The query that a filter means.
    fn items(&self, filter: Option<&Expr>) -> Result<Vec<QueryItem>, SqlError> {
        let items = match filter {
            None => vec![Item::default()],
            Some(filter) => self.any(filter)?,
        };
        let mut query: Vec<QueryItem> = Vec::with_capacity(items.len());
        for item in items {
            // Of two lists of kinds that have nothing in common nothing can be both.
            if item.kinds.as_ref().is_some_and(BTreeSet::is_empty) {
                continue;
            }
            query.push(QueryItem {
                stream: Some(self.stream.name.clone()),
                key: self.key(&item)?,
                kinds: item.kinds.unwrap_or_default().into_iter().collect(),
                tags: item.tags.into_iter().collect(),
                column: None,
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
        let mut item = Item::default();
        if column == KEY_COLUMN {
            item.key = Some(Bytes::from(plain));
        } else if self.stream.kind.as_deref() == Some(column) {
            item.kinds = Some(BTreeSet::from([plain]));
        } else if self.stream.tags.iter().any(|tag| tag == column) {
            item.tags.insert(format!("{column}:{plain}"));
        } else if self.stream.key.iter().any(|key| key == column) {
            item.key_parts.insert(column.to_owned(), json_of(&value)?);
        } else {
            return Err(self.no_term(column));
        }
        Ok(item)
    }

    /// The key that an item asks for.
    fn key(&self, item: &Item) -> Result<Option<Bytes>, SqlError> {
        if item.key_parts.is_empty() {
            return Ok(item.key.clone());
        }
        let parts: Vec<&str> = self
            .stream
            .key
            .iter()
            .filter_map(|column| item.key_parts.get(column).map(String::as_str))
            .collect();
        match parts.as_slice() {
            [only] if self.stream.key.len() == 1 => {
                let plain = serde_json::from_str::<String>(only).unwrap_or_else(|_| (*only).to_owned());
                Ok(Some(Bytes::from(plain)))
            }
            parts if parts.len() == self.stream.key.len() => Ok(Some(Bytes::from(format!("[{}]", parts.join(","))))),
            _ => {
                let message = format!(
                    "the key of '{}' is made of ({}), and the condition names only some of them",
                    self.stream.name,
                    self.stream.key.join(", ")
                );
                Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("name all of them, or declare TAGS"))
            }
        }
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
        self.kinds = match (self.kinds, other.kinds) {
            (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
            (one, other) => one.or(other),
        };
        self.tags.extend(other.tags);
        self.key = self.key.or(other.key);
        self.key_parts.extend(other.key_parts);
        self
    }
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
