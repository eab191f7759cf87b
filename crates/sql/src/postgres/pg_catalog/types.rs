//! PostgreSQL's types: the object ids, names and modifiers that clients know them by.

use datafusion::arrow::datatypes::DataType;

/// A type: object id, that of its arrays (0: it has none), name in `pg_type`, name in SQL, bytes (negative: it varies), category.
pub(super) struct PgType {
    pub(super) oid: i64,
    pub(super) array: i64,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    pub(super) bytes: i64,
    pub(super) category: &'static str,
}

const fn pg_type(
    oid: i64,
    array: i64,
    name: &'static str,
    sql: &'static str,
    bytes: i64,
    category: &'static str,
) -> PgType {
    PgType {
        oid,
        array,
        name,
        sql,
        bytes,
        category,
    }
}

/// What a procedure gives.
pub(super) const VOID: i64 = 2278;

/// The types that values cross the doors as, and those that clients ask about at their start (`pg_type.dat`).
pub(super) const TYPES: [PgType; 25] = [
    pg_type(16, 1000, "bool", "boolean", 1, "B"),
    pg_type(17, 1001, "bytea", "bytea", -1, "U"),
    pg_type(18, 1002, "char", "\"char\"", 1, "Z"),
    pg_type(19, 1003, "name", "name", 64, "S"),
    pg_type(20, 1016, "int8", "bigint", 8, "N"),
    pg_type(21, 1005, "int2", "smallint", 2, "N"),
    pg_type(23, 1007, "int4", "integer", 4, "N"),
    pg_type(24, 1008, "regproc", "regproc", 4, "N"),
    pg_type(25, 1009, "text", "text", -1, "S"),
    pg_type(26, 1028, "oid", "oid", 4, "N"),
    pg_type(114, 199, "json", "json", -1, "U"),
    pg_type(700, 1021, "float4", "real", 4, "N"),
    pg_type(701, 1022, "float8", "double precision", 8, "N"),
    pg_type(705, 0, "unknown", "unknown", -2, "X"),
    pg_type(1042, 1014, "bpchar", "character", -1, "S"),
    pg_type(1043, 1015, "varchar", "character varying", -1, "S"),
    pg_type(1082, 1182, "date", "date", 4, "D"),
    pg_type(1083, 1183, "time", "time without time zone", 8, "D"),
    pg_type(1114, 1115, "timestamp", "timestamp without time zone", 8, "D"),
    pg_type(1184, 1185, "timestamptz", "timestamp with time zone", 8, "D"),
    pg_type(1186, 1187, "interval", "interval", 16, "T"),
    pg_type(1700, 1231, "numeric", "numeric", -1, "N"),
    pg_type(VOID, 0, "void", "void", 4, "P"),
    pg_type(2950, 2951, "uuid", "uuid", 16, "U"),
    pg_type(3802, 3807, "jsonb", "jsonb", -1, "U"),
];

/// The type by its object id.
pub(super) fn by_oid(oid: i64) -> Option<&'static PgType> {
    TYPES.iter().find(|known| known.oid == oid)
}

/// The type by either of its names.
pub(super) fn by_name(name: &str) -> Option<&'static PgType> {
    TYPES.iter().find(|known| known.name == name || known.sql == name)
}

/// The type whose arrays have this object id.
fn element_by_oid(array: i64) -> Option<&'static PgType> {
    TYPES.iter().find(|known| known.array == array && array != 0)
}

/// The name in `pg_type` of the type with an object id.
pub(super) fn name(oid: i64) -> Option<String> {
    let one = by_oid(oid).map(|known| known.name.to_owned());
    one.or_else(|| element_by_oid(oid).map(|element| format!("_{}", element.name)))
}

/// The object id and the modifier of a column of this Arrow type, as the PostgreSQL door sends it: lists of scalars are arrays.
pub(super) fn of(data_type: &DataType) -> (i64, i64) {
    let (oid, modifier) = of_one(data_type);
    let element = match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _)
            if !element.data_type().is_nested() =>
        {
            of_one(element.data_type())
        }
        _ => return (oid, modifier),
    };
    by_oid(element.0).map_or((oid, modifier), |known| (known.array, element.1))
}

fn of_one(data_type: &DataType) -> (i64, i64) {
    let oid = match data_type {
        DataType::Boolean => 16,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => 21,
        DataType::Int32 | DataType::UInt16 => 23,
        DataType::Int64 => 20,
        DataType::UInt32 => 26,
        DataType::Float16 | DataType::Float32 => 700,
        DataType::Float64 => 701,
        DataType::UInt64 => 1700,
        exact if exact.is_decimal() => 1700,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => 17,
        DataType::Date32 | DataType::Date64 => 1082,
        DataType::Time32(_) | DataType::Time64(_) => 1083,
        DataType::Timestamp(_, None) => 1114,
        DataType::Timestamp(_, Some(_)) => 1184,
        DataType::Interval(_) | DataType::Duration(_) => 1186,
        nested if nested.is_nested() => 114,
        _ => 25,
    };
    (oid, modifier(data_type))
}

fn modifier(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) if *scale >= 0 => {
            (i64::from(*precision) << 16 | i64::from(*scale)) + 4
        }
        _ => -1,
    }
}

/// Precision and scale of a numeric by its modifier.
pub(super) fn precision(modifier: i64) -> Option<(i64, i64)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    Some((packed >> 16, packed & 0xffff))
}

/// A type as `format_type` writes it.
pub(super) fn format(oid: i64, modifier: Option<i64>) -> String {
    if let Some(element) = element_by_oid(oid) {
        return format!("{}[]", format(element.oid, modifier));
    }
    let Some(known) = by_oid(oid) else {
        return "???".to_owned();
    };
    match (known.name, modifier.and_then(precision)) {
        ("numeric", Some((digits, scale))) => format!("numeric({digits},{scale})"),
        _ => known.sql.to_owned(),
    }
}

/// A type as the standard's `data_type` says it.
pub(super) fn information(oid: i64) -> String {
    match element_by_oid(oid) {
        Some(_) => "ARRAY".to_owned(),
        None => format(oid, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data_type: &DataType, oid: i64, text: &str) {
        let (found, modifier) = of(data_type);
        assert_eq!(
            (found, format(found, Some(modifier)).as_str()),
            (oid, text),
            "{data_type}"
        );
    }

    #[test]
    fn types_are_named_as_postgres_names_them() {
        check(&DataType::Decimal128(18, 2), 1700, "numeric(18,2)");
        check(&DataType::UInt64, 1700, "numeric");
        check(&DataType::Utf8View, 25, "text");
        check(&DataType::Int64, 20, "bigint");
        check(&DataType::new_list(DataType::Int32, true), 1007, "integer[]");
        check(
            &DataType::new_list(DataType::Decimal128(9, 2), true),
            1231,
            "numeric(9,2)[]",
        );
        check(
            &DataType::new_list(DataType::new_list(DataType::Int32, true), true),
            114,
            "json",
        );
        assert_eq!(name(1016).as_deref(), Some("_int8"));
        assert_eq!(name(20).as_deref(), Some("int8"));
        assert_eq!(
            (information(1016), information(20)),
            ("ARRAY".to_owned(), "bigint".to_owned())
        );
        assert_eq!(format(0, None), "???");
        assert_eq!(by_name("double precision").map(|known| known.oid), Some(701));
    }
}
