//! The power is cut at every operation of a short run of changes: every acknowledged change is there afterwards, at most the one that was
//! under way besides, and the log holds exactly the streams that are defined.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_catalog::{
    Catalog, CatalogError, Column, ColumnType, CreateMode, Definition, Format, INTERNAL_PREFIX, Shape,
    StreamDefinition, ViewDefinition, ViewSettings,
};
use headwater_eventlog::{EventLog, LogOptions};
use headwater_host::simulated::Simulation;

/// What is defined: name and, of a stream, the partitions.
type Image = BTreeMap<String, Option<u32>>;

#[derive(Clone)]
enum Change {
    Define(Box<Definition>, CreateMode),
    Drop(&'static str, &'static str),
}

impl Change {
    async fn make(self, catalog: &Catalog) -> Result<(), CatalogError> {
        match self {
            Change::Define(definition, mode) => catalog.define(*definition, mode, "ann").await.map(|_| ()),
            Change::Drop(noun, name) => catalog.drop(noun, name, "ann").await,
        }
    }

    /// What the image is after the change.
    fn apply(&self, image: &mut Image) {
        match self {
            Change::Define(definition, _) => {
                let partitions = match &**definition {
                    Definition::Stream(stream) => Some(stream.partitions),
                    Definition::View(_) | Definition::Command(_) | Definition::Schedule(_) | Definition::Graph(_) => {
                        None
                    }
                };
                image.insert(definition.name().to_owned(), partitions);
            }
            Change::Drop(_, name) => {
                image.remove(*name);
            }
        }
    }
}

fn stream(name: &str, partitions: u32, statement: &str) -> Definition {
    let column = Column::new("a", ColumnType::Text, true);
    Definition::Stream(StreamDefinition {
        name: name.to_owned(),
        columns: (!statement.is_empty()).then(|| vec![column]),
        key: Vec::new(),
        time: None,
        kind: None,
        tags: Vec::new(),
        partitions,
        format: Format::Json,
        statement: statement.to_owned(),
        ..StreamDefinition::default()
    })
}

fn changes() -> Vec<Change> {
    use CreateMode::{Create, OrReplace};
    let view = |query: &str| {
        Definition::View(ViewDefinition {
            name: "v".to_owned(),
            shape: Some(Shape::Document),
            settings: ViewSettings::default(),
            query: query.to_owned(),
            key: Vec::new(),
            sources: vec!["s".to_owned()],
            spelled_out: None,
            statement: String::new(),
            version: 1,
            before: None,
        })
    };
    vec![
        Change::Define(Box::new(stream("s", 2, "declared")), Create),
        Change::Define(Box::new(view("one")), Create),
        Change::Define(Box::new(stream("t", 3, "")), Create),
        Change::Define(Box::new(stream("t", 3, "declared afterwards")), Create),
        Change::Define(Box::new(view("two")), OrReplace),
        Change::Drop("view", "v"),
        Change::Drop("stream", "s"),
        Change::Define(Box::new(stream("s", 4, "declared again")), Create),
        Change::Drop("stream", "t"),
    ]
}

fn open(machine: &Simulation) -> Result<(EventLog, Catalog), String> {
    let options = LogOptions {
        batch_bytes_max: 4096,
        journal_bytes: 48 * 1024,
        segment_bytes: 1024,
        pending_bytes_max: 64 * 1024,
        tend_every: std::time::Duration::from_secs(3600),
        compaction_keys_max: 1_000,
        ..LogOptions::default()
    };
    let (log, _) = EventLog::open(machine.host(), Path::new("/data"), options).map_err(|error| error.to_string())?;
    let catalog = Catalog::open(log.clone()).map_err(|error| error.to_string())?;
    Ok((log, catalog))
}

/// Makes the changes one after another until one fails. How many were acknowledged comes back.
fn run(machine: &Simulation) -> usize {
    let Ok((log, catalog)) = open(machine) else {
        return 0;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime starts");
    let acknowledged = runtime.block_on(async {
        for (index, change) in changes().into_iter().enumerate() {
            if change.make(&catalog).await.is_err() {
                return index;
            }
        }
        changes().len()
    });
    log.close();
    acknowledged
}

fn image(log: &EventLog, catalog: &Catalog) -> Image {
    let mut image = Image::new();
    for definition in catalog.all() {
        let partitions = match definition.as_ref() {
            Definition::Stream(stream) => Some(stream.partitions),
            Definition::View(_) | Definition::Command(_) | Definition::Schedule(_) | Definition::Graph(_) => None,
        };
        image.insert(definition.name().to_owned(), partitions);
    }
    let defined: BTreeMap<&String, u32> = image
        .iter()
        .filter_map(|(name, partitions)| Some((name, (*partitions)?)))
        .collect();
    let streams = log.streams();
    let in_log: BTreeMap<&String, u32> = streams
        .iter()
        .filter(|info| !info.name.starts_with(INTERNAL_PREFIX))
        .map(|info| (&info.name, info.partitions))
        .collect();
    assert_eq!(defined, in_log, "the log holds exactly the streams that are defined");
    image
}

#[test]
fn every_acknowledged_change_survives_a_power_cut_at_any_operation() {
    let whole = Simulation::new(1);
    assert_eq!(run(&whole), changes().len());
    let operations = whole.disk.operations();
    assert!(operations > 20, "the run writes: {operations} operations");
    for cut in 1..=operations {
        let machine = Simulation::new(cut);
        machine.disk.cut_power_at(cut);
        let acknowledged = run(&machine);
        machine.disk.restart();
        let (log, catalog) = open(&machine).unwrap_or_else(|why| panic!("cut at {cut}: {why}"));
        let mut expected = Image::new();
        for change in changes().iter().take(acknowledged) {
            change.apply(&mut expected);
        }
        let mut one_more = expected.clone();
        if let Some(change) = changes().get(acknowledged) {
            change.apply(&mut one_more);
        }
        let found = image(&log, &catalog);
        assert!(
            found == expected || found == one_more,
            "cut at {cut}, {acknowledged} acknowledged: {found:?}, expected {expected:?} or {one_more:?}"
        );
        log.close();
    }
}
