//! Whether a reader's schema resolves everything that a writer's may have written (Avro 1.12, "Schema Resolution").

use std::collections::HashSet;

use super::{AvroSchema, Field, FixedLogical, Named, NamedKind, Type};
use crate::limits::NESTING_MAX;

impl AvroSchema {
    /// Why this schema does not read what the writer's wrote; nothing where it does.
    pub(crate) fn obstacles(&self, writer: &AvroSchema) -> Vec<String> {
        let mut resolving = Resolving {
            reader: self,
            writer,
            assumed: HashSet::new(),
            path: Vec::new(),
            depth: 0,
        };
        match resolving.types(&self.root, &writer.root) {
            Ok(()) => Vec::new(),
            Err(why) => vec![why],
        }
    }
}

/// One comparison.
struct Resolving<'a> {
    reader: &'a AvroSchema,
    writer: &'a AvroSchema,
    /// Pairs of named types under comparison or compared: a type that holds itself is what it is if the rest is.
    assumed: HashSet<(usize, usize)>,
    path: Vec<String>,
    depth: usize,
}

impl Resolving<'_> {
    fn fail<T>(&self, why: String) -> Result<T, String> {
        match self.path.is_empty() {
            true => Err(why),
            false => Err(format!("{}: {why}", self.path.join("."))),
        }
    }

    fn types(&mut self, reader: &Type, writer: &Type) -> Result<(), String> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return self.fail(format!(
                "types are nested deeper than {NESTING_MAX}, which is not judged"
            ));
        }
        let fits = self.pair(reader, writer);
        self.depth -= 1;
        fits
    }

    fn pair(&mut self, reader: &Type, writer: &Type) -> Result<(), String> {
        match (reader, writer) {
            (reader, Type::Union(branches)) => {
                for branch in branches {
                    self.types(reader, branch)?;
                }
                Ok(())
            }
            (Type::Union(branches), writer) => {
                for branch in branches {
                    let (assumed, depth, steps) = (self.assumed.clone(), self.depth, self.path.len());
                    if self.types(branch, writer).is_ok() {
                        return Ok(());
                    }
                    // What rested on a branch that does not fit is open again.
                    (self.assumed, self.depth) = (assumed, depth);
                    self.path.truncate(steps);
                }
                self.fail(format!(
                    "the reader's union has no branch for the writer's {}",
                    self.writer.said(writer)
                ))
            }
            (Type::Array(reader), Type::Array(writer)) => self.within("[]", |this| this.types(reader, writer)),
            (Type::Map(reader), Type::Map(writer)) => self.within("{}", |this| this.types(reader, writer)),
            (Type::Named(reader), Type::Named(writer)) => self.named(*reader, *writer),
            (reader_type, writer_type) => match self.reads(reader_type, writer_type) {
                true => Ok(()),
                false => self.fail(format!(
                    "the reader's {} does not read the writer's {}",
                    self.reader.said(reader_type),
                    self.writer.said(writer_type)
                )),
            },
        }
    }

    fn within(&mut self, step: &str, compare: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<(), String> {
        self.path.push(step.to_owned());
        compare(self)?;
        self.path.pop();
        Ok(())
    }

    /// Types without a name and without parts, and decimals, which may be in a fixed.
    fn reads(&self, reader: &Type, writer: &Type) -> bool {
        let decimal = |schema: &AvroSchema, one: &Type| match one {
            Type::Decimal { precision, scale } => Some((*precision, *scale)),
            Type::Named(index) => match schema.named.get(*index).map(|named| &named.kind) {
                Some(NamedKind::Fixed {
                    logical: Some(FixedLogical::Decimal { precision, scale }),
                    ..
                }) => Some((*precision, *scale)),
                _ => None,
            },
            _ => None,
        };
        if let (Some(reader), Some(writer)) = (decimal(self.reader, reader), decimal(self.writer, writer)) {
            return reader == writer;
        }
        let (reader, writer) = (physical(reader), physical(writer));
        reader == writer
            || matches!(
                (reader, writer),
                (Type::Long, Type::Int)
                    | (Type::Float, Type::Int | Type::Long)
                    | (Type::Double, Type::Int | Type::Long | Type::Float)
                    | (Type::String, Type::Bytes)
                    | (Type::Bytes, Type::String)
            )
    }

    fn named(&mut self, reader: usize, writer: usize) -> Result<(), String> {
        if !self.assumed.insert((reader, writer)) {
            return Ok(());
        }
        let (Some(reading), Some(writing)) = (self.reader.named.get(reader), self.writer.named.get(writer)) else {
            return Ok(());
        };
        if !is_named_alike(reading, writing) {
            return self.fail(format!(
                "the reader's '{}' is another type than the writer's '{}'",
                reading.full_name, writing.full_name
            ));
        }
        match (&reading.kind, &writing.kind) {
            (NamedKind::Record { fields: reader }, NamedKind::Record { fields: writer }) => {
                self.records(reader, writer)
            }
            (NamedKind::Enum { symbols, default }, NamedKind::Enum { symbols: written, .. }) => {
                let missing = written.iter().find(|symbol| !symbols.contains(symbol));
                match missing {
                    Some(missing) if default.is_none() => self.fail(format!(
                        "the reader's enum '{}' has no '{missing}' and no default",
                        reading.full_name
                    )),
                    _ => Ok(()),
                }
            }
            (
                NamedKind::Fixed { size, logical },
                NamedKind::Fixed {
                    size: other,
                    logical: others,
                },
            ) => {
                let decimals = |one: &Option<FixedLogical>| matches!(one, Some(FixedLogical::Decimal { .. }));
                match size == other && (logical == others || !(decimals(logical) && decimals(others))) {
                    true => Ok(()),
                    false => self.fail(format!("the fixed '{}' has another size or scale", reading.full_name)),
                }
            }
            _ => self.fail(format!("'{}' is of another kind", reading.full_name)),
        }
    }

    fn records(&mut self, reader: &[Field], writer: &[Field]) -> Result<(), String> {
        for field in reader {
            let written = writer.iter().find(|other| other.name == field.name);
            let written = written.or_else(|| writer.iter().find(|other| field.aliases.contains(&other.name)));
            match written {
                Some(written) => {
                    self.within(&field.name, |this| this.types(&field.field_type, &written.field_type))?;
                }
                None if field.default.is_some() => {}
                None => {
                    return self.fail(format!(
                        "the reader's field '{}' has no default, and the writer has none of that name",
                        field.name
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The reader's name, or one that it is known by, is the writer's; namespaces do not count, as in Avro's own libraries.
fn is_named_alike(reader: &Named, writer: &Named) -> bool {
    reader.name == writer.name || reader.aliases.contains(&writer.full_name)
}

/// What a logical type is stored as.
fn physical(one: &Type) -> &Type {
    match one {
        Type::Date | Type::TimeMillis => &Type::Int,
        Type::TimeMicros | Type::Timestamp { .. } => &Type::Long,
        Type::Uuid => &Type::String,
        Type::Decimal { .. } | Type::BigDecimal | Type::UuidBytes => &Type::Bytes,
        other => other,
    }
}

impl AvroSchema {
    /// A type in words.
    fn said(&self, one: &Type) -> String {
        match one {
            Type::Named(index) => match self.named.get(*index) {
                Some(named) => format!("'{}'", named.full_name),
                None => "type".to_owned(),
            },
            Type::Array(_) => "array".to_owned(),
            Type::Map(_) => "map".to_owned(),
            Type::Union(_) => "union".to_owned(),
            Type::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            other => format!("{other:?}")
                .split([' ', '('])
                .next()
                .unwrap_or_default()
                .to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> AvroSchema {
        AvroSchema::parse(text, &[]).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    /// A record `r` of these fields.
    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"r","fields":[{fields}]}}"#)
    }

    fn check(reader: &str, writer: &str, expected: Result<(), &str>) {
        let found = parse(reader).obstacles(&parse(writer));
        match (found.first(), expected) {
            (None, Ok(())) => {}
            (Some(found), Err(why)) => assert!(found.contains(why), "{reader} of {writer}: {found}"),
            (found, expected) => panic!("{reader} of {writer}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn primitives() {
        check("\"long\"", "\"int\"", Ok(()));
        check("\"int\"", "\"long\"", Err("int does not read the writer's long"));
        check("\"double\"", "\"float\"", Ok(()));
        check("\"float\"", "\"double\"", Err("does not read"));
        check("\"string\"", "\"bytes\"", Ok(()));
        check("[\"null\",\"string\"]", "\"string\"", Ok(()));
        check(
            "\"string\"",
            "[\"null\",\"string\"]",
            Err("does not read the writer's null"),
        );
        check("[\"null\",\"long\"]", "[\"int\",\"null\"]", Ok(()));
        check(
            "{\"type\":\"array\",\"items\":\"long\"}",
            "{\"type\":\"array\",\"items\":\"int\"}",
            Ok(()),
        );
        check(
            "{\"type\":\"map\",\"values\":\"int\"}",
            "{\"type\":\"map\",\"values\":\"string\"}",
            Err("{}: the reader's int"),
        );
        let decimal =
            |scale: u32| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":9,"scale":{scale}}}"#);
        check(&decimal(2), &decimal(2), Ok(()));
        check(&decimal(3), &decimal(2), Err("decimal(9,3)"));
    }

    #[test]
    fn records_gain_and_lose_fields() {
        let a = r#"{"name":"a","type":"int"}"#;
        let with_default = r#"{"name":"b","type":["null","string"],"default":null}"#;
        let without = r#"{"name":"b","type":"string"}"#;
        check(&record(&format!("{a},{with_default}")), &record(a), Ok(()));
        check(
            &record(&format!("{a},{without}")),
            &record(a),
            Err("'b' has no default"),
        );
        check(&record(a), &record(&format!("{a},{without}")), Ok(()));
        check(
            &record(r#"{"name":"c","aliases":["a"],"type":"long"}"#),
            &record(a),
            Ok(()),
        );
        check(
            &record(r#"{"name":"a","type":"string"}"#),
            &record(a),
            Err("a: the reader's string"),
        );
        check(&record(a), &record(a).replace("\"r\"", "\"s\""), Err("another type"));
    }

    #[test]
    fn enums_and_fixed() {
        let symbols = |list: &str, more: &str| format!(r#"{{"type":"enum","name":"e","symbols":[{list}]{more}}}"#);
        check(&symbols("\"A\",\"B\"", ""), &symbols("\"A\"", ""), Ok(()));
        check(
            &symbols("\"A\"", ""),
            &symbols("\"A\",\"B\"", ""),
            Err("no 'B' and no default"),
        );
        check(
            &symbols("\"A\"", r#","default":"A""#),
            &symbols("\"A\",\"B\"", ""),
            Ok(()),
        );
        let fixed = |size: u32| format!(r#"{{"type":"fixed","name":"f","size":{size}}}"#);
        check(&fixed(4), &fixed(4), Ok(()));
        check(&fixed(4), &fixed(5), Err("another size"));
    }

    #[test]
    fn types_that_hold_themselves_and_types_that_are_used_twice() {
        let list = |value: &str| {
            record(&format!(
                r#"{{"name":"v","type":"{value}"}},{{"name":"next","type":["null","r"]}}"#
            ))
        };
        check(&list("long"), &list("int"), Ok(()));
        check(&list("int"), &list("long"), Err("v: the reader's int"));
        let inner = r#"{"type":"record","name":"i","fields":[{"name":"x","type":"int"}]}"#;
        let first = record(&format!(r#"{{"name":"a","type":{inner}}},{{"name":"b","type":"i"}}"#));
        let second = record(&format!(r#"{{"name":"b","type":{inner}}},{{"name":"a","type":"i"}}"#));
        check(&first, &second, Ok(()));
    }

    #[test]
    fn references_are_resolved() {
        let inner = r#"{"type":"record","name":"i","namespace":"n","fields":[{"name":"x","type":"int"}]}"#;
        let text = record(r#"{"name":"a","type":"n.i"}"#);
        let schema = AvroSchema::parse(&text, &[("n.i", inner)]).expect("it is resolved");
        assert_eq!(schema.named.len(), 2);
        assert!(AvroSchema::parse(&text, &[]).is_err());
    }
}
