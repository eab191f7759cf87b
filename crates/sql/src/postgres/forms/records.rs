//! JSON as rows with columns that are named beside it: `json_to_recordset(value) AS r(item TEXT, pieces INTEGER)`, and of one object `json_to_record`.
//!
//! ```text
//! json_to_recordset(o.lines) AS r(item TEXT)    LATERAL (SELECT json_as_text(unnest(elements of o.lines), 'item')::TEXT AS item) AS r
//! json_to_record(o.value) AS r(n INTEGER)       LATERAL (SELECT json_as_text(o.value, 'n')::INTEGER AS n) AS r
//! ```

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, ObjectName, SelectItem, SetExpr, TableAlias, TableFactor,
};

use super::lateral::names_a_column;
use crate::postgres::ast::{call, template, text};
use crate::{SqlError, SqlState};

/// The query that such a function is; `None` where it is another one.
pub(super) fn rows(factor: &TableFactor, has_tables_before: bool) -> Result<Option<TableFactor>, SqlError> {
    let (name, args, alias) = match factor {
        TableFactor::Function { name, args, alias, .. } => (name, args, alias),
        TableFactor::Table {
            name,
            args: Some(args),
            alias,
            ..
        } => (name, &args.args, alias),
        _ => return Ok(None),
    };
    let (Some(is_set), [FunctionArg::Unnamed(FunctionArgExpr::Expr(json))]) = (of_set(name), args.as_slice()) else {
        return Ok(None);
    };
    let columns = alias.iter().flat_map(|alias| &alias.columns);
    let columns = columns.map(|column| Some((column.name.clone(), column.data_type.clone()?)));
    let columns: Vec<_> = match columns.collect::<Option<Vec<_>>>() {
        Some(columns) if !columns.is_empty() => columns,
        _ => {
            let message = "a column definition list is required for functions returning \"record\"";
            return Err(
                SqlError::new(SqlState::SYNTAX, message).hint("write AS r(item TEXT, pieces INTEGER) behind it")
            );
        }
    };
    let object = match is_set {
        true => call("unnest", vec![call("_headwater_json_elements", vec![json.clone()])]),
        false => json.clone(),
    };
    let items = columns.into_iter().map(|(name, data_type)| {
        let called = match data_type {
            DataType::JSON | DataType::JSONB => "json_get_json",
            _ => "json_as_text",
        };
        SelectItem::ExprWithAlias {
            expr: Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(call(called, vec![object.clone(), text(&name.value)])),
                data_type,
                array: false,
                format: None,
            },
            alias: name,
        }
    });
    let items = items.collect();
    let mut subquery = template("SELECT 1")?;
    if let SetExpr::Select(select) = subquery.body.as_mut() {
        select.projection = items;
    }
    Ok(Some(TableFactor::Derived {
        lateral: has_tables_before && names_a_column(json),
        subquery: Box::new(subquery),
        alias: alias.clone().map(|alias| TableAlias {
            columns: Vec::new(),
            ..alias
        }),
        sample: None,
    }))
}

/// Whether it gives a row of each element of an array, or one of an object; `None` where it is another function.
fn of_set(name: &ObjectName) -> Option<bool> {
    let name = name.0.last()?.as_ident()?.value.to_ascii_lowercase();
    match name.as_str() {
        "json_to_recordset" | "jsonb_to_recordset" => Some(true),
        "json_to_record" | "jsonb_to_record" => Some(false),
        _ => None,
    }
}
