//! The aggregates `first` and `last`: the value of the row that comes first, or last, in the order of events.
//!
//! Their state is the value and its place, and two states merge to the one whose place is further to that end: in whichever order events are
//! taken, the same one wins. A row without a place is passed over.
//!
//! Values are kept as columns: of the batches that came, those that hold a group's value stay until their rows outnumber the groups by far;
//! then the values alone are kept.

use std::fmt;
use std::mem::size_of;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, FixedSizeBinaryBuilder, new_null_array,
};
use arrow::compute::{interleave, nullif};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
};

use super::bytes::{PLACE_BYTES, PLACE_TYPE, bytes_at, nowhere};

/// The name of the aggregate for the first row.
pub(crate) const FIRST: &str = "_headwater_first";
/// The name of the aggregate for the last row.
pub(crate) const LAST: &str = "_headwater_last";

/// So many rows are kept beyond two for each group before the values alone are.
const ROWS_KEPT: usize = 16_384;

static FIRST_FUNCTION: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| function(End::First));
static LAST_FUNCTION: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| function(End::Last));

/// The value of the row that comes first by its place.
pub(crate) fn first(value: Expr, place: Expr) -> Expr {
    FIRST_FUNCTION.call(vec![value, place])
}

/// The value of the row that comes last by its place.
pub(crate) fn last(value: Expr, place: Expr) -> Expr {
    LAST_FUNCTION.call(vec![value, place])
}

fn function(end: End) -> Arc<AggregateUDF> {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(AggregateUDF::from(EndFunction { end, signature }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum End {
    First,
    Last,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct EndFunction {
    end: End,
    signature: Signature,
}

impl AggregateUDFImpl for EndFunction {
    fn name(&self) -> &str {
        match self.end {
            End::First => FIRST,
            End::Last => LAST,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments[0].clone())
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let value = arguments.return_field.data_type().clone();
        let field = |part: &str, data_type: DataType| {
            Arc::new(Field::new(format!("{}[{part}]", arguments.name), data_type, true))
        };
        Ok(vec![field("value", value), field("place", PLACE_TYPE)])
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(OneGroup(Ends::new(
            self.end,
            arguments.return_field.data_type(),
        ))))
    }

    fn groups_accumulator_supported(&self, _arguments: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Ends::new(self.end, arguments.return_field.data_type())))
    }
}

/// Of each group the value at one end.
struct Ends {
    end: End,
    value_type: DataType,
    /// The places, one after another; meaningless where nothing is chosen.
    places: Vec<u8>,
    /// Which of the kept batches holds the value, and in which row.
    chosen: Vec<Option<(u32, u32)>>,
    kept: Vec<ArrayRef>,
    kept_rows: usize,
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ends({:?} of {} groups)", self.end, self.chosen.len())
    }
}

impl Ends {
    fn new(end: End, value_type: &DataType) -> Ends {
        Ends {
            end,
            value_type: value_type.clone(),
            places: Vec::new(),
            chosen: Vec::new(),
            kept: Vec::new(),
            kept_rows: 0,
        }
    }

    fn take(
        &mut self,
        values: &ArrayRef,
        places: &FixedSizeBinaryArray,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.chosen.resize(groups_total, None);
        self.places.resize(groups_total * PLACE_BYTES, 0);
        let batch = self.kept.len() as u32;
        let mut is_kept = false;
        for (row, group) in groups.iter().enumerate() {
            if filter.is_some_and(|filter| filter.is_null(row) || !filter.value(row)) {
                continue;
            }
            let Some(place) = bytes_at(places, row) else {
                continue;
            };
            let known = &mut self.places[group * PLACE_BYTES..][..PLACE_BYTES];
            let wins = match self.end {
                _ if self.chosen[*group].is_none() => true,
                End::First => place < &*known,
                End::Last => place > &*known,
            };
            if wins {
                known.copy_from_slice(place);
                self.chosen[*group] = Some((batch, row as u32));
                is_kept = true;
            }
        }
        if is_kept {
            self.kept.push(Arc::clone(values));
            self.kept_rows += values.len();
            if self.kept_rows > 2 * self.chosen.len() + ROWS_KEPT {
                self.condense()?;
            }
        }
        Ok(())
    }

    /// Keeps the values and nothing else of the batches they came in.
    fn condense(&mut self) -> Result<()> {
        let values = self.values(self.chosen.len())?;
        for (group, chosen) in self.chosen.iter_mut().enumerate() {
            *chosen = chosen.map(|_| (0, group as u32));
        }
        self.kept_rows = values.len();
        self.kept = vec![values];
        Ok(())
    }

    /// The values of the first groups.
    fn values(&self, groups: usize) -> Result<ArrayRef> {
        if groups == 0 {
            return Ok(new_null_array(&self.value_type, 0));
        }
        let none = new_null_array(&self.value_type, 1);
        let mut batches: Vec<&dyn Array> = self.kept.iter().map(AsRef::as_ref).collect();
        batches.push(&none);
        let nothing = (batches.len() - 1, 0);
        let rows: Vec<(usize, usize)> = self.chosen[..groups]
            .iter()
            .map(|chosen| chosen.map_or(nothing, |(batch, row)| (batch as usize, row as usize)))
            .collect();
        Ok(interleave(&batches, &rows)?)
    }

    /// The values and places of the groups that are taken out.
    fn emit(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = match emit_to {
            EmitTo::All => self.chosen.len(),
            EmitTo::First(groups) => groups,
        };
        let values = self.values(groups)?;
        let mut places = FixedSizeBinaryBuilder::with_capacity(groups, PLACE_BYTES as i32);
        for (chosen, place) in self.chosen.drain(..groups).zip(self.places.chunks_exact(PLACE_BYTES)) {
            match chosen {
                Some(_) => places.append_value(place)?,
                None => places.append_null(),
            }
        }
        self.places.drain(..groups * PLACE_BYTES);
        if self.chosen.is_empty() {
            self.kept.clear();
            self.kept_rows = 0;
        }
        Ok(vec![values, Arc::new(places.finish())])
    }
}

impl GroupsAccumulator for Ends {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.take(
            &values[0],
            values[1].as_fixed_size_binary(),
            groups,
            filter,
            groups_total,
        )
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.take(&states[0], states[1].as_fixed_size_binary(), groups, None, groups_total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.emit(emit_to)?.swap_remove(0))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.emit(emit_to)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let places = match filter {
            None => Arc::clone(&values[1]),
            Some(filter) => {
                let is_out: BooleanArray = filter.iter().map(|keep| Some(keep != Some(true))).collect();
                nullif(&values[1], &is_out)?
            }
        };
        Ok(vec![Arc::clone(&values[0]), places])
    }

    fn size(&self) -> usize {
        let kept: usize = self.kept.iter().map(|batch| batch.get_array_memory_size()).sum();
        kept + self.places.capacity() + self.chosen.capacity() * size_of::<Option<(u32, u32)>>()
    }
}

/// The same without groups.
#[derive(Debug)]
struct OneGroup(Ends);

impl OneGroup {
    fn values(&self) -> Result<Vec<ScalarValue>> {
        let Some(Some((batch, row))) = self.0.chosen.first() else {
            return Ok(vec![ScalarValue::try_from(&self.0.value_type)?, nowhere()]);
        };
        let value = ScalarValue::try_from_array(&self.0.kept[*batch as usize], *row as usize)?;
        let place = ScalarValue::FixedSizeBinary(PLACE_BYTES as i32, Some(self.0.places.clone()));
        Ok(vec![value, place])
    }
}

impl Accumulator for OneGroup {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(values, &vec![0; values[0].len()], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &vec![0; states[0].len()], 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.values()?.swap_remove(0))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.values()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
