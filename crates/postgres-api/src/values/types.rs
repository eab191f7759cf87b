//! Which PostgreSQL type stands for which Arrow type.

use arrow::datatypes::DataType;

/// A type of PostgreSQL that crosses this door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PgType {
    Bool,
    Bytea,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Json,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
}

/// Every type with its object id and the bytes of its binary form (negative: it varies), from `pg_type.dat`.
const TYPES: [(PgType, u32, i16); 15] = [
    (PgType::Bool, 16, 1),
    (PgType::Bytea, 17, -1),
    (PgType::Int8, 20, 8),
    (PgType::Int2, 21, 2),
    (PgType::Int4, 23, 4),
    (PgType::Text, 25, -1),
    (PgType::Json, 114, -1),
    (PgType::Float4, 700, 4),
    (PgType::Float8, 701, 8),
    (PgType::Date, 1082, 4),
    (PgType::Time, 1083, 8),
    (PgType::Timestamp, 1114, 8),
    (PgType::TimestampTz, 1184, 8),
    (PgType::Interval, 1186, 16),
    (PgType::Numeric, 1700, -1),
];

/// Object ids that clients declare for parameters, read as one of ours: oid as a bigint, the others as texts
/// (name, unknown, bpchar, varchar, jsonb, uuid).
const ALIASES: [(u32, PgType); 7] = [
    (26, PgType::Int8),
    (19, PgType::Text),
    (705, PgType::Text),
    (1042, PgType::Text),
    (1043, PgType::Text),
    (3802, PgType::Text),
    (2950, PgType::Text),
];

impl PgType {
    /// The object id and size of the type.
    pub(crate) fn wire(self) -> (u32, i16) {
        TYPES
            .iter()
            .find(|(own, _, _)| *own == self)
            .map_or((25, -1), |(_, oid, size)| (*oid, *size))
    }

    /// The type that a client declared by its object id.
    pub(crate) fn declared(oid: u32) -> Option<PgType> {
        let own = TYPES.iter().find(|(_, known, _)| *known == oid).map(|(own, _, _)| *own);
        own.or_else(|| ALIASES.iter().find(|(known, _)| *known == oid).map(|(_, own)| *own))
    }

    /// The type that values of an Arrow type are sent as. Lists, structs and maps are sent as JSON.
    pub(crate) fn of(data_type: &DataType) -> PgType {
        match data_type {
            DataType::Boolean => PgType::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgType::Int2,
            DataType::Int32 | DataType::UInt16 => PgType::Int4,
            DataType::Int64 | DataType::UInt32 => PgType::Int8,
            DataType::Float16 | DataType::Float32 => PgType::Float4,
            DataType::Float64 => PgType::Float8,
            DataType::UInt64
            | DataType::Decimal32(_, _)
            | DataType::Decimal64(_, _)
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _) => PgType::Numeric,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                PgType::Bytea
            }
            DataType::Date32 | DataType::Date64 => PgType::Date,
            DataType::Time32(_) | DataType::Time64(_) => PgType::Time,
            DataType::Timestamp(_, None) => PgType::Timestamp,
            DataType::Timestamp(_, Some(_)) => PgType::TimestampTz,
            DataType::Interval(_) | DataType::Duration(_) => PgType::Interval,
            DataType::Dictionary(_, values) => PgType::of(values),
            DataType::RunEndEncoded(_, values) => PgType::of(values.data_type()),
            nested if nested.is_nested() => PgType::Json,
            _ => PgType::Text,
        }
    }
}

/// The object id that stands for an Arrow type.
pub(crate) fn oid_of(data_type: &DataType) -> u32 {
    PgType::of(data_type).wire().0
}

/// The modifier that stands for an Arrow type: precision and scale of a numeric; -1 where there is none.
pub(crate) fn modifier_of(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *scale >= 0 =>
        {
            (i32::from(*precision) << 16 | i32::from(*scale)) + 4
        }
        _ => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_postgres_object_ids() {
        for (data_type, oid, modifier) in [
            (DataType::Boolean, 16, -1),
            (DataType::Int64, 20, -1),
            (DataType::Decimal128(18, 2), 1700, (18 << 16 | 2) + 4),
            (DataType::Utf8View, 25, -1),
            (DataType::new_list(DataType::Int32, true), 114, -1),
            (
                DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Date32)),
                1082,
                -1,
            ),
        ] {
            assert_eq!(
                (oid_of(&data_type), modifier_of(&data_type)),
                (oid, modifier),
                "{data_type}"
            );
        }
        assert_eq!(PgType::declared(1043), Some(PgType::Text));
        assert_eq!(PgType::declared(600), None);
    }
}
