//! How an aggregate's values are kept.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::list::LIST;

/// How an aggregate's values are kept.
pub(crate) enum Keeping {
    /// Merged into a state.
    State,
    /// As entries, one for each element of a list; the state is how many.
    List(RowConverter),
    /// As entries, one for each different value; the state is how many.
    Set(RowConverter),
}

impl Keeping {
    /// How those of an aggregate are, whose arguments are evaluated on rows of this schema.
    pub(crate) fn of(function: &AggregateFunctionExpr, input: &Schema) -> Result<Keeping> {
        let values = || -> Result<RowConverter> {
            let data_type = match function.expressions().first() {
                Some(value) => value.data_type(input)?,
                None => DataType::Null,
            };
            Ok(RowConverter::new(vec![SortField::new(data_type)])?)
        };
        match function.fun().name() {
            LIST => Ok(Keeping::List(values()?)),
            "count" if function.is_distinct() => Ok(Keeping::Set(values()?)),
            _ => Ok(Keeping::State),
        }
    }

    /// Whether there are entries.
    pub(crate) fn has_entries(&self) -> bool {
        !matches!(self, Keeping::State)
    }

    /// The columns of its state.
    pub(crate) fn state_fields(&self, function: &AggregateFunctionExpr) -> Result<Vec<FieldRef>> {
        match self {
            Keeping::State => function.state_fields(),
            Keeping::List(_) | Keeping::Set(_) => {
                let name = format!("{}[entries]", function.name());
                Ok(vec![Arc::new(Field::new(name, DataType::Int64, false))])
            }
        }
    }
}
