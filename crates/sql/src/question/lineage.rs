//! `lineage('view', key, …, after => …)` in a question: which view, which row, and from where on.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, TableSource};
use headwater_records::{Address, Position};
use headwater_views::{Source, View};

use super::functions::{AFTER, LINEAGE};
use super::moment::instant_us;
use super::named_view::ViewFunction;
use super::names::Names;
use crate::tables::{After, Followed, LineageTable, Seen, Sources, address};
use crate::{SqlError, SqlState};

/// How the function is called.
const CALLED: &str = "write lineage('view', key), with a value for each column of the view's key, and perhaps after => 'stream/0@42' or after => TIMESTAMP '…'";

const FUNCTION: ViewFunction = ViewFunction {
    name: LINEAGE,
    called: CALLED,
};

impl Names<'_> {
    /// The history of the row that the arguments name.
    pub(super) fn lineage(&self, args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        let (_, table) = self.followed(&FUNCTION, args)?;
        Ok(provider_as_source(Arc::new(table)))
    }

    /// The view that the arguments of a function name, and the history of its row.
    pub(super) fn followed(&self, function: &ViewFunction, args: Vec<Expr>) -> Result<(Arc<View>, LineageTable)> {
        let mut args = args.into_iter();
        let view = self.named_view(function, args.next())?;
        let mut args: Vec<Expr> = args.collect();
        let after = named_after(&view, &mut args);
        let sources = self.sources(&view, |stream| Ok(self.reads.stream_end(&self.inner.log, stream)?))?;
        let mut followed = match view.is_per_event() {
            true => self.followed_event(&view, args)?,
            false => self.followed_row(&view, args)?,
        };
        let mut seen: Option<After> = None;
        if let Some(after) = after {
            match self.moments.value(after, &DataType::Utf8)? {
                Some(value) => seen = Some(self.after(&view, &value)?),
                // The question is only described.
                None => followed = None,
            }
        }
        Ok((view, LineageTable::new(sources, followed, seen)?))
    }

    /// What a view is made of, up to where each of its streams is to be read; an error where its rows are not made of its streams as they are read now.
    pub(super) fn sources(&self, view: &Arc<View>, end: impl Fn(&str) -> Result<Position>) -> Result<Sources> {
        let mut each = Vec::new();
        let mut at = Position::new();
        for source in view.sources() {
            let name = source.stream();
            let stream = self.inner.catalog.stream(name);
            let stream = stream.ok_or_else(|| self.inner.unknown_table(name))?;
            let decoder = super::upcast::decoder(self.inner, &stream)?;
            if !view.reads_by(&decoder) {
                return Err(read_otherwise(view, name).into());
            }
            let decoder = match source {
                Source::Events(_) => decoder,
                Source::Tombstones(_) => decoder.of_tombstones(),
            };
            each.push((source.clone(), decoder));
            at.advance_all(&end(name)?);
        }
        Ok(Sources {
            log: self.inner.log.clone(),
            view: Arc::clone(view),
            each,
            at,
            business: None,
            events_max: self.inner.options.rewind_events_max,
            progress: Arc::clone(self.reads.progress()),
        })
    }

    /// The row meant; `None` where it hangs on parameters that are not known yet.
    fn followed_row(&self, view: &View, args: Vec<Expr>) -> Result<Option<Followed>> {
        let name = &view.definition().name;
        let columns: Vec<&str> = view.key_names();
        if args.len() != columns.len() {
            let message = format!(
                "the rows of '{name}' have a key of {} column(s) ({}), and {} value(s) are given",
                columns.len(),
                columns.join(", "),
                args.len()
            );
            return Err(SqlError::new(SqlState::UNKNOWN_FUNCTION, message).hint(CALLED).into());
        }
        let mut values: Vec<ScalarValue> = Vec::with_capacity(columns.len());
        for (arg, key_type) in args.into_iter().zip(view.key_types()) {
            // All are looked at, so that the type of each is noted.
            let Some(value) = self.moments.value(arg, key_type)? else {
                continue;
            };
            values.push(value.cast_to(key_type).map_err(|_| {
                let message = format!(
                    "{value} is no key of '{name}': its key is {} {key_type}",
                    columns.join(", ")
                );
                SqlError::new(SqlState::INVALID_TEXT, message)
            })?);
        }
        if values.len() < columns.len() {
            return Ok(None);
        }
        let key = view.key(&values).map_err(SqlError::from)?;
        Ok(Some(Followed::Row(key, values)))
    }

    /// The event meant, of a view that has a row for each.
    fn followed_event(&self, view: &View, args: Vec<Expr>) -> Result<Option<Followed>> {
        let refuse = |given: &str| {
            let message = format!(
                "'{}' is a view with one row for each event, and {given} is no address of one",
                view.definition().name
            );
            SqlError::new(SqlState::UNKNOWN_FUNCTION, message)
                .hint("write lineage('view', 'stream/0@42'): the event's stream, partition and offset")
        };
        let given = args.len();
        let Ok([event]) = <[Expr; 1]>::try_from(args) else {
            return Err(refuse(&format!("{given} value(s)")).into());
        };
        let Some(value) = self.moments.value(event, &DataType::Utf8)? else {
            return Ok(None);
        };
        let address = value.try_as_str().flatten().and_then(address);
        let address = address.ok_or_else(|| refuse(&format!("'{value}'")))?;
        self.moment_of(view, &address)?;
        Ok(Some(Followed::Event(address)))
    }

    /// Which steps `after` means.
    fn after(&self, view: &View, value: &ScalarValue) -> Result<After> {
        let text = value.try_as_str().flatten();
        let (seen, moment_us) = match text.and_then(address) {
            Some(event) => {
                let moment_us = self.moment_of(view, &event)?;
                let rank = view.streams().iter().position(|stream| *stream == event.stream);
                let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
                let partition = i32::try_from(event.partition).unwrap_or(i32::MAX);
                let place = (moment_us, rank.unwrap_or_default(), partition, number(event.offset));
                // What came in the same append may stand before it or behind.
                (Seen::Event(place), moment_us.saturating_sub(1))
            }
            None => {
                let moment_us = instant_us(value)?;
                (Seen::Moment(moment_us), moment_us)
            }
        };
        let mut position = Position::new();
        for stream in view.streams() {
            let at = self.inner.log.position_at(stream, moment_us);
            position.advance_all(&at.map_err(SqlError::from)?);
        }
        Ok(After { seen, position })
    }

    /// When an event of a view's stream was appended, microseconds since 1970.
    fn moment_of(&self, view: &View, event: &Address) -> Result<i64, SqlError> {
        let Address {
            stream,
            partition,
            offset,
        } = event;
        let mut at = Position::new();
        let streams: Vec<String> = view.streams().into_iter().map(str::to_owned).collect();
        let kept = self.inner.log.offsets(stream, *partition);
        if streams.contains(stream) && kept.is_some_and(|kept| *offset < kept.start) {
            return Err(no_longer_kept(view, event));
        }
        for stream in &streams {
            at.advance_all(&self.reads.stream_end(&self.inner.log, stream)?);
        }
        at.set(stream, *partition, offset.saturating_add(1));
        super::rewind::check_position(&self.inner.log, &view.definition().name, &streams, &at, false)?;
        let batches = self.inner.log.read(stream, *partition, *offset, 0)?;
        let holds = batches.first().filter(|first| first.batch.base_offset() <= *offset);
        holds
            .map(|stored| stored.appended_at_us)
            .ok_or_else(|| no_longer_kept(view, event))
    }
}

/// The stream lost an event; an archive still has the row that it was.
fn no_longer_kept(view: &View, event: &Address) -> SqlError {
    let error = SqlError::new(SqlState::EXPIRED, format!("there is no event at {event} any more"));
    match view.passes_on("_partition").zip(view.passes_on("_offset")) {
        Some(_) => error.hint(format!(
            "its row is all that is left of it: SELECT … FROM {} WHERE its partition is {} and its offset {}",
            view.definition().name,
            event.partition,
            event.offset
        )),
        None => error.hint("name one that SELECT … FROM its stream shows"),
    }
}

/// The events of a view's stream are not those that its rows were made of.
fn read_otherwise(view: &View, stream: &str) -> SqlError {
    let message = format!(
        "the view '{}' stands still: the events of '{stream}' are read otherwise by now, and its rows are not made of that yet",
        view.definition().name
    );
    SqlError::new(SqlState::NOT_READY, message).hint("ask again once it is built anew; SHOW VIEWS says how far it is")
}

/// Takes `after => …` off the arguments behind the key.
fn named_after(view: &View, args: &mut Vec<Expr>) -> Option<Expr> {
    let key = match view.is_per_event() {
        true => 1,
        false => view.key_types().len(),
    };
    let is_after = match args.get(key) {
        Some(Expr::Literal(name, _)) => name.try_as_str().flatten() == Some(AFTER),
        _ => false,
    };
    if !is_after || args.len() != key + 2 {
        return None;
    }
    let after = args.pop();
    args.pop();
    after
}
