//! The columns of a view as columns of a Delta table: which types there are for them.
//!
//! | ours | the table's |
//! | --- | --- |
//! | BOOLEAN, integers with a sign, REAL, DOUBLE, TEXT, BYTEA, DATE | the same |
//! | integers without a sign | the next larger one that has them all |
//! | DECIMAL(p, s), p ≤ 38 | the same |
//! | TIMESTAMP, TIMESTAMPTZ | `timestamp_ntz`, `timestamp` (UTC), microseconds |
//! | arrays, structs, maps | the same of what is in them |
//!
//! Every column may be NULL.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use headwater_views::ViewError;

/// The table's schema for a view's; an error names the column that it has no type for.
pub(crate) fn stored(schema: &Schema) -> Result<SchemaRef, ViewError> {
    let mut fields: Vec<Field> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let is_alike = |other: &&Field| other.name().to_lowercase() == field.name().to_lowercase();
        if let Some(other) = fields.iter().find(is_alike) {
            return Err(ViewError::Unfit {
                part: format!("a table with the columns \"{}\" and \"{}\"", other.name(), field.name()),
                hint: "their names are told apart by their case alone, which a Delta table does not look at: give one another with AS".to_owned(),
            });
        }
        let stored = stored_type(field.data_type()).ok_or_else(|| ViewError::Refused {
            part: format!("the column '{}' of type {}", field.name(), field.data_type()),
            hint: ": a Delta table has no such type; cast it to TEXT".to_owned(),
        })?;
        fields.push(Field::new(field.name(), stored, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// A view's rows as rows of the table.
pub(crate) fn to_stored(rows: &RecordBatch, stored: &SchemaRef) -> Result<RecordBatch, ViewError> {
    let columns = rows.columns().iter().zip(stored.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    let rows = columns.and_then(|columns| RecordBatch::try_new(Arc::clone(stored), columns));
    rows.map_err(|error| ViewError::Failed(error.to_string()))
}

/// Whether a column of this type may make folders.
pub(crate) fn may_partition(data_type: &DataType) -> bool {
    !matches!(
        data_type,
        DataType::Binary | DataType::List(_) | DataType::Struct(_) | DataType::Map(..)
    )
}

fn stored_type(data_type: &DataType) -> Option<DataType> {
    Some(match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32 => data_type.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
            if *scale >= 0 =>
        {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(precision, scale) if *precision <= DECIMAL128_MAX_PRECISION && *scale >= 0 => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())),
        DataType::Dictionary(_, values) => stored_type(values)?,
        DataType::List(item) | DataType::LargeList(item) => DataType::List(element(item)?),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| nested(field, field.name()));
            DataType::Struct(fields.collect::<Option<Vec<FieldRef>>>()?.into())
        }
        _ => return None,
    })
}

fn element(item: &Field) -> Option<FieldRef> {
    nested(item, "element")
}

fn nested(field: &Field, name: &str) -> Option<FieldRef> {
    Some(Arc::new(Field::new(name, stored_type(field.data_type())?, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ours: DataType, expected: Option<DataType>) {
        let schema = Schema::new(vec![Field::new("c", ours.clone(), false)]);
        let stored = stored(&schema).ok().map(|stored| stored.field(0).clone());
        assert_eq!(stored.as_ref().map(Field::data_type), expected.as_ref(), "{ours}");
        assert!(stored.is_none_or(|field| field.is_nullable()));
    }

    #[test]
    fn types_have_their_counterparts() {
        let utc = |zone: &str| DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
        check(DataType::Int64, Some(DataType::Int64));
        check(DataType::UInt64, Some(DataType::Decimal128(20, 0)));
        check(DataType::Utf8View, Some(DataType::Utf8));
        check(DataType::Decimal128(38, 2), Some(DataType::Decimal128(38, 2)));
        check(DataType::Decimal256(38, 2), Some(DataType::Decimal128(38, 2)));
        check(DataType::Decimal256(39, 2), None);
        check(utc("+00:00"), Some(utc("UTC")));
        check(
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
        );
        check(DataType::Time64(TimeUnit::Microsecond), None);
        check(DataType::Null, None);
        let list = |name: &str, item: DataType| DataType::List(Arc::new(Field::new(name, item, true)));
        check(list("item", DataType::Utf8View), Some(list("element", DataType::Utf8)));
        check(list("item", DataType::Null), None);
    }

    #[test]
    fn names_differ_by_more_than_their_case() {
        let check = |names: [&str; 2], expected: Option<&str>| {
            let fields = names.map(|name| Field::new(name, DataType::Utf8, true));
            let error = stored(&Schema::new(fields.to_vec()))
                .err()
                .map(|error| error.to_string());
            assert_eq!(
                error
                    .as_deref()
                    .and_then(|error| error.split_once(" is not possible"))
                    .map(|(part, _)| part),
                expected
            );
        };
        check(["a", "b"], None);
        check(["a", "A"], Some("a table with the columns \"a\" and \"A\""));
        check(["é", "É"], Some("a table with the columns \"é\" and \"É\""));
    }

    #[test]
    fn only_values_with_a_text_make_folders() {
        for (data_type, expected) in [
            (DataType::Utf8, true),
            (DataType::Date32, true),
            (DataType::Binary, false),
            (DataType::Struct(Vec::<Field>::new().into()), false),
        ] {
            assert_eq!(may_partition(&data_type), expected, "{data_type}");
        }
    }
}
