//! The machine that a history takes place on: a log on a disk in memory, stores and tables in memory that outlast the views, and what was appended.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_catalog::{Catalog, CreateMode, Definition, StreamDefinition};
use headwater_eventlog::{Append, EventLog, LogOptions, Part};
use headwater_host::simulated::Simulation;
use headwater_records::{Batch, Compression, Position};
use headwater_views::decode::StreamDecoder;
use headwater_views::{View, ViewOptions, ViewSpec, Views};
use tempfile::TempDir;

use super::bugs::Bug;
use super::events::{Made, STREAMS};
use super::kept;
use super::lab::Lab;
use super::pipes::{PIPES, Pipe};
use super::prefix::Appended;
use super::registered;
use super::shelf::Shelf;
use super::tables::Tables;
use crate::ground::WAIT;

/// Who appends.
pub const WRITER: &str = "ann";

/// How a life of the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is stopped: everything is flushed.
    Close,
    /// It is killed between two turns: what was not flushed is gone.
    Kill,
    /// The power goes, and with it what the log had not flushed.
    Power,
}

/// Events for one partition of a stream.
pub type Events = (usize, u32, Vec<Made>);

/// What a machine is like.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// For its dice and its disk.
    pub seed: u64,
    pub has_pipes: bool,
    /// Whether stores are the real ones, on the disk. They do not fail when they are told to.
    pub is_on_disk: bool,
    pub bug: Option<Bug>,
}

/// A machine, and the program that runs on it.
pub struct Machine<'a> {
    pub lab: &'a Lab,
    setup: Setup,
    simulation: Simulation,
    // Views go before the log that they read.
    pub views: Views,
    pub log: EventLog,
    catalog: Catalog,
    folder: TempDir,
    pub shelf: Arc<Shelf>,
    tables: Arc<Tables>,
    pub appended: Appended,
}

fn open_log(simulation: &Simulation) -> Result<(EventLog, Catalog), String> {
    let options = LogOptions {
        journal_bytes: 1024 * 1024,
        ..LogOptions::default()
    };
    let opened = EventLog::open(simulation.host(), Path::new("/data"), options);
    let (log, _) = opened.map_err(|error| format!("the log does not open: {error}"))?;
    let catalog = Catalog::open(log.clone()).map_err(|error| format!("the catalog does not open: {error}"))?;
    Ok((log, catalog))
}

impl<'a> Machine<'a> {
    /// A machine with the streams and nothing in them.
    pub fn new(lab: &'a Lab, setup: Setup, options: ViewOptions) -> Result<Machine<'a>, String> {
        let simulation = Simulation::new(setup.seed);
        simulation.clock.set(1_763_000_000_000_000);
        let (log, catalog) = open_log(&simulation)?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut machine = Machine {
            lab,
            setup,
            views: Views::in_memory(log.clone(), catalog.clone(), options.clone()),
            simulation,
            log,
            catalog,
            folder,
            shelf: Arc::new(Shelf::new(setup.bug)),
            tables: Arc::new(Tables::new(setup.bug)),
            appended: Appended::default(),
        };
        for stream in &STREAMS {
            machine.define(Definition::Stream(stream.definition()))?;
        }
        lab.runtime.block_on(registered::register(&machine.catalog))?;
        for pipe in machine.pipes() {
            if let Some(view) = pipe.view(lab) {
                machine.define(Definition::View(view.definition))?;
            }
            machine.define(Definition::Stream(pipe.definition()))?;
        }
        machine.views = machine.open_views(options);
        Ok(machine)
    }

    fn open_views(&self, options: ViewOptions) -> Views {
        let views = Views::open(self.log.clone(), self.catalog.clone(), self.folder.path(), options);
        let views = views.with_lakes(Arc::clone(&self.tables) as _);
        match self.setup.is_on_disk {
            true => views,
            false => views.with_stores(Arc::clone(&self.shelf) as _),
        }
    }

    fn pipes(&self) -> &'static [Pipe] {
        if self.setup.has_pipes { &PIPES } else { &[] }
    }

    fn define(&self, definition: Definition) -> Result<(), String> {
        let defining = self.catalog.define(definition, CreateMode::OrReplace, WRITER);
        let defined = self.lab.runtime.block_on(defining);
        defined
            .map(|_| ())
            .map_err(|error| format!("nothing is defined: {error}"))
    }

    /// Starts a view, or another one under its name.
    pub fn start_view(&self, mut spec: ViewSpec) -> Result<(), String> {
        for decoder in &mut spec.decoders {
            *decoder = self.decoder(decoder.definition());
        }
        self.define(Definition::View(spec.definition.clone()))?;
        let name = spec.definition.name.clone();
        let started = self.views.start(spec);
        started
            .map(|_| ())
            .map_err(|error| format!("the view {name} does not start: {error}"))
    }

    /// How the events of a stream are read here, where its schemas are registered.
    pub fn decoder(&self, stream: &StreamDefinition) -> StreamDecoder {
        StreamDecoder::with_history(stream, self.catalog.schemas(), Vec::new())
    }

    pub fn start_pipes(&self) -> Result<(), String> {
        for pipe in self.pipes() {
            let started = self.views.start_pipeline(pipe.spec(self.lab));
            started.map_err(|error| format!("the pipeline {} does not start: {error}", pipe.name))?;
        }
        Ok(())
    }

    /// One append.
    pub fn append(&mut self, parts: &[Events]) -> Result<(), String> {
        self.simulation.clock.advance(1_500);
        let part = |(stream, partition, events): &Events| {
            let events: Vec<_> = events.iter().map(|made| made.event.clone()).collect();
            Part {
                stream: STREAMS[*stream].name.to_owned(),
                partition: *partition,
                batch: Batch::encode(&events, Compression::None, None),
            }
        };
        let append = Append {
            parts: parts.iter().map(part).collect(),
            principal: WRITER.to_owned(),
            condition: None,
        };
        let answer = self.log.append_blocking(append).map_err(|error| error.to_string())?;
        for (stream, partition, events) in parts {
            self.appended
                .put(*stream, *partition, events.clone(), answer.appended_at_us);
        }
        Ok(())
    }

    /// The end of everything that writers wrote.
    pub fn written(&self) -> Position {
        self.end_of(STREAMS.iter().map(|stream| stream.name))
    }

    /// The end of all streams, once pipelines have made what comes of everything written.
    pub fn end(&self) -> Result<Position, String> {
        let written = self.written();
        for pipe in self.pipes() {
            let reaching = self.views.pipeline_reaches(pipe.name, &written, WAIT);
            self.lab.runtime.block_on(reaching).map_err(|error| error.to_string())?;
        }
        if let Some(stopped) = self.views.pipelines().into_iter().find_map(|pipeline| pipeline.stopped) {
            return Err(format!("a pipeline stopped: {stopped}"));
        }
        let mut end = written;
        end.advance_all(&self.end_of(self.pipes().iter().map(|pipe| pipe.name)));
        Ok(end)
    }

    fn end_of<'s>(&self, streams: impl Iterator<Item = &'s str>) -> Position {
        let mut end = Position::new();
        for stream in streams {
            end.advance_all(&self.log.position(stream).expect("a stream"));
        }
        end
    }

    /// The view of a name as it was started last, once it has folded everything.
    pub fn view(&self, name: &str, statement: &str, end: &Position) -> Result<Arc<View>, String> {
        let begun = Instant::now();
        let view = loop {
            let view = self.views.get(name).ok_or_else(|| format!("there is no view {name}"))?;
            if view.said().statement == statement {
                break view;
            }
            let is_asked = || self.views.get(name).is_some_and(|now| Arc::ptr_eq(&now, &view));
            if let Some(why) = view.stopped()
                && is_asked()
            {
                return Err(format!("the view {name} stopped: {why}"));
            }
            if begun.elapsed() > WAIT {
                return Err(format!("the view {name} is not replaced"));
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        let waited = self.lab.runtime.block_on(view.wait_for(end, WAIT));
        waited.map_err(|error| error.to_string())?;
        Ok(view)
    }

    /// Ends the program and opens it again with other bounds; the views are to be started.
    pub fn restart(mut self, end: End, options: ViewOptions) -> Result<Machine<'a>, String> {
        if end == End::Close {
            self.views.close();
        }
        // Nobody folds, and nobody holds a store.
        self.views = Views::in_memory(self.log.clone(), self.catalog.clone(), options.clone());
        self.shelf.mend();
        match self.setup.bug {
            Some(Bug::CheckpointsSetBack) => kept::set_back(self.folder.path()),
            _ if end == End::Power => kept::tear(self.folder.path(), self.setup.seed),
            _ => {}
        }
        if end != End::Kill {
            match end {
                End::Power => self.simulation.disk.cut_power(),
                _ => self.log.close(),
            }
            self = self.reopened()?;
        }
        if self.setup.bug == Some(Bug::ResultsTwice) {
            self.append_again();
        }
        self.views = self.open_views(options);
        Ok(self)
    }

    /// The same machine with its log opened again.
    fn reopened(self) -> Result<Machine<'a>, String> {
        let Machine {
            lab,
            setup,
            simulation,
            views,
            log,
            catalog,
            folder,
            shelf,
            tables,
            appended,
        } = self;
        drop((views, log, catalog));
        if simulation.disk.is_off() {
            simulation.disk.restart();
        }
        let (log, catalog) = open_log(&simulation)?;
        Ok(Machine {
            lab,
            setup,
            views: Views::in_memory(log.clone(), catalog.clone(), crate::ground::LAZY),
            simulation,
            log,
            catalog,
            folder,
            shelf,
            tables,
            appended,
        })
    }

    /// Appends the last results of each pipeline once more: a planted bug.
    fn append_again(&self) {
        for pipe in self.pipes() {
            let read = self.log.read(pipe.name, 0, 0, usize::MAX).expect("a readable log");
            let parts = read.last().map(|last| Part {
                stream: pipe.name.to_owned(),
                partition: 0,
                batch: last.batch.clone(),
            });
            let append = Append {
                parts: parts.into_iter().collect(),
                principal: WRITER.to_owned(),
                condition: None,
            };
            if !append.parts.is_empty() {
                self.log.append_blocking(append).expect("an append");
            }
        }
    }

    /// Plans in batch read what was written below a position.
    pub fn stand_at(&self, upto: &Position) {
        self.lab.stand_at(&self.appended, upto, self.setup.bug);
    }

    /// What a view's query gives in batch where the plans stand.
    pub fn in_batch(&self, query: &str) -> Result<Vec<arrow::record_batch::RecordBatch>, String> {
        match self.setup.bug {
            Some(bug) => self.lab.in_batch(&bug.of_batch(query)),
            None => self.lab.in_batch(query),
        }
    }
}
