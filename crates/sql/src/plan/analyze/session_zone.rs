//! What a question asks of a moment is asked of the session's clock.
//!
//! ```text
//! at::date, at::timestamp        timezone(zone, at)::date, timezone(zone, at)
//! at::text                       its text with the zone's distance from UTC
//! '2024-01-05'::timestamptz      '2024-01-05 00:00:00+01:00'::timestamptz
//! extract(hour FROM at)          extract(hour FROM timezone(zone, at))
//! date_trunc('day', at)          timezone(zone, date_trunc('day', timezone(zone, at)))
//! at + INTERVAL '1 day'          timezone(zone, timezone(zone, at) + INTERVAL '1 day')
//! current_date                   timezone(zone, now())::date
//! ```
//!
//! It runs after types were coerced, so that casts that nobody wrote are seen too; done twice, it changes nothing more.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::datetime;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite;
use crate::exact::timezone;
use crate::session_zone::texts::{READ, What, call};
use crate::session_zone::{SessionZone, ZoneOption};

/// Says so in a plan; nothing where the session's zone is UTC.
#[derive(Debug)]
pub(crate) struct InSessionZone;

impl AnalyzerRule for InSessionZone {
    fn name(&self) -> &str {
        "in_session_zone"
    }

    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
        match options.extensions.get::<ZoneOption>() {
            Some(ZoneOption(Some(zone))) => rewrite(plan, |expr, schema| in_zone(expr, schema, zone, options)),
            _ => Ok(plan),
        }
    }
}

fn in_zone(expr: Expr, schema: &DFSchema, zone: &SessionZone, options: &ConfigOptions) -> Transformed<Expr> {
    let type_of = |expr: &Expr| expr.get_type(schema).unwrap_or(DataType::Null);
    match expr {
        Expr::Cast(Cast { expr: inner, field }) => {
            let from = type_of(&inner);
            let meant = of_cast(*inner, &from, field.data_type(), zone);
            match meant.transformed {
                true => meant,
                false => Transformed::no(Expr::Cast(Cast {
                    expr: Box::new(meant.data),
                    field,
                })),
            }
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args }) => match (func.name(), args.as_mut_slice()) {
            ("current_date" | "today", []) => {
                let now = there(datetime::now(options).call(Vec::new()), zone);
                Transformed::yes(cast(now, DataType::Date32))
            }
            ("date_part", [part, at]) if is_moment(&type_of(at)) && !is_text(part, "epoch") => {
                *at = there(at.clone(), zone);
                Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
            }
            ("date_trunc", [_, at]) if is_moment(&type_of(at)) => {
                *at = there(at.clone(), zone);
                Transformed::yes(there(Expr::ScalarFunction(ScalarFunction { func, args }), zone))
            }
            _ => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::Plus | Operator::Minus) && is_moment(&type_of(&left)) && has_days(&right) =>
        {
            let moved = Expr::BinaryExpr(BinaryExpr {
                left: Box::new(there(*left, zone)),
                op,
                right,
            });
            Transformed::yes(there(moved, zone))
        }
        other => Transformed::no(other),
    }
}

/// What stands in the place of a cast; what is cast, unchanged, where the zone has no part in it.
fn of_cast(inner: Expr, from: &DataType, to: &DataType, zone: &SessionZone) -> Transformed<Expr> {
    match (from, to) {
        (moment, DataType::Timestamp(_, None) | DataType::Date32 | DataType::Time64(_)) if is_moment(moment) => {
            Transformed::yes(cast(there(inner, zone), to.clone()))
        }
        (moment, DataType::Utf8) if is_moment(moment) => Transformed::yes(call(What::Shown, zone, inner)),
        (DataType::Timestamp(_, None) | DataType::Date32, moment) if is_moment(moment) => {
            let shown = DataType::Timestamp(TimeUnit::Microsecond, None);
            Transformed::yes(cast(there(cast(inner, shown), zone), moment.clone()))
        }
        (text, moment) if text.is_string() && is_moment(moment) => read(inner, moment, zone),
        _ => Transformed::no(inner),
    }
}

/// A text that is cast to a moment.
fn read(text: Expr, moment: &DataType, zone: &SessionZone) -> Transformed<Expr> {
    match text {
        Expr::Literal(ScalarValue::Utf8(Some(written)), metadata) => match zone.written_out(&written) {
            Some(written) => {
                let written = Expr::Literal(ScalarValue::Utf8(Some(written)), metadata);
                Transformed::yes(cast(written, moment.clone()))
            }
            None => Transformed::no(Expr::Literal(ScalarValue::Utf8(Some(written)), metadata)),
        },
        Expr::ScalarFunction(read) if read.func.name() == READ => Transformed::no(Expr::ScalarFunction(read)),
        other => Transformed::yes(cast(call(What::Read, zone, other), moment.clone())),
    }
}

fn is_moment(of: &DataType) -> bool {
    matches!(of, DataType::Timestamp(_, Some(_)))
}

/// What clocks show at a moment, or the moment at which they show a time.
fn there(at: Expr, zone: &SessionZone) -> Expr {
    let at = match &at {
        // `now()` counts nanoseconds.
        Expr::ScalarFunction(now) if now.func.name() == "now" => {
            let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
            cast(at, moment)
        }
        _ => at,
    };
    timezone().call(vec![lit(zone.name()), at])
}

fn is_text(expr: &Expr, text: &str) -> bool {
    match expr {
        Expr::Literal(value, _) => value
            .try_as_str()
            .flatten()
            .is_some_and(|written| written.eq_ignore_ascii_case(text)),
        _ => false,
    }
}

/// Whether it is an interval of days or months, which are as long as they are there.
fn has_days(interval: &Expr) -> bool {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => {
            (interval.months != 0 || interval.days != 0) && interval.nanoseconds == 0
        }
        _ => false,
    }
}
