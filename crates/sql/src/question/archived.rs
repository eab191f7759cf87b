//! An archive at a moment that its stream cannot tell any more: its own rows say what was there.
//!
//! A columnar view with a row for each event keeps rows whose events are gone, and changes none of them. So where its rows show when their events were
//! appended, or at which addresses, those of a moment are the rows it has now, but for what came later. (At the very position of one of its table's
//! versions that version is read: see [`crate::tables::RewoundColumnarTable`].)

use std::sync::Arc;

use datafusion::catalog::view::ViewTable as Inlined;
use datafusion::common::{Column, Result, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::utils::disjunction;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableSource, lit};
use headwater_catalog::ViewDefinition;
use headwater_eventlog::ReadError;
use headwater_records::Position;
use headwater_views::View;

use super::Names;
use super::moment::{At, BusinessMoment};
use crate::tables::ColumnarTable;
use crate::{SqlError, SqlState};

impl Names<'_> {
    /// The rows of an archive at a moment before what its stream keeps; `None` where the stream tells them, or only a version of the table may.
    pub(super) fn archived(&self, view: &ViewDefinition, at: &At) -> Result<Option<Arc<dyn TableSource>>> {
        let running = self.inner.views.get(&view.name).filter(|_| self.stores);
        let is_defined = |running: &Arc<View>| *running.said() == *view && !running.stands_still();
        let running = running.filter(is_defined).filter(|running| running.is_per_event());
        let Some(running) = running else { return Ok(None) };
        let business = match at.business() {
            Some(moment) => match self.true_by(&running, moment)? {
                Some(holds) => Some(holds),
                None => return Ok(None),
            },
            None => None,
        };
        let upto = match at.recorded() {
            Some(At::System(moment_us)) => self.appended_upto(&running, *moment_us, business.is_some())?,
            Some(At::Position(position)) => self.below(&running, position, business.is_some())?,
            _ => None,
        };
        let Some(upto) = upto.into_iter().chain(business).reduce(Expr::and) else {
            return Ok(None);
        };
        let table = provider_as_source(Arc::new(ColumnarTable::new(&running, self.reads)));
        let rows = LogicalPlanBuilder::scan(TableReference::bare(view.name.as_str()), table, None)?.filter(upto)?;
        let rows = Inlined::new(rows.build()?, Some(view.query.clone()));
        Ok(Some(provider_as_source(Arc::new(rows))))
    }

    /// What lets the rows through that were true by a moment of business time; `None` where its stream has all events, or they do not say it.
    fn true_by(&self, view: &Arc<View>, moment: BusinessMoment) -> Result<Option<Expr>, SqlError> {
        let streams = view.streams();
        let [stream] = streams.as_slice() else { return Ok(None) };
        let definition = self.inner.catalog.stream(stream);
        let time = definition.and_then(|stream| stream.time.clone());
        let Some(column) = time.and_then(|time| view.passes_on(&time)) else {
            return Ok(None);
        };
        let partitions = self.inner.log.stream(stream).map_or(0, |info| info.partitions);
        if (0..partitions).all(|partition| self.first_kept(stream, partition) == 0) {
            return Ok(None);
        }
        check_complete(view)?;
        let schema = view.schema();
        let column = schema.field(column);
        Ok(Some(moment.holds(column.name(), column.data_type().clone())))
    }

    /// The offset from which on a partition has all its events.
    fn first_kept(&self, stream: &str, partition: u32) -> u64 {
        let offsets = self.inner.log.offsets(stream, partition).unwrap_or_default();
        offsets.start.max(offsets.compacted)
    }

    /// What lets the rows through whose events were appended by a moment; `None` where the log says up to where that is, unless they are to say it.
    fn appended_upto(&self, view: &Arc<View>, moment_us: i64, is_wanted: bool) -> Result<Option<Expr>, SqlError> {
        let mut gone: Option<SqlError> = None;
        for stream in view.streams() {
            match self.inner.log.position_at(stream, moment_us) {
                Ok(_) => {}
                Err(error @ ReadError::Expired { .. }) => gone = Some(error.into()),
                Err(error) => return Err(error.into()),
            }
        }
        if gone.is_none() && !is_wanted {
            return Ok(None);
        }
        let Some(column) = view.passes_on("_appended_at") else {
            let name = &view.definition().name;
            let gone = gone.unwrap_or_else(|| {
                let message =
                    format!("the view '{name}' does not show when its events were appended, and not all are kept");
                SqlError::new(SqlState::EXPIRED, message)
            });
            return Err(gone.hint(format!(
                "ask for a later moment, or let '{name}' select _appended_at, too: then its own rows say what was there"
            )));
        };
        check_complete(view)?;
        let status = view.status();
        let unfolded_us = (status.lag_seconds * 1e6) as i64;
        if status.lag_events > 0 && self.inner.log.now_us() - unfolded_us <= moment_us {
            return Err(late(view));
        }
        let schema = view.schema();
        let moment = ScalarValue::TimestampMicrosecond(Some(moment_us), None);
        let moment = moment.cast_to(schema.field(column).data_type())?;
        Ok(Some(shown(view, column).lt_eq(lit(moment))))
    }

    /// What lets the rows through whose events are below a position; `None` where they do not say it, or the log has what is needed to tell them, unless
    /// they are to say it.
    fn below(&self, view: &Arc<View>, position: &Position, is_wanted: bool) -> Result<Option<Expr>, SqlError> {
        let columns = (view.passes_on("_partition"), view.passes_on("_offset"));
        let streams = view.streams();
        let ([stream], (Some(partition), Some(offset))) = (streams.as_slice(), columns) else {
            return Ok(None);
        };
        let partitions = self.inner.log.stream(stream).map_or(0, |info| info.partitions);
        let is_gone = |partition: u32| position.get(stream, partition) < self.first_kept(stream, partition);
        if !is_wanted && !(0..partitions).any(is_gone) {
            return Ok(None);
        }
        check_complete(view)?;
        if !view.position().covers(&position.of(stream)) {
            return Err(late(view));
        }
        let schema = view.schema();
        let value = |column: usize, value: u64| -> Result<Expr> {
            Ok(lit(
                ScalarValue::UInt64(Some(value)).cast_to(schema.field(column).data_type())?
            ))
        };
        let mut parts: Vec<Expr> = Vec::new();
        for number in 0..partitions {
            let end = position.get(stream, number);
            if end > 0 {
                let is_of_it = shown(view, partition).eq(value(partition, u64::from(number))?);
                parts.push(is_of_it.and(shown(view, offset).lt(value(offset, end)?)));
            }
        }
        Ok(Some(disjunction(parts).unwrap_or_else(|| lit(false))))
    }
}

fn shown(view: &View, column: usize) -> Expr {
    let table = TableReference::bare(view.definition().name.as_str());
    Expr::Column(Column::new(Some(table), view.schema().field(column).name()))
}

/// Events that were gone when the view came to them are in none of its rows.
fn check_complete(view: &View) -> Result<(), SqlError> {
    let lacking = view.status().lacking;
    if lacking == 0 {
        return Ok(());
    }
    let message = format!(
        "the view '{}' is without {lacking} events that were no longer kept when it came to them: what was there before the first event that its stream keeps cannot be told",
        view.definition().name
    );
    Err(SqlError::new(SqlState::EXPIRED, message).hint("ask for a later moment"))
}

fn late(view: &View) -> SqlError {
    let message = format!(
        "the view '{}' has not folded all events up to then yet",
        view.definition().name
    );
    SqlError::new(SqlState::NOT_READY, message).hint("ask again in a moment; SHOW VIEWS says how far it is")
}
