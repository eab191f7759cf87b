//! The definitions of a catalog as an application's file.

use std::collections::BTreeSet;
use std::sync::Arc;

use headwater_catalog::{Catalog, Definition, INTERNAL_PREFIX};

/// Every definition that was made by a statement, each after what it reads. Streams that a Kafka client made need none.
pub fn of(catalog: &Catalog) -> String {
    let all = catalog.all();
    let mut script = String::from("-- The application as it was at the moment of the copy.\n");
    for definition in in_order(all.iter().map(Arc::as_ref).collect()) {
        if let Some(statement) = statement(definition) {
            script.push_str(&format!("\n{};\n", statement.trim_end().trim_end_matches(';')));
        }
    }
    script
}

fn statement(definition: &Definition) -> Option<&str> {
    let statement = match definition {
        Definition::Stream(stream) => &stream.statement,
        Definition::View(view) => &view.statement,
        Definition::Command(command) => &command.statement,
        Definition::Schedule(schedule) => &schedule.statement,
        Definition::Graph(graph) => &graph.statement,
    };
    let is_own = definition.name().starts_with(INTERNAL_PREFIX);
    (!is_own && !statement.is_empty()).then_some(statement)
}

/// Streams first, then views and graphs after those that they read, then commands and schedules.
fn in_order(definitions: Vec<&Definition>) -> Vec<&Definition> {
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    let mut ordered: Vec<&Definition> = Vec::new();
    let mut left = definitions;
    left.sort_by_key(|definition| match definition {
        Definition::Stream(_) => 0,
        Definition::View(_) | Definition::Graph(_) => 1,
        Definition::Command(_) | Definition::Schedule(_) => 2,
    });
    while !left.is_empty() {
        let names: BTreeSet<&str> = left.iter().map(|definition| definition.name()).collect();
        let is_ready = |definition: &&Definition| {
            let sources = definition.sources();
            sources
                .iter()
                .all(|source| placed.contains(source.as_str()) || !names.contains(source.as_str()))
        };
        // What reads itself in a circle cannot be; were it so, the rest comes as it is.
        let next = left.iter().position(is_ready).unwrap_or(0);
        let definition = left.remove(next);
        placed.insert(definition.name());
        ordered.push(definition);
    }
    ordered
}
