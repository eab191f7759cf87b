//! The expressions of a query's part that are its own: those of a query in it have names and rows of theirs.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, VisitMut, VisitorMut};

/// Shows each of them to `change`, the outer ones first.
pub(crate) fn each(part: &mut impl VisitMut, change: impl FnMut(&mut Expr)) {
    let _ = part.visit(&mut Outermost {
        change,
        is_inner_first: false,
        depth: 0,
    });
}

/// The same, those inside of others first.
pub(crate) fn each_inner_first(part: &mut impl VisitMut, change: impl FnMut(&mut Expr)) {
    let _ = part.visit(&mut Outermost {
        change,
        is_inner_first: true,
        depth: 0,
    });
}

struct Outermost<F> {
    change: F,
    is_inner_first: bool,
    depth: usize,
}

impl<F: FnMut(&mut Expr)> VisitorMut for Outermost<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 && !self.is_inner_first {
            (self.change)(expr);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 && self.is_inner_first {
            (self.change)(expr);
        }
        ControlFlow::Continue(())
    }
}
