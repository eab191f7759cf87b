//! What is defined here as PostgreSQL's objects: each with an object id that is the same in every question.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use headwater_catalog::{Catalog, Definition, INTERNAL_PREFIX};

use crate::inner::Inner;
use crate::question::view_columns;

/// The schemas: object id and name. `_headwater` holds the program's own streams.
pub(super) const SCHEMAS: [(i64, &str); 4] = [
    (11, "pg_catalog"),
    (PUBLIC, "public"),
    (OWN, "_headwater"),
    (13_000, "information_schema"),
];
/// The schema of what users define.
pub(super) const PUBLIC: i64 = 2200;
/// The schema of the program's own streams.
pub(super) const OWN: i64 = 12_900;
/// The one role, which owns everything.
pub(super) const ROLE: (i64, &str) = (10, "headwater");
/// The one database; a client may name it as it likes.
pub(crate) const DATABASE: (i64, &str) = (5, "headwater");

/// Object ids of PostgreSQL's own objects end below.
const OIDS_OF_USERS: u32 = 16_384;

/// A definition with its object id.
pub(super) struct Object {
    pub(super) oid: i64,
    pub(super) schema: i64,
    pub(super) name: String,
    pub(super) definition: Arc<Definition>,
}

impl Object {
    /// `r` (table), `m` (materialized view) or `v` (view); `None`: it is no relation.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self.definition.as_ref() {
            Definition::Stream(_) => Some("r"),
            Definition::View(view) if view.shape.is_some() => Some("m"),
            Definition::View(_) => Some("v"),
            Definition::Command(_) | Definition::Schedule(_) | Definition::Graph(_) => None,
        }
    }

    /// The name of its schema.
    pub(super) fn schema_name(&self) -> &'static str {
        SCHEMAS
            .iter()
            .find(|(oid, _)| *oid == self.schema)
            .map_or("public", |(_, name)| name)
    }
}

/// Everything that is defined. An object's id follows from its name; where two names give the same, the later one takes the next.
pub(super) fn objects(catalog: &Catalog) -> Vec<Object> {
    let mut taken: BTreeSet<u32> = BTreeSet::new();
    let mut objects: Vec<Object> = Vec::new();
    let own = catalog
        .own_streams()
        .into_iter()
        .map(|stream| Arc::new(Definition::Stream(stream.as_ref().clone())));
    for definition in catalog.all().into_iter().chain(own) {
        let mut oid = oid_of(definition.name());
        while !taken.insert(oid) {
            oid = oid.checked_add(1).unwrap_or(OIDS_OF_USERS);
        }
        let (schema, name) = match definition.name().strip_prefix(INTERNAL_PREFIX) {
            Some(own) => (OWN, own.to_owned()),
            None => (PUBLIC, definition.name().to_owned()),
        };
        objects.push(Object {
            oid: i64::from(oid),
            schema,
            name,
            definition,
        });
    }
    objects
}

/// FNV-1a over the name, above the ids that are PostgreSQL's and below 2³¹, which clients may read with a sign.
fn oid_of(name: &str) -> u32 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    OIDS_OF_USERS + hash % (i32::MAX as u32 - OIDS_OF_USERS)
}

/// The object of an id.
pub(super) fn by_oid(catalog: &Catalog, oid: i64) -> Option<Object> {
    objects(catalog).into_iter().find(|object| object.oid == oid)
}

/// The object of a name as clients write it: with or without its schema, with or without quotes.
pub(super) fn by_name(catalog: &Catalog, name: &str) -> Option<Object> {
    let name = name.replace('"', "");
    let name = name.strip_prefix("public.").unwrap_or(&name);
    objects(catalog)
        .into_iter()
        .find(|object| object.definition.name() == name)
}

/// The columns of a relation; none where it cannot be planned now.
pub(super) fn columns_of(inner: &Inner, object: &Object) -> Vec<Field> {
    match object.definition.as_ref() {
        Definition::Stream(stream) => match &stream.columns {
            None => vec![Field::new("value", DataType::Utf8, false)],
            Some(columns) => columns
                .iter()
                .map(|column| Field::new(&column.name, column.column_type.data_type(), column.nullable))
                .collect(),
        },
        Definition::View(view) => match view_columns(inner, &view.name) {
            Ok((columns, _)) => columns.fields().iter().map(|field| field.as_ref().clone()).collect(),
            Err(error) => {
                tracing::debug!(view = %view.name, %error, "its columns are not known");
                Vec::new()
            }
        },
        Definition::Command(_) | Definition::Schedule(_) | Definition::Graph(_) => Vec::new(),
    }
}
