//! What PostgreSQL's clients write and the query engine does not know, said in the engine's words before a query is planned.
//!
//! ```text
//! pg_catalog.format_type(…)      format_type(…)              OPERATOR(pg_catalog.~)    ~
//! 'balances'::regclass           to_regclass('balances')     x COLLATE "C"             x
//! c.oid::regclass::text          regclass_name(c.oid)        ARRAY(SELECT x …)         (SELECT array_agg(x) …)
//! x::oid, x::name, x::json       UINT32, TEXT, TEXT          FETCH FIRST 5 ROWS ONLY   LIMIT 5
//! current_user                   current_user of the session TABLE t                   SELECT * FROM t
//! x LIKE 'a/_%' ESCAPE '/'       x LIKE 'a\_%'               unnest(i.indkey, …)       a table without rows
//! (a, b) < (1, 2)                a < 1 OR a = 1 AND b < 2    value #>> '{a,0}'        json_as_text(value, 'a', 0)
//! k::varchar(3)                  left(k, 3)                  array_remove(a, 1)       array_remove_all(a, 1)
//! at AT TIME ZONE 'CET'          timezone('CET', at)         a && b                   array_has_any(a, b)
//! ```

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DECIMAL128_MAX_PRECISION;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, ArrayElemTypeDef, BinaryOperator, DataType, ExactNumberInfo, Expr, Function, FunctionArguments, Ident,
    ObjectName, ObjectNamePart, Query, Select, Subscript, TableFactor, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::{
    choices, fetched, gathered, groups, in_order, lateral, lengths, literals, numbers, operators, parts, quantified,
    renamed, row_functions, rows, table_names, values, windows,
};
use crate::postgres::ast::{LIST, as_truth, call, text};
use crate::postgres::functions::{json, regex};
use crate::postgres::pg_catalog::{kinds, subqueries};
use crate::{SqlError, SqlState};

/// A character of the private use area, which nobody writes.
const ASIDE: &str = "\u{e000}";

/// invalid_escape_sequence
const INVALID_ESCAPE: SqlState = SqlState("22025");

/// Rewrites a query for the engine. `user` is who asks.
pub(crate) fn as_engine_knows_it(query: &mut Query, user: &str) -> Result<(), SqlError> {
    rewrite(
        query,
        Rewriter {
            user: Some(user),
            depth: 0,
        },
    )
}

/// Rewrites an expression as it stands in a query; `user` is who asks, where that is known.
pub(crate) fn part_as_engine_knows_it(expr: &mut Expr, user: Option<&str>) -> Result<(), SqlError> {
    rewrite(expr, Rewriter { user, depth: 1 })
}

fn rewrite(part: &mut impl VisitMut, mut rewriter: Rewriter<'_>) -> Result<(), SqlError> {
    match part.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Rewriter<'a> {
    user: Option<&'a str>,
    /// How many queries the one that is visited stands in.
    depth: usize,
}

impl VisitorMut for Rewriter<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        subqueries::without_rows(query, self.depth > 0);
        values::typed(query);
        self.depth += 1;
        match fetched::limited(query).and_then(|()| numbers::counts(query)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        table_names::given(&mut select.from);
        windows::written_out(select);
        groups::written_out(select);
        in_order::as_below(select);
        if let Some(condition) = &mut select.selection
            && choices::is_quoted(condition)
        {
            *condition = as_truth(condition.clone());
        }
        match lateral::of_rows(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        if let Err(error) = row_functions::sampled(factor) {
            return ControlFlow::Break(error);
        }
        match subqueries::of_no_list(factor).transpose() {
            Ok(Some(empty)) => *factor = empty,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        row_functions::unqualified(factor);
        table_names::joined(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let of_json = || json::of_json(expr);
        if let Some(value) = subqueries::value(expr)
            .or_else(|| kinds::of_base(expr))
            .or_else(of_json)
        {
            *expr = value;
        }
        ControlFlow::Continue(())
    }

    // Inner expressions come first: a cast of a cast finds its inside rewritten.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        match self.rewritten(expr) {
            Ok(Some(rewritten)) => *expr = rewritten,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    fn rewritten(&self, expr: &mut Expr) -> Result<Option<Expr>, SqlError> {
        literals::readable(expr);
        if let Some(rewritten) = rows::compared(expr)?
            .or(json::operator(expr)?)
            .or(regex::of_words(expr)?)
            .or(quantified::written_out(expr)?)
            .or(operators::called(expr))
        {
            return Ok(Some(rewritten));
        }
        Ok(match expr {
            Expr::Value(value) => return numbers::literal(value),
            Expr::Function(function) => return self.function(function),
            Expr::Identifier(name) if name.quote_style.is_none() => self.named_value(&name.value),
            Expr::Cast {
                expr: inner, data_type, ..
            } => {
                json::below_cast(inner, data_type);
                lengths::shortened(inner, data_type).or_else(|| cast(inner, data_type))
            }
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: inner,
            } if choices::is_quoted(inner) => {
                **inner = as_truth(inner.as_ref().clone());
                None
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                // `t.e[1].name`: the first dots are a column's name by its table.
                let is_name = matches!(root.as_ref(), Expr::Identifier(_));
                let is_of_name = |access: &&mut AccessExpr| is_name && matches!(access, AccessExpr::Dot(_));
                access_chain.iter_mut().skip_while(is_of_name).for_each(accessed);
                None
            }
            // The engine would read the elements as if there were no table around them, and no parameters.
            Expr::Array(array) if !array.elem.is_empty() => Some(call(LIST, array.elem.clone())),
            Expr::Extract { field, expr, .. } => parts::extracted(&field.to_string(), expr),
            Expr::Collate { expr: inner, .. } => Some(inner.as_ref().clone()),
            Expr::AtTimeZone { timestamp, time_zone } => {
                let args = vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()];
                Some(call("timezone", args))
            }
            Expr::Like {
                pattern, escape_char, ..
            }
            | Expr::ILike {
                pattern, escape_char, ..
            } => {
                if let Some(escape) = escape_char.take() {
                    **pattern = escaped_by_backslash(std::mem::replace(pattern, text("")), &escape.value)?;
                }
                None
            }
            // Each bit of -1 is set.
            Expr::UnaryOp {
                op: UnaryOperator::BitwiseNot,
                expr: inner,
            } => Some(Expr::Nested(Box::new(Expr::BinaryOp {
                left: inner.clone(),
                op: BinaryOperator::PGBitwiseXor,
                right: Box::new(Expr::Value(Value::Number("-1".to_owned(), false).with_empty_span())),
            }))),
            Expr::BinaryOp {
                left,
                op: BinaryOperator::PGOverlap,
                right,
            } => Some(call(
                "array_has_any",
                vec![left.as_ref().clone(), right.as_ref().clone()],
            )),
            Expr::BinaryOp { left, op, right } => {
                kinds::function_of_type(left, right);
                if let BinaryOperator::PGCustomBinaryOperator(parts) = op {
                    *op = operator(parts)?;
                }
                None
            }
            _ => None,
        })
    }

    fn function(&self, function: &mut Function) -> Result<Option<Expr>, SqlError> {
        let names: Vec<String> = function
            .name
            .0
            .iter()
            .filter_map(|part| part.as_ident())
            .map(|ident| ident.value.clone())
            .collect();
        if let [schema, name] = names.as_slice()
            && (schema == "pg_catalog" || schema == "information_schema")
        {
            function.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name.clone()))]);
        }
        if names.last().is_some_and(|name| name == "date_trunc")
            && let Some(there) = parts::begun_there(function)
        {
            return Ok(Some(there));
        }
        if names.last().is_some_and(|name| name == "date_part")
            && let Some(part) = parts::called(function)
        {
            return Ok(Some(part));
        }
        if let Some(case) = names.last().and_then(|name| choices::as_case(name, &function.args)) {
            return Ok(Some(case));
        }
        if let Some(called) = renamed::called(function) {
            return Ok(Some(called));
        }
        let FunctionArguments::Subquery(query) = &function.args else {
            let bare = matches!(function.args, FunctionArguments::None);
            return Ok(names
                .last()
                .filter(|_| bare || names.last().is_some_and(|name| name == "current_user"))
                .and_then(|name| self.named_value(name)));
        };
        if !names.last().is_some_and(|name| name.eq_ignore_ascii_case("array")) {
            return Ok(None);
        }
        gathered::of(query).map(Some)
    }

    /// The values that SQL writes without brackets.
    fn named_value(&self, name: &str) -> Option<Expr> {
        match name.to_ascii_lowercase().as_str() {
            "current_user" | "session_user" | "current_role" => self.user.map(text),
            "localtime" => Some(call("current_time", Vec::new())),
            "current_catalog" => Some(call("current_catalog", Vec::new())),
            "current_schema" => Some(call("current_schema", Vec::new())),
            _ => None,
        }
    }
}

/// A pattern of LIKE that is escaped by some character, escaped by the one that the engine knows.
fn escaped_by_backslash(pattern: Expr, escape: &Value) -> Result<Expr, SqlError> {
    let Value::SingleQuotedString(escape) = escape else {
        return Err(SqlError::new(SqlState::TYPE_MISMATCH, "ESCAPE takes a text").hint("write ESCAPE '/'"));
    };
    let backslash = "\\";
    let replaced = |pattern: Expr, from: &str, to: &str| call("replace", vec![pattern, text(from), text(to)]);
    Ok(match escape.chars().count() {
        // Nothing is escaped: what the engine would take for an escape stands for itself.
        0 => replaced(pattern, backslash, "\\\\"),
        1 if escape == backslash => pattern,
        1 => {
            let pattern = replaced(pattern, backslash, "\\\\");
            // Twice it stands for itself: put aside while it is replaced where it escapes.
            let pattern = replaced(pattern, &escape.repeat(2), ASIDE);
            let pattern = replaced(pattern, escape, backslash);
            replaced(pattern, ASIDE, &format!("{backslash}{escape}"))
        }
        _ => {
            let error = SqlError::new(INVALID_ESCAPE, format!("invalid escape string: '{escape}'"));
            return Err(error.hint("it is empty or one character"));
        }
    })
}

/// A cast to one of PostgreSQL's own types.
fn cast(inner: &Expr, data_type: &mut DataType) -> Option<Expr> {
    let name = match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
            // Of lists only the elements' type is another.
            let _ = cast(&Expr::Tuple(Vec::new()), element);
            return None;
        }
        DataType::Regclass => "regclass".to_owned(),
        DataType::JSON | DataType::JSONB => "json".to_owned(),
        DataType::Custom(name, _) => name.0.last()?.as_ident()?.value.to_ascii_lowercase(),
        DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::Uuid => "text".to_owned(),
        DataType::Numeric(ExactNumberInfo::None) | DataType::Decimal(ExactNumberInfo::None) => "numeric".to_owned(),
        _ => return None,
    };
    let is_text = matches!(inner, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::Placeholder(_)));
    if let (DataType::Numeric(info) | DataType::Decimal(info), Expr::Value(value)) = (&mut *data_type, inner) {
        exact_as_written(info, &value.value);
    }
    match name.as_str() {
        "regclass" if is_text => return Some(call("to_regclass", vec![inner.clone()])),
        "regproc" | "regprocedure" if is_text => return Some(call("to_regproc", vec![inner.clone()])),
        "regtype" if is_text => return Some(call("to_regtype", vec![inner.clone()])),
        "regnamespace" if is_text => return Some(call("to_regnamespace", vec![inner.clone()])),
        "regclass" => return Some(call("regclass_name", vec![inner.clone()])),
        "regnamespace" => return Some(call("regnamespace_name", vec![inner.clone()])),
        "regtype" => return Some(call("format_type", vec![inner.clone()])),
        // Object ids are numbers without a sign.
        "oid" | "xid" => *data_type = DataType::Int4Unsigned(None),
        "int8" => *data_type = DataType::BigInt(None),
        "int4" => *data_type = DataType::Integer(None),
        "int2" => *data_type = DataType::SmallInt(None),
        "bool" => *data_type = DataType::Boolean,
        "text" | "name" | "char" | "json" | "jsonb" | "regproc" | "unknown" | "information_schema" => {
            *data_type = DataType::Text;
        }
        _ => {}
    }
    None
}

/// A number that is written out and cast to NUMERIC has the digits that are written.
fn exact_as_written(info: &mut ExactNumberInfo, value: &Value) {
    let (Value::Number(written, _) | Value::SingleQuotedString(written)) = value else {
        return;
    };
    let digits = written.trim().trim_start_matches(['-', '+']);
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let count = (whole.trim_start_matches('0').len() + behind.len()).max(1);
    if is_plain && count <= usize::from(DECIMAL128_MAX_PRECISION) {
        *info = ExactNumberInfo::PrecisionAndScale(count as u64, behind.len() as i64);
    }
}

/// `(e[1]).name` is `e[1]['name']`, and a slice without a bound goes to the end.
fn accessed(access: &mut AccessExpr) {
    let number = |number: &str| Expr::Value(Value::Number(number.to_owned(), false).with_empty_span());
    match access {
        AccessExpr::Dot(Expr::Identifier(name)) => {
            *access = AccessExpr::Subscript(Subscript::Index {
                index: text(&name.value),
            });
        }
        AccessExpr::Subscript(Subscript::Slice {
            lower_bound,
            upper_bound,
            ..
        }) => {
            lower_bound.get_or_insert_with(|| number("1"));
            upper_bound.get_or_insert_with(|| Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: Box::new(number("1")),
            });
        }
        _ => {}
    }
}

/// `OPERATOR(pg_catalog.~)` by its plain name.
fn operator(parts: &[String]) -> Result<BinaryOperator, SqlError> {
    let name = parts.last().map_or("", String::as_str);
    Ok(match name {
        "~" => BinaryOperator::PGRegexMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        _ => {
            let message = format!("there is no OPERATOR({})", parts.join("."));
            return Err(SqlError::new(SqlState::UNKNOWN_FUNCTION, message).hint("write the operator itself"));
        }
    })
}
