//! `search('view', 'query', …)` and `facets('view', 'query', 'field', …)` in a question: which view, which query, as of when.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableSource};
use headwater_views::View;
use headwater_views::search::{
    Connective, Field, Query, SNIPPET_CHARS_DEFAULT, SNIPPET_CHARS_MAX, SearchImage, is_facet, is_text,
};

use super::functions::{FACETS, SEARCH};
use super::moment::At;
use super::named_view::ViewFunction;
use super::names::Names;
use crate::tables::{FacetsTable, SearchTable, Searched, SnippetOptions};
use crate::{SqlError, SqlState};

const SEARCH_FUNCTION: ViewFunction = ViewFunction {
    name: SEARCH,
    called: "write search('view', 'query'), perhaps with operator => 'or', snippet => 'field' or snippet_chars => 200",
};
const FACETS_FUNCTION: ViewFunction = ViewFunction {
    name: FACETS,
    called: "write facets('view', 'query', 'field'), perhaps with operator => 'or'",
};

impl Names<'_> {
    /// The rows that a query finds.
    pub(super) fn search(&self, args: Vec<Expr>, at: Option<&At>) -> Result<Arc<dyn TableSource>> {
        let ([view, query], mut named) = told_apart(args, &SEARCH_FUNCTION)?;
        let view = self.search_view(&SEARCH_FUNCTION, view)?;
        let connective = self.connective(&mut named)?;
        let query = self.query(&view, query, connective)?;
        let snippets = self.snippets(&view, &mut named)?;
        nothing_left(&named, &SEARCH_FUNCTION)?;
        let searched = self.searched(view, at)?;
        let table = SearchTable::new(searched, query, snippets);
        Ok(provider_as_source(Arc::new(table)))
    }

    /// How often the values of a field occur among the rows that a query finds.
    pub(super) fn facets(&self, args: Vec<Expr>, at: Option<&At>) -> Result<Arc<dyn TableSource>> {
        let ([view, query, field], mut named) = told_apart(args, &FACETS_FUNCTION)?;
        let view = self.search_view(&FACETS_FUNCTION, view)?;
        let connective = self.connective(&mut named)?;
        let query = self.query(&view, query, connective)?;
        nothing_left(&named, &FACETS_FUNCTION)?;
        let field = match self.text(field, "the field")? {
            Some(name) => {
                let hint = "the facets of a search view are its KEYWORD fields";
                (field_of(&view, &name, is_facet, hint)?, name)
            }
            // The question is only described.
            None => (0, String::new()),
        };
        let searched = self.searched(view, at)?;
        Ok(provider_as_source(Arc::new(FacetsTable { searched, query, field })))
    }

    fn search_view(&self, function: &ViewFunction, name: Expr) -> Result<Arc<View>, SqlError> {
        let view = self.named_view(function, Some(name))?;
        if view.image::<SearchImage>().is_none() {
            let shape = view.definition().shape.as_ref().map_or("", |shape| shape.word());
            let message = format!(
                "the view '{}' is stored as {shape}, and has no index to search",
                view.definition().name
            );
            let hint = "CREATE OR REPLACE MATERIALIZED VIEW … STORED AS search (title TEXT, …)";
            return Err(SqlError::new(SqlState::NOT_SUPPORTED, message).hint(hint));
        }
        if !self.reads_stores() {
            let message = format!(
                "{} cannot be asked in a materialized view: what it finds is not kept event by event",
                function.name
            );
            return Err(SqlError::new(SqlState::INVALID_DEFINITION, message)
                .hint("ask it in a plain view (CREATE VIEW name AS SELECT …)"));
        }
        Ok(view)
    }

    /// Where to look: into the view now, or into its rows as they were.
    fn searched(&self, view: Arc<View>, at: Option<&At>) -> Result<Searched> {
        if at.is_none() {
            return Ok(Searched::Now(self.reads.search(&view)));
        }
        let name = view.definition().name.clone();
        let rows = LogicalPlanBuilder::scan(name.as_str(), self.source(&name, at)?, None)?;
        Ok(Searched::Then(view, Box::new(rows.build()?)))
    }

    /// `None`: it hangs on parameters that are not known yet.
    fn query(&self, view: &View, text: Expr, connective: Connective) -> Result<Option<Query>> {
        let Some(text) = self.text(text, "the query")? else {
            return Ok(None);
        };
        let fields = view.image::<SearchImage>().map(SearchImage::fields).unwrap_or_default();
        let query = Query::parse(&text, fields, connective);
        Ok(Some(query.map_err(|error| {
            SqlError::new(
                SqlState::SYNTAX,
                format!("the search query is wrong at character {}: {}", error.at, error.why),
            )
            .hint(error.hint)
        })?))
    }

    /// A text; `None` where it hangs on parameters that are not known yet.
    fn text(&self, expr: Expr, what: &str) -> Result<Option<String>> {
        let Some(value) = self.moments.value(expr, &DataType::Utf8)? else {
            return Ok(None);
        };
        match value.try_as_str().flatten() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(SqlError::new(
                SqlState::TYPE_MISMATCH,
                format!("{what} is a text, and {value} is none"),
            )
            .hint("write it in quotes")
            .into()),
        }
    }

    fn connective(&self, named: &mut Vec<(String, Expr)>) -> Result<Connective> {
        let Some(operator) = take(named, "operator") else {
            return Ok(Connective::default());
        };
        match self
            .text(operator, "operator")?
            .unwrap_or_default()
            .to_lowercase()
            .as_str()
        {
            "and" | "" => Ok(Connective::And),
            "or" => Ok(Connective::Or),
            other => Err(
                SqlError::new(SqlState::INVALID_PARAMETER, format!("there is no operator '{other}'"))
                    .hint("operator is 'and', which is what stands between two words, or 'or'")
                    .into(),
            ),
        }
    }

    fn snippets(&self, view: &View, named: &mut Vec<(String, Expr)>) -> Result<SnippetOptions> {
        let field = match take(named, "snippet") {
            Some(field) => self.text(field, "snippet")?,
            None => None,
        };
        let field = match field {
            Some(name) => Some(field_of(view, &name, is_text, "snippets are made of TEXT fields")?),
            None => None,
        };
        let chars_max = match take(named, "snippet_chars") {
            None => SNIPPET_CHARS_DEFAULT,
            Some(chars) => {
                let chars = self.moments.value(chars, &DataType::Int64)?;
                let chars = chars.map(|chars| chars.cast_to(&DataType::Int64)).transpose()?;
                match chars {
                    None => SNIPPET_CHARS_DEFAULT,
                    Some(ScalarValue::Int64(Some(chars @ 1..=SNIPPET_CHARS_MAX_I64))) => chars.unsigned_abs() as usize,
                    Some(other) => {
                        let message = format!("snippet_chars is {other}");
                        return Err(SqlError::new(SqlState::INVALID_PARAMETER, message)
                            .hint(format!("a snippet has 1 to {SNIPPET_CHARS_MAX} characters"))
                            .into());
                    }
                }
            }
        };
        Ok(SnippetOptions { field, chars_max })
    }
}

const SNIPPET_CHARS_MAX_I64: i64 = SNIPPET_CHARS_MAX as i64;

type Named = Vec<(String, Expr)>;

/// The arguments that stand in order, and behind them those with names, each a text and its value.
fn told_apart<const N: usize>(mut args: Vec<Expr>, function: &ViewFunction) -> Result<([Expr; N], Named), SqlError> {
    let given = args.len();
    let refuse = || {
        let message = format!("{} takes {N} arguments, and {given} are given", function.name);
        SqlError::new(SqlState::UNKNOWN_FUNCTION, message).hint(function.called)
    };
    let behind = args.split_off(N.min(given));
    let plain: [Expr; N] = args.try_into().map_err(|_| refuse())?;
    let mut named: Named = Vec::new();
    let mut behind = behind.into_iter();
    while let Some(name) = behind.next() {
        let Expr::Literal(name, _) = name else {
            return Err(refuse());
        };
        let name = name.try_as_str().flatten().ok_or_else(refuse)?.to_owned();
        named.push((name, behind.next().ok_or_else(refuse)?));
    }
    Ok((plain, named))
}

fn take(named: &mut Vec<(String, Expr)>, name: &str) -> Option<Expr> {
    let at = named.iter().position(|(found, _)| found == name)?;
    Some(named.remove(at).1)
}

fn nothing_left(named: &[(String, Expr)], function: &ViewFunction) -> Result<(), SqlError> {
    match named.first() {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("{} has no argument '{name}', or has it twice", function.name);
            Err(SqlError::new(SqlState::UNKNOWN_FUNCTION, message).hint(function.called))
        }
    }
}

/// The place of a field of that kind.
fn field_of(view: &View, name: &str, is_fit: fn(&Field) -> bool, hint: &str) -> Result<usize, SqlError> {
    let fields = view.image::<SearchImage>().map(SearchImage::fields).unwrap_or_default();
    let fit: Vec<&str> = fields
        .iter()
        .filter(|field| is_fit(field))
        .map(|field| field.name.as_str())
        .collect();
    let found = fields.iter().position(|field| field.name == name && is_fit(field));
    found.ok_or_else(|| {
        let message = format!("'{name}' is no such field of '{}'", view.definition().name);
        SqlError::new(SqlState::UNKNOWN_COLUMN, message).hint(format!("{hint}: {}", fit.join(", ")))
    })
}
