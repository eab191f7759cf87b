//! A view with `KEY (…)` as a question over its streams: of each key the newest row, by append time, then address.

use datafusion::common::{Column, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_fn::ident;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{Expr as AstExpr, Ident, SelectItem, SetExpr};

use super::names::Names;
use crate::statement::Question;
use crate::{SqlError, SqlState};

/// What orders the rows of a key, and the name each gets on its way up.
const ORDER: [(&str, &str); 3] =
    [("_appended_at", "_headwater_appended_at"), ("_partition", "_headwater_partition"), ("_offset", "_headwater_offset")];
const RANK: &str = "_headwater_rank";

/// The plan of the view's question, newest rows only.
pub(super) fn plan(names: &Names<'_>, question: &Question, key: &[String]) -> Result<LogicalPlan> {
    let mut question = question.clone();
    add_order(&mut question.query.body)?;
    let all = names.plan(&question, &[])?;
    let columns: Vec<Expr> = all
        .schema()
        .columns()
        .into_iter()
        .filter(|column| !ORDER.iter().any(|(_, name)| *name == column.name))
        .map(Expr::Column)
        .collect();
    let rank = row_number()
        .partition_by(key.iter().map(|column| Expr::Column(Column::from_name(column))).collect())
        .order_by(ORDER.iter().map(|(_, name)| ident(*name).sort(false, false)).collect())
        .build()?
        .alias(RANK);
    LogicalPlanBuilder::from(all).window(vec![rank])?.filter(ident(RANK).eq(lit(1_u64)))?.project(columns)?.build()
}

fn add_order(body: &mut SetExpr) -> Result<(), SqlError> {
    match body {
        SetExpr::Select(select) => {
            for (column, name) in ORDER {
                let expr = AstExpr::Identifier(Ident::new(column));
                select.projection.push(SelectItem::ExprWithAlias { expr, alias: Ident::new(name) });
            }
            Ok(())
        }
        SetExpr::Query(query) => add_order(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            add_order(left)?;
            add_order(right)
        }
        _ => {
            let message = "a view with KEY can be rewound only where its query is SELECT … FROM a stream";
            Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint("ask the stream itself"))
        }
    }
}
