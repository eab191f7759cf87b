//! `GET /views/{view}/search?q=…`: the rows of a search view that a query finds, the best first, with facets.
//!
//! Index, rows and counts are of one commit of the view, whose position the answer names.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use headwater_views::View;
use headwater_views::search::{
    Connective, Field, Query, QueryError, SNIPPET_CHARS_DEFAULT, SearchImage, SearchMoment, found_schema, is_facet,
    is_text, scores,
};
use serde_json::{Map, Value, json};

use super::row::row;
use super::running::{answer, unwritable, view, wait};
use crate::door::Door;
use crate::json::rows::{RowForm, columns_of, write_rows};
use crate::problem::Problem;
use crate::request;

/// How many rows are found unless the request says otherwise, and at most.
const LIMIT_DEFAULT: u64 = 20;
const LIMIT_MAX: u64 = 1_000;
/// How many of the best may be passed over: whoever reads on from there narrows the query.
const OFFSET_MAX: u64 = 100_000;

const PARAMETERS: [&str; 6] = ["q", "limit", "offset", "facet", "operator", "snippet"];

/// What is asked.
struct Asked {
    query: Query,
    limit: usize,
    offset: usize,
    /// The fields whose values are counted: places and names.
    facets: Vec<(usize, String)>,
    /// The field that snippets are of; `None`: whichever shows most.
    snippet: Option<usize>,
}

/// The rows that a query finds. Of a view without an index it is the row whose key is `search`.
pub(crate) async fn found(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = view(&door, &name)?;
    let Some(index) = view.image::<SearchImage>() else {
        if uri
            .query()
            .is_some_and(|query| query.split('&').any(|pair| pair.starts_with("q=")))
        {
            let detail = format!("the view '{name}' has no index to search: it is not STORED AS search");
            return Err(Problem::bad_request(detail).code("no_index"));
        }
        return row(State(door), uri, headers).await;
    };
    let asked = Asked::read(&uri, index.fields())?;
    let after = wait(&door, &view, &headers).await?;
    let task = door.state.questions.spawn_blocking(move || {
        let moment = view.searchable(after.as_ref())?;
        asked.answer(&view, &moment)
    });
    task.await
        .map_err(|error| Problem::internal(format!("the search broke off: {error}")))?
}

impl Asked {
    fn read(uri: &Uri, fields: &[Field]) -> Result<Asked, Problem> {
        let given = request::Query::new(uri, &PARAMETERS)?;
        let Some(text) = given.get("q") else {
            let detail = "what is looked for is missing: add ?q=…, * finds every row".to_owned();
            return Err(Problem::bad_request(detail).code("malformed_query"));
        };
        let connective = match given.get("operator") {
            None | Some("and") => Connective::And,
            Some("or") => Connective::Or,
            Some(other) => {
                let detail = format!("there is no operator '{other}': it is and, or or");
                return Err(Problem::bad_request(detail).code("malformed_query"));
            }
        };
        let named = |name: &str, is_fit: fn(&Field) -> bool, kind: &str| {
            let place = fields.iter().position(|field| field.name == name && is_fit(field));
            let fit: Vec<&str> = fields
                .iter()
                .filter(|field| is_fit(field))
                .map(|field| field.name.as_str())
                .collect();
            let detail = || format!("'{name}' is no {kind} field: these are {}", fit.join(", "));
            place.ok_or_else(|| Problem::bad_request(detail()).code("unknown_field"))
        };
        let mut facets: Vec<(usize, String)> = Vec::new();
        for name in given.get("facet").into_iter().flat_map(|names| names.split(',')) {
            facets.push((named(name, is_facet, "KEYWORD")?, name.to_owned()));
        }
        let snippet = given
            .get("snippet")
            .map(|name| named(name, is_text, "TEXT"))
            .transpose()?;
        Ok(Asked {
            query: Query::parse(text, fields, connective).map_err(wrong)?,
            limit: given.limit(LIMIT_DEFAULT, LIMIT_MAX)?,
            offset: given.number("offset", OFFSET_MAX)?.unwrap_or(0) as usize,
            facets,
            snippet,
        })
    }

    fn answer(&self, view: &View, moment: &SearchMoment) -> Result<Response, Problem> {
        let best = moment.find(&self.query, Some(self.offset + self.limit))?;
        let hits = best.get(self.offset..).unwrap_or_default();
        let rows = moment.rows(view, hits)?;
        let snippets = moment
            .snippets(view, &self.query, self.snippet, SNIPPET_CHARS_DEFAULT)
            .of(&rows)?;
        let schema = found_schema(view);
        let mut columns = rows.columns().to_vec();
        columns.extend([scores(hits), snippets]);
        let found = RecordBatch::try_new(schema.clone(), columns).map_err(unwritable)?;
        let mut facets = Map::new();
        for (place, name) in &self.facets {
            let values = moment.facets(&self.query, *place)?;
            let values: Vec<Value> = values
                .into_iter()
                .map(|(value, count)| json!({"value": value, "count": count}))
                .collect();
            facets.insert(name.clone(), values.into());
        }
        let mut body: Vec<u8> = format!("{{\"columns\":{},\"rows\":[", columns_of(&schema)).into_bytes();
        let mut separator: &[u8] = b"";
        write_rows(&found, RowForm::Object, |row| {
            body.extend_from_slice(separator);
            body.extend_from_slice(row);
            separator = b",";
        })
        .map_err(unwritable)?;
        let position = moment.position();
        let tail = format!(
            "],\"found\":{},\"facets\":{},\"position\":{}}}",
            moment.count(&self.query)?,
            Value::from(facets),
            Value::from(position.to_string())
        );
        body.extend_from_slice(tail.as_bytes());
        Ok(answer(body, &position.to_string()))
    }
}

fn wrong(error: QueryError) -> Problem {
    Problem::bad_request(error.to_string())
        .code("malformed_query")
        .with("character", error.at)
}
