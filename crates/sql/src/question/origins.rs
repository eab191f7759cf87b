//! `origins('view', key, …)` in a question: the events of a row's lineage, followed back through pipelines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, TableSource};
use headwater_records::Position;
use headwater_views::View;

use super::functions::ORIGINS;
use super::named_view::ViewFunction;
use super::names::Names;
use crate::SqlError;
use crate::tables::{JoinedView, OriginsTable};

const FUNCTION: ViewFunction = ViewFunction {
    name: ORIGINS,
    called: "write origins('view', key), with a value for each column of the view's key, and perhaps after => 'stream/0@42'",
};

impl Names<'_> {
    /// The history of the row that the arguments name, back to the first streams.
    pub(super) fn origins(&self, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        let (view, steps) = self.followed(&FUNCTION, args)?;
        let (pipelines, joined) = self.upstream(&view)?;
        let table = OriginsTable::new(self.inner.log.clone(), self.state.clone(), steps, pipelines, joined);
        Ok(provider_as_source(Arc::new(table)))
    }

    /// The streams above a view that pipelines make, and the views that those join.
    fn upstream(&self, view: &View) -> Result<(BTreeSet<String>, BTreeMap<String, JoinedView>)> {
        let mut pipelines: BTreeSet<String> = BTreeSet::new();
        let mut joined: BTreeMap<String, JoinedView> = BTreeMap::new();
        let mut open: Vec<String> = view.streams().into_iter().map(str::to_owned).collect();
        while let Some(name) = open.pop() {
            let stream = self.inner.catalog.stream(&name);
            let Some(pipeline) = stream.as_ref().and_then(|stream| stream.pipeline.as_ref()) else {
                continue;
            };
            if !pipelines.insert(name) {
                continue;
            }
            for source in &pipeline.sources {
                open.extend(self.inner.streams_below(source));
                if let Some(running) = self.inner.views.get(source)
                    && !running.is_per_event()
                {
                    let sources = self.sources(&running, |_| Ok(Position::new()));
                    joined.insert(source.clone(), sources.map_err(SqlError::from));
                }
            }
        }
        Ok((pipelines, joined))
    }
}
