//! `GROUP BY` in the engine's words: what stands in ROLLUP, CUBE and GROUPING SETS.
//!
//! ```text
//! GROUP BY (), a              GROUP BY a
//! ROLLUP (1)                  ROLLUP (k)                          a number is a place of the SELECT list, as it is by itself
//! ROLLUP (k, k)               GROUPING SETS ((k), (k), ())        a set has each column once
//! CUBE ((a, b), c)            GROUPING SETS ((a, b, c), …, ())    the engine knows no brackets there
//! k, ROLLUP (k, t)            k, GROUPING SETS ((t), (), ())
//! GROUPING SETS (ROLLUP (k))  GROUPING SETS ((k), ())             sets in sets are sets
//! ```

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Select, SelectItem, Value,
};

/// As many parts PostgreSQL takes in a CUBE: each more doubles its sets.
const CUBE_PARTS_MAX: usize = 12;

/// Rewrites the groups of a query.
pub(super) fn written_out(select: &mut Select) {
    let GroupByExpr::Expressions(by, _) = &mut select.group_by else {
        return;
    };
    // It is what aggregates without GROUP BY mean.
    by.retain(|by| !matches!(by, Expr::Tuple(parts) if parts.is_empty()));
    for by in by.iter_mut() {
        if let Expr::GroupingSets(sets) = by {
            *sets = sets
                .drain(..)
                .flat_map(|set| within(&set).unwrap_or_else(|| vec![set]))
                .collect();
        }
    }
    for group in by.iter_mut().filter_map(sets_of).flatten().flatten() {
        if let Some(shown) = at_place(group, &select.projection) {
            *group = shown.clone();
        }
    }
    let mut always: Vec<Expr> = Vec::new();
    if by.iter_mut().any(|by| sets_of(by).is_some()) {
        let plain = by.iter().filter(|by| !is_of_sets(by));
        always.extend(plain.map(|by| at_place(by, &select.projection).unwrap_or(by).clone()));
    }
    for by in by {
        each_once(by, &always);
    }
}

/// What ROLLUP, CUBE and GROUPING SETS are of.
fn sets_of(by: &mut Expr) -> Option<&mut Vec<Vec<Expr>>> {
    match by {
        Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) => Some(sets),
        _ => None,
    }
}

fn is_of_sets(by: &Expr) -> bool {
    matches!(by, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_))
}

/// What a number stands for, as a place of the SELECT list.
fn at_place<'a>(group: &Expr, list: &'a [SelectItem]) -> Option<&'a Expr> {
    let Expr::Value(value) = group else { return None };
    let Value::Number(written, _) = &value.value else {
        return None;
    };
    let place = written.parse::<usize>().ok()?.checked_sub(1)?;
    match list.get(place)? {
        SelectItem::UnnamedExpr(shown) | SelectItem::ExprWithAlias { expr: shown, .. } => Some(shown),
        _ => None,
    }
}

/// Writes out the sets where one would have something twice, or a part is several columns. `always`: by what every group is in any case.
fn each_once(by: &mut Expr, always: &[Expr]) {
    let mut sets = match by {
        Expr::Rollup(parts) if !is_plain(parts, always) => rolled_up(parts),
        Expr::Cube(parts) if !is_plain(parts, always) && parts.len() <= CUBE_PARTS_MAX => cubed(parts),
        Expr::GroupingSets(sets) => std::mem::take(sets),
        _ => return,
    };
    for set in &mut sets {
        let mut once: Vec<Expr> = Vec::with_capacity(set.len());
        for group in set.drain(..) {
            if !always.contains(&group) && !once.contains(&group) {
                once.push(group);
            }
        }
        *set = once;
    }
    *by = Expr::GroupingSets(sets);
}

/// All of the parts, and fewer and fewer of them.
fn rolled_up(parts: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    (0..=parts.len()).rev().map(|count| parts[..count].concat()).collect()
}

/// Every choice of the parts.
fn cubed(parts: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    let is_in = |set: usize, part: usize| (set >> (parts.len() - 1 - part)) & 1 == 1;
    let chosen = |set: usize| {
        let parts = parts.iter().enumerate().filter(|(at, _)| is_in(set, *at));
        parts.flat_map(|(_, part)| part.clone()).collect()
    };
    (0..1_usize << parts.len()).rev().map(chosen).collect()
}

/// The sets of a ROLLUP or CUBE that stands in the place of a set: to the parser it is a function.
fn within(set: &[Expr]) -> Option<Vec<Vec<Expr>>> {
    let [Expr::Function(function)] = set else { return None };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let part = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Tuple(parts))) => Some(parts.clone()),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(part)) => Some(vec![part.clone()]),
        _ => None,
    };
    let parts: Vec<Vec<Expr>> = list.args.iter().map(part).collect::<Option<_>>()?;
    match function.name.to_string().as_str() {
        "rollup" => Some(rolled_up(&parts)),
        "cube" if parts.len() <= CUBE_PARTS_MAX => Some(cubed(&parts)),
        _ => None,
    }
}

/// Whether these are single columns, each another one and none of those that there are always.
fn is_plain(parts: &[Vec<Expr>], always: &[Expr]) -> bool {
    let is_new = |(at, part): (usize, &Vec<Expr>)| match part.as_slice() {
        [only] => !always.contains(only) && parts[..at].iter().all(|before| before.as_slice() != [only.clone()]),
        _ => false,
    };
    parts.iter().enumerate().all(is_new)
}
