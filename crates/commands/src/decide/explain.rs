//! What a call would do, and why: a decision with every step written down.
//!
//! ```text
//! CALL withdraw(account => 'BradA', amount => 5.00)
//! decided at transactions/0@17,1@3
//!
//!   read     balances: 1 row, key ("BradA"), at transactions/0@17,1@3
//!              {"account":"BradA","balance":80.00}
//!   LET      balance = 80.00
//!   REQUIRE  amount > 0                                yes
//!   REQUIRE  balance >= amount                         NO
//!
//! refused (insufficient_funds): insufficient funds: 80.00
//! ```

use std::fmt::Write;

use bytes::Bytes;
use datafusion::common::ScalarValue;
use headwater_eventlog::QueryItem;
use headwater_records::{Position, partition_of};
use headwater_sql::encode::{json_of, plain_text_of};
use headwater_sql::{Reads, SqlError};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::call::compiled::{Compiled, CompiledLet, CompiledRequire, CompiledStep};
use crate::decide::proposal::{Due, Made, Verdict};
use crate::limits::ROWS_EXPLAINED_MAX;
use crate::{CommandError, error::REFUSED_CODE};

/// A decision that appended nothing, with its reasons.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The command.
    pub command: String,
    /// Its parameters and their values.
    pub arguments: Vec<NamedValue>,
    /// Up to where the log was looked at.
    pub position: String,
    /// What was done, in order.
    pub steps: Vec<ExplainedStep>,
    /// What came of it.
    pub outcome: ExplainedOutcome,
}

/// A value and its name.
#[derive(Debug, Clone, Serialize)]
pub struct NamedValue {
    /// The name.
    pub name: String,
    /// The value, as JSON.
    pub value: Box<RawValue>,
}

/// One step of a decision.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "step", rename_all = "lowercase")]
pub enum ExplainedStep {
    /// A view was read.
    Read {
        /// The view.
        view: String,
        /// The keys looked up, each a list of values; absent where the whole view was read.
        #[serde(skip_serializing_if = "Option::is_none")]
        keys: Option<Vec<Box<RawValue>>>,
        /// Where the view stood.
        position: String,
        /// How many rows were found.
        found: usize,
        /// The first of them.
        rows: Vec<Box<RawValue>>,
    },
    /// A stream was read.
    Stream {
        /// The stream.
        stream: String,
        /// Up to where.
        position: String,
        /// What the events have that may have been read, one of these; absent where any of the stream's may have been.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<Vec<ExplainedItem>>,
    },
    /// A LET was worked out.
    Let {
        /// Its name.
        name: String,
        /// As it is written.
        expression: String,
        /// Its value, as JSON.
        value: Box<RawValue>,
    },
    /// A REQUIRE was looked at, or not any more.
    Require {
        /// As it is written.
        condition: String,
        /// Whether it was looked at: not where an earlier one said no.
        asked: bool,
        /// What it came to; `null` is NULL.
        holds: Option<bool>,
    },
}

/// What events have in common that are read of a stream: another event that has it is in the way of the decision.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedItem {
    /// They are of the entity of this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Their own key is this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_key: Option<String>,
    /// They have these tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What a decision comes to.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum ExplainedOutcome {
    /// It would append these events.
    Append {
        /// The events.
        events: Vec<ProposedEvent>,
    },
    /// A REQUIRE said no.
    Refused {
        /// Its code.
        code: String,
        /// Its text.
        detail: String,
    },
    /// It could not be decided.
    Failed {
        /// What programs tell the fault by.
        code: String,
        /// What happened.
        detail: String,
    },
}

/// An event that would be appended.
#[derive(Debug, Clone, Serialize)]
pub struct ProposedEvent {
    /// The stream.
    pub stream: String,
    /// The partition that its key belongs to; absent where it has no key: partitions take turns then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it would be appended; absent: at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// What it is cancelled by until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Its value, as it would stand in the log.
    pub value: Box<RawValue>,
}

/// Writes the steps of a decision down while they happen.
#[derive(Default)]
pub(crate) struct Trace {
    steps: Vec<ExplainedStep>,
    requires: usize,
}

impl Trace {
    /// A question read this.
    pub(crate) fn read(&mut self, reads: Reads) {
        for read in reads.views {
            let keys = read.keys.map(|keys| {
                let shown = keys.iter().take(ROWS_EXPLAINED_MAX).map(|key| {
                    let values = read.view.key_values(key);
                    array(&values.unwrap_or_default())
                });
                shown.collect()
            });
            let mut rows: Vec<Box<RawValue>> = Vec::new();
            for batch in &read.rows {
                for row in 0..batch.num_rows() {
                    if rows.len() < ROWS_EXPLAINED_MAX {
                        rows.push(object(batch, row));
                    }
                }
            }
            self.steps.push(ExplainedStep::Read {
                view: read.view.definition().name.clone(),
                keys,
                position: read.position.to_string(),
                found: read.rows.iter().map(|batch| batch.num_rows()).sum(),
                rows,
            });
        }
        for read in reads.streams {
            let of = read
                .items
                .map(|items| items.into_iter().map(ExplainedItem::of).collect());
            self.steps.push(ExplainedStep::Stream {
                stream: read.stream,
                position: read.position.to_string(),
                of,
            });
        }
    }

    /// A LET was worked out.
    pub(crate) fn took(&mut self, value: &CompiledLet, found: &ScalarValue) -> Result<(), SqlError> {
        self.steps.push(ExplainedStep::Let {
            name: value.name.clone(),
            expression: value.text.clone(),
            value: raw(json_of(found)?),
        });
        Ok(())
    }

    /// A REQUIRE was looked at.
    pub(crate) fn looked(&mut self, require: &CompiledRequire, holds: Option<bool>) {
        self.requires += 1;
        self.steps.push(ExplainedStep::Require {
            condition: require.text.clone(),
            asked: true,
            holds,
        });
    }

    /// The whole of it.
    pub(crate) fn explanation(
        mut self,
        command: &Compiled,
        values: &[ScalarValue],
        position: &Position,
        verdict: Result<Verdict, CommandError>,
    ) -> Result<Explanation, CommandError> {
        let requires = command.steps.iter().filter_map(|step| match step {
            CompiledStep::Require(require) => Some(require),
            CompiledStep::Let(_) => None,
        });
        for require in requires.skip(self.requires) {
            self.steps.push(ExplainedStep::Require {
                condition: require.text.clone(),
                asked: false,
                holds: None,
            });
        }
        let mut arguments: Vec<NamedValue> = Vec::new();
        for (parameter, value) in command.parameters.iter().zip(values) {
            arguments.push(NamedValue {
                name: parameter.name.clone(),
                value: raw(json_of(value)?),
            });
        }
        Ok(Explanation {
            command: command.name.clone(),
            arguments,
            position: position.to_string(),
            steps: self.steps,
            outcome: outcome(verdict),
        })
    }
}

fn outcome(verdict: Result<Verdict, CommandError>) -> ExplainedOutcome {
    match verdict {
        Ok(Verdict::Append(proposal)) => ExplainedOutcome::Append {
            events: proposal.made.iter().flat_map(proposed).collect(),
        },
        Ok(Verdict::Refused(refused)) => ExplainedOutcome::Refused {
            code: refused.code.unwrap_or_else(|| REFUSED_CODE.to_owned()),
            detail: refused.text,
        },
        Err(error) => ExplainedOutcome::Failed {
            code: error.code().to_owned(),
            detail: error.to_string(),
        },
    }
}

/// The events of one output, as they would be appended.
pub(crate) fn proposed(made: &Made) -> Vec<ProposedEvent> {
    let moment = |due: &Due| {
        let moment = ScalarValue::TimestampMicrosecond(Some(due.due_us), Some("+00:00".into()));
        plain_text_of(&moment).unwrap_or_else(|_| due.due_us.to_string())
    };
    let due = made.due.as_ref().map(moment);
    let schedule = made.due.as_ref().map(|due| due.name.clone());
    let events = made.events.iter().map(|event| ProposedEvent {
        stream: made.stream.clone(),
        partition: event.key.as_ref().map(|key| partition_of(key, made.partitions)),
        key: event.key.as_ref().map(|key| String::from_utf8_lossy(key).into_owned()),
        due: due.clone(),
        schedule: schedule.clone(),
        value: raw(made.shown(event.value.as_deref().unwrap_or_default())),
    });
    events.collect()
}

/// A text of JSON; what is none is shown as a text.
fn raw(text: String) -> Box<RawValue> {
    let text = match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => text,
        Err(_) => serde_json::Value::String(text).to_string(),
    };
    RawValue::from_string(text).unwrap_or_default()
}

fn array(values: &[ScalarValue]) -> Box<RawValue> {
    let texts: Vec<String> = values.iter().map(json_text).collect();
    raw(format!("[{}]", texts.join(",")))
}

fn object(batch: &datafusion::arrow::record_batch::RecordBatch, row: usize) -> Box<RawValue> {
    let schema = batch.schema();
    let members = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let name = serde_json::Value::String(field.name().clone());
        let value = ScalarValue::try_from_array(column, row).unwrap_or(ScalarValue::Null);
        format!("{name}:{}", json_text(&value))
    });
    raw(format!("{{{}}}", members.collect::<Vec<String>>().join(",")))
}

fn json_text(value: &ScalarValue) -> String {
    match value.is_null() {
        true => "null".to_owned(),
        false => json_of(value).unwrap_or_else(|_| serde_json::Value::String(value.to_string()).to_string()),
    }
}

/// How wide the conditions stand before what they came to.
const CONDITION_CHARS: usize = 60;

impl Explanation {
    /// For people, line by line.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let arguments: Vec<String> = self
            .arguments
            .iter()
            .map(|argument| format!("{} => {}", argument.name, literal(argument.value.get())))
            .collect();
        // Writing into a text does not fail.
        let _ = writeln!(text, "CALL {}({})", self.command, arguments.join(", "));
        let position = if self.position.is_empty() {
            "nothing is read"
        } else {
            &self.position
        };
        let _ = writeln!(text, "decided at {position}\n");
        for step in &self.steps {
            text.push_str(&step.text());
        }
        if !self.steps.is_empty() {
            text.push('\n');
        }
        text.push_str(&self.outcome.text());
        text
    }

    /// For programs: one JSON document.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ExplainedStep {
    fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a text does not fail.
        let _ = match self {
            ExplainedStep::Read {
                view,
                keys,
                position,
                found,
                rows,
            } => {
                let keys = match keys {
                    Some(keys) => format!("of key {}", list(keys)),
                    None => "of the whole view".to_owned(),
                };
                let at = match position.as_str() {
                    "" => "before any event".to_owned(),
                    position => format!("at {position}"),
                };
                let _ = writeln!(text, "  read     {view}: {found} row(s) {keys}, {at}");
                let _ = rows.iter().try_for_each(|row| writeln!(text, "             {row}"));
                match found.saturating_sub(rows.len()) {
                    0 => Ok(()),
                    more => writeln!(text, "             … and {more} more"),
                }
            }
            ExplainedStep::Stream { stream, position, of } => {
                let of = match of {
                    Some(items) => {
                        let items: Vec<String> = items.iter().map(ExplainedItem::text).collect();
                        format!(" {}", items.join(" or "))
                    }
                    None => String::new(),
                };
                writeln!(text, "  read     {stream}: its events{of} up to {position}")
            }
            ExplainedStep::Let {
                name,
                expression,
                value,
            } => {
                writeln!(text, "  LET      {name} = {value}   -- {expression}")
            }
            ExplainedStep::Require {
                condition,
                asked,
                holds,
            } => {
                let said = match (asked, holds) {
                    (false, _) => "not asked any more",
                    (true, Some(true)) => "yes",
                    (true, Some(false)) => "NO",
                    (true, None) => "NO: it is NULL",
                };
                writeln!(text, "  REQUIRE  {condition:<CONDITION_CHARS$} {said}")
            }
        };
        text
    }
}

impl ExplainedItem {
    fn of(item: QueryItem) -> ExplainedItem {
        let text = |key: Bytes| String::from_utf8_lossy(&key).into_owned();
        ExplainedItem {
            key: item.key.map(text),
            own_key: item.own_key.map(text),
            tags: item.tags,
        }
    }

    fn text(&self) -> String {
        let key = self.key.iter().map(|key| format!("of {key:?}"));
        let own_key = self.own_key.iter().map(|key| format!("with the key {key:?}"));
        let tags = self.tags.iter().map(|tag| format!("with the tag {tag:?}"));
        key.chain(own_key).chain(tags).collect::<Vec<String>>().join(" ")
    }
}

impl ExplainedOutcome {
    fn text(&self) -> String {
        match self {
            ExplainedOutcome::Append { events } => {
                let mut text = format!("would append {} event(s)\n", events.len());
                for event in events {
                    let partition = event.partition.map(|partition| format!("/{partition}"));
                    let key = event.key.as_ref().map(|key| format!(" key {key:?}"));
                    let named = event.schedule.as_deref().unwrap_or_default();
                    let later = event.due.as_ref().map(|due| format!(" at {due} named '{named}'"));
                    // Writing into a text does not fail.
                    let _ = writeln!(
                        text,
                        "  {}{}{}{}: {}",
                        event.stream,
                        partition.unwrap_or_default(),
                        key.unwrap_or_default(),
                        later.unwrap_or_default(),
                        event.value
                    );
                }
                text
            }
            ExplainedOutcome::Refused { code, detail } => format!("refused ({code}): {detail}\n"),
            ExplainedOutcome::Failed { code, detail } => format!("failed ({code}): {detail}\n"),
        }
    }
}

/// A value as SQL writes it, so that the call can be copied.
fn literal(json: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(json).map_or_else(|_| quoted(json), |text| quoted(&text)),
        Some(b'[' | b'{') => quoted(json),
        _ => json.to_owned(),
    }
}

fn list(values: &[Box<RawValue>]) -> String {
    let texts: Vec<&str> = values.iter().map(|value| value.get()).collect();
    texts.join(", ")
}
