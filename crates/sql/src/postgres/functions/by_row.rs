//! Functions that are written down as what they make of the values of one row: a name, what it takes, what it gives, and a Rust function.
//!
//! For those that questions call now and then, over few rows or rows that cost more to find; NULL makes NULL unless a function says otherwise.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use crate::encode::interval_text::Parts;
use crate::plan::analyze::texts::shown;
use crate::type_name::type_name;
use crate::{SqlError, SqlState};

/// What a function takes at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Takes {
    Text,
    /// Any value, as its text: a truth is `t` or `f`.
    Shown,
    Whole,
    Float,
    /// A time on a clock. Of a moment the one in UTC.
    Clock,
    Interval,
    Bytes,
    /// A list of texts.
    Texts,
    /// A list of numbers.
    Floats,
}

/// What a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Gives {
    Text,
    Int,
    Truth,
    Date,
    Time,
    Clock,
    Moment,
    Interval,
    Texts,
    /// Lists of lists of texts.
    ListsOfTexts,
}

/// What a function made of a row.
pub(super) enum Made {
    Text(String),
    Whole(i64),
    Truth(bool),
    /// Microseconds; days where it is a date.
    At(i64),
    Interval(Parts),
    Texts(Vec<Option<String>>),
    ListsOfTexts(Vec<Vec<Option<String>>>),
}

/// Makes something of a row; `None` is NULL.
pub(super) type Of = fn(&Row<'_>) -> Result<Option<Made>>;

/// A function.
pub(crate) struct ByRow {
    pub(super) name: &'static str,
    pub(super) takes: &'static [Takes],
    /// How many of those may be left out at the end.
    pub(super) optional: usize,
    /// Whether the last one may come as often as one likes.
    pub(super) repeats: bool,
    /// Whether it is asked of NULL too.
    pub(super) knows_null: bool,
    pub(super) gives: Gives,
    pub(super) of: Of,
}

impl ByRow {
    pub(super) const fn new(name: &'static str, takes: &'static [Takes], gives: Gives, of: Of) -> ByRow {
        ByRow {
            name,
            takes,
            optional: 0,
            repeats: false,
            knows_null: false,
            gives,
            of,
        }
    }

    /// With arguments at the end that may be left out.
    pub(super) const fn optional(mut self, optional: usize) -> ByRow {
        self.optional = optional;
        self
    }

    /// With a last argument that may come any number of times, and none.
    pub(super) const fn repeats(mut self) -> ByRow {
        self.repeats = true;
        self.optional = 1;
        self
    }

    pub(super) const fn knows_null(mut self) -> ByRow {
        self.knows_null = true;
        self
    }

    pub(super) fn function(self) -> ScalarUDF {
        ScalarUDF::from(Function {
            by_row: self,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    }
}

/// The values of one row.
pub(super) struct Row<'a> {
    arrays: &'a [ArrayRef],
    row: usize,
}

impl<'a> Row<'a> {
    pub(super) fn len(&self) -> usize {
        self.arrays.len()
    }

    /// Whether there is a value at a place.
    pub(super) fn has(&self, at: usize) -> bool {
        self.arrays.get(at).is_some_and(|array| array.is_valid(self.row))
    }

    pub(super) fn text(&self, at: usize) -> Option<&'a str> {
        self.valid(at).map(|array| array.as_string::<i32>().value(self.row))
    }

    pub(super) fn whole(&self, at: usize) -> Option<i64> {
        self.valid(at)
            .map(|array| array.as_primitive::<Int64Type>().value(self.row))
    }

    pub(super) fn float(&self, at: usize) -> Option<f64> {
        self.valid(at)
            .map(|array| array.as_primitive::<Float64Type>().value(self.row))
    }

    /// Microseconds.
    pub(super) fn clock(&self, at: usize) -> Option<i64> {
        self.valid(at)
            .map(|array| array.as_primitive::<TimestampMicrosecondType>().value(self.row))
    }

    pub(super) fn interval(&self, at: usize) -> Option<Parts> {
        let interval = self
            .valid(at)
            .map(|array| array.as_primitive::<IntervalMonthDayNanoType>().value(self.row))?;
        Some((interval.months, interval.days, interval.nanoseconds / 1_000))
    }

    pub(super) fn bytes(&self, at: usize) -> Option<&'a [u8]> {
        self.valid(at).map(|array| array.as_binary::<i32>().value(self.row))
    }

    /// The elements of a list.
    pub(super) fn list(&self, at: usize) -> Option<ArrayRef> {
        self.valid(at).map(|array| array.as_list::<i32>().value(self.row))
    }

    fn valid(&self, at: usize) -> Option<&'a ArrayRef> {
        self.arrays.get(at).filter(|array| array.is_valid(self.row))
    }
}

impl Takes {
    /// The type in which it is looked at; `None`: a value of another one cannot be meant.
    fn data_type(self, given: &DataType) -> Option<DataType> {
        let list = |element: DataType| DataType::List(Arc::new(Field::new_list_field(element, true)));
        let is_text = given.is_string() || given.is_null();
        let (wanted, fits) = match self {
            Takes::Text => (DataType::Utf8, is_text),
            Takes::Shown => return Some(given.clone()),
            Takes::Whole => (DataType::Int64, is_text || given.is_integer()),
            Takes::Float => (DataType::Float64, is_text || given.is_numeric()),
            Takes::Clock => (
                DataType::Timestamp(TimeUnit::Microsecond, None),
                is_text || matches!(given, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64),
            ),
            Takes::Interval => (
                DataType::Interval(IntervalUnit::MonthDayNano),
                is_text || matches!(given, DataType::Interval(_) | DataType::Duration(_)),
            ),
            Takes::Bytes => (
                DataType::Binary,
                is_text || matches!(given, DataType::Binary | DataType::LargeBinary | DataType::BinaryView),
            ),
            Takes::Texts => (list(DataType::Utf8), is_text || is_list(given)),
            Takes::Floats => (list(DataType::Float64), is_text || is_list(given)),
        };
        fits.then_some(wanted)
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

impl Gives {
    fn data_type(self) -> DataType {
        let list = |element: DataType| DataType::List(Arc::new(Field::new_list_field(element, true)));
        match self {
            Gives::Text => DataType::Utf8,
            Gives::Int => DataType::Int32,
            Gives::Truth => DataType::Boolean,
            Gives::Date => DataType::Date32,
            Gives::Time => DataType::Time64(TimeUnit::Microsecond),
            Gives::Clock => DataType::Timestamp(TimeUnit::Microsecond, None),
            Gives::Moment => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            Gives::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Gives::Texts => list(DataType::Utf8),
            Gives::ListsOfTexts => list(list(DataType::Utf8)),
        }
    }

    fn value(self, made: Made) -> Result<ScalarValue> {
        Ok(match (self, made) {
            (Gives::Text, Made::Text(text)) => ScalarValue::Utf8(Some(text)),
            (Gives::Int, Made::Whole(whole)) => match i32::try_from(whole) {
                Ok(whole) => ScalarValue::Int32(Some(whole)),
                Err(_) => return Err(SqlError::new(SqlState::OUT_OF_RANGE, "integer out of range").into()),
            },
            (Gives::Truth, Made::Truth(truth)) => ScalarValue::Boolean(Some(truth)),
            (Gives::Date, Made::At(days)) => match i32::try_from(days) {
                Ok(days) => ScalarValue::Date32(Some(days)),
                Err(_) => return Err(SqlError::new(SqlState("22008"), "date out of range").into()),
            },
            (Gives::Time, Made::At(micros)) => ScalarValue::Time64Microsecond(Some(micros)),
            (Gives::Clock, Made::At(micros)) => ScalarValue::TimestampMicrosecond(Some(micros), None),
            (Gives::Moment, Made::At(micros)) => ScalarValue::TimestampMicrosecond(Some(micros), Some("+00:00".into())),
            (Gives::Interval, Made::Interval((months, days, micros))) => {
                let nanoseconds = micros
                    .checked_mul(1_000)
                    .ok_or_else(|| SqlError::new(SqlState("22008"), "interval out of range"))?;
                ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanoseconds)))
            }
            (Gives::Texts, Made::Texts(texts)) => list_of(texts),
            (Gives::ListsOfTexts, Made::ListsOfTexts(lists)) => {
                let lists: Vec<ScalarValue> = lists.into_iter().map(list_of).collect();
                ScalarValue::List(ScalarValue::new_list_nullable(&lists, &Gives::Texts.data_type()))
            }
            (gives, _) => return exec_err!("a function that gives {gives:?} made something else"),
        })
    }
}

fn list_of(texts: Vec<Option<String>>) -> ScalarValue {
    let texts: Vec<ScalarValue> = texts.into_iter().map(ScalarValue::Utf8).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&texts, &DataType::Utf8))
}

struct Function {
    by_row: ByRow,
    signature: Signature,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.by_row.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.by_row.name == other.by_row.name
    }
}

impl Eq for Function {}

impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.by_row.name.hash(state);
    }
}

impl Function {
    /// What it takes at a place.
    fn at(&self, place: usize) -> Option<Takes> {
        let takes = self.by_row.takes;
        match takes.get(place) {
            None if self.by_row.repeats => takes.last().copied(),
            at => at.copied(),
        }
    }

    fn unknown(&self, types: &[DataType]) -> SqlError {
        let types: Vec<String> = types.iter().map(type_name).collect();
        let message = format!("function {}({}) does not exist", self.by_row.name, types.join(", "));
        SqlError::new(SqlState::UNKNOWN_FUNCTION, message)
            .hint("no function of that name takes such arguments: cast them, or give it as many as it takes")
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.by_row.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fewest = self.by_row.takes.len() - self.by_row.optional;
        if types.len() < fewest {
            return Err(self.unknown(types).into());
        }
        let places = types.iter().enumerate();
        let wanted = places.map(|(place, given)| self.at(place).and_then(|takes| takes.data_type(given)));
        let wanted: Option<Vec<DataType>> = wanted.collect();
        wanted.ok_or_else(|| self.unknown(types).into())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.by_row.gives.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(args.args.len());
        for (place, arg) in args.args.iter().enumerate() {
            let array = arg.to_array(rows)?;
            arrays.push(match self.at(place) {
                Some(Takes::Shown) => outward(&array)?,
                Some(takes) => match takes.data_type(array.data_type()) {
                    Some(wanted) if wanted != *array.data_type() => cast(&array, &wanted)?,
                    _ => array,
                },
                None => array,
            });
        }
        let data_type = self.by_row.gives.data_type();
        let mut made: Vec<ScalarValue> = Vec::with_capacity(rows);
        for row in 0..rows {
            let row = Row { arrays: &arrays, row };
            let is_asked = self.by_row.knows_null || (0..row.len()).all(|at| row.has(at));
            made.push(match is_asked.then(|| (self.by_row.of)(&row)).transpose()?.flatten() {
                Some(made) => self.by_row.gives.value(made)?,
                None => ScalarValue::try_from(&data_type)?,
            });
        }
        if is_constant && let [made] = made.as_mut_slice() {
            return Ok(ColumnarValue::Scalar(std::mem::replace(made, ScalarValue::Null)));
        }
        match made.is_empty() {
            true => Ok(ColumnarValue::Array(datafusion::arrow::array::new_empty_array(
                &data_type,
            ))),
            false => Ok(ColumnarValue::Array(ScalarValue::iter_to_array(made)?)),
        }
    }
}

/// Each value as it is shown outside.
pub(crate) fn outward(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Boolean => {
            let truths: &BooleanArray = values.as_boolean();
            let texts = truths
                .iter()
                .map(|truth| truth.map(|truth| if truth { "t" } else { "f" }));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        DataType::Null => Ok(datafusion::arrow::array::new_null_array(&DataType::Utf8, values.len())),
        _ => shown(values),
    }
}
