//! An event's place in the order, as bytes that compare as the events do.
//!
//! ```text
//! appended i64 | stream u16 | partition u32 | offset u64 | branch u16 | element u32      big endian, signed ones with their sign turned
//! ```
//!
//! `stream` is the rank of the stream's name among those that the view reads, `branch` which part of a UNION ALL made the row, `element` which
//! element of an array it was made of: so no two rows have the same place.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};

/// How many bytes a place takes.
pub(crate) const PLACE_BYTES: usize = 28;

/// A place.
pub(crate) type Place = [u8; PLACE_BYTES];

/// The type of a place.
pub(super) const PLACE_TYPE: DataType = DataType::FixedSizeBinary(PLACE_BYTES as i32);

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(6, Volatility::Immutable);
    Arc::new(ScalarUDF::from(PlaceFunction { signature }))
});

static ELEMENT_FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(ScalarUDF::from(ElementFunction { signature }))
});

/// Where a row stands among those of a view.
pub(super) struct PlaceOf {
    pub appended_at: Expr,
    pub partition: Expr,
    pub offset: Expr,
    /// The rank of its stream.
    pub stream: i32,
    /// The part of a UNION ALL.
    pub branch: i32,
    /// The element of an array.
    pub element: Expr,
}

/// The place of a row, as an expression.
pub(super) fn place(of: PlaceOf) -> Expr {
    FUNCTION.call(vec![
        of.appended_at,
        lit(of.stream),
        of.partition,
        of.offset,
        lit(of.branch),
        of.element,
    ])
}

/// The place of an element of a row, as an expression: that of the row, and the element's number.
pub(super) fn of_element(place: Expr, number: Expr) -> Expr {
    ELEMENT_FUNCTION.call(vec![place, number])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PlaceFunction {
    signature: Signature,
}

impl ScalarUDFImpl for PlaceFunction {
    fn name(&self) -> &str {
        "_headwater_place"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(PLACE_TYPE)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(arguments.args.len());
        for column in arguments.args {
            columns.push(column.into_array(rows)?);
        }
        let moments = columns[0].as_primitive::<TimestampMicrosecondType>();
        let [streams, partitions, branches, elements] =
            [1, 2, 4, 5].map(|column: usize| columns[column].as_primitive::<Int32Type>());
        let offsets = columns[3].as_primitive::<Int64Type>();
        let mut bytes: Vec<u8> = Vec::with_capacity(rows * PLACE_BYTES);
        for row in 0..rows {
            bytes.extend_from_slice(&(moments.value(row) ^ i64::MIN).to_be_bytes());
            bytes.extend_from_slice(&(streams.value(row) as u16).to_be_bytes());
            bytes.extend_from_slice(&(partitions.value(row) as u32).to_be_bytes());
            bytes.extend_from_slice(&(offsets.value(row) as u64).to_be_bytes());
            bytes.extend_from_slice(&(branches.value(row) as u16).to_be_bytes());
            bytes.extend_from_slice(&(elements.value(row) as u32).to_be_bytes());
        }
        let places = FixedSizeBinaryArray::try_new(PLACE_BYTES as i32, Buffer::from_vec(bytes), None)?;
        Ok(ColumnarValue::Array(Arc::new(places)))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ElementFunction {
    signature: Signature,
}

impl ScalarUDFImpl for ElementFunction {
    fn name(&self) -> &str {
        "_headwater_place_of_element"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(PLACE_TYPE)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(arguments.args.len());
        for column in arguments.args {
            columns.push(column.into_array(rows)?);
        }
        let places = columns[0].as_fixed_size_binary();
        let numbers = columns[1].as_primitive::<Int64Type>();
        let mut bytes: Vec<u8> = Vec::with_capacity(rows * PLACE_BYTES);
        for row in 0..rows {
            bytes.extend_from_slice(&places.value(row)[..PLACE_BYTES - size_of::<u32>()]);
            bytes.extend_from_slice(&(numbers.value(row) as u32).to_be_bytes());
        }
        let places = FixedSizeBinaryArray::try_new(PLACE_BYTES as i32, Buffer::from_vec(bytes), None)?;
        Ok(ColumnarValue::Array(Arc::new(places)))
    }
}

/// No place: the row does not count.
pub(super) fn nowhere() -> ScalarValue {
    ScalarValue::FixedSizeBinary(PLACE_BYTES as i32, None)
}

/// The bytes of a place; `None` where there is none.
pub(super) fn bytes_at(places: &FixedSizeBinaryArray, row: usize) -> Option<&[u8]> {
    places.is_valid(row).then(|| places.value(row))
}

/// The place in the state of the newest row of a key; `None` where there is none.
pub(crate) fn place_of(states: &[ArrayRef], row: usize) -> Option<Place> {
    let places = states.get(1)?.as_fixed_size_binary_opt()?;
    bytes_at(places, row)?.try_into().ok()
}
