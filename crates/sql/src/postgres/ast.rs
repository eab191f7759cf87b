//! Syntax as the rewriting of a query needs it: a call, a text, a cast.

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Query, Value,
};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::functions::json;
use crate::syntax::{Question, Statement};
use crate::{SqlError, SqlState, parse};

/// The function that a list is which is written out.
pub(super) const LIST: &str = "make_array";

/// The first argument of a function, where it is a value.
pub(crate) fn first_argument(function: &Function) -> Option<&Expr> {
    match &function.args {
        FunctionArguments::List(list) => match list.args.first()? {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        },
        _ => None,
    }
}

/// The elements of a list that is written out, be it as a query says it or as the engine does.
pub(super) fn listed(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Array(array) => Some(array.elem.clone()),
        Expr::Nested(inner) => listed(inner),
        Expr::Function(function) if function.name.to_string() == LIST => json::arguments(function),
        _ => None,
    }
}

/// `expr::text`
pub(super) fn as_text(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Text,
        array: false,
        format: None,
    }
}

/// `expr::bool`
pub(super) fn as_truth(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Boolean,
        array: false,
        format: None,
    }
}

/// A text as written: `'…'`.
pub(crate) fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.to_owned()).with_empty_span())
}

/// `name(args, …)`
pub(crate) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::with_span(Span::empty(), name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The query that a text is.
pub(super) fn template(text: &str) -> Result<Query, SqlError> {
    let statement = parse::parse(text, "")?.into_iter().next();
    match statement.map(|parsed| parsed.statement) {
        Some(Statement::Query(Question { query, .. })) => Ok(*query),
        _ => Err(SqlError::new(SqlState::INTERNAL, "TABLE could not be rewritten")),
    }
}
