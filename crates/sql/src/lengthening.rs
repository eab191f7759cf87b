//! Functions whose answer may be far longer than what they are given: `repeat('x', 2000000000)` is a line of SQL and two gigabytes.
//!
//! The memory of questions counts what operators keep, and not what one expression makes. So these say first how long their answers to the rows of a
//! batch would be together, and are refused where that is more than a part of that memory.

use std::num::NonZeroU64;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::{cmp::lt, length::length, zip::zip};
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::SqlError;
use crate::SqlState;

/// The part of the memory of all questions that one call may fill.
const PART: usize = 4;

const LENGTHENING: [(&str, Measure); 12] = [
    ("repeat", Measure::Repeated),
    ("lpad", Measure::Padded),
    ("rpad", Measure::Padded),
    ("replace", Measure::Replaced),
    ("regexp_replace", Measure::Matched),
    ("_headwater_regexp_replace_from", Measure::Matched),
    ("array_repeat", Measure::Elements),
    ("array_resize", Measure::Resized),
    ("array_to_string", Measure::Joined),
    ("range", Measure::Steps),
    ("generate_series", Measure::Steps),
    ("_headwater_series", Measure::Steps),
];

/// What a number, or a time, takes in a list.
const ELEMENT_BYTES: u64 = 8;

/// What a character takes in UTF-8.
const CHARACTER_BYTES_MAX: u64 = 4;

/// How long an answer is, by what is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Measure {
    /// (text, times)
    Repeated,
    /// (text, characters, …)
    Padded,
    /// (text, from, to)
    Replaced,
    /// (text, pattern, to, …): at most between every two bytes.
    Matched,
    /// (element, times)
    Elements,
    /// (list, elements, …)
    Resized,
    /// (list, text between, text for NULL)
    Joined,
    /// (start, stop, step): as many elements of eight bytes as there are steps.
    Steps,
}

/// Puts a bound on each of them.
pub(crate) fn bound(state: &mut SessionState, memory_bytes_max: usize) {
    for (name, measure) in LENGTHENING {
        let bounded = state.udf(name).and_then(|function| {
            state.register_udf(Arc::new(ScalarUDF::from(Bounded {
                function,
                measure,
                bytes_max: (memory_bytes_max / PART) as u64,
            })))
        });
        if let Err(error) = bounded {
            tracing::warn!(%error, "the answers of {name} have no bound");
        }
    }
}

/// A function with a bound on what it makes at once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    measure: Measure,
    bytes_max: u64,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.function.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(types)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.function.simplify(args, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.measure.bring_into_range(&mut args.args)?;
        let is_one = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let rows = if args.args.iter().all(is_one) {
            1
        } else {
            args.number_rows
        };
        let bytes = self.measure.bytes(&args.args, rows)?;
        if bytes > self.bytes_max {
            let (name, bytes_max) = (
                self.name().replace("_headwater_series", "generate_series"),
                self.bytes_max,
            );
            let message = format!("{name} would make {bytes} bytes, {bytes_max} at once are the most");
            let error = SqlError::new(SqlState::TOO_LARGE, message);
            return Err(error.hint("make fewer or shorter ones").into());
        }
        self.function.invoke_with_args(args)
    }
}

impl Measure {
    /// A text is padded to no characters where their number is below 0, as in PostgreSQL: the engine's own function panics there.
    fn bring_into_range(self, args: &mut [ColumnarValue]) -> Result<()> {
        if let (Measure::Padded, Some(characters)) = (self, args.get_mut(1)) {
            let data_type = characters.data_type();
            let zero = ScalarValue::new_zero(&data_type)?;
            *characters = match &*characters {
                ColumnarValue::Scalar(given) if !given.is_null() && *given < zero => ColumnarValue::Scalar(zero),
                ColumnarValue::Scalar(_) => return Ok(()),
                ColumnarValue::Array(given) => {
                    let is_below = lt(given, &zero.to_scalar()?)?;
                    ColumnarValue::Array(zip(&is_below, &zero.to_scalar()?, given)?)
                }
            };
        }
        Ok(())
    }

    /// The bytes of the answers to so many rows.
    fn bytes(self, args: &[ColumnarValue], rows: usize) -> Result<u64> {
        let text = |place: usize| PerRow::of(args, place, |column| Ok(length(column)?));
        let number = |place: usize| PerRow::of(args, place, |column| Ok(cast(column, &DataType::Int64)?));
        let sum = |of_row: &dyn Fn(usize) -> u64| (0..rows).map(of_row).fold(0, u64::saturating_add);
        Ok(match self {
            Measure::Repeated => {
                let (text, times) = (text(0)?, number(1)?);
                sum(&|row| text.at_least_0(row).saturating_mul(times.at_least_0(row)))
            }
            Measure::Padded => {
                let characters = number(1)?;
                sum(&|row| characters.at_least_0(row).saturating_mul(CHARACTER_BYTES_MAX))
            }
            Measure::Replaced => {
                let (text, from, to) = (text(0)?, text(1)?, text(2)?);
                sum(&|row| {
                    let found = text.at_least_0(row) / from.at_least_0(row).max(1);
                    text.at_least_0(row)
                        .saturating_add(found.saturating_mul(to.at_least_0(row)))
                })
            }
            Measure::Matched => {
                let (text, to) = (text(0)?, text(2)?);
                sum(&|row| {
                    let places = text.at_least_0(row).saturating_add(1);
                    places
                        .saturating_mul(to.at_least_0(row))
                        .saturating_add(text.at_least_0(row))
                })
            }
            Measure::Elements => {
                let (element, times) = (PerRow::of(args, 0, size)?, number(1)?);
                sum(&|row| element.at_least_0(row).saturating_mul(times.at_least_0(row)))
            }
            Measure::Resized => {
                let (filled, elements) = (PerRow::of(args, 2, size)?, number(1)?);
                sum(&|row| {
                    filled
                        .at_least_0(row)
                        .max(ELEMENT_BYTES)
                        .saturating_mul(elements.at_least_0(row))
                })
            }
            Measure::Joined => {
                let (list, count) = (PerRow::of(args, 0, size)?, PerRow::of(args, 0, elements)?);
                let (between, null) = (text(1)?, text(2)?);
                sum(&|row| {
                    let each = between.at_least_0(row).saturating_add(null.at_least_0(row));
                    // A number is written in a few times its bytes.
                    let own = list.at_least_0(row).saturating_mul(4);
                    count.at_least_0(row).saturating_mul(each).saturating_add(own)
                })
            }
            Measure::Steps => {
                let (start, stop) = match args.len() {
                    // One argument: from 0 up to it.
                    1 => (PerRow::none(), PerRow::of(args, 0, along)?),
                    _ => (PerRow::of(args, 0, along)?, PerRow::of(args, 1, along)?),
                };
                let step = PerRow::of(args, 2, along)?;
                sum(&|row| {
                    // The function says what is wrong with no step at all.
                    let Some(step) = NonZeroU64::new(step.at(row).map_or(1, i64::unsigned_abs)) else {
                        return 0;
                    };
                    let apart = stop.at(row).unwrap_or(0).abs_diff(start.at(row).unwrap_or(0));
                    (apart / step).saturating_add(1).saturating_mul(ELEMENT_BYTES)
                })
            }
        })
    }
}

/// The bytes of each value: of a text its own, of a list those of its elements, about.
fn size(column: &dyn Array) -> Result<ArrayRef> {
    let bytes: Int64Array = match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary => {
            return Ok(length(column)?);
        }
        DataType::List(_) | DataType::LargeList(_) => {
            let of = |row: usize| {
                let elements = match column.as_list_opt::<i32>() {
                    Some(lists) => lists.value(row),
                    None => column.as_list::<i64>().value(row),
                };
                let sizes = size(&elements)?;
                let sizes = cast(&sizes, &DataType::Int64)?;
                Ok(sizes
                    .as_primitive::<Int64Type>()
                    .iter()
                    .flatten()
                    .fold(0, i64::saturating_add))
            };
            let of = |row: usize| if column.is_valid(row) { of(row) } else { Ok(0) };
            (0..column.len()).map(of).collect::<Result<Vec<i64>>>()?.into()
        }
        fixed => {
            let width = fixed.primitive_width().unwrap_or(ELEMENT_BYTES as usize);
            vec![width as i64; column.len()].into()
        }
    };
    Ok(Arc::new(bytes))
}

/// How many elements each list has.
fn elements(column: &dyn Array) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::List(_) | DataType::LargeList(_) => Ok(length(column)?),
        _ => Ok(Arc::new(Int64Array::from(vec![1; column.len()]))),
    }
}

/// Where a value stands on a line: a number, a time in nanoseconds, an interval in nanoseconds at the least.
fn along(column: &dyn Array) -> Result<ArrayRef> {
    let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    Ok(match column.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            cast(&cast(column, &nanoseconds)?, &DataType::Int64)?
        }
        DataType::Interval(_) => {
            let interval = cast(column, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let lengths = interval
                .as_primitive::<IntervalMonthDayNanoType>()
                .iter()
                .map(|interval| {
                    let interval = interval?;
                    let days = 28 * i64::from(interval.months) + i64::from(interval.days);
                    Some(
                        days.saturating_mul(86_400_000_000_000)
                            .saturating_add(interval.nanoseconds),
                    )
                });
            Arc::new(lengths.collect::<Int64Array>())
        }
        _ => cast(column, &DataType::Int64)?,
    })
}

/// A number of each row, or the one of all.
struct PerRow {
    values: Option<Int64Array>,
    is_one: bool,
}

impl PerRow {
    fn none() -> PerRow {
        PerRow {
            values: None,
            is_one: true,
        }
    }

    /// Of an argument; none where it is not there.
    fn of(args: &[ColumnarValue], place: usize, number: impl Fn(&dyn Array) -> Result<ArrayRef>) -> Result<PerRow> {
        let (column, is_one) = match args.get(place) {
            None => return Ok(PerRow::none()),
            Some(ColumnarValue::Scalar(value)) => (value.to_array_of_size(1)?, true),
            Some(ColumnarValue::Array(column)) => (Arc::clone(column), false),
        };
        let values = cast(&number(&column)?, &DataType::Int64)?;
        let values = Some(values.as_primitive::<Int64Type>().clone());
        Ok(PerRow { values, is_one })
    }

    fn at(&self, row: usize) -> Option<i64> {
        let row = if self.is_one { 0 } else { row };
        let values = self.values.as_ref()?;
        values.is_valid(row).then(|| values.value(row))
    }

    fn at_least_0(&self, row: usize) -> u64 {
        self.at(row).and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
    }
}
