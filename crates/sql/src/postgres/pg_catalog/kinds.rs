//! Every type of the catalog is a base type: what a query over `pg_type` asks of domains, composite types and others is never asked.
//!
//! ```text
//! CASE WHEN t.typtype = 'd' THEN (SELECT …) ELSE x END        x
//! ```

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Query, SelectItem, SetExpr, Value,
};

use crate::postgres::ast::{first_argument, text};

/// `pg_type.typtype` of every type here.
pub(crate) const BASE: &str = "b";

/// The columns of `pg_type` that are functions.
const FUNCTIONS: [&str; 4] = ["typinput", "typoutput", "typreceive", "typsend"];

/// A CASE without the branches that are for other kinds of types; `None` where it has none of those.
pub(crate) fn of_base(case: &Expr) -> Option<Expr> {
    let Expr::Case {
        operand: None,
        conditions,
        else_result,
        ..
    } = case
    else {
        return None;
    };
    let (never, kept): (Vec<_>, Vec<_>) = conditions
        .iter()
        .cloned()
        .partition(|branch| is_other_kind(&branch.condition));
    let gone = never.first()?;
    if kept.is_empty() {
        return Some(match else_result.as_deref() {
            Some(other) if !is_null(other) => other.clone(),
            _ => null_of(&gone.result),
        });
    }
    let mut case = case.clone();
    if let Expr::Case { conditions, .. } = &mut case {
        *conditions = kept;
    }
    Some(case)
}

fn is_other_kind(condition: &Expr) -> bool {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::Eq,
        right,
    } = condition
    else {
        return false;
    };
    let is_kind = match left.as_ref() {
        Expr::CompoundIdentifier(parts) => parts.last().is_some_and(|name| name.value == "typtype"),
        Expr::Identifier(name) => name.value == "typtype",
        _ => false,
    };
    let is_other = match right.as_ref() {
        Expr::Value(value) => matches!(&value.value, Value::SingleQuotedString(kind) if kind != BASE),
        _ => false,
    };
    is_kind && is_other
}

/// `typinput = 'pg_catalog.array_in'::regproc`: the functions of a type are told by their names.
pub(crate) fn function_of_type(column: &Expr, function: &mut Expr) {
    let of_type = match column {
        Expr::CompoundIdentifier(parts) => parts.last(),
        Expr::Identifier(name) => Some(name),
        _ => None,
    };
    let is_of_type = of_type.is_some_and(|name| FUNCTIONS.contains(&name.value.as_str()));
    if let Expr::Function(called) = function
        && is_of_type
        && called.name.to_string() == "to_regproc"
        && let Some(Expr::Value(value)) = first_argument(called)
        && let Value::SingleQuotedString(name) = &value.value
    {
        let name = name.rsplit('.').next().unwrap_or_default();
        *function = text(name);
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

/// NULL of the type that a query of the catalog gives: object ids, and names that are cast to text, one or many.
fn null_of(result: &Expr) -> Expr {
    let null = Expr::Value(Value::Null.with_empty_span());
    let query = match result {
        Expr::Subquery(query) => query,
        _ => return null,
    };
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(null),
        data_type: given(query).map_or(DataType::Int4Unsigned(None), type_of),
        array: false,
        format: None,
    }
}

fn given(query: &Query) -> Option<&Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => Some(expr),
        _ => None,
    }
}

fn type_of(expr: &Expr) -> DataType {
    match expr {
        Expr::Cast { data_type, .. } => data_type.clone(),
        Expr::Function(function) if function.name.to_string() == "array_agg" => {
            let element = first_argument(function).map_or(DataType::Int4Unsigned(None), type_of);
            DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(element), None))
        }
        _ => DataType::Int4Unsigned(None),
    }
}
