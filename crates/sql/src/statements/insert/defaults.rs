//! `DEFAULT` in the rows of an INSERT: the value that the column has where nothing is said of it.
//!
//! In a VALUES that nothing is done with, as in PostgreSQL: elsewhere `default` is a name that nobody knows.

use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Value};

use crate::rows_alike::{is_default, plain};

/// Which columns of the rows say DEFAULT, where they are alike in that.
pub(super) fn unsaid(query: &Query) -> Vec<bool> {
    let first = plain(query).and_then(|values| values.rows.first());
    first.map_or(Vec::new(), |row| row.iter().map(is_default).collect())
}

/// The query with NULL in their place, which can be worked out.
pub(super) fn as_null(query: &Query) -> Query {
    let mut query = query.clone();
    if plain(&query).is_some()
        && let SetExpr::Values(values) = query.body.as_mut()
    {
        for row in &mut values.rows {
            for cell in row.iter_mut().filter(|cell| is_default(cell)) {
                *cell = Expr::value(Value::Null);
            }
        }
    }
    query
}
