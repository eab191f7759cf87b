//! A value beside a cast of it: `max(x), max(x::int)`, `GROUP BY at, at::date`, `sum(x::int) OVER (), sum(x) OVER ()`.
//!
//! The query engine's names of expressions leave casts out, and two of one name cannot stand beside each other. Where a SELECT has a value in several forms, each
//! cast of it goes into a function that gives what it takes and is called by the cast. It is gone when the plan is simplified.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{Discriminant, discriminant};
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    self, ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{Expr, Function, Ident, OrderBy, Query, Select, SetExpr, VisitMut, VisitorMut};

use crate::postgres::{call, first_argument, text};
use crate::question::outermost;

const NAME: &str = "_headwater_cast";

/// Names the casts of a query's values that stand beside the value itself, or beside another cast of it.
pub(crate) fn named(query: &mut Query) {
    let _ = query.visit(&mut Queries);
}

struct Queries;

impl VisitorMut for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        match query.body.as_mut() {
            SetExpr::Select(select) => in_select(select, &mut query.order_by),
            body => in_selects(body),
        }
        ControlFlow::Continue(())
    }
}

/// The parts of a UNION and its like that are no queries of their own.
fn in_selects(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => in_select(select, &mut None),
        SetExpr::SetOperation { left, right, .. } => {
            in_selects(left);
            in_selects(right);
        }
        _ => {}
    }
}

/// What FROM and WHERE say has no names beside each other.
fn in_select(select: &mut Select, order_by: &mut Option<OrderBy>) {
    let (from, selection) = (std::mem::take(&mut select.from), select.selection.take());
    let several = in_several_forms(select, order_by);
    if !several.is_empty() {
        outermost::each_inner_first(select, |expr| name(expr, &several));
        outermost::each_inner_first(order_by, |expr| name(expr, &several));
    }
    (select.from, select.selection) = (from, selection);
}

/// In which forms a value stands in a SELECT.
#[derive(Default)]
struct Forms {
    /// The casts of it, as they are written.
    casts: BTreeSet<String>,
    /// How often it is there,
    there: usize,
    /// and how often of that right below a cast.
    below: usize,
}

/// The values that are cast and stand there in another form too, without their casts.
fn in_several_forms(select: &mut Select, order_by: &mut Option<OrderBy>) -> BTreeSet<String> {
    let mut of: BTreeMap<String, Forms> = BTreeMap::new();
    let mut kinds: Vec<Discriminant<Expr>> = Vec::new();
    each(select, order_by, &mut |expr| {
        let expr = &*expr;
        let Expr::Cast { expr: inner, .. } = expr else { return };
        let value = innermost(inner);
        if !matches!(value, Expr::Value(_)) {
            kinds.push(discriminant(value));
            let forms = of.entry(bare(value)).or_default();
            forms.casts.insert(expr.to_string());
            forms.below += usize::from(std::ptr::eq(value, unnested(inner)));
        }
    });
    if of.is_empty() {
        return BTreeSet::new();
    }
    each(select, order_by, &mut |expr| {
        if kinds.contains(&discriminant(expr))
            && let Some(forms) = of.get_mut(&bare(expr))
        {
            forms.there += 1;
        }
    });
    of.retain(|_, forms| forms.casts.len() > 1 || forms.there > forms.below);
    of.into_keys().collect()
}

fn each(select: &mut Select, order_by: &mut Option<OrderBy>, look: &mut dyn FnMut(&mut Expr)) {
    outermost::each(select, &mut *look);
    outermost::each(order_by, look);
}

/// What is in brackets.
fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

/// What casts are of.
fn innermost(expr: &Expr) -> &Expr {
    match unnested(expr) {
        Expr::Cast { expr: inner, .. } => innermost(inner),
        other => other,
    }
}

/// A value as it is written, without casts, brackets and the names of tables.
fn bare(expr: &Expr) -> String {
    let mut expr = expr.clone();
    let _ = expr.visit(&mut Bare);
    expr.to_string()
}

struct Bare;

impl VisitorMut for Bare {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Cast { expr: inner, .. } | Expr::Nested(inner) => *expr = inner.as_ref().clone(),
            Expr::CompoundIdentifier(names) => {
                if let Some(name) = names.last() {
                    *expr = Expr::Identifier(Ident::new(name.value.clone()));
                }
            }
            Expr::Identifier(name) => name.quote_style = None,
            Expr::Function(function) if is_named(function) => {
                if let Some(of) = first_argument(function) {
                    *expr = of.clone();
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn is_named(function: &Function) -> bool {
    let name = function.name.0.first().and_then(|part| part.as_ident());
    name.is_some_and(|name| name.value == NAME)
}

/// Puts a cast of such a value into the function.
fn name(expr: &mut Expr, several: &BTreeSet<String>) {
    if let Expr::Cast {
        expr: inner, data_type, ..
    } = expr
        && several.contains(&bare(inner))
    {
        let to = text(&data_type.to_string().to_uppercase());
        *expr = call(NAME, vec![expr.clone(), to]);
    }
}

/// The function that a cast is named by: of the cast, and of its type as it is written.
pub(crate) fn naming() -> ScalarUDF {
    ScalarUDF::from(Named {
        signature: Signature::any(2, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    signature: Signature,
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        NAME
    }

    // The same, whatever a rule puts in the cast's place.
    fn schema_name(&self, args: &[logical_expr::Expr]) -> Result<String> {
        let [cast, to] = args else { return wrong() };
        Ok(format!("CAST({} AS {})", cast.schema_name(), to.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().map_or_else(wrong, Ok)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        args.arg_fields.first().map_or_else(wrong, |cast| Ok(Arc::clone(cast)))
    }

    fn simplify(&self, args: Vec<logical_expr::Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let cast = args.into_iter().next();
        cast.map_or_else(wrong, |cast| Ok(ExprSimplifyResult::Simplified(cast)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().map_or_else(wrong, Ok)
    }
}

fn wrong<T>() -> Result<T> {
    plan_err!("a cast is named by its type")
}
