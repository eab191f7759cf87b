//! The catalog tables and what stands in them.

use std::sync::Arc;

use datafusion::arrow::datatypes::Field;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::Result;
use headwater_catalog::Definition;

use super::columns::{Row, batch, columns};
use super::keywords::{KEYWORDS, keywords};
use super::kinds::BASE;
use super::objects::{DATABASE, Object, PUBLIC, ROLE, SCHEMAS, columns_of, objects};
use super::schema::{EMPTY_TABLES, TABLES};
use super::settings::SETTINGS;
use super::types;
use crate::inner::Inner;

/// Heap, PostgreSQL's own way to store a table.
const HEAP: (i64, &str) = (2, "heap");
/// Where PostgreSQL keeps what nothing else is said of: here, the data folder.
const TABLESPACE: (i64, &str) = (1663, "pg_default");
/// UTF-8 by its number in `pg_wchar.h`.
const UTF8: i64 = 6;

/// A catalog table by its name, with or without its schema, as it stands now.
pub(crate) fn table(inner: &Inner, name: &str) -> Option<Result<Arc<dyn TableProvider>>> {
    let (schema, table) = name.rsplit_once('.').unwrap_or(("pg_catalog", name));
    let (_, table, described) = TABLES
        .iter()
        .chain(&EMPTY_TABLES)
        .find(|(known_schema, known, _)| *known_schema == schema && *known == table)?;
    let columns = columns(described);
    let rows = rows(inner, schema, table);
    let filled = batch(&columns, &rows)
        .and_then(|batch| MemTable::try_new(columns, vec![vec![batch]]))
        .map(|table| Arc::new(table) as Arc<dyn TableProvider>);
    Some(filled)
}

fn rows(inner: &Inner, schema: &str, table: &str) -> Vec<Row> {
    let objects = || objects(&inner.catalog);
    let relations = || objects().into_iter().filter(|object| object.kind().is_some());
    let of_kind = |kind: &'static str| relations().filter(move |object| object.kind() == Some(kind));
    match (schema, table) {
        ("pg_catalog", "pg_class") => relations().map(|object| class(inner, &object)).collect(),
        ("pg_catalog", "pg_attribute") => relations().flat_map(|object| attributes(inner, &object)).collect(),
        ("pg_catalog", "pg_type") => types::TYPES.iter().flat_map(type_rows).collect(),
        ("pg_catalog", "pg_namespace") => SCHEMAS
            .iter()
            .map(|(oid, name)| {
                vec![
                    ("oid", (*oid).into()),
                    ("nspname", (*name).into()),
                    ("nspowner", ROLE.0.into()),
                ]
            })
            .collect(),
        ("pg_catalog", "pg_database") => vec![database()],
        ("pg_catalog", "pg_roles") => vec![role()],
        ("pg_catalog", "pg_user") => vec![vec![("usename", ROLE.1.into()), ("usesysid", ROLE.0.into())]],
        ("pg_catalog", "pg_proc") => objects().iter().filter_map(procedure).collect(),
        ("pg_catalog", KEYWORDS) => keywords(),
        ("pg_catalog", "pg_am") => vec![vec![
            ("oid", HEAP.0.into()),
            ("amname", HEAP.1.into()),
            ("amtype", "t".into()),
        ]],
        ("pg_catalog", "pg_tablespace") => vec![vec![
            ("oid", TABLESPACE.0.into()),
            ("spcname", TABLESPACE.1.into()),
            ("spcowner", ROLE.0.into()),
        ]],
        ("pg_catalog", "pg_settings") => SETTINGS
            .iter()
            .map(|(name, value)| {
                vec![
                    ("name", (*name).into()),
                    ("setting", (*value).into()),
                    ("context", "user".into()),
                ]
            })
            .collect(),
        ("pg_catalog", "pg_tables") => of_kind("r")
            .map(|object| listed(&object, "tablename", "tableowner"))
            .collect(),
        ("pg_catalog", "pg_views") => of_kind("v")
            .map(|object| listed(&object, "viewname", "viewowner"))
            .collect(),
        ("pg_catalog", "pg_matviews") => of_kind("m")
            .map(|object| listed(&object, "matviewname", "matviewowner"))
            .collect(),
        ("information_schema", "tables") => relations().map(|object| information_table(&object)).collect(),
        ("information_schema", "columns") => relations()
            .flat_map(|object| information_columns(inner, &object))
            .collect(),
        ("information_schema", "views") => relations()
            .filter_map(|object| {
                let mut row = named(&object);
                row.push(("view_definition", query(&object)?.into()));
                row.push(("is_updatable", "NO".into()));
                Some(row)
            })
            .collect(),
        ("information_schema", "schemata") => SCHEMAS
            .iter()
            .map(|(_, name)| {
                vec![
                    ("catalog_name", DATABASE.1.into()),
                    ("schema_name", (*name).into()),
                    ("schema_owner", ROLE.1.into()),
                ]
            })
            .collect(),
        ("information_schema", "routines") => objects().iter().filter_map(routine).collect(),
        _ => Vec::new(),
    }
}

fn class(inner: &Inner, object: &Object) -> Row {
    vec![
        ("oid", object.oid.into()),
        ("relname", object.name.clone().into()),
        ("relnamespace", object.schema.into()),
        ("relowner", ROLE.0.into()),
        (
            "relam",
            if object.kind() == Some("v") {
                0.into()
            } else {
                HEAP.0.into()
            },
        ),
        ("relkind", object.kind().unwrap_or_default().into()),
        ("relpersistence", "p".into()),
        ("relreplident", "d".into()),
        ("relispopulated", true.into()),
        // What PostgreSQL says of a table that was never counted.
        ("reltuples", (-1).into()),
        ("relnatts", (columns_of(inner, object).len() as i64).into()),
    ]
}

fn attributes(inner: &Inner, object: &Object) -> Vec<Row> {
    let columns = columns_of(inner, object);
    let rows = columns.iter().zip(1_i64..).map(|(column, number)| {
        let (oid, modifier) = types::of(column.data_type());
        vec![
            ("attrelid", object.oid.into()),
            ("attname", column.name().as_str().into()),
            ("atttypid", oid.into()),
            ("attlen", types::by_oid(oid).map_or(-1, |known| known.bytes).into()),
            ("attnum", number.into()),
            ("atttypmod", modifier.into()),
            ("attnotnull", (!column.is_nullable()).into()),
            ("attidentity", "".into()),
            ("attgenerated", "".into()),
            ("attcompression", "".into()),
            ("attstorage", "p".into()),
            ("attalign", "i".into()),
            ("attislocal", true.into()),
        ]
    });
    rows.collect()
}

/// A type, and that of its arrays.
fn type_rows(known: &types::PgType) -> Vec<Row> {
    let mut one = type_row(known.oid, known.name, known.bytes, known.category);
    one.push(("typinput", format!("{}in", known.name).into()));
    one.push(("typarray", known.array.into()));
    let mut rows = vec![one];
    if known.array != 0 {
        let mut array = type_row(known.array, &format!("_{}", known.name), -1, "A");
        array.push(("typinput", "array_in".into()));
        array.push(("typelem", known.oid.into()));
        rows.push(array);
    }
    rows
}

fn type_row(oid: i64, name: &str, bytes: i64, category: &'static str) -> Row {
    vec![
        ("oid", oid.into()),
        ("typname", name.into()),
        ("typnamespace", SCHEMAS[0].0.into()),
        ("typowner", ROLE.0.into()),
        ("typlen", bytes.into()),
        ("typtype", BASE.into()),
        ("typcategory", category.into()),
        ("typisdefined", true.into()),
        ("typdelim", ",".into()),
        ("typtypmod", (-1).into()),
        ("typalign", "i".into()),
        ("typstorage", "p".into()),
    ]
}

fn database() -> Row {
    vec![
        ("oid", DATABASE.0.into()),
        ("datname", DATABASE.1.into()),
        ("datdba", ROLE.0.into()),
        ("encoding", UTF8.into()),
        ("datlocprovider", "c".into()),
        ("datallowconn", true.into()),
        ("datconnlimit", (-1).into()),
        ("dattablespace", TABLESPACE.0.into()),
        ("datcollate", "C.UTF-8".into()),
        ("datctype", "C.UTF-8".into()),
    ]
}

fn role() -> Row {
    vec![
        ("oid", ROLE.0.into()),
        ("rolname", ROLE.1.into()),
        ("rolinherit", true.into()),
        ("rolcanlogin", true.into()),
        ("rolconnlimit", (-1).into()),
    ]
}

/// A command, as a procedure.
fn procedure(object: &Object) -> Option<Row> {
    let Definition::Command(command) = object.definition.as_ref() else {
        return None;
    };
    let parameters = super::functions::parameters(&command.statement).unwrap_or_default();
    let types = parameters
        .iter()
        .map(|parameter| types::of(&parameter.column_type.data_type()).0.to_string());
    let types: Vec<String> = types.collect();
    let names: Vec<String> = parameters
        .iter()
        .map(|parameter| parameter.name.value.clone())
        .collect();
    Some(vec![
        ("oid", object.oid.into()),
        ("proname", object.name.clone().into()),
        ("pronamespace", PUBLIC.into()),
        ("proowner", ROLE.0.into()),
        ("prokind", "p".into()),
        ("pronargs", (types.len() as i64).into()),
        ("prorettype", types::VOID.into()),
        ("proargtypes", types.join(" ").into()),
        ("proargnames", names.into()),
        ("provolatile", "v".into()),
        ("prosrc", command.statement.clone().into()),
    ])
}

fn routine(object: &Object) -> Option<Row> {
    let Definition::Command(command) = object.definition.as_ref() else {
        return None;
    };
    Some(vec![
        ("specific_catalog", DATABASE.1.into()),
        ("specific_schema", "public".into()),
        ("specific_name", object.name.clone().into()),
        ("routine_catalog", DATABASE.1.into()),
        ("routine_schema", "public".into()),
        ("routine_name", object.name.clone().into()),
        ("routine_type", "PROCEDURE".into()),
        ("routine_body", "SQL".into()),
        ("routine_definition", command.statement.clone().into()),
    ])
}

/// The query of a view.
pub(super) fn query(object: &Object) -> Option<&str> {
    match object.definition.as_ref() {
        Definition::View(view) => Some(&view.query),
        _ => None,
    }
}

fn listed(object: &Object, name: &'static str, owner: &'static str) -> Row {
    let mut row: Row = vec![
        ("schemaname", object.schema_name().into()),
        (name, object.name.clone().into()),
        (owner, ROLE.1.into()),
        ("ispopulated", true.into()),
    ];
    row.extend(query(object).map(|text| ("definition", text.into())));
    row
}

fn named(object: &Object) -> Row {
    vec![
        ("table_catalog", DATABASE.1.into()),
        ("table_schema", object.schema_name().into()),
        ("table_name", object.name.clone().into()),
    ]
}

fn information_table(object: &Object) -> Row {
    let is_stream = object.kind() == Some("r");
    let mut row = named(object);
    // The standard has no materialized views: they are asked like the others.
    row.push((
        "table_type",
        if is_stream { "BASE TABLE".into() } else { "VIEW".into() },
    ));
    let insertable = is_stream && object.schema == PUBLIC;
    row.push((
        "is_insertable_into",
        if insertable { "YES".into() } else { "NO".into() },
    ));
    row.push(("is_typed", "NO".into()));
    row
}

fn information_columns(inner: &Inner, object: &Object) -> Vec<Row> {
    let columns = columns_of(inner, object);
    let rows = columns
        .iter()
        .zip(1_i64..)
        .map(|(column, number)| information_column(object, column, number));
    rows.collect()
}

fn information_column(object: &Object, column: &Field, number: i64) -> Row {
    let (oid, modifier) = types::of(column.data_type());
    let mut row = named(object);
    row.extend([
        ("column_name", column.name().as_str().into()),
        ("ordinal_position", number.into()),
        (
            "is_nullable",
            if column.is_nullable() {
                "YES".into()
            } else {
                "NO".into()
            },
        ),
        ("data_type", types::information(oid).into()),
        ("udt_catalog", DATABASE.1.into()),
        ("udt_schema", "pg_catalog".into()),
        ("is_identity", "NO".into()),
        ("is_generated", "NEVER".into()),
        ("is_updatable", "NO".into()),
    ]);
    row.extend(types::name(oid).map(|name| ("udt_name", name.into())));
    if let Some((digits, scale)) = types::precision(modifier) {
        row.push(("numeric_precision", digits.into()));
        row.push(("numeric_precision_radix", 10.into()));
        row.push(("numeric_scale", scale.into()));
    }
    row
}
