//! What the names in a question stand for: streams, views, plain views' own questions, each as of its moment.
//!
//! Invariants
//! - Names are looked up in the catalog when the question is planned; nothing is kept between questions.
//! - A rewound table is the same query over its streams, cut off at the moment. Of the store it asks for snapshots and checkpoints alone, which
//!   save work and say nothing else.

mod provider;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::catalog::view::ViewTable as Inlined;
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, TableSource};
use datafusion::sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast;
use headwater_catalog::{Definition, StreamDefinition, ViewDefinition};
use headwater_records::Position;
use headwater_views::decode::SYSTEM_COLUMNS;
use headwater_views::{CHANGES_OF, Source, Tombstones, View, ViewError, as_folded};

use super::moment::{At, Moments};
use super::{
    QuestionReads, absent, arguments, casts_apart, changes, column_names, levels, merged, titles, whole_rows, wildcard,
};
use crate::inner::Inner;
use crate::limits::{PLAN_LEVELS_ASKING, VIEW_DEPTH_MAX};
use crate::plan::unnest::unnested;
use crate::postgres;
use crate::syntax::{Question, Statement};
use crate::tables::{ColumnarTable, RewoundColumnarTable, RewoundTable, Sources, StreamTable, ViewTable, WRITTEN_AT};
use crate::{SqlError, SqlState};

/// The names of one question, or of one view inside of it.
pub(crate) struct Names<'a> {
    pub(super) inner: &'a Inner,
    pub(super) state: &'a SessionState,
    pub(super) reads: &'a QuestionReads,
    pub(super) moments: &'a Moments<'a>,
    /// The moment that everything here is rewound to: the question is that of a rewound view.
    at: Option<At>,
    /// What the renamed tables of the question stand for.
    rewound: RefCell<HashMap<String, (String, Option<At>)>>,
    depth: usize,
    /// Who asks.
    pub(super) user: &'a str,
    /// Whether views may be read from their stores; `false` while a view is being defined.
    pub(super) stores: bool,
    /// Whether views are as they are defined, also those that are still asked as they were: nothing is read of them then.
    as_defined: bool,
    /// Whether the changes of a view may be read: by a pipeline alone.
    pub(super) pipes: bool,
    /// The one table there is, where the query is about one event of a stream.
    row: Option<(&'a str, Arc<dyn TableSource>)>,
}

impl<'a> Names<'a> {
    /// The names of a question as they stand now.
    pub(crate) fn new(
        inner: &'a Inner,
        state: &'a SessionState,
        reads: &'a QuestionReads,
        moments: &'a Moments<'a>,
    ) -> Names<'a> {
        Names {
            inner,
            state,
            reads,
            moments,
            at: None,
            rewound: RefCell::default(),
            depth: 0,
            user: "",
            stores: true,
            as_defined: false,
            pipes: false,
            row: None,
        }
    }

    /// The same, asked by somebody.
    pub(crate) fn asked_by(mut self, user: &'a str) -> Names<'a> {
        self.user = user;
        self
    }

    /// The same for a definition that is checked: it may read what a view that is being built anew will have.
    pub(crate) fn checking(mut self) -> Names<'a> {
        self.as_defined = true;
        self
    }

    /// The same for the query of a materialized view: nothing but the scans of its sources is wanted of it.
    pub(crate) fn defining(mut self) -> Names<'a> {
        self.stores = false;
        self
    }

    /// The same for the query of a pipeline.
    pub(crate) fn piping(mut self) -> Names<'a> {
        self.pipes = true;
        self
    }

    /// The same for a query about one event of a stream, which is called as the stream is.
    pub(crate) fn over_row(mut self, stream: &'a str, table: Arc<dyn TableSource>) -> Names<'a> {
        self.row = Some((stream, table));
        self
    }

    /// The plan of a question, not analyzed. `types` are those of `$1`, `$2`, … where they are known.
    pub(crate) fn plan(&self, question: &Question, types: &[Option<FieldRef>]) -> Result<LogicalPlan> {
        let planned = self.planned(question, types)?;
        // What is folded is refused with the name of its part.
        match self.stores && !self.pipes {
            true => unnested(planned, self.depth),
            false => Ok(planned),
        }
    }

    /// The plan as the query engine makes it, with subqueries in it that depend on their row.
    fn planned(&self, question: &Question, types: &[Option<FieldRef>]) -> Result<LogicalPlan> {
        levels::check_tables(&question.query)?;
        let plan = levels::with_room(|| self.by_engine(question, types))?;
        // What is defined here is asked by another question.
        let spare = if self.as_defined { PLAN_LEVELS_ASKING } else { 0 };
        levels::check(&plan, spare)?;
        absent::may_be(plan)
    }

    fn by_engine(&self, question: &Question, types: &[Option<FieldRef>]) -> Result<LogicalPlan> {
        let mut query = question.query.clone();
        titles::give(&mut query);
        postgres::as_engine_knows_it(&mut query, self.user)?;
        // What never has rows has the names of its columns left, which may be the same.
        titles::give(&mut query);
        merged::written_out(&mut query, &|name| self.shown(name), &|name| {
            self.state.aggregate_functions().contains_key(name)
        });
        if self.depth == 0 && self.stores && !self.pipes && self.row.is_none() {
            whole_rows::written_out(&mut query, &|name| self.shown(name));
        }
        wildcard::leave_out_system_columns(&mut query, &|name| self.hidden(name))?;
        arguments::in_order(&mut query)?;
        casts_apart::named(&mut query);
        let mut rewound: HashMap<String, (String, Option<At>)> = HashMap::new();
        for (index, rewind) in question.rewinds.iter().enumerate() {
            let alias = format!("_headwater_rewound_{}_{index}", self.depth);
            let (found, subject) = super::rewind::rename(&mut query, rewind, &alias)?;
            // Rewound by the other time already, where it has a name of ours.
            let (name, earlier) = rewound.remove(&found).unwrap_or((found, None));
            let subject = subject.unwrap_or_else(|| name.clone());
            let at = self.moments.at(&rewind.to, |text| self.position(&subject, text))?;
            let at = match (earlier, at) {
                (Some(earlier), Some(at)) => Some(earlier.and(at)),
                (earlier, at) => earlier.or(at),
            };
            rewound.insert(alias, (name, at));
        }
        self.rewound.replace(rewound);
        let mut context = PlannerContext::new().with_prepare_param_data_types(types.to_vec());
        let mut plan = |query| {
            SqlToRel::new_with_options(self, parser_options())
                .sql_statement_to_plan_with_context(ast::Statement::Query(query), &mut context)
        };
        match plan(query.clone()) {
            // A column beside a `*` that has it too.
            Err(DataFusionError::Plan(why)) if why.starts_with(NAMED_TWICE) => {
                titles::set_apart(&mut query);
                plan(query)
            }
            planned => planned,
        }
    }

    /// The columns of a table that `*` does not show.
    fn hidden(&self, name: &str) -> &'static [&'static str] {
        if name.starts_with(CHANGES_OF) {
            return &changes::HIDDEN;
        }
        match self.inner.catalog.stream(name) {
            Some(_) => &SYSTEM_COLUMNS,
            None => &[],
        }
    }

    /// The columns of a table that `*` shows.
    fn shown(&self, name: &str) -> Vec<String> {
        let hidden = self.hidden(name);
        let columns = column_names(self.inner, name).into_iter();
        columns.filter(|column| !hidden.contains(&column.as_str())).collect()
    }

    /// The streams below a table, through views.
    fn streams_below(&self, name: &str) -> Vec<String> {
        self.inner.streams_below(name)
    }

    /// A position that a table may be rewound to.
    fn position(&self, table: &str, text: &str) -> Result<Position, SqlError> {
        let position: Position = text.parse().map_err(|error: headwater_records::PositionError| {
            SqlError::new(SqlState::INVALID_TEXT, error.to_string())
        })?;
        // What an archive had there, its rows or its table may say.
        let is_archive = self.inner.views.get(table).is_some_and(|view| view.is_per_event());
        super::rewind::check_position(
            &self.inner.log,
            table,
            &self.streams_below(table),
            &position,
            is_archive,
        )?;
        Ok(position)
    }

    /// What a materialized view was is told by its events alone, all of them.
    fn check_rewindable(&self, view: &ViewDefinition, at: &At) -> Result<()> {
        if view.shape.is_none() {
            return Ok(());
        }
        let (log, beginning) = (&self.inner.log, Position::new());
        let streams = self.streams_below(&view.name);
        super::rewind::check_whole(log, &view.name, &streams, &beginning, None)?;
        let mut end = Position::new();
        for name in &streams {
            if let Some(stream) = self.inner.catalog.stream(name) {
                end.advance_all(&self.end(&stream, Some(at))?);
            }
        }
        let events = super::rewind::length(&beginning, &end);
        let events_max = self.inner.options.rewind_events_max;
        Ok(super::rewind::check_length(&view.name, events, events_max)?)
    }

    /// Whether views may be read from their stores; not while a view is being defined.
    pub(super) fn reads_stores(&self) -> bool {
        self.stores
    }

    pub(super) fn source(&self, name: &str, at: Option<&At>) -> Result<Arc<dyn TableSource>> {
        if let Some((stream, table)) = &self.row {
            return match name == *stream {
                true => Ok(Arc::clone(table)),
                false => {
                    let error = SqlError::new(SqlState::NOT_SUPPORTED, format!("an upcaster cannot read '{name}'"));
                    Err(error.hint("it makes a row of one event, from that event alone").into())
                }
            };
        }
        if let Some(view) = name.strip_prefix(CHANGES_OF) {
            return self.changes_of(view);
        }
        if let Some(stream) = self.inner.catalog.stream(name) {
            return self.stream(&stream, at);
        }
        match self.inner.catalog.get(name).as_deref() {
            Some(Definition::View(view)) => self.view(view, at),
            Some(Definition::Graph(_)) => {
                let error = SqlError::new(
                    SqlState::UNKNOWN_TABLE,
                    format!("'{name}' is a property graph, not a table"),
                );
                let hint = format!("ask it with GRAPH_TABLE ({name} MATCH (a)-[e]->(b) COLUMNS (a.id AS id))");
                Err(error.hint(hint).into())
            }
            Some(Definition::Command(_)) => {
                let error = SqlError::new(SqlState::UNKNOWN_TABLE, format!("'{name}' is a command, not a table"));
                Err(error.hint(format!("CALL {name}(…) runs it")).into())
            }
            _ => match postgres::table(self.inner, name) {
                Some(table) => Ok(provider_as_source(table?)),
                None => Err(self.inner.unknown_table(name).into()),
            },
        }
    }

    fn stream(&self, stream: &Arc<StreamDefinition>, at: Option<&At>) -> Result<Arc<dyn TableSource>> {
        let (log, decoder) = (&self.inner.log, super::upcast::decoder(self.inner, stream)?);
        let table = match at.and_then(At::recorded) {
            Some(_) => StreamTable::new(log.clone(), decoder, self.end(stream, at)?),
            None => StreamTable::read(log.clone(), decoder, self.reads.stream(log, stream)?),
        };
        let table = table.counted(self.reads.progress());
        let Some(moment) = at.and_then(At::business) else {
            return Ok(provider_as_source(Arc::new(table)));
        };
        let Some(time) = &stream.time else {
            let message = format!(
                "the stream '{}' has no business time, so nothing can be rewound by it",
                stream.name
            );
            let hint = "declare TIME (column) when the stream is created, or rewind FOR SYSTEM_TIME";
            return Err(SqlError::new(SqlState::INVALID_DEFINITION, message).hint(hint).into());
        };
        let upto = moment.holds(time, table_type(&table, time)?);
        let scan = LogicalPlanBuilder::scan(stream.name.as_str(), provider_as_source(Arc::new(table)), None)?;
        Ok(provider_as_source(Arc::new(Inlined::new(
            scan.filter(upto)?.build()?,
            None,
        ))))
    }

    /// Up to where the events of a stream are seen.
    fn end(&self, stream: &StreamDefinition, at: Option<&At>) -> Result<Position> {
        let log = &self.inner.log;
        Ok(match at.and_then(At::recorded) {
            Some(At::System(moment_us)) => log.position_at(&stream.name, *moment_us).map_err(SqlError::from)?,
            Some(At::Position(position)) => position.of(&stream.name),
            _ => self.reads.stream_end(log, &stream.name)?,
        })
    }

    fn view(&self, view: &ViewDefinition, at: Option<&At>) -> Result<Arc<dyn TableSource>> {
        // What is defined here is one view more.
        if self.depth + usize::from(self.as_defined) >= VIEW_DEPTH_MAX {
            let message = format!("views are nested deeper than {VIEW_DEPTH_MAX} at '{}'", view.name);
            return Err(SqlError::new(SqlState::TOO_COMPLEX, message)
                .hint("make one of them a materialized view")
                .into());
        }
        if view.shape.is_some() && at.is_none() && self.stores {
            let running = match self.as_defined {
                true => self.inner.views.defined(&view.name),
                false => self.inner.views.get(&view.name),
            };
            let running = running.ok_or_else(|| self.inner.not_running(&view.name))?;
            return Ok(match running.is_per_event() {
                true => provider_as_source(Arc::new(ColumnarTable::new(&running, self.reads))),
                false => provider_as_source(Arc::new(ViewTable::new(&running, self.reads))),
            });
        }
        if let Some(at) = at
            && let Some(archived) = self.archived(view, at)?
        {
            return Ok(archived);
        }
        let parsed = self.inner.parsed(view.meaning())?;
        let Statement::CreateView { question, .. } = &parsed.statement else {
            let message = format!("the definition of the view '{}' is no CREATE VIEW", view.name);
            return Err(SqlError::new(SqlState::INTERNAL, message)
                .hint("CREATE OR REPLACE it")
                .into());
        };
        let inside = Names {
            at: at.cloned(),
            depth: self.depth + 1,
            rewound: RefCell::default(),
            row: None,
            ..*self
        };
        let plan = match view.shape {
            Some(_) => inside.plan_of_view(view, question)?,
            None => inside.plan(question, &[])?,
        };
        if let Some(rewound) = self.rewound(view, at, &plan)? {
            return Ok(rewound);
        }
        if let Some(at) = at {
            self.check_rewindable(view, at)?;
        }
        Ok(provider_as_source(Arc::new(Inlined::new(
            plan,
            Some(view.query.clone()),
        ))))
    }
}

impl Names<'_> {
    /// The plan of a materialized view's query as it is folded.
    pub(crate) fn plan_of_view(&self, view: &ViewDefinition, question: &Question) -> Result<LogicalPlan> {
        if !view.key.is_empty() && has_having(&question.query) {
            return Err(SqlError::from(ViewError::Refused {
                part: "HAVING in a view with KEY".to_owned(),
                hint: ": WHERE says which events make rows, and the newest of a key stays; to hide rows by what is newest, filter them where they are \
                       read (CREATE VIEW name AS SELECT … FROM the view WHERE …)"
                    .to_owned(),
            })
            .into());
        }
        let plan = self.planned(question, &[])?;
        let tombstones = |name: &str| match self.inner.catalog.stream(name) {
            Some(stream) => self.tombstones(&stream).map(Some),
            None => Ok(None),
        };
        as_folded(plan, view, self.state, &tombstones)
    }

    /// The tombstones of a stream, up to where its events are seen. They have no columns: in business time each counts from its writer's timestamp.
    fn tombstones(&self, stream: &StreamDefinition) -> Result<Tombstones> {
        let decoder = super::upcast::decoder(self.inner, stream)?.of_tombstones();
        let table = StreamTable::new(self.inner.log.clone(), decoder, self.end(stream, self.at.as_ref())?);
        let table = table.counted(self.reads.progress());
        let upto = match self.at.as_ref().and_then(At::business) {
            Some(moment) => Some(moment.holds(WRITTEN_AT, table_type(&table, WRITTEN_AT)?)),
            None => None,
        };
        let mut table = provider_as_source(Arc::new(table));
        if let Some(upto) = upto {
            let name = Source::Tombstones(stream.name.clone()).to_string();
            let scan = LogicalPlanBuilder::scan(TableReference::bare(name), table, None)?;
            table = provider_as_source(Arc::new(Inlined::new(scan.filter(upto)?.build()?, None)));
        }
        Ok(Tombstones {
            table,
            are_rows: stream.columns.is_none(),
        })
    }

    /// A materialized view at a position, where the version that runs is the one defined; else its query over the prefix stands for it.
    fn rewound(
        &self,
        view: &ViewDefinition,
        at: Option<&At>,
        query: &LogicalPlan,
    ) -> Result<Option<Arc<dyn TableSource>>> {
        let Some(at) = at else {
            return Ok(None);
        };
        let running = self.inner.views.get(&view.name).filter(|_| self.stores);
        let is_defined = |running: &Arc<View>| *running.said() == *view && !running.stands_still();
        let Some(running) = running.filter(is_defined) else {
            return Ok(None);
        };
        let end = |name: &str| match self.inner.catalog.stream(name) {
            Some(stream) => self.end(&stream, Some(at)),
            None => Ok(Position::new()),
        };
        let sources = Sources {
            business: at.business(),
            ..self.sources(&running, end)?
        };
        if sources.business.is_some() {
            self.check_rewindable(view, at)?;
        }
        let query = query.clone();
        Ok(Some(match running.is_per_event() && sources.business.is_none() {
            true => provider_as_source(Arc::new(RewoundColumnarTable { sources })),
            false => provider_as_source(Arc::new(RewoundTable { sources, query })),
        }))
    }
}

/// How the planner's refusal of a SELECT begins in which two columns have one name.
const NAMED_TWICE: &str = "Projections require unique expression names";

/// Whether a query has a HAVING of its own.
fn has_having(query: &ast::Query) -> bool {
    matches!(query.body.as_ref(), ast::SetExpr::Select(select) if select.having.is_some())
}

/// The type of a column of a stream.
fn table_type(table: &StreamTable, column: &str) -> Result<DataType> {
    use datafusion::catalog::TableProvider;
    Ok(table.schema().field_with_name(column)?.data_type().clone())
}

/// How texts become plans: our parser has folded the unquoted names already, numbers with a point are exact, NULLs sort last as in PostgreSQL.
pub(super) fn parser_options() -> ParserOptions {
    ParserOptions::new()
        .with_enable_ident_normalization(false)
        .with_parse_float_as_decimal(true)
        .with_support_varchar_with_length(true)
        .with_map_string_types_to_utf8view(false)
        .with_collect_spans(true)
        .with_default_null_ordering(NullOrdering::NullsMax)
}

/// A table's name as the catalog knows it: `public.` is PostgreSQL's way to say nothing.
pub(crate) fn table_name(name: &TableReference) -> String {
    match (name.schema(), name.table()) {
        (None | Some("public"), table) => table.to_owned(),
        (Some(schema), table) => format!("{schema}.{table}"),
    }
}
