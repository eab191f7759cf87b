//! The aggregate `list`: the values of all rows, in the order of their ranks. It is what `array_agg` of a materialized view becomes.
//!
//! This is how a question computes it, over a prefix of the streams; a view that is folded keeps the values as entries.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, ListArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, sort_to_indices, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};

/// The name of the aggregate.
pub(crate) const LIST: &str = "_headwater_list";

static FUNCTION: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| {
    Arc::new(AggregateUDF::from(ListFunction {
        signature: Signature::any(2, Volatility::Immutable),
    }))
});

/// The values, in the order of their ranks.
pub(crate) fn list(value: Expr, rank: Expr) -> Expr {
    FUNCTION.call(vec![value, rank])
}

fn list_of(data_type: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(data_type, true)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ListFunction {
    signature: Signature,
}

impl AggregateUDFImpl for ListFunction {
    fn name(&self) -> &str {
        LIST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(list_of(arguments[0].clone()))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |part: &str, data_type: DataType| {
            Arc::new(Field::new(format!("{}[{part}]", arguments.name), data_type, true))
        };
        let values = arguments.return_field.data_type().clone();
        Ok(vec![field("values", values), field("ranks", list_of(DataType::Binary))])
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let value_type = match arguments.return_field.data_type() {
            DataType::List(field) => field.data_type().clone(),
            other => other.clone(),
        };
        Ok(Box::new(Listed {
            value_type,
            values: Vec::new(),
            ranks: Vec::new(),
        }))
    }
}

/// What was taken of one group, in the order in which it came.
struct Listed {
    value_type: DataType,
    values: Vec<ArrayRef>,
    ranks: Vec<ArrayRef>,
}

impl fmt::Debug for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listed({} batches)", self.values.len())
    }
}

impl Listed {
    fn whole(parts: &[ArrayRef], data_type: &DataType) -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        match parts.is_empty() {
            true => Ok(new_empty_array(data_type)),
            false => Ok(concat(&parts)?),
        }
    }
}

/// One list; NULL where it has no element.
fn one(values: ArrayRef) -> Result<ScalarValue> {
    if values.is_empty() {
        return ScalarValue::try_from(&list_of(values.data_type().clone()));
    }
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    Ok(ScalarValue::List(Arc::new(ListArray::try_new(
        field, offsets, values, None,
    )?)))
}

impl Accumulator for Listed {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        if !columns[0].is_empty() {
            self.values.push(Arc::clone(&columns[0]));
            self.ranks.push(Arc::clone(&columns[1]));
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, ranks) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            self.update_batch(&[values.value(row), ranks.value(row)])?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = Listed::whole(&self.values, &self.value_type)?;
        let ranks = Listed::whole(&self.ranks, &DataType::Binary)?;
        one(take(&values, &sort_to_indices(&ranks, None, None)?, None)?)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            one(Listed::whole(&self.values, &self.value_type)?)?,
            one(Listed::whole(&self.ranks, &DataType::Binary)?)?,
        ])
    }

    fn size(&self) -> usize {
        let parts = self.values.iter().chain(&self.ranks);
        size_of::<Self>() + parts.map(|part| part.get_array_memory_size()).sum::<usize>()
    }
}
