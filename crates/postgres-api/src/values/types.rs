//! Which PostgreSQL type stands for which Arrow type.
//!
//! A list of scalars is an array; lists of lists, of rows and of maps have no type of their own in PostgreSQL, and are JSON.

use arrow::datatypes::DataType;

/// A type of PostgreSQL that crosses this door: one value, or an array of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WireType {
    One(PgType),
    Array(PgType),
}

/// A type of one value.
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
    /// The object ids of PostgreSQL's catalog.
    Oid,
    Uuid,
}

/// Every type with its object id, that of its arrays, and the bytes of its binary form (negative: it varies), from `pg_type.dat`.
const TYPES: [(PgType, u32, u32, i16); 17] = [
    (PgType::Bool, 16, 1000, 1),
    (PgType::Bytea, 17, 1001, -1),
    (PgType::Int8, 20, 1016, 8),
    (PgType::Int2, 21, 1005, 2),
    (PgType::Int4, 23, 1007, 4),
    (PgType::Text, 25, 1009, -1),
    (PgType::Oid, 26, 1028, 4),
    (PgType::Json, 114, 199, -1),
    (PgType::Float4, 700, 1021, 4),
    (PgType::Float8, 701, 1022, 8),
    (PgType::Date, 1082, 1182, 4),
    (PgType::Time, 1083, 1183, 8),
    (PgType::Timestamp, 1114, 1115, 8),
    (PgType::TimestampTz, 1184, 1185, 8),
    (PgType::Interval, 1186, 1187, 16),
    (PgType::Numeric, 1700, 1231, -1),
    (PgType::Uuid, 2950, 2951, 16),
];

/// Object ids that clients declare for parameters, read as texts (name, unknown, bpchar, varchar, jsonb), and their arrays.
const ALIASES: [(u32, u32, PgType); 5] = [
    (19, 1003, PgType::Text),
    // There are no arrays of what has no type.
    (705, 705, PgType::Text),
    (1042, 1014, PgType::Text),
    (1043, 1015, PgType::Text),
    (3802, 3807, PgType::Text),
];

impl WireType {
    /// The object id and size of the type.
    pub(crate) fn wire(self) -> (u32, i16) {
        match self {
            WireType::One(one) => one.wire(),
            WireType::Array(of) => (of.array_oid(), -1),
        }
    }

    /// The type that a client declared by its object id.
    pub(crate) fn declared(oid: u32) -> Option<WireType> {
        let own = TYPES.iter().map(|(own, one, array, _)| (*one, *array, *own));
        let mut all = own.chain(ALIASES);
        all.find_map(|(one, array, own)| match oid {
            oid if oid == one => Some(WireType::One(own)),
            oid if oid == array => Some(WireType::Array(own)),
            _ => None,
        })
    }

    /// The type that values of an Arrow type are sent as.
    pub(crate) fn of(data_type: &DataType) -> WireType {
        match element_of(data_type).map(PgType::of) {
            Some(PgType::Json) | None => WireType::One(PgType::of(data_type)),
            Some(element) => WireType::Array(element),
        }
    }
}

/// The type of a list's elements; `None` of what is no list.
pub(crate) fn element_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => Some(element.data_type()),
        _ => None,
    }
}

impl PgType {
    /// The object id and size of the type.
    pub(crate) fn wire(self) -> (u32, i16) {
        let found = TYPES.iter().find(|(own, ..)| *own == self);
        found.map_or((25, -1), |(_, oid, _, size)| (*oid, *size))
    }

    /// The object id of its arrays.
    fn array_oid(self) -> u32 {
        let found = TYPES.iter().find(|(own, ..)| *own == self);
        found.map_or(1009, |(_, _, array, _)| *array)
    }

    /// The type that one value of an Arrow type is sent as; what has parts is sent as JSON.
    pub(crate) fn of(data_type: &DataType) -> PgType {
        match data_type {
            DataType::Boolean => PgType::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgType::Int2,
            DataType::Int32 | DataType::UInt16 => PgType::Int4,
            DataType::Int64 => PgType::Int8,
            DataType::UInt32 => PgType::Oid,
            // What a parameter is called that is cast to one: `headwater_sql::Described`.
            DataType::FixedSizeBinary(16) => PgType::Uuid,
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
    WireType::of(data_type).wire().0
}

/// The modifier that stands for an Arrow type: precision and scale of a numeric, or of an array of them; -1 where there is none.
pub(crate) fn modifier_of(data_type: &DataType) -> i32 {
    match element_of(data_type).unwrap_or(data_type) {
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
            (DataType::new_list(DataType::UInt32, true), 1028, -1),
            (DataType::FixedSizeBinary(16), 2950, -1),
            (DataType::Decimal128(18, 2), 1700, (18 << 16 | 2) + 4),
            (DataType::Utf8View, 25, -1),
            (DataType::new_list(DataType::Int32, true), 1007, -1),
            (DataType::new_large_list(DataType::Utf8View, true), 1009, -1),
            (
                DataType::new_list(DataType::Decimal128(9, 2), true),
                1231,
                (9 << 16 | 2) + 4,
            ),
            (
                DataType::new_list(DataType::new_list(DataType::Int32, true), true),
                114,
                -1,
            ),
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
        for (oid, declared) in [
            (1043, Some(WireType::One(PgType::Text))),
            (1015, Some(WireType::Array(PgType::Text))),
            (1016, Some(WireType::Array(PgType::Int8))),
            (1028, Some(WireType::Array(PgType::Oid))),
            (2950, Some(WireType::One(PgType::Uuid))),
            (705, Some(WireType::One(PgType::Text))),
            (600, None),
        ] {
            assert_eq!(WireType::declared(oid), declared, "{oid}");
        }
    }
}
