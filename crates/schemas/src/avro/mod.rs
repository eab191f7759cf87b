//! Avro schemas as a tree: what values are read and written by, and compared by.
//!
//! Text is parsed by the Avro library, which knows the specification's rules of names and defaults; a named type stands once in the tree, wherever it
//! is named, so that types may hold themselves.

mod compatibility;

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Alias, FixedSchema, InnerDecimalSchema, Name, UuidSchema};
use serde_json::Value;

use crate::limits::AVRO_STACK_BYTES;

/// A schema with all that it refers to.
#[derive(Debug)]
pub struct AvroSchema {
    /// What a value is.
    pub root: Type,
    /// The named types, by the index in [`Type::Named`].
    pub named: Vec<Named>,
    identity: String,
}

/// A type.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    /// A record, enum or fixed, by its index.
    Named(usize),
    /// A decimal in bytes.
    Decimal {
        precision: usize,
        scale: usize,
    },
    /// A decimal that brings its scale, in bytes.
    BigDecimal,
    /// A UUID, in a string.
    Uuid,
    /// A UUID, in bytes.
    UuidBytes,
    Date,
    TimeMillis,
    TimeMicros,
    /// A moment, in so many parts of a second; local: without a time zone.
    Timestamp {
        per_second: i64,
        is_local: bool,
    },
}

/// A type that has a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// Its name without the namespace.
    pub name: String,
    /// Its name with the namespace.
    pub full_name: String,
    /// Full names that it is known by as well.
    pub aliases: Vec<String>,
    /// What it is.
    pub kind: NamedKind,
}

/// What a named type is.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum NamedKind {
    Record {
        fields: Vec<Field>,
    },
    Enum {
        symbols: Vec<String>,
        default: Option<String>,
    },
    Fixed {
        size: usize,
        logical: Option<FixedLogical>,
    },
}

/// What the bytes of a fixed are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum FixedLogical {
    Decimal { precision: usize, scale: usize },
    Uuid,
    Duration,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Names that it is known by as well.
    pub aliases: Vec<String>,
    /// What a reader has where the writer wrote none.
    pub default: Option<Value>,
    /// Its type.
    pub field_type: Type,
}

impl AvroSchema {
    /// Parses a schema's text; `needs` are the texts of what it refers to, each behind what it needs itself.
    pub fn parse(text: &str, needs: &[(&str, &str)]) -> Result<AvroSchema, String> {
        let texts = needs.iter().map(|(_, text)| *text);
        let parse = || Schema::parse_str_with_list(text, texts).map_err(|error| error.to_string());
        let (root, others) = match needs.is_empty() {
            true => parse()?,
            false => on_deep_stack(parse)??,
        };
        let identity = serde_json::to_string(&root).map_err(|error| error.to_string())?;
        let mut building = Building::default();
        for other in &others {
            building.of(other)?;
        }
        let root = building.of(&root)?;
        let mut named: Vec<Named> = Vec::with_capacity(building.named.len());
        for (index, found) in building.named.into_iter().enumerate() {
            let missing = || {
                let name = building.names.iter().find(|(_, place)| **place == index);
                format!("it names '{}', which is not there", name.map_or("", |(name, _)| name))
            };
            named.push(found.ok_or_else(missing)?);
        }
        Ok(AvroSchema { root, named, identity })
    }

    /// What it means, without the accidents of its text.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// The fields of a record that is the whole value.
    pub fn fields(&self) -> Option<&[Field]> {
        let Type::Named(index) = self.root else { return None };
        match &self.named.get(index)?.kind {
            NamedKind::Record { fields } => Some(fields),
            _ => None,
        }
    }
}

/// The library goes down from one text into the next that it refers to, in no certain order: as deep as all of them together.
fn on_deep_stack<T: Send>(parse: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(AVRO_STACK_BYTES)
            .spawn_scoped(scope, parse);
        let thread = thread.map_err(|error| format!("there is no thread to parse it on: {error}"))?;
        thread.join().map_err(|_| "it could not be parsed".to_owned())
    })
}

/// A tree being built.
#[derive(Default)]
struct Building {
    names: HashMap<String, usize>,
    /// `None`: named so far, not defined.
    named: Vec<Option<Named>>,
}

impl Building {
    fn place(&mut self, name: &Name) -> usize {
        let full_name = name.fullname(None);
        let next = self.named.len();
        let place = *self.names.entry(full_name).or_insert(next);
        if place == next {
            self.named.push(None);
        }
        place
    }

    fn define(&mut self, name: &Name, aliases: Option<&[Alias]>, kind: NamedKind) -> Type {
        let place = self.place(name);
        let named = Named {
            name: name.name().to_owned(),
            full_name: name.fullname(None),
            aliases: aliases
                .unwrap_or_default()
                .iter()
                .map(|alias| alias.fullname(name.namespace()))
                .collect(),
            kind,
        };
        if let Some(slot) = self.named.get_mut(place) {
            *slot = Some(named);
        }
        Type::Named(place)
    }

    fn fixed(&mut self, fixed: &FixedSchema, logical: Option<FixedLogical>) -> Type {
        let kind = NamedKind::Fixed {
            size: fixed.size,
            logical,
        };
        self.define(&fixed.name, fixed.aliases.as_deref(), kind)
    }

    fn of(&mut self, schema: &Schema) -> Result<Type, String> {
        let timestamp = |per_second, is_local| Type::Timestamp { per_second, is_local };
        Ok(match schema {
            Schema::Null => Type::Null,
            Schema::Boolean => Type::Boolean,
            Schema::Int => Type::Int,
            Schema::Long => Type::Long,
            Schema::Float => Type::Float,
            Schema::Double => Type::Double,
            Schema::Bytes => Type::Bytes,
            Schema::String => Type::String,
            Schema::BigDecimal => Type::BigDecimal,
            Schema::Date => Type::Date,
            Schema::TimeMillis => Type::TimeMillis,
            Schema::TimeMicros => Type::TimeMicros,
            Schema::TimestampMillis => timestamp(1_000, false),
            Schema::TimestampMicros => timestamp(1_000_000, false),
            Schema::TimestampNanos => timestamp(1_000_000_000, false),
            Schema::LocalTimestampMillis => timestamp(1_000, true),
            Schema::LocalTimestampMicros => timestamp(1_000_000, true),
            Schema::LocalTimestampNanos => timestamp(1_000_000_000, true),
            Schema::Uuid(UuidSchema::String) => Type::Uuid,
            Schema::Uuid(UuidSchema::Bytes) => Type::UuidBytes,
            Schema::Uuid(UuidSchema::Fixed(fixed)) => self.fixed(fixed, Some(FixedLogical::Uuid)),
            Schema::Duration(fixed) => self.fixed(fixed, Some(FixedLogical::Duration)),
            Schema::Fixed(fixed) => self.fixed(fixed, None),
            Schema::Decimal(decimal) => {
                let (precision, scale) = (decimal.precision, decimal.scale);
                match &decimal.inner {
                    InnerDecimalSchema::Bytes => Type::Decimal { precision, scale },
                    InnerDecimalSchema::Fixed(fixed) => {
                        self.fixed(fixed, Some(FixedLogical::Decimal { precision, scale }))
                    }
                }
            }
            Schema::Array(array) => Type::Array(Box::new(self.of(&array.items)?)),
            Schema::Map(map) => Type::Map(Box::new(self.of(&map.types)?)),
            Schema::Union(union) => {
                let branches: Result<Vec<Type>, String> =
                    union.variants().iter().map(|branch| self.of(branch)).collect();
                Type::Union(branches?)
            }
            Schema::Enum(one) => {
                let kind = NamedKind::Enum {
                    symbols: one.symbols.clone(),
                    default: one.default.clone(),
                };
                self.define(&one.name, one.aliases.as_deref(), kind)
            }
            Schema::Record(record) => {
                self.place(&record.name);
                let mut fields: Vec<Field> = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    fields.push(Field {
                        name: field.name.clone(),
                        aliases: field.aliases.clone(),
                        default: field.default.clone(),
                        field_type: self.of(&field.schema)?,
                    });
                }
                self.define(&record.name, record.aliases.as_deref(), NamedKind::Record { fields })
            }
            Schema::Ref { name } => Type::Named(self.place(name)),
        })
    }
}
