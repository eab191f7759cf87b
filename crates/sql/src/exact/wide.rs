//! Sums of decimals whose sums may need more than 38 digits: the values stay in 128 bits, only the sums have 256.
//!
//! A value of 38 digits at most, added fewer than 2⁶³ times, is far from the end of 256 bits: nothing wraps.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal256Array};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{cast, nullif};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, i256};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// The sums of many groups: 128 bits of each, and beside them how often it left their range, which most never do.
#[derive(Debug)]
pub(super) struct WideSums {
    sums: Vec<i128>,
    /// What stands above the 128 bits of each sum; empty as long as none of them needs it.
    above: Vec<i64>,
    /// Whether a group had a value: without any its sum is NULL.
    has_value: Vec<bool>,
    data_type: DataType,
}

impl WideSums {
    /// Sums of this type.
    pub(super) fn new(data_type: DataType) -> WideSums {
        WideSums {
            sums: Vec::new(),
            above: Vec::new(),
            has_value: Vec::new(),
            data_type,
        }
    }

    fn resize(&mut self, groups_total: usize) {
        self.sums.resize(groups_total, 0);
        self.has_value.resize(groups_total, false);
        if !self.above.is_empty() {
            self.above.resize(groups_total, 0);
        }
    }

    fn add(&mut self, group: usize, value: i128) {
        let (sum, is_beyond) = self.sums[group].overflowing_add(value);
        self.sums[group] = sum;
        self.has_value[group] = true;
        if is_beyond {
            self.add_above(group, if value < 0 { -1 } else { 1 });
        }
    }

    #[cold]
    fn add_above(&mut self, group: usize, count: i64) {
        self.above.resize(self.sums.len(), 0);
        self.above[group] += count;
    }

    /// Adds a sum of 256 bits.
    fn add_wide(&mut self, group: usize, value: i256) {
        let (low, high) = value.to_parts();
        let low = low as i128;
        self.add(group, low);
        // Nothing is left above where the 128 bits say all of it. Values of 38 digits, added fewer than 2⁶³ times, stay below 64 bits there.
        let above = high - (low >> 127);
        if above != 0 {
            self.add_above(group, above as i64);
        }
    }
}

fn joined(sum: i128, above: i64) -> i256 {
    i256::from_parts(sum as u128, (sum >> 127) + i128::from(above))
}

impl GroupsAccumulator for WideSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        counts: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        let values = values[0].as_primitive::<Decimal128Type>();
        self.resize(groups_total);
        if counts.is_none() && values.null_count() == 0 {
            for (group, value) in groups.iter().zip(values.values()) {
                self.add(*group, *value);
            }
            return Ok(());
        }
        for (row, group) in groups.iter().enumerate() {
            let is_counted = counts.is_none_or(|counts| counts.is_valid(row) && counts.value(row));
            if is_counted && values.is_valid(row) {
                self.add(*group, values.value(row));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        let states = states[0].as_primitive::<Decimal256Type>();
        self.resize(groups_total);
        for (group, state) in groups.iter().zip(states) {
            if let Some(state) = state {
                self.add_wide(*group, state);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let nulls = NullBuffer::from(emit_to.take_needed(&mut self.has_value));
        let sums: Vec<i256> = match self.above.is_empty() {
            true => sums.into_iter().map(i256::from_i128).collect(),
            false => {
                let above = emit_to.take_needed(&mut self.above);
                sums.into_iter()
                    .zip(above)
                    .map(|(sum, above)| joined(sum, above))
                    .collect()
            }
        };
        let sums = Decimal256Array::new(sums.into(), Some(nulls));
        Ok(Arc::new(sums.with_data_type(self.data_type.clone())))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], counts: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let states = cast(&values[0], &self.data_type)?;
        Ok(vec![match counts {
            None => states,
            Some(counts) => {
                let left_out = counts.iter().map(|counts| Some(counts != Some(true)));
                nullif(&states, &left_out.collect::<BooleanArray>())?
            }
        }])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.above.capacity() * size_of::<i64>() + self.has_value.capacity()
    }
}

/// The query engine's own accumulator of 256 bits, which is given values of 128: of one group, of a window's frame, of distinct values.
#[derive(Debug)]
pub(super) struct Widened {
    inner: Box<dyn Accumulator>,
    /// The type of its values.
    values: DataType,
}

impl Widened {
    pub(super) fn new(inner: Box<dyn Accumulator>, values: DataType) -> Widened {
        Widened { inner, values }
    }

    fn widened(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let widened = values.iter().map(|values| Ok(cast(values, &self.values)?));
        widened.collect()
    }
}

impl Accumulator for Widened {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = self.widened(values)?;
        self.inner.update_batch(&values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = self.widened(values)?;
        self.inner.retract_batch(&values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Decimal128Array;

    use super::*;

    const LARGEST: i128 = 10_i128.pow(38) - 1;

    fn decimals(values: Vec<Option<i128>>) -> ArrayRef {
        let values = Decimal128Array::from(values).with_precision_and_scale(38, 0);
        Arc::new(values.expect("38 digits"))
    }

    /// Values with their groups and whether they count; the sums, as texts.
    fn check(values: &[(Option<i128>, usize, Option<bool>)], expected: &[&str]) {
        let array = decimals(values.iter().map(|(value, ..)| *value).collect());
        let groups: Vec<usize> = values.iter().map(|(_, group, _)| *group).collect();
        let counts: BooleanArray = values.iter().map(|(.., counts)| *counts).collect();
        let mut sums = WideSums::new(DataType::Decimal256(48, 0));
        sums.update_batch(&[Arc::clone(&array)], &groups, Some(&counts), expected.len())
            .expect("values");
        // The same by states, of values one by one and of the sums themselves.
        let mut merged = WideSums::new(DataType::Decimal256(48, 0));
        let states = merged.convert_to_state(&[array], Some(&counts)).expect("states");
        merged.merge_batch(&states, &groups, expected.len()).expect("states");
        let of_itself = merged.state(EmitTo::All).expect("a state");
        let places: Vec<usize> = (0..expected.len()).collect();
        merged.merge_batch(&of_itself, &places, expected.len()).expect("states");
        for mut sums in [sums, merged] {
            let sums = sums.evaluate(EmitTo::All).expect("sums");
            let sums = sums.as_primitive::<Decimal256Type>();
            let shown = (0..sums.len()).map(|row| match sums.is_null(row) {
                true => "NULL".to_owned(),
                false => sums.value_as_string(row),
            });
            assert_eq!(shown.collect::<Vec<String>>(), expected);
        }
    }

    #[test]
    fn sums_pass_the_end_of_128_bits() {
        let largest = (Some(LARGEST), 0, Some(true));
        let smallest = (Some(-LARGEST), 0, Some(true));
        check(&[largest], &["99999999999999999999999999999999999999"]);
        check(&[largest; 3], &["299999999999999999999999999999999999997"]);
        check(&[smallest; 3], &["-299999999999999999999999999999999999997"]);
        check(&[largest, smallest, largest, smallest], &["0"]);
        check(
            &[
                largest,
                largest,
                (Some(LARGEST), 1, Some(true)),
                smallest,
                smallest,
                smallest,
                smallest,
            ],
            &[
                "-199999999999999999999999999999999999998",
                "99999999999999999999999999999999999999",
            ],
        );
    }

    #[test]
    fn what_is_null_or_does_not_count_is_left_out() {
        let values = [
            (Some(1), 0, Some(true)),
            (Some(2), 2, Some(false)),
            (None, 1, Some(true)),
            (Some(4), 0, None),
            (Some(8), 0, Some(true)),
        ];
        check(&values, &["9", "NULL", "NULL", "NULL"]);
    }
}
