//! Upcasters: a row of an earlier schema made a row of the schema after it.
//!
//! An upcaster takes and gives rows of this shape, so that one follows on another, and so that an event it cannot take is found again:
//!
//! ```text
//! columns of its schema … | the event's value as text | system columns
//! ```
//!
//! Its query is one SELECT over the event, with a WHERE perhaps: an event becomes one row or none. Rows that cannot be worked out, or lack a
//! value for a NOT NULL column, are parked.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{concat_batches, filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use headwater_catalog::{Column, StreamDefinition};
use headwater_records::Address;

use super::decoding::{Decoded, Parked, Part, VALUE_COLUMN};
use super::row::default_values;
use super::system::{self, SYSTEM_COLUMNS};
use crate::fold::stage::Physical;
use crate::query::{check_expression, physical, refused_but};
use crate::{ViewError, caught};

/// The name of the event's value where a column of the schema has taken its usual one.
const VALUE_COLUMN_ELSE: &str = "_value";

/// A compiled upcaster.
#[derive(Debug)]
pub struct Upcaster {
    version: u32,
    query: String,
    /// What must hold of a row that becomes one.
    filter: Option<Physical>,
    /// In the order of the columns of the schema that it gives.
    columns: Vec<Output>,
    output: SchemaRef,
}

/// How a column comes about.
#[derive(Debug)]
enum Output {
    /// By an expression over the row.
    Expression(Physical),
    /// The query says nothing of it: its default.
    Default(Box<Column>),
}

impl PartialEq for Upcaster {
    fn eq(&self, other: &Upcaster) -> bool {
        (self.version, &self.query, &self.output) == (other.version, &other.query, &other.output)
    }
}

/// What rows of a schema look like to an upcaster, and what they are made of.
pub(super) fn input(columns: Option<&[Column]>) -> (Vec<Part>, SchemaRef) {
    let own = columns.unwrap_or_default();
    let mut fields: Vec<Field> = own.iter().map(field).collect();
    let mut parts: Vec<Part> = (0..own.len()).map(Part::Declared).collect();
    let is_taken = own.iter().any(|column| column.name == VALUE_COLUMN);
    let value = if is_taken { VALUE_COLUMN_ELSE } else { VALUE_COLUMN };
    fields.push(Field::new(value, DataType::Utf8, true));
    parts.push(Part::Value);
    fields.extend(system::fields());
    parts.extend((0..SYSTEM_COLUMNS.len()).map(Part::System));
    (parts, Arc::new(Schema::new(fields)))
}

fn field(column: &Column) -> Field {
    Field::new(&column.name, column.column_type.data_type(), column.nullable)
}

impl Upcaster {
    /// The columns that an upcaster of a version may read: those of its schema, the event's value as text, and the system columns.
    pub fn input(definition: &StreamDefinition, version: u32) -> SchemaRef {
        input(definition.columns_of(version)).1
    }

    /// Compiles the upcaster of a version from the analyzed, not optimized plan of its query over a table of [`Upcaster::input`].
    pub fn compile(
        definition: &StreamDefinition,
        version: u32,
        plan: &LogicalPlan,
        session: &SessionState,
    ) -> Result<Upcaster, ViewError> {
        let earlier = definition.earlier.get(version.max(1) as usize - 1);
        let query = earlier
            .and_then(|schema| schema.upcaster.as_ref())
            .map(|upcaster| upcaster.query.clone());
        let next = version + 1;
        let target = definition.columns_of(definition.read_with(next)).unwrap_or_default();
        let parts = take_apart(plan)?;
        for expression in parts.outputs.iter().chain(&parts.filter) {
            check_expression(expression)?;
        }
        let failed = |error: datafusion::error::DataFusionError| ViewError::Failed(error.strip_backtrace());
        let mut columns = Vec::with_capacity(target.len());
        for column in target {
            columns.push(output(definition, column, next, &parts, session)?);
        }
        let filter = parts.filter.clone();
        let filter = filter
            .map(|filter| physical(session, &filter, parts.input))
            .transpose()
            .map_err(failed)?;
        Ok(Upcaster {
            version,
            query: query.unwrap_or_default(),
            filter,
            columns,
            output: input(Some(target)).1,
        })
    }

    /// The version whose rows it takes.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// What becomes of rows, and of those that were parked before.
    pub(super) fn apply(&self, stream: &str, decoded: Decoded) -> Decoded {
        let mut made = Vec::new();
        let mut parked = decoded.parked;
        self.take(stream, &decoded.rows, &mut made, &mut parked);
        let rows = concat_batches(&self.output, &made).expect("every piece has the columns of the schema after");
        Decoded { rows, parked }
    }

    /// Works rows out; where one of them fails, the halves, so that the others do not suffer.
    fn take(&self, stream: &str, rows: &RecordBatch, made: &mut Vec<RecordBatch>, parked: &mut Vec<Parked>) {
        let count = rows.num_rows();
        match caught(|| self.work_out(rows)) {
            Ok(worked) => made.push(self.with_values(stream, worked, parked)),
            Err(error) if count <= 1 => {
                if count == 1 {
                    let why = crate::error::why(&error);
                    parked.push(self.parked(stream, rows, 0, &why));
                }
            }
            Err(_) => {
                self.take(stream, &rows.slice(0, count / 2), made, parked);
                self.take(stream, &rows.slice(count / 2, count - count / 2), made, parked);
            }
        }
    }

    /// The rows, not looked at for missing values yet.
    fn work_out(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let rows = match &self.filter {
            Some(filter) => {
                let keep = filter.evaluate(rows)?.into_array(rows.num_rows())?;
                filter_record_batch(rows, keep.as_boolean())?
            }
            None => rows.clone(),
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.output.fields().len());
        for column in &self.columns {
            columns.push(match column {
                Output::Expression(expression) => expression.evaluate(&rows)?.into_array(rows.num_rows())?,
                Output::Default(column) => default_values(column, rows.num_rows()),
            });
        }
        columns.extend(
            rows.columns()[rows.num_columns() - SYSTEM_COLUMNS.len() - 1..]
                .iter()
                .cloned(),
        );
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.unchecked(), columns, &options)?)
    }

    /// The rows that have a value wherever one must be; the others are parked.
    fn with_values(&self, stream: &str, rows: RecordBatch, parked: &mut Vec<Parked>) -> RecordBatch {
        let mut rows = rows;
        for (index, field) in self.output.fields().iter().enumerate() {
            let column = rows.column(index);
            if field.is_nullable() || column.null_count() == 0 {
                continue;
            }
            for row in (0..column.len()).filter(|row| column.is_null(*row)) {
                let why = format!("it gives no value for column '{}', which is NOT NULL", field.name());
                parked.push(self.parked(stream, &rows, row, &why));
            }
            let keep = is_not_null(column).expect("any column may be asked for NULL");
            rows = filter_record_batch(&rows, &keep).expect("the mask is as long as the rows");
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        RecordBatch::try_new_with_options(self.output.clone(), rows.columns().to_vec(), &options)
            .expect("the columns have the schema's types, and no value is missing")
    }

    /// The schema of rows whose values may be missing yet.
    fn unchecked(&self) -> SchemaRef {
        let open = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
        Arc::new(Schema::new(self.output.fields().iter().map(open).collect::<Vec<_>>()))
    }

    /// A row that becomes none. Both shapes of rows end with the value and the system columns.
    fn parked(&self, stream: &str, rows: &RecordBatch, row: usize, why: &str) -> Parked {
        let carried = &rows.columns()[rows.num_columns() - SYSTEM_COLUMNS.len() - 1..];
        let value = carried[0].as_string::<i32>();
        Parked {
            address: Address {
                stream: stream.to_owned(),
                partition: carried[1].as_primitive::<Int32Type>().value(row) as u32,
                offset: carried[2].as_primitive::<Int64Type>().value(row) as u64,
            },
            reason: format!("the upcaster from version {} cannot take it: {why}", self.version),
            value: value
                .is_valid(row)
                .then(|| Bytes::copy_from_slice(value.value(row).as_bytes())),
        }
    }
}

/// The plan of an upcaster, taken apart.
struct Parts<'a> {
    outputs: Vec<Expr>,
    filter: Option<Expr>,
    input: &'a DFSchema,
}

fn take_apart(plan: &LogicalPlan) -> Result<Parts<'_>, ViewError> {
    let no = |part: String| {
        refused_but(
            part,
            "an upcaster is one SELECT over one event, with a WHERE perhaps: every event becomes one row or none",
        )
    };
    let LogicalPlan::Projection(projection) = plan else {
        return Err(no(format!("{}", plan.display())));
    };
    let (filter, below) = match projection.input.as_ref() {
        LogicalPlan::Filter(filter) => (Some(filter.predicate.clone()), filter.input.as_ref()),
        other => (None, other),
    };
    let mut scan = below;
    while let LogicalPlan::SubqueryAlias(alias) = scan {
        scan = &alias.input;
    }
    match scan {
        LogicalPlan::TableScan(_) => Ok(Parts {
            outputs: projection.expr.clone(),
            filter,
            input: below.schema(),
        }),
        other => Err(no(format!("{}", other.display()))),
    }
}

/// How a column of the schema after comes about.
fn output(
    definition: &StreamDefinition,
    column: &Column,
    version: u32,
    parts: &Parts<'_>,
    session: &SessionState,
) -> Result<Output, ViewError> {
    let names = column.names_in(version);
    let found = parts.outputs.iter().find(|expression| {
        let (_, name) = expression.qualified_name();
        names.iter().any(|own| *own == name)
    });
    let is_facet = definition.key.contains(&column.name)
        || definition.tags.contains(&column.name)
        || definition.kind.as_ref() == Some(&column.name);
    let refuse = |why: String| Err(ViewError::Failed(why));
    let Some(expression) = found else {
        let is_later = column.since > version;
        if is_facet || (!is_later && !column.nullable && column.default.is_none()) {
            return refuse(format!(
                "the upcaster gives no value for column '{column}': add it to what it selects"
            ));
        }
        return Ok(Output::Default(Box::new(column.clone())));
    };
    if is_facet && !is_plain(expression, &names) {
        return refuse(format!(
            "the upcaster changes column '{}', by which events are found (KEY, KIND or TAGS): let it pass the column on as it is",
            column.name
        ));
    }
    let made = || -> Result<Physical> {
        let cast = expression
            .clone()
            .cast_to(&column.column_type.data_type(), parts.input)?;
        physical(session, &cast, parts.input)
    };
    match made() {
        Ok(expression) => Ok(Output::Expression(expression)),
        Err(error) => refuse(format!(
            "the upcaster's column '{}' is no {}: {}",
            column.name,
            column.column_type,
            error.strip_backtrace()
        )),
    }
}

/// Whether an expression is a column of one of these names, as it stands.
fn is_plain(expression: &Expr, names: &[&str]) -> bool {
    match expression {
        Expr::Alias(alias) => is_plain(&alias.expr, names),
        Expr::Column(column) => names.contains(&column.name()),
        _ => false,
    }
}
