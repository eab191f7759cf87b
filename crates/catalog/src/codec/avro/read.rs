//! From Avro's binary encoding (Avro 1.12, "Binary Encoding") to JSON.
//!
//! Hostile bytes: lengths and counts are believed only as far as the bytes reach, items without bytes count by what they write, and nesting is bounded.

use std::fmt::Write as _;

use headwater_schemas::avro::{AvroSchema, FixedLogical, Named, NamedKind, Type};

use super::super::fields::{held, is_json, push_text};
use super::super::single;
use super::calendar;
use super::columns::VALUE_COLUMN;
use crate::Column;
use crate::facets::decimal_text;
use crate::limits::{VALUE_JSON_BYTES_MAX, VALUE_NESTING_MAX};

/// Writes the JSON of a value's row. A string that becomes a JSON column is the JSON that it holds, where it holds any.
pub(in super::super) fn read(
    schema: &AvroSchema,
    body: &[u8],
    columns: &[Column],
    out: &mut String,
) -> Result<(), String> {
    let mut reading = Reading {
        schema,
        rest: body,
        depth: 0,
        out,
    };
    reading.out.push('{');
    match schema.fields() {
        None => reading.field(VALUE_COLUMN, &schema.root, is_json(columns, VALUE_COLUMN))?,
        Some(fields) => {
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    reading.out.push(',');
                }
                reading.field(&field.name, &field.field_type, is_json(columns, &field.name))?;
            }
        }
    }
    reading.out.push('}');
    match reading.rest.len() {
        0 => Ok(()),
        more => Err(format!("{more} bytes stand behind the value")),
    }
}

struct Reading<'a> {
    schema: &'a AvroSchema,
    rest: &'a [u8],
    depth: usize,
    out: &'a mut String,
}

const CUT_OFF: &str = "the value ends too early";

impl<'a> Reading<'a> {
    fn field(&mut self, name: &str, field_type: &Type, is_json: bool) -> Result<(), String> {
        push_text(self.out, name);
        self.out.push(':');
        let from = self.out.len();
        self.value(field_type)
            .map_err(|why| format!("the field '{name}': {why}"))?;
        if is_json && let Some(text) = held(&self.out[from..]) {
            self.out.truncate(from);
            self.out.push_str(&text);
        }
        Ok(())
    }

    fn value(&mut self, of: &Type) -> Result<(), String> {
        if self.out.len() > VALUE_JSON_BYTES_MAX {
            return Err(format!("the value is longer than {VALUE_JSON_BYTES_MAX} bytes as JSON"));
        }
        self.depth += 1;
        if self.depth > VALUE_NESTING_MAX {
            return Err(format!("the value is nested deeper than {VALUE_NESTING_MAX}"));
        }
        match of {
            Type::Null => self.out.push_str("null"),
            Type::Boolean => match self.take(1)? {
                [0] => self.out.push_str("false"),
                [1] => self.out.push_str("true"),
                _ => return Err("a truth value is neither 0 nor 1".to_owned()),
            },
            Type::Int => {
                let value = self.int()?;
                self.show(value);
            }
            Type::Long => {
                let value = self.long()?;
                self.show(value);
            }
            Type::Float => {
                let bytes = self.array::<4>()?;
                let value = f32::from_le_bytes(bytes);
                self.float(value.is_finite(), f64::from(value), &format!("{value:?}"));
            }
            Type::Double => {
                let value = f64::from_le_bytes(self.array::<8>()?);
                self.float(value.is_finite(), value, &format!("{value:?}"));
            }
            Type::Bytes => {
                let bytes = self.bytes()?;
                self.base64(bytes);
            }
            Type::String | Type::Uuid => {
                let text = self.text()?;
                push_text(self.out, text);
            }
            Type::UuidBytes => {
                let bytes = self.bytes()?;
                self.uuid(bytes)?;
            }
            Type::Date => {
                let days = self.int()?;
                self.moment("", |out| calendar::push_date(out, days.into()))?;
            }
            Type::TimeMillis => {
                let millis = i64::from(self.int()?);
                self.moment("", |out| calendar::push_time(out, millis * 1_000))?;
            }
            Type::TimeMicros => {
                let micros = self.long()?;
                self.moment("", |out| calendar::push_time(out, micros))?;
            }
            Type::Timestamp { per_second, is_local } => {
                let parts = self.long()?;
                let moment_us = match per_second {
                    1_000 => parts.checked_mul(1_000),
                    1_000_000 => Some(parts),
                    _ => Some(parts.div_euclid(1_000)),
                };
                let moment_us = moment_us.ok_or("a timestamp is out of range")?;
                let zone = if *is_local { "" } else { "Z" };
                self.moment(zone, |out| calendar::push_moment(out, moment_us))?;
            }
            Type::Decimal { scale, .. } => {
                let bytes = self.bytes()?;
                self.decimal(bytes, *scale)?;
            }
            Type::BigDecimal => self.big_decimal()?,
            Type::Array(items) => self.blocks('[', ']', |this| this.value(items))?,
            Type::Map(values) => self.blocks('{', '}', |this| {
                let name = this.text()?;
                push_text(this.out, name);
                this.out.push(':');
                this.value(values)
            })?,
            Type::Union(branches) => {
                let index = self.long()?;
                let branch = usize::try_from(index).ok().and_then(|index| branches.get(index));
                let branch = branch.ok_or_else(|| format!("a union has no branch {index}"))?;
                self.value(branch)?;
            }
            Type::Named(index) => {
                let named = self.schema.named.get(*index).ok_or("its type is not there")?;
                self.named(named)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn named(&mut self, named: &'a Named) -> Result<(), String> {
        match &named.kind {
            NamedKind::Record { fields } => {
                self.out.push('{');
                for (index, field) in fields.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    push_text(self.out, &field.name);
                    self.out.push(':');
                    self.value(&field.field_type)?;
                }
                self.out.push('}');
            }
            NamedKind::Enum { symbols, .. } => {
                let index = self.int()?;
                let symbol = usize::try_from(index).ok().and_then(|index| symbols.get(index));
                let symbol = symbol.ok_or_else(|| format!("the enum '{}' has no symbol {index}", named.name))?;
                push_text(self.out, symbol);
            }
            NamedKind::Fixed { size, logical } => {
                let bytes = self.take(*size)?;
                match logical {
                    None => self.base64(bytes),
                    Some(FixedLogical::Uuid) => self.uuid(bytes)?,
                    Some(FixedLogical::Decimal { scale, .. }) => self.decimal(bytes, *scale)?,
                    Some(FixedLogical::Duration) => self.duration(bytes)?,
                }
            }
        }
        Ok(())
    }

    /// Blocks of items: a count before each, negative where the block's bytes are stated too, 0 at the end.
    fn blocks(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.out.push(open);
        let mut is_first = true;
        loop {
            let count = self.long()?;
            if count == 0 {
                break;
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                if !is_first {
                    self.out.push(',');
                }
                is_first = false;
                item(self)?;
            }
        }
        self.out.push(close);
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CUT_OFF)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], String> {
        self.take(COUNT)?.try_into().map_err(|_| CUT_OFF.to_owned())
    }

    fn long(&mut self) -> Result<i64, String> {
        let mut value: u64 = 0;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array::<1>()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err("a number is longer than 64 bits".to_owned())
    }

    fn int(&mut self) -> Result<i32, String> {
        i32::try_from(self.long()?).map_err(|_| "an int is out of range".to_owned())
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| "a length is negative".to_owned())?)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a string is no UTF-8".to_owned())
    }

    fn show(&mut self, value: impl std::fmt::Display) {
        // Writing into a text does not fail.
        let _ = write!(self.out, "{value}");
    }

    fn float(&mut self, is_finite: bool, value: f64, text: &str) {
        match is_finite {
            true => self.out.push_str(text),
            false if value.is_nan() => self.out.push_str("\"NaN\""),
            false if value > 0.0 => self.out.push_str("\"Infinity\""),
            false => self.out.push_str("\"-Infinity\""),
        }
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.out.push_str(&single::bytes(bytes));
    }

    fn moment(&mut self, zone: &str, write: impl FnOnce(&mut String) -> Option<()>) -> Result<(), String> {
        self.out.push('"');
        write(self.out).ok_or("a moment is out of range")?;
        self.out.push_str(zone);
        self.out.push('"');
        Ok(())
    }

    fn uuid(&mut self, bytes: &[u8]) -> Result<(), String> {
        let bytes: &[u8; 16] = bytes.try_into().map_err(|_| "a UUID has 16 bytes")?;
        self.out.push('"');
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                self.out.push('-');
            }
            self.show(format_args!("{byte:02x}"));
        }
        self.out.push('"');
        Ok(())
    }

    fn decimal(&mut self, bytes: &[u8], scale: usize) -> Result<(), String> {
        let value = unscaled(bytes).ok_or("a decimal has more than 38 digits")?;
        let scale = i8::try_from(scale).map_err(|_| "a decimal's scale is out of range")?;
        self.out.push_str(&decimal_text(value, scale));
        Ok(())
    }

    /// Bytes that hold the bytes of the unscaled value and the scale.
    fn big_decimal(&mut self) -> Result<(), String> {
        let inside = self.bytes()?;
        let rest = std::mem::replace(&mut self.rest, inside);
        let bytes = self.bytes()?;
        let scale = self.long()?;
        if !self.rest.is_empty() {
            return Err("something stands behind a decimal's scale".to_owned());
        }
        self.rest = rest;
        let scale = usize::try_from(scale).map_err(|_| "a decimal's scale is negative")?;
        self.decimal(bytes, scale)
    }

    /// Months, days and milliseconds, as ISO 8601 writes a duration.
    fn duration(&mut self, bytes: &[u8]) -> Result<(), String> {
        let bytes: &[u8; 12] = bytes.try_into().map_err(|_| "a duration has 12 bytes")?;
        let (parts, _) = bytes.as_chunks::<4>();
        let [months, days, millis] = [0, 1, 2].map(|index| u32::from_le_bytes(parts[index]));
        self.show(format_args!(
            "\"P{months}M{days}DT{}.{:03}S\"",
            millis / 1000,
            millis % 1000
        ));
        Ok(())
    }
}

/// A two's complement number, most significant byte first.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if is_negative { 0xff } else { 0 };
    let extra = bytes.len().saturating_sub(16);
    let (head, tail) = bytes.split_at(extra);
    // What is longer than 16 bytes must say no more than they do.
    let keeps_sign = extra == 0 || tail.first().is_some_and(|byte| (byte & 0x80 != 0) == is_negative);
    if head.iter().any(|byte| *byte != fill) || !keeps_sign {
        return None;
    }
    let mut whole = [fill; 16];
    whole[16 - tail.len()..].copy_from_slice(tail);
    Some(i128::from_be_bytes(whole))
}
