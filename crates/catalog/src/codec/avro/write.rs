//! From JSON to Avro's binary encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_schemas::avro::{AvroSchema, Field, FixedLogical, Named, NamedKind, Type};
use serde_json::value::RawValue;

use super::super::fields::{Members, column_of, nothing_is_lost};
use super::calendar;
use super::columns::VALUE_COLUMN;
use crate::limits::{VALUE_NESTING_MAX, WRITE_STEPS_MAX};
use crate::value::{moment, number};
use crate::{Column, ColumnType};

/// The body of a value from the JSON of its row. What the row has and the schema does not is refused where it is a column's: it would be lost.
pub(in super::super) fn write(schema: &AvroSchema, json: &str, columns: &[Column]) -> Result<Vec<u8>, String> {
    let members: Members<'_> = serde_json::from_str(json).map_err(|error| format!("it is no JSON object: {error}"))?;
    let mut writing = Writing {
        schema,
        out: Vec::new(),
        depth: 0,
        steps: 0,
    };
    let Some(fields) = schema.fields() else {
        let value = members.get(VALUE_COLUMN).map_or("null", |value| value.get());
        writing
            .value(&schema.root, value)
            .map_err(|why| format!("the column '{VALUE_COLUMN}': {why}"))?;
        return Ok(writing.out);
    };
    let mut written: Vec<&str> = Vec::new();
    for field in fields {
        let column = column_of(columns, &field.name);
        let name = column.map_or(field.name.as_str(), |column| &column.name);
        written.push(name);
        let default = column.and_then(|column| column.default.as_deref());
        let value = members.get(name).map(|value| value.get()).or(default);
        let is_json = column.is_some_and(|column| column.column_type == ColumnType::Json);
        writing
            .field(field, value, is_json)
            .map_err(|why| format!("the field '{}': {why}", field.name))?;
    }
    nothing_is_lost(columns, &written, &members)?;
    Ok(writing.out)
}

struct Writing<'a> {
    schema: &'a AvroSchema,
    out: Vec<u8>,
    depth: usize,
    steps: usize,
}

impl Writing<'_> {
    fn field(&mut self, field: &Field, value: Option<&str>, is_json: bool) -> Result<(), String> {
        match (value, &field.default) {
            (Some(value), _) if is_json && value != "null" && self.holds_text(&field.field_type) => {
                let text = serde_json::Value::from(value).to_string();
                self.value(&field.field_type, &text)
            }
            (Some(value), _) => self.value(&field.field_type, value),
            (None, Some(default)) => self.value(&field.field_type, &default.to_string()),
            (None, None) => {
                let missing = |_| "it is missing, and the schema has no default for it".to_owned();
                self.value(&field.field_type, "null").map_err(missing)
            }
        }
    }

    /// Whether JSON is kept as a string's text.
    fn holds_text(&self, field_type: &Type) -> bool {
        match field_type {
            Type::String => true,
            Type::Union(branches) => branches
                .iter()
                .all(|branch| matches!(branch, Type::String | Type::Null)),
            _ => false,
        }
    }

    fn value(&mut self, of: &Type, json: &str) -> Result<(), String> {
        self.steps += 1;
        if self.steps > WRITE_STEPS_MAX || self.depth >= VALUE_NESTING_MAX {
            return Err("it is nested too deep, or fits too many branches of unions half way".to_owned());
        }
        self.depth += 1;
        let written = self.typed(of, json);
        self.depth -= 1;
        written
    }

    fn typed(&mut self, of: &Type, json: &str) -> Result<(), String> {
        match of {
            Type::Null => match json {
                "null" => {}
                _ => return Err("it is not null".to_owned()),
            },
            Type::Boolean => match json {
                "false" => self.out.push(0),
                "true" => self.out.push(1),
                _ => return Err("it is neither true nor false".to_owned()),
            },
            Type::Int => {
                let value = integer(json)?;
                let value = i32::try_from(value).map_err(|_| "it is out of an int's range")?;
                self.long(value.into());
            }
            Type::Long => self.long(integer(json)?),
            Type::Float => {
                let value = match special(json) {
                    Some(special) => special as f32,
                    None => number::real(&literal(json)?).map_err(|_| "it is no number of 32 bits")?,
                };
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Type::Double => {
                let value = match special(json) {
                    Some(special) => special,
                    None => number::double(&literal(json)?).map_err(|_| "it is no number of 64 bits")?,
                };
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Type::Bytes => {
                let bytes = base64(json)?;
                self.bytes(&bytes);
            }
            Type::String | Type::Uuid => {
                let text = string(json)?;
                self.bytes(text.as_bytes());
            }
            Type::UuidBytes => {
                let bytes = uuid(json)?;
                self.bytes(&bytes);
            }
            Type::Date => {
                let days = moment::date(string(json)?.as_bytes()).ok_or("it is no date (YYYY-MM-DD)")?;
                self.long(days.into());
            }
            Type::TimeMillis => self.long(time(json)? / 1_000),
            Type::TimeMicros => self.long(time(json)?),
            Type::Timestamp { per_second, is_local } => {
                let text = string(json)?;
                let read = moment::moment(text.as_bytes()).ok_or("it is no timestamp (YYYY-MM-DDTHH:MM:SS)")?;
                let offset_us = if *is_local { 0 } else { read.offset_us.unwrap_or(0) };
                let moment_us = read.wall_us - offset_us;
                let parts = match per_second {
                    1_000 => Some(moment_us.div_euclid(1_000)),
                    1_000_000 => Some(moment_us),
                    _ => moment_us.checked_mul(1_000),
                };
                self.long(parts.ok_or("it is out of a timestamp's range")?);
            }
            Type::Decimal { precision, scale } => {
                let value = decimal(json, *precision, *scale)?;
                self.bytes(shortest(&value.to_be_bytes()));
            }
            Type::BigDecimal => {
                let digits = literal(json)?;
                let scale = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
                let value = decimal(json, usize::from(u8::MAX), scale)?;
                let mut inside = Writing {
                    out: Vec::new(),
                    ..*self
                };
                inside.bytes(shortest(&value.to_be_bytes()));
                inside.long(i64::try_from(scale).map_err(|_| "it has too many digits")?);
                let inside = inside.out;
                self.bytes(&inside);
            }
            Type::Array(items) => {
                let values: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| "it is no array")?;
                self.block(values.len(), |this| {
                    values.iter().try_for_each(|value| this.value(items, value.get()))
                })?;
            }
            Type::Map(of) => {
                let members: Members<'_> = serde_json::from_str(json).map_err(|_| "it is no object")?;
                self.block(members.len(), |this| {
                    members.iter().try_for_each(|(name, value)| {
                        this.bytes(name.as_bytes());
                        this.value(of, value.get())
                    })
                })?;
            }
            Type::Union(branches) => self.union(branches, json)?,
            Type::Named(index) => {
                let named = self.schema.named.get(*index).ok_or("its type is not there")?;
                self.named(named, json)?;
            }
        }
        Ok(())
    }

    /// The first branch that takes it; null goes to null.
    fn union(&mut self, branches: &[Type], json: &str) -> Result<(), String> {
        let from = self.out.len();
        let mut first_why = None;
        for (index, branch) in branches.iter().enumerate() {
            if (*branch == Type::Null) != (json == "null") {
                continue;
            }
            self.long(i64::try_from(index).unwrap_or(i64::MAX));
            match self.value(branch, json) {
                Ok(()) => return Ok(()),
                Err(why) => first_why = first_why.or(Some(why)),
            }
            self.out.truncate(from);
        }
        Err(first_why.unwrap_or_else(|| "it is null, which the schema does not allow".to_owned()))
    }

    fn named(&mut self, named: &Named, json: &str) -> Result<(), String> {
        match &named.kind {
            NamedKind::Record { fields } => {
                let members: Members<'_> = serde_json::from_str(json).map_err(|_| "it is no object")?;
                for field in fields {
                    let value = members.get(&field.name).map(|value| value.get());
                    self.field(field, value, false)
                        .map_err(|why| format!("its field '{}': {why}", field.name))?;
                }
            }
            NamedKind::Enum { symbols, .. } => {
                let symbol = string(json)?;
                let index = symbols.iter().position(|known| *known == symbol);
                let index = index.ok_or_else(|| format!("the enum '{}' has no symbol '{symbol}'", named.name))?;
                self.long(i64::try_from(index).unwrap_or(i64::MAX));
            }
            NamedKind::Fixed { size, logical } => {
                let bytes = match logical {
                    None => base64(json)?,
                    Some(FixedLogical::Uuid) => uuid(json)?.to_vec(),
                    Some(FixedLogical::Decimal { precision, scale }) => {
                        widened(decimal(json, *precision, *scale)?, *size).ok_or("it is out of the fixed's range")?
                    }
                    Some(FixedLogical::Duration) => return Err("a duration is read here, and not written".to_owned()),
                };
                if bytes.len() != *size {
                    return Err(format!("it has {} bytes, and the fixed {size}", bytes.len()));
                }
                self.out.extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// Items in one block, and the end.
    fn block(&mut self, count: usize, items: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<(), String> {
        if count > 0 {
            self.long(i64::try_from(count).unwrap_or(i64::MAX));
            items(self)?;
        }
        self.out.push(0);
        Ok(())
    }

    /// A zigzag varint.
    fn long(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        while rest >= 0x80 {
            self.out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.out.push(rest as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.long(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        self.out.extend_from_slice(bytes);
    }
}

/// A number's literal, written as a number or as a string.
fn literal(json: &str) -> Result<String, String> {
    match json.starts_with('"') {
        true => string(json),
        false => Ok(json.to_owned()),
    }
}

fn string(json: &str) -> Result<String, String> {
    serde_json::from_str(json).map_err(|_| "it is no string".to_owned())
}

fn integer(json: &str) -> Result<i64, String> {
    let literal = literal(json)?;
    number::integer(literal.as_bytes()).map_err(|_| "it is no whole number of 64 bits".to_owned())
}

/// What a float holds and JSON's numbers cannot write.
fn special(json: &str) -> Option<f64> {
    match json {
        "\"NaN\"" => Some(f64::NAN),
        "\"Infinity\"" => Some(f64::INFINITY),
        "\"-Infinity\"" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn decimal(json: &str, precision: usize, scale: usize) -> Result<i128, String> {
    let literal = literal(json)?;
    let precision = u8::try_from(precision.min(38)).unwrap_or(38);
    let scale = i8::try_from(scale).map_err(|_| "its scale is out of range")?;
    let refuse = |_| format!("it is no number that decimal({precision},{scale}) holds");
    number::decimal(literal.as_bytes(), precision, scale).map_err(refuse)
}

fn base64(json: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(string(json)?).map_err(|_| "it is no base64".to_owned())
}

fn time(json: &str) -> Result<i64, String> {
    calendar::time(&string(json)?).ok_or_else(|| "it is no time of day (HH:MM:SS)".to_owned())
}

fn uuid(json: &str) -> Result<[u8; 16], String> {
    let digits: String = string(json)?.chars().filter(|c| *c != '-').collect();
    let value = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    Ok(value.ok_or("it is no UUID")?.to_be_bytes())
}

/// The fewest bytes of a two's complement number that say the same.
fn shortest(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [first, second, ..] = rest
        && matches!((first, second >> 7), (0, 0) | (0xff, 1))
    {
        rest = &rest[1..];
    }
    rest
}

/// A number in so many bytes.
fn widened(value: i128, size: usize) -> Option<Vec<u8>> {
    let bytes = value.to_be_bytes();
    let short = shortest(&bytes);
    let fill = if value < 0 { 0xff } else { 0 };
    let mut wide = vec![fill; size.checked_sub(short.len())?];
    wide.extend_from_slice(short);
    Some(wide)
}
