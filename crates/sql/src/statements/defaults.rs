//! `DEFAULT` in the rows of an INSERT: the value that the column has where nothing is said of it.

use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Value};

use crate::rows_alike;

/// Which columns of the rows say DEFAULT, where they are alike in that: none of a source that is no VALUES.
pub(super) fn unsaid(query: &Query) -> Vec<bool> {
    let SetExpr::Values(values) = query.body.as_ref() else {
        return Vec::new();
    };
    let first = values.rows.first();
    first.map_or(Vec::new(), |row| row.iter().map(rows_alike::is_default).collect())
}

/// The query with NULL in their place, which can be worked out.
pub(super) fn as_null(query: &Query) -> Query {
    let mut query = query.clone();
    if let SetExpr::Values(values) = query.body.as_mut() {
        for row in &mut values.rows {
            for cell in row.iter_mut().filter(|cell| rows_alike::is_default(cell)) {
                *cell = Expr::value(Value::Null);
            }
        }
    }
    query
}
