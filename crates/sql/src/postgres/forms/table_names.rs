//! The names of streams and views in FROM. A dot is a part of a name (`dbserver1.public.customers`, as Debezium calls its topics); `public.` before it means
//! nothing, as does the database before that or before another schema of PostgreSQL's.

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor, TableWithJoins};

use crate::postgres::pg_catalog::objects::DATABASE;

/// PostgreSQL's own schemas.
const SCHEMAS: [&str; 3] = ["public", "pg_catalog", "information_schema"];

/// What PostgreSQL calls a query in FROM without a name.
const UNNAMED: &str = "unnamed_subquery";

/// The name that the catalog knows.
pub(crate) fn stored(name: &ObjectName) -> String {
    let parts: Vec<&str> = idents(name).map(|part| part.value.as_str()).collect();
    let parts = meant(&parts, |part| part);
    match parts {
        ["public", rest @ ..] if !rest.is_empty() => rest.join("."),
        parts => parts.join("."),
    }
}

/// Makes one name of those with more parts than the query engine knows.
pub(super) fn joined(factor: &mut TableFactor) {
    let TableFactor::Table {
        name,
        args: None,
        alias,
        ..
    } = factor
    else {
        return;
    };
    let parts: Vec<Ident> = idents(name).cloned().collect();
    if parts.len() < 3 || parts.len() != name.0.len() {
        return;
    }
    let meant = meant(&parts, |part| &part.value);
    let Some(last) = meant.last() else { return };
    if meant.len() > 2 {
        alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: last.clone(),
            columns: Vec::new(),
            at: None,
        });
        let whole = Ident {
            value: stored(name),
            quote_style: Some('"'),
            // A rewind knows the place of the last part.
            span: last.span,
        };
        *name = ObjectName(vec![ObjectNamePart::Identifier(whole)]);
    } else {
        *name = ObjectName(meant.iter().cloned().map(ObjectNamePart::Identifier).collect());
    }
}

/// Gives the queries in a FROM that have no name the one that PostgreSQL gives them.
pub(super) fn given(from: &mut [TableWithJoins]) {
    let mut count = 0;
    from.iter_mut().for_each(|table| unnamed(table, &mut count));
}

fn unnamed(table: &mut TableWithJoins, count: &mut usize) {
    let joined = table.joins.iter_mut().map(|join| &mut join.relation);
    for factor in std::iter::once(&mut table.relation).chain(joined) {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => unnamed(table_with_joins, count),
            TableFactor::Derived {
                alias: alias @ None, ..
            } => {
                *count += 1;
                let name = match *count {
                    1 => UNNAMED.to_owned(),
                    count => format!("{UNNAMED}_{count}"),
                };
                *alias = Some(TableAlias {
                    explicit: true,
                    name: Ident::with_quote('"', name),
                    columns: Vec::new(),
                    at: None,
                });
            }
            _ => {}
        }
    }
}

/// The parts without the database before a schema.
fn meant<'a, T>(parts: &'a [T], value: impl Fn(&'a T) -> &'a str) -> &'a [T] {
    match parts {
        [database, schema, _] if value(database) == DATABASE.1 && SCHEMAS.contains(&value(schema)) => &parts[1..],
        parts => parts,
    }
}

fn idents(name: &ObjectName) -> impl Iterator<Item = &Ident> {
    name.0.iter().filter_map(|part| part.as_ident())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_the_name() {
        for (parts, expected) in [
            (&["orders"][..], "orders"),
            (&["public", "orders"], "orders"),
            (&["orders", "eu"], "orders.eu"),
            (&["dbserver1", "public", "customers"], "dbserver1.public.customers"),
            (&["public", "a", "b"], "a.b"),
            (&["a", "b", "c", "d"], "a.b.c.d"),
            (&["headwater", "public", "orders"], "orders"),
            (&["headwater", "pg_catalog", "pg_class"], "pg_catalog.pg_class"),
            (&["public"], "public"),
        ] {
            let name = parts.iter().map(|part| ObjectNamePart::Identifier(Ident::new(*part)));
            assert_eq!(stored(&ObjectName(name.collect())), expected);
        }
    }
}
