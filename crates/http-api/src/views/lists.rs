//! The lists of a view's rows: whole where they are short, else a page of each, named by a query parameter of the list's name.
//!
//! ```text
//! GET /views/item_ratings/i4                       all of the row, where its lists have no more elements than a response takes
//! GET /views/item_ratings/i4?entries=1:20          the first twenty elements of `entries`
//! GET /views/item_ratings/i4?entries=-20:-1        the last twenty
//! ```

use arrow::array::AsArray;
use arrow::datatypes::UInt64Type;
use axum::http::Uri;
use headwater_views::{Ask, Part, Rows, Shown, View, page};
use serde_json::{Value, json};

use crate::problem::Problem;
use crate::request::Query;

/// The most elements of lists in one response: some megabytes, which a browser still shows.
const ELEMENTS_MAX: u64 = 10_000;

/// The names of a view's lists.
pub(crate) fn names(view: &View) -> Vec<String> {
    let schema = view.schema();
    view.list_columns()
        .map(|list| schema.field(list).name().clone())
        .collect()
}

/// The query of a request that may name a page of each list besides what else is known.
pub(crate) fn query(view: &View, uri: &Uri, known: &[&str]) -> Result<Query, Problem> {
    let names = names(view);
    let known: Vec<&str> = known.iter().copied().chain(names.iter().map(String::as_str)).collect();
    Query::new(uri, &known)
}

/// The pages that a request names, as it named them.
pub(crate) fn parameters(view: &View, query: &Query) -> Vec<(String, String)> {
    let named = names(view).into_iter().filter_map(|name| {
        let text = query.get(&name)?.to_owned();
        Some((name, text))
    });
    named.collect()
}

/// What a request asks for of each column; `None` where no column is a list.
pub(crate) fn asked(view: &View, query: &Query) -> Result<Option<Vec<Shown>>, Problem> {
    let lists: Vec<usize> = view.list_columns().collect();
    if lists.is_empty() {
        return Ok(None);
    }
    let mut columns: Vec<Shown> = Vec::new();
    for (column, field) in view.schema().fields().iter().enumerate() {
        let text = query.get(field.name()).filter(|_| lists.contains(&column));
        columns.push(Shown {
            column,
            part: text.map_or(Ok(Part::Whole), |text| part(field.name(), text))?,
        });
    }
    Ok(Some(columns))
}

fn part(name: &str, text: &str) -> Result<Part, Problem> {
    let ends = text.split_once(':').map(|(from, to)| (from.parse(), to.parse()));
    match ends {
        Some((Ok(from), Ok(to))) => Ok(Part::Page { from, to }),
        _ => Err(Problem::bad_request(format!(
            "{name} is '{text}', which is no page of a list: write {name}=1:20 for its first twenty elements, {name}=-20:-1 for the last"
        ))
        .code("malformed_page")),
    }
}

/// Reads rows. More elements of lists than a response takes are refused before any is read.
pub(crate) fn read(view: &View, ask: &Ask) -> Result<Rows, Problem> {
    let Some(columns) = &ask.columns else {
        return Ok(view.ask(ask)?);
    };
    let lists: Vec<usize> = view.list_columns().collect();
    let asked: Vec<Shown> = columns
        .iter()
        .filter(|shown| lists.contains(&shown.column))
        .copied()
        .collect();
    let length = |shown: &Shown| Shown {
        part: Part::Length,
        ..*shown
    };
    let lengths = Ask {
        columns: Some(asked.iter().map(length).collect()),
        ..ask.clone()
    };
    let mut elements: u64 = 0;
    for batch in view.ask(&lengths)?.batches {
        for (shown, lengths) in asked.iter().zip(batch.columns()) {
            let of_list = |length: u64| match shown.part {
                Part::Page { from, to } => {
                    let page = page(length, from, to);
                    page.end - page.start
                }
                Part::Whole | Part::Length => length,
            };
            let lengths = lengths.as_primitive::<UInt64Type>().iter().flatten();
            elements += lengths.map(of_list).sum::<u64>();
        }
    }
    if elements > ELEMENTS_MAX {
        let names = names(view);
        let name = names.first().map_or("list", String::as_str);
        return Err(Problem::unfit(format!(
            "the lists asked for have {elements} elements, and a response has at most {ELEMENTS_MAX}: ask for a page of each ({name}=1:100)"
        ))
        .code("too_many_elements")
        .with("elements", elements)
        .with("elements_max", ELEMENTS_MAX));
    }
    Ok(view.ask(ask)?)
}

/// The query parameters that name pages, for the OpenAPI document.
pub(crate) fn openapi(view: &View) -> Vec<Value> {
    let parameter = |name: String| {
        json!({"name": name, "in": "query", "required": false, "schema": {"type": "string", "pattern": "^-?[0-9]+:-?[0-9]+$"},
            "description": format!("The page of {name} that is shown: 1:20 for its first twenty elements, -20:-1 for the last; all of it where this is missing")})
    };
    names(view).into_iter().map(parameter).collect()
}
