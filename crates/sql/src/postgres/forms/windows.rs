//! `sum(a) OVER (w ROWS 2 PRECEDING) … WINDOW w AS (ORDER BY id)`: a window that another one refines has what that one says. (The query engine drops it.)

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, NamedWindowExpr, Select, VisitMut, VisitorMut, WindowSpec, WindowType};

/// Writes out what refined windows are over.
pub(super) fn written_out(select: &mut Select) {
    let mut known: HashMap<String, WindowSpec> = HashMap::new();
    for definition in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &mut definition.1 {
            refine(spec, &known);
            known.insert(definition.0.value.clone(), spec.clone());
        }
    }
    if known.is_empty() {
        return;
    }
    let _ = select.projection.visit(&mut Windows { known: &known });
    if let Some(qualify) = &mut select.qualify {
        let _ = qualify.visit(&mut Windows { known: &known });
    }
}

struct Windows<'a> {
    known: &'a HashMap<String, WindowSpec>,
}

impl VisitorMut for Windows<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(spec)) = &mut function.over
        {
            refine(spec, self.known);
        }
        ControlFlow::Continue(())
    }
}

fn refine(spec: &mut WindowSpec, known: &HashMap<String, WindowSpec>) {
    let Some(of) = spec.window_name.as_ref().and_then(|name| known.get(&name.value)) else {
        return;
    };
    spec.window_name = None;
    spec.partition_by.clone_from(&of.partition_by);
    if spec.order_by.is_empty() {
        spec.order_by.clone_from(&of.order_by);
    }
    if spec.window_frame.is_none() {
        spec.window_frame.clone_from(&of.window_frame);
    }
}
