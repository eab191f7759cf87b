//! Parts of a view's lists: `list[1:20]`, `list[1]` and `array_length(list)` ask for that part, and nothing else of the list is read.
//!
//! ```text
//! Projection  item, entries[1:20]                as it is written
//! Projection  item, page(entries, 1, 20)         as it stands here: the optimizer moves page(…) down, also below joins and filters
//! ViewScan    item, entries[1:20]                and the scan takes it (see `tables::view`)
//! ```
//!
//! The functions put here give what those do that they stand for, wherever a plan leaves them.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions_nested::extract::{array_element_udf, array_slice_udf};
use datafusion::functions_nested::length::array_length_udf;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::expressions::{Column as PhysicalColumn, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use headwater_views::{Part, View};

use crate::question::origin;
use crate::tables::ViewTable;

/// `list[from:to]`.
static PAGE: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| PartFunction::standing_for("_headwater_page", array_slice_udf()));
/// `list[at]`.
static ELEMENT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| PartFunction::standing_for("_headwater_element", array_element_udf()));
/// `array_length(list)`.
static LENGTH: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| PartFunction::standing_for("_headwater_length", array_length_udf()));

/// Puts the functions in place of those they stand for.
#[derive(Debug)]
pub(crate) struct ListParts;

impl AnalyzerRule for ListParts {
    fn name(&self) -> &str {
        "list_parts"
    }

    fn analyze(&self, plan: LogicalPlan, _options: &ConfigOptions) -> Result<LogicalPlan> {
        if !has_lists(&plan)? {
            return Ok(plan);
        }
        let asked = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            let inputs: Vec<LogicalPlan> = node.inputs().into_iter().cloned().collect();
            let is_list = |column: &Column| inputs.iter().any(|input| is_list_of(input, column));
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let asked = expr.transform_up(|part| Ok(ask_for(part, &is_list)))?;
                Ok(asked.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(asked.data)
    }
}

/// Whether a plan reads a view that has lists.
fn has_lists(plan: &LogicalPlan) -> Result<bool> {
    let mut has_lists = false;
    plan.apply_with_subqueries(|node| {
        has_lists |= view_of(node).is_some_and(|view| view.list_columns().next().is_some());
        Ok(match has_lists {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(has_lists)
}

/// The view that a node scans.
fn view_of(node: &LogicalPlan) -> Option<Arc<View>> {
    match node {
        LogicalPlan::TableScan(scan) => ViewTable::scanned(scan),
        _ => None,
    }
}

/// The part of a list that an expression is, in the words of this module.
fn ask_for(expr: Expr, is_list: &impl Fn(&Column) -> bool) -> Transformed<Expr> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else {
        return Transformed::no(expr);
    };
    let Some(Expr::Column(column)) = args.first() else {
        return Transformed::no(expr);
    };
    let list = || Expr::Column(column.clone());
    let asked = match (func.name(), &args[1..]) {
        ("array_length", []) => Some(LENGTH.call(vec![list()])),
        ("array_slice", [from, to, stride @ ..]) => match (index(from), index(to), stride.first().map(index)) {
            (Some(from), Some(to), None | Some(Some(1))) => Some(PAGE.call(vec![list(), lit(from), lit(to)])),
            _ => None,
        },
        // No element has the number 0.
        ("array_element", [at]) => {
            let at = index(at).filter(|at| *at != 0);
            at.map(|at| ELEMENT.call(vec![list(), lit(at)]))
        }
        _ => None,
    };
    match asked.filter(|_| is_list(column)) {
        Some(asked) => Transformed::yes(asked),
        None => Transformed::no(expr),
    }
}

/// The number that an expression says, where it says one.
fn index(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(value, _) => match value.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(index) => index,
            _ => None,
        },
        Expr::Cast(cast) => index(&cast.expr),
        Expr::Negative(inner) => index(inner)?.checked_neg(),
        _ => None,
    }
}

/// Whether a column of a plan is a list that a view keeps as entries.
fn is_list_of(plan: &LogicalPlan, column: &Column) -> bool {
    let Some((scan, name)) = origin(plan, column) else {
        return false;
    };
    ViewTable::scanned(scan).is_some_and(|view| {
        let schema = view.schema();
        view.list_columns().any(|list| *schema.field(list).name() == name)
    })
}

/// A part of a list that an expression over a scan's rows is.
pub(crate) struct PartOf {
    /// The column that holds the list.
    pub column: usize,
    pub part: Part,
    /// Whether the expression is the one element of that part.
    pub is_element: bool,
}

/// The part of a list that an expression over a scan's rows is; `None` where it is anything else.
pub(crate) fn part_of(expr: &Arc<dyn PhysicalExpr>) -> Option<PartOf> {
    let function = expr.downcast_ref::<ScalarFunctionExpr>()?;
    let (list, rest) = function.args().split_first()?;
    let column = list.downcast_ref::<PhysicalColumn>()?.index();
    let index = |at: &Arc<dyn PhysicalExpr>| match at.downcast_ref::<Literal>()?.value() {
        ScalarValue::Int64(index) => *index,
        _ => None,
    };
    let name = function.fun().name();
    let part = match rest {
        [] if name == LENGTH.name() => Part::Length,
        [at] if name == ELEMENT.name() => Part::Page {
            from: index(at)?,
            to: index(at)?,
        },
        [from, to] if name == PAGE.name() => Part::Page {
            from: index(from)?,
            to: index(to)?,
        },
        _ => return None,
    };
    let is_element = name == ELEMENT.name();
    Some(PartOf {
        column,
        part,
        is_element,
    })
}

/// The element of a page that has one at most.
pub(crate) fn only_element(
    element: Arc<dyn PhysicalExpr>,
    page: Arc<dyn PhysicalExpr>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let first: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Int64(Some(1))));
    element.with_new_children(vec![page, first])
}

/// A function that gives what another one does, and is moved towards the table whose column it takes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PartFunction {
    name: &'static str,
    stands_for: Arc<ScalarUDF>,
    signature: Signature,
}

impl PartFunction {
    fn standing_for(name: &'static str, function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(PartFunction {
            name,
            stands_for: function,
            signature: Signature::variadic_any(Volatility::Immutable),
        }))
    }
}

impl ScalarUDFImpl for PartFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.stands_for.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.stands_for.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.stands_for.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.stands_for.invoke_with_args(args)
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        match args.first() {
            Some(ExpressionPlacement::Column) => ExpressionPlacement::MoveTowardsLeafNodes,
            _ => ExpressionPlacement::KeepInPlace,
        }
    }
}
