//! `VALUES (DATE '2024-01-01'), ('2024-01-02')`: a text that stands below a value with a type is a value of that type, as in PostgreSQL; a decimal beside a
//! float, `VALUES (1e308), (0.5)`, is one too.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Query, SetExpr, UnaryOperator, Value, Values,
};

use super::numbers;

/// Gives the texts of a VALUES the types of their columns, where a row says one.
pub(super) fn typed(query: &mut Query) {
    each(&mut query.body);
}

fn each(body: &mut SetExpr) {
    match body {
        SetExpr::Values(values) => of_columns(values),
        SetExpr::SetOperation { left, right, .. } => {
            each(left);
            each(right);
        }
        _ => {}
    }
}

fn of_columns(values: &mut Values) {
    let columns = values.rows.first().map_or(0, |row| row.len());
    for column in 0..columns {
        let cells = || values.rows.iter().filter_map(|row| row.get(column));
        if cells().any(is_float) {
            let cells = values.rows.iter_mut().filter_map(|row| row.get_mut(column));
            for cell in cells.filter(|cell| is_number(cell)) {
                *cell = cast(cell, &DataType::Double(ExactNumberInfo::None));
            }
        }
        let cells = || values.rows.iter().filter_map(|row| row.get(column));
        if !cells().any(is_text) {
            continue;
        }
        let Some(data_type) = cells().find_map(said) else {
            continue;
        };
        for cell in values.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
            if is_text(cell) {
                *cell = cast(cell, &data_type);
            }
        }
    }
}

pub(super) fn cast(cell: &Expr, data_type: &DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(cell.clone()),
        data_type: data_type.clone(),
        array: false,
        format: None,
    }
}

/// Whether it is a number that is written out.
fn is_number(cell: &Expr) -> bool {
    match cell {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::Nested(inner) => is_number(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        } => is_number(expr),
        _ => false,
    }
}

/// Whether it is a float: cast to one, or a number that no decimal holds.
fn is_float(cell: &Expr) -> bool {
    match cell {
        Expr::Value(value) => matches!(
            numbers::literal(value),
            Ok(Some(Expr::Cast {
                data_type: DataType::Double(_),
                ..
            }))
        ),
        Expr::Nested(inner) => is_float(inner),
        Expr::UnaryOp { expr, .. } => is_float(expr),
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            DataType::Double(_)
                | DataType::DoublePrecision
                | DataType::Float8
                | DataType::Float(_)
                | DataType::Real
                | DataType::Float4
        ),
        _ => false,
    }
}

fn is_text(cell: &Expr) -> bool {
    matches!(cell, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
}

/// The type that a value says it has.
pub(super) fn said(cell: &Expr) -> Option<DataType> {
    match cell {
        Expr::TypedString(typed) => Some(typed.data_type.clone()),
        Expr::Cast { data_type, .. } => Some(data_type.clone()),
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => Some(DataType::Boolean),
        Expr::Nested(inner) => said(inner),
        _ => None,
    }
}
