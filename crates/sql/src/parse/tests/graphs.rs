//! Property graphs: definitions and patterns.

use headwater_catalog::GraphLabel;

use super::*;
use crate::graph::pattern::{Direction, EdgePattern, Element, GraphColumn, GraphPattern, PathPattern};
use crate::syntax::{EndClause, PropertyGraph};

/// A definition, in short.
pub(super) fn defined(graph: &PropertyGraph) -> String {
    let labels = |labels: &[GraphLabel]| {
        let label = |label: &GraphLabel| {
            let properties = label.properties.as_ref().map(|properties| {
                let properties = properties.iter().map(|of| format!("{} {}", of.column, of.name));
                properties.collect::<Vec<String>>().join(", ")
            });
            format!("{}({})", label.name, properties.unwrap_or("*".to_owned()))
        };
        labels.iter().map(label).collect::<Vec<String>>().join(" ")
    };
    let end = |end: &EndClause| {
        let name = |name: &Option<crate::syntax::Name>| name.as_ref().map_or("-".to_owned(), |name| name.value.clone());
        format!("{} {}.{}", name(&end.key), end.vertices.value, name(&end.column))
    };
    let vertices = graph.vertices.iter().map(|table| {
        let key = table.key.as_ref().map_or("-", |key| &key.value);
        format!(
            "{} {} key {key} {}",
            table.view.value,
            table.alias,
            labels(&table.labels)
        )
    });
    let edges = graph.edges.iter().map(|table| {
        let (source, destination) = (end(&table.source), end(&table.destination));
        format!(
            "{} {} from {source} to {destination} {}",
            table.view.value,
            table.alias,
            labels(&table.labels)
        )
    });
    let all: Vec<String> = vertices.chain(edges).collect();
    format!("{}: {}", graph.name.value, all.join("; "))
}

#[test]
fn graphs_are_defined() {
    check(
        "CREATE OR REPLACE PROPERTY GRAPH g VERTEX TABLES (a KEY (id) LABEL x PROPERTIES (n, m AS k) LABEL y NO PROPERTIES, public.b AS c)",
        "OrReplace graph g: a a key id x(n n, m k) y(); b c key - c(*)",
    );
    check(
        "CREATE PROPERTY GRAPH IF NOT EXISTS g NODE TABLES (a) RELATIONSHIP TABLES (e KEY (s, d) SOURCE KEY (s) REFERENCES a (id) DESTINATION a DEFAULT LABEL PROPERTIES ARE ALL COLUMNS, f k SOURCE a DESTINATION a)",
        "IfNotExists graph g: a a key - a(*); e e from s a.id to - a.- e(*); f k from - a.- to - a.- k(*)",
    );
    check(
        "DROP PROPERTY GRAPH IF EXISTS g",
        "drop property graph g if_exists=true",
    );
    check("SHOW PROPERTY GRAPHS", "show Graphs");
}

fn element(element: &Element) -> String {
    let names = |names: &[crate::syntax::Name]| {
        names
            .iter()
            .map(|name| name.value.clone())
            .collect::<Vec<String>>()
            .join("|")
    };
    let variable = element.variable.as_ref().map_or("", |name| &name.value);
    let labels = if element.labels.is_empty() {
        String::new()
    } else {
        format!(":{}", names(&element.labels))
    };
    let filter = element
        .filter
        .as_ref()
        .map_or(String::new(), |filter| format!(" ? {filter}"));
    format!("{variable}{labels}{filter}")
}

fn edge(edge: &EdgePattern) -> String {
    let inside = element(&edge.element);
    let repeats = edge.repeats.map_or(String::new(), |repeats| match repeats.max {
        Some(max) => format!("{{{},{max}}}", repeats.min),
        None => format!("{{{},}}", repeats.min),
    });
    match edge.direction {
        Direction::Right => format!("-[{inside}]->{repeats}"),
        Direction::Left => format!("<-[{inside}]-{repeats}"),
        Direction::Any => format!("-[{inside}]-{repeats}"),
    }
}

fn path(path: &PathPattern) -> String {
    let name = path
        .name
        .as_ref()
        .map_or(String::new(), |name| format!("{} = ", name.value));
    let shortest = if path.is_shortest { "shortest " } else { "" };
    let hops = path
        .hops
        .iter()
        .map(|(hop, vertex)| format!("{}({})", edge(hop), element(vertex)));
    format!(
        "{name}{shortest}{:?} ({}){}",
        path.mode,
        element(&path.first),
        hops.collect::<String>()
    )
}

fn shown(pattern: &GraphPattern) -> String {
    let paths: Vec<String> = pattern.paths.iter().map(path).collect();
    let filter = pattern
        .filter
        .as_ref()
        .map_or(String::new(), |filter| format!(" ? {filter}"));
    let columns = pattern.columns.iter().map(|column| match column {
        GraphColumn::Value { expr, name } => format!("{expr} {name}"),
        GraphColumn::All(variable) => format!("{}.*", variable.value),
    });
    let columns: Vec<String> = columns.collect();
    format!(
        "{}: {}{filter} => {}",
        pattern.graph.value,
        paths.join(", "),
        columns.join(", ")
    )
}

/// The pattern behind `g MATCH`, and what is read.
fn check_pattern(text: &str, expected: &str) {
    let text = format!("g MATCH {text}");
    let read = pattern("3:8", &text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(shown(&read), format!("g: {expected}"), "{text}");
    // The same in a statement, which keeps it as a text.
    let parsed = parse(&format!("SELECT *\nFROM GRAPH_TABLE ({text}) AS t"), "")
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let quoted = text.replace('\'', "''");
    assert_eq!(
        rendered(&parsed[0]),
        format!("<SELECT * FROM graph_table('2:19', '{quoted}') AS t>")
    );
}

#[test]
fn patterns_are_read() {
    check_pattern("(a) COLUMNS (a.id)", "Walk (a) => a.id id");
    check_pattern(
        "(A IS customer WHERE A.id = 'c1')-[e:bought]->(i IS item|thing)<-[IS \"Bought\"]-() WHERE a.x > 1 COLUMNS (e.*, upper(A.b) AS c)",
        "Walk (a:customer ? a.id = 'c1')-[e:bought]->(i:item|thing)<-[:Bought]-() ? a.x > 1 => e.*, upper(a.b) c",
    );
    check_pattern(
        "(a)->(b)<-(c)-(d)<->(e), (f)-[]-(g) COLUMNS (a.id, b.id AS d)",
        "Walk (a)-[]->(b)<-[]-(c)-[]-(d)-[]-(e), Walk (f)-[]-(g) => a.id id, b.id d",
    );
    check_pattern(
        "(a)-[]->{1,4}(b)-[e]->{2}(c)<-[]-{3,3}(d)-[]->?(e)->{,2}(f) COLUMNS (a.id)",
        "Walk (a)-[]->{1,4}(b)-[e]->{2,2}(c)<-[]-{3,3}(d)-[]->{0,1}(e)-[]->{0,2}(f) => a.id id",
    );
    check_pattern(
        "TRAIL (a)-[]->*(b)-[]-+(c) COLUMNS (a.id)",
        "Trail (a)-[]->{0,}(b)-[]-{1,}(c) => a.id id",
    );
    check_pattern(
        "ACYCLIC PATH (a)->{2,}(b) ONE ROW PER MATCH COLUMNS (a.id)",
        "Acyclic (a)-[]->{2,}(b) => a.id id",
    );
    check_pattern(
        "p = ANY SHORTEST SIMPLE PATHS (a)->+(b) COLUMNS (a.id)",
        "p = shortest Simple (a)-[]->{1,} (b) => a.id id"
            .replace("} (", "}(")
            .as_str(),
    );
}
