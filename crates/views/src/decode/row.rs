//! One value as the columns of a schema: cells, or why it does not fit.
//!
//! An event is read as the version of the schema that it was written with would have it: by the names that the columns had by then, and
//! without a claim of columns that came later. What such a column finds that does not fit is no value of it, and it has its default.

use std::sync::Arc;

use headwater_catalog::Column;
use headwater_catalog::value::json::{self, JsonError, Name};

use super::cell::{self, Builder, Cell};

/// How much of a value an explanation repeats, in characters.
pub(super) const QUOTED_MAX: usize = 80;

/// What is looked for in the values of a version: found out once, for all of its events.
#[derive(Debug)]
pub(super) struct Fields {
    pub version: u32,
    /// The names of fields that are looked for: the first of each column in the order of the columns, then the others.
    names: Vec<FieldName>,
    /// The same as they are mostly written.
    quoted: Vec<Vec<u8>>,
    /// Whether a column is found by several names.
    has_ranks: bool,
    /// What a row begins with: the defaults.
    defaults: Defaults,
}

/// A name that a column is found by.
#[derive(Debug)]
struct FieldName {
    text: String,
    column: usize,
    /// 0: the one that counts where several are there.
    rank: usize,
}

/// What the columns have where an event has no field for them.
#[derive(Debug, Default)]
struct Defaults {
    cells: Vec<Cell>,
    scratch: Vec<u8>,
}

/// Reads one value after another into cells.
pub(super) struct RowReader<'a> {
    columns: &'a [Column],
    fields: Arc<Fields>,
    /// The row's values.
    pub cells: Vec<Cell>,
    /// Unescaped texts and decoded bytes of the row.
    pub scratch: Vec<u8>,
    /// By which of its names each column was found; empty where each has one name.
    ranks: Vec<usize>,
    /// An escaped field name, resolved.
    name: Vec<u8>,
}

/// Why a value is no row.
enum RowError {
    Json(JsonError),
    Misfit(String),
}

impl From<JsonError> for RowError {
    fn from(error: JsonError) -> RowError {
        RowError::Json(error)
    }
}

impl Fields {
    /// Those of events of a version, for these columns.
    pub(super) fn of(columns: &[Column], version: u32) -> Fields {
        let mut names: Vec<FieldName> = Vec::new();
        let mut others: Vec<FieldName> = Vec::new();
        for (column, definition) in columns.iter().enumerate() {
            for (rank, name) in definition.names_in(version).into_iter().enumerate() {
                let list = if rank == 0 { &mut names } else { &mut others };
                list.push(FieldName {
                    text: name.to_owned(),
                    column,
                    rank,
                });
            }
        }
        let has_ranks = !others.is_empty();
        names.append(&mut others);
        Fields {
            version,
            quoted: names.iter().map(|name| json::quoted(&name.text)).collect(),
            names,
            has_ranks,
            defaults: Defaults::of(columns),
        }
    }
}

impl<'a> RowReader<'a> {
    /// Reads events into these columns, whose fields these are.
    pub(super) fn new(columns: &'a [Column], fields: Arc<Fields>) -> RowReader<'a> {
        let ranks = if fields.has_ranks { columns.len() } else { 0 };
        RowReader {
            columns,
            fields,
            cells: vec![Cell::Null; columns.len()],
            scratch: Vec::new(),
            ranks: vec![usize::MAX; ranks],
            name: Vec::new(),
        }
    }

    /// Reads a value's cells, or says why it does not fit.
    pub(super) fn read(&mut self, text: &str) -> Result<(), String> {
        let RowReader {
            columns,
            fields,
            cells,
            scratch,
            ranks,
            name: name_buffer,
        } = self;
        let Fields {
            version,
            names,
            quoted,
            defaults,
            ..
        } = fields.as_ref();
        scratch.clear();
        scratch.extend_from_slice(&defaults.scratch);
        cells.copy_from_slice(&defaults.cells);
        // Most streams have no ranks, and to fill nothing takes time, too.
        if !ranks.is_empty() {
            ranks.fill(usize::MAX);
        }
        // Writers mostly keep the order of the columns: the one after the last is expected.
        let mut next = 0;
        let read = json::each_field_expecting(text, quoted, |name, value, whole| {
            let index = match name {
                Name::Expected(index) => index,
                Name::Other {
                    raw,
                    has_escapes: false,
                } => place_of(names, raw.as_bytes(), next),
                Name::Other { raw, has_escapes: true } => {
                    name_buffer.clear();
                    match json::unescape(raw, name_buffer) {
                        Ok(()) => place_of(names, name_buffer, next),
                        // A name that is no text is no column's name.
                        Err(_) => names.len(),
                    }
                }
            };
            let Some(FieldName { column, rank, .. }) = names.get(index) else {
                return Ok(next);
            };
            let (Some(definition), Some(cell)) = (columns.get(*column), cells.get_mut(*column)) else {
                return Ok(next);
            };
            next = column + 1;
            if let Some(found_by) = ranks.get_mut(*column) {
                if rank > found_by {
                    return Ok(next);
                }
                *found_by = *rank;
            }
            match cell::read(definition.column_type, value, whole, text, scratch) {
                Ok(Cell::Null) if !definition.nullable && definition.since > *version => {}
                Ok(read) => *cell = read,
                Err(_) if definition.since > *version => {}
                Err(why) => {
                    return Err(RowError::Misfit(format!(
                        "column '{}' {}: {} {why}",
                        definition.name,
                        definition.column_type,
                        shortened(whole)
                    )));
                }
            }
            Ok(next)
        });
        match read {
            Ok(()) => self.check_not_null(),
            Err(RowError::Misfit(reason)) => Err(reason),
            Err(RowError::Json(_)) if text.is_empty() => {
                Err("the value is empty, a JSON object was expected".to_owned())
            }
            Err(RowError::Json(error)) => Err(format!(
                "the value is no JSON object: {} at byte {}: {}",
                error.what,
                error.at,
                shortened(text)
            )),
        }
    }

    fn check_not_null(&self) -> Result<(), String> {
        for (column, cell) in self.columns.iter().zip(&self.cells) {
            if *cell == Cell::Null && !column.nullable {
                return Err(format!(
                    "column '{}' {} NOT NULL: it is missing or null",
                    column.name, column.column_type
                ));
            }
        }
        Ok(())
    }
}

impl Defaults {
    fn of(columns: &[Column]) -> Defaults {
        let mut defaults = Defaults::default();
        for column in columns {
            let cell = column.default.as_deref().and_then(|json| {
                let text = format!("{{\"default\":{json}}}");
                defaults.cell(column, &text)
            });
            defaults.cells.push(cell.unwrap_or(Cell::Null));
        }
        defaults
    }

    /// The cell of the one field of `text`; what would be a part of the text is kept in the scratch space.
    fn cell(&mut self, column: &Column, text: &str) -> Option<Cell> {
        let mut found = None;
        let scratch = &mut self.scratch;
        let read = json::each_field::<JsonError>(text, |_, _, value, whole| {
            found = cell::read(column.column_type, value, whole, text, scratch).ok();
            Ok(())
        });
        read.ok()?;
        match found? {
            Cell::Text(part) => {
                let from = self.scratch.len();
                self.scratch.extend_from_slice(&text.as_bytes()[part.range()]);
                Some(Cell::Scratch(cell::from_on(from, &self.scratch)))
            }
            other => Some(other),
        }
    }
}

/// A column of so many defaults.
pub fn default_values(column: &Column, rows: usize) -> arrow::array::ArrayRef {
    let defaults = Defaults::of(std::slice::from_ref(column));
    let mut builder = Builder::new(column.column_type, rows);
    for _ in 0..rows {
        for cell in &defaults.cells {
            builder.append(cell, "", &defaults.scratch);
        }
    }
    builder.finish()
}

/// The place of a name, the expected one if it is that; behind the last where it is none of them.
fn place_of(names: &[FieldName], name: &[u8], expected: usize) -> usize {
    let is_it = |place: &usize| names.get(*place).is_some_and(|known| known.text.as_bytes() == name);
    let mut places = std::iter::once(expected).chain(0..names.len());
    places.find(is_it).unwrap_or(names.len())
}

/// A value for an explanation, shortened.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
