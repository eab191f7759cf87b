//! Where an element stands in a list: the values that the list is ordered by, and behind them the place of its event.
//!
//! ```text
//! value of the first ORDER BY | … | place (see `bytes`)
//! ```
//!
//! Ranks compare as the elements do. What is equal by all values stands in the order of events, the newest first where the last of them descends.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::bytes::PLACE_BYTES;
use crate::limits::LIST_ORDER_MAX;
use crate::query::refused_but;

/// The rank of a row among those of a list, as an expression over rows of this schema.
pub(super) fn rank(place: Expr, order: &[Sort], schema: &DFSchema) -> Result<Expr> {
    if order.len() > LIST_ORDER_MAX {
        return Err(refuse(
            format!("array_agg(… ORDER BY …) of more than {LIST_ORDER_MAX} values"),
            "order it by fewer, or when it is read",
        ));
    }
    let mut arguments = vec![place];
    let mut options = Vec::with_capacity(order.len());
    for by in order {
        let data_type = by.expr.get_type(schema)?;
        if !data_type.is_primitive() && data_type != DataType::Boolean {
            return Err(refuse(
                format!("array_agg(… ORDER BY {}), a {data_type},", by.expr),
                "order it by numbers, dates, times or booleans; by anything else when it is read",
            ));
        }
        options.push((!by.asc, by.nulls_first));
        arguments.push(by.expr.clone());
    }
    let letters = options
        .iter()
        .map(|(descends, nulls_first)| match (descends, nulls_first) {
            (false, false) => 'a',
            (false, true) => 'A',
            (true, false) => 'd',
            (true, true) => 'D',
        });
    let function = RankFunction {
        name: format!("_headwater_rank_{}", letters.collect::<String>()),
        options,
        signature: Signature::any(arguments.len(), Volatility::Immutable),
    };
    Ok(ScalarUDF::from(function).call(arguments))
}

fn refuse(part: String, hint: &str) -> DataFusionError {
    DataFusionError::External(Box::new(refused_but(part, hint)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RankFunction {
    /// Says the options, so that no two meanings have one name.
    name: String,
    /// Of each value whether it descends, and whether NULL comes first.
    options: Vec<(bool, bool)>,
    signature: Signature,
}

impl ScalarUDFImpl for RankFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(arguments.args.len());
        for column in arguments.args {
            columns.push(column.into_array(rows)?);
        }
        let places = columns[0].as_fixed_size_binary();
        let fields = columns[1..].iter().zip(&self.options);
        let fields = fields.map(|(column, (descending, nulls_first))| {
            let options = SortOptions {
                descending: *descending,
                nulls_first: *nulls_first,
            };
            SortField::new_with_options(column.data_type().clone(), options)
        });
        let values = match self.options.is_empty() {
            true => None,
            false => Some(RowConverter::new(fields.collect())?.convert_columns(&columns[1..])?),
        };
        let is_newest_first = self.options.last().is_some_and(|(descends, _)| *descends);
        let mut ranks = BinaryBuilder::with_capacity(rows, rows * PLACE_BYTES);
        let mut rank: Vec<u8> = Vec::new();
        for row in 0..rows {
            rank.clear();
            if let Some(values) = &values {
                rank.extend_from_slice(values.row(row).data());
            }
            let place = places.value(row).iter();
            match is_newest_first {
                true => rank.extend(place.map(|byte| !byte)),
                false => rank.extend(place),
            }
            ranks.append_value(&rank);
        }
        Ok(ColumnarValue::Array(Arc::new(ranks.finish())))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::col;

    use super::super::bytes::nowhere;
    use super::*;

    #[test]
    fn a_list_is_ordered_by_so_many_values_and_no_more() {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
        let schema = DFSchema::try_from(schema).expect("a schema");
        let by = |count: usize| {
            let place = Expr::Literal(nowhere(), None);
            rank(place, &vec![col("n").sort(true, false); count], &schema)
        };
        assert!(by(LIST_ORDER_MAX).is_ok());
        let error = by(LIST_ORDER_MAX + 1).expect_err("one too many").to_string();
        assert!(error.contains("order it by fewer"), "{error}");
    }
}
