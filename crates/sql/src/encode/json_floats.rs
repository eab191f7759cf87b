//! Floats as JSON: those that are no numbers, of which JSON has none, are texts, as PostgreSQL's `to_json` writes them: `"Infinity"`, `"-Infinity"`, `"NaN"`.

use std::fmt::{Debug, Display, LowerExp};
use std::io::Write;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::json::writer::Encoder;

use super::float_text::put_float;

/// What writes the floats of an array; `None`: it is of another type.
pub(super) fn json_floats<'a>(array: &'a dyn Array) -> Option<Box<dyn Encoder + 'a>> {
    match array.data_type() {
        DataType::Float32 => Some(Box::new(Floats(array.as_primitive::<Float32Type>().values()))),
        DataType::Float64 => Some(Box::new(Floats(array.as_primitive::<Float64Type>().values()))),
        _ => None,
    }
}

struct Floats<'a, F>(&'a [F]);

impl<F: Copy + Debug + Display + LowerExp + Into<f64>> Encoder for Floats<'_, F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let Some(value) = self.0.get(row).copied() else { return };
        let float: f64 = value.into();
        if float.is_finite() {
            // Writing into memory does not fail.
            let _ = write!(out, "{value:?}");
            return;
        }
        let mut text = String::new();
        put_float(&mut text, value);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}
