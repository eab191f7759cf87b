//! JSON made of values: objects, arrays, and single ones. The first argument says of each other how it becomes a part (see [`super::functions`]).

use std::sync::Arc;

use arrow::json::writer::{NullableEncoder, make_encoder};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::encode::{JSON_OPTIONS, in_utc};
use crate::{SqlError, SqlState};

/// null_value_not_allowed
const NO_NULL: SqlState = SqlState("22004");

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    /// Of keys and values in turn.
    Object,
    Array,
    /// Of one value; NULL is NULL.
    Value,
    /// Of a list of keys and one of values.
    Pairs,
}

/// The functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let named = [
        ("_headwater_json_object", What::Object),
        ("_headwater_json_array", What::Array),
        ("_headwater_json_value", What::Value),
        ("_headwater_json_pairs", What::Pairs),
    ];
    let signature = Signature::one_of(vec![TypeSignature::VariadicAny], Volatility::Immutable);
    let function = |(name, what)| {
        ScalarUDF::from(Made {
            name,
            what,
            signature: signature.clone(),
        })
    };
    named.into_iter().map(function).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Made {
    name: &'static str,
    what: What,
    signature: Signature,
}

impl ScalarUDFImpl for Made {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let Some((ColumnarValue::Scalar(kinds), values)) = args.args.split_first() else {
            return exec_err!("it is not said how values become JSON");
        };
        let kinds = kinds.try_as_str().flatten().unwrap_or_default().to_owned();
        let arrays: Vec<ArrayRef> = values.iter().map(|value| value.to_array(rows)).collect::<Result<_>>()?;
        let made = match self.what {
            What::Object => objects(&kinds, &arrays, rows)?,
            What::Array => each(&kinds, &arrays, rows)?,
            What::Value => single(&kinds, &arrays)?,
            What::Pairs => pairs(&kinds, &arrays)?,
        };
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)),
            false => Ok(ColumnarValue::Array(Arc::new(made))),
        }
    }
}

/// Writes the values of an array as JSON.
enum Written<'a> {
    /// They are JSON already.
    Json(&'a StringArray),
    Encoded(NullableEncoder<'a>),
}

impl Written<'_> {
    fn is_null(&self, row: usize) -> bool {
        match self {
            Written::Json(texts) => texts.is_null(row),
            Written::Encoded(encoder) => encoder.is_null(row),
        }
    }

    fn put(&mut self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match self {
            Written::Json(texts) => out.extend_from_slice(texts.value(row).trim().as_bytes()),
            Written::Encoded(encoder) => encoder.encode(row, out),
        }
    }
}

/// An array with the field that its encoder asks for.
struct Column {
    field: FieldRef,
    array: ArrayRef,
    is_json: bool,
}

impl Column {
    fn new(array: &ArrayRef, is_json: bool) -> Result<Column> {
        let field: FieldRef = Arc::new(Field::new("value", array.data_type().clone(), true));
        let (field, array) = match is_json {
            true => (field, cast(array, &DataType::Utf8)?),
            false => in_utc(&field, array)?,
        };
        Ok(Column { field, array, is_json })
    }

    fn written(&self) -> Result<Written<'_>> {
        Ok(match self.array.as_string_opt::<i32>() {
            Some(texts) if self.is_json => Written::Json(texts),
            _ => Written::Encoded(make_encoder(&self.field, &self.array, &JSON_OPTIONS)?),
        })
    }
}

fn columns(kinds: &str, arrays: &[ArrayRef]) -> Result<Vec<Column>> {
    let kinds = kinds.chars().chain(std::iter::repeat('v'));
    arrays
        .iter()
        .zip(kinds)
        .map(|(array, kind)| Column::new(array, kind == 'j'))
        .collect()
}

fn objects(kinds: &str, arrays: &[ArrayRef], rows: usize) -> Result<StringArray> {
    if arrays.len() % 2 == 1 {
        let error = SqlError::new(
            SqlState::INVALID_PARAMETER,
            "argument list must have even number of elements",
        );
        return Err(error
            .hint("give a value for each key: json_build_object('a', 1, 'b', 2)")
            .into());
    }
    let columns = columns(kinds, arrays)?;
    let keys: Vec<ArrayRef> = arrays
        .iter()
        .step_by(2)
        .map(|keys| Ok(cast(keys, &DataType::Utf8)?))
        .collect::<Result<_>>()?;
    let mut values: Vec<Written<'_>> = columns
        .iter()
        .skip(1)
        .step_by(2)
        .map(Column::written)
        .collect::<Result<_>>()?;
    let mut made: Vec<String> = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut out: Vec<u8> = vec![b'{'];
        for (place, (keys, value)) in keys.iter().zip(&mut values).enumerate() {
            let keys = keys.as_string::<i32>();
            if keys.is_null(row) {
                let message = format!("argument {}: key must not be null", place * 2 + 1);
                return Err(SqlError::new(NO_NULL, message).into());
            }
            put_key(&mut out, keys.value(row));
            value.put(row, &mut out);
        }
        out.push(b'}');
        made.push(text(out));
    }
    Ok(StringArray::from(made))
}

fn each(kinds: &str, arrays: &[ArrayRef], rows: usize) -> Result<StringArray> {
    let columns = columns(kinds, arrays)?;
    let mut values: Vec<Written<'_>> = columns.iter().map(Column::written).collect::<Result<_>>()?;
    let mut made: Vec<String> = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut out: Vec<u8> = vec![b'['];
        for (place, value) in values.iter_mut().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            value.put(row, &mut out);
        }
        out.push(b']');
        made.push(text(out));
    }
    Ok(StringArray::from(made))
}

fn single(kinds: &str, arrays: &[ArrayRef]) -> Result<StringArray> {
    let [array] = arrays else {
        return exec_err!("one value becomes JSON");
    };
    if kinds == "l" {
        return of_lists(array);
    }
    let columns = columns(kinds, arrays)?;
    let mut made: Vec<Option<String>> = Vec::with_capacity(array.len());
    for column in &columns {
        let mut written = column.written()?;
        for row in 0..column.array.len() {
            let mut out: Vec<u8> = Vec::new();
            let is_null = written.is_null(row);
            written.put(row, &mut out);
            made.push((!is_null).then(|| text(out)));
        }
    }
    Ok(StringArray::from(made))
}

/// Lists of JSON texts as arrays of them.
fn of_lists(lists: &ArrayRef) -> Result<StringArray> {
    let mut made: Vec<Option<String>> = Vec::with_capacity(lists.len());
    let Some(lists) = lists.as_list_opt::<i32>() else {
        return exec_err!("a list becomes a JSON array");
    };
    for list in lists.iter() {
        let Some(list) = list else {
            made.push(None);
            continue;
        };
        made.push(Some(format!("[{}]", each_of(&list, true)?.join(","))));
    }
    Ok(StringArray::from(made))
}

/// The values of an array, each as JSON.
fn each_of(array: &ArrayRef, is_json: bool) -> Result<Vec<String>> {
    let column = Column::new(array, is_json)?;
    let mut written = column.written()?;
    let parts = (0..array.len()).map(|row| {
        let mut out: Vec<u8> = Vec::new();
        written.put(row, &mut out);
        text(out)
    });
    Ok(parts.collect())
}

fn pairs(kinds: &str, arrays: &[ArrayRef]) -> Result<StringArray> {
    let [keys, values] = arrays else {
        return exec_err!("keys and values become an object");
    };
    let (Some(keys), Some(values)) = (keys.as_list_opt::<i32>(), values.as_list_opt::<i32>()) else {
        return exec_err!("lists of keys and values become an object");
    };
    let mut made: Vec<Option<String>> = Vec::with_capacity(keys.len());
    for (keys, values) in keys.iter().zip(values.iter()) {
        let (Some(keys), Some(values)) = (keys, values) else {
            made.push(None);
            continue;
        };
        let keys = cast(&keys, &DataType::Utf8)?;
        let values = each_of(&values, kinds == "l")?;
        let mut out: Vec<u8> = vec![b'{'];
        for (key, value) in keys.as_string::<i32>().iter().zip(values) {
            let Some(key) = key else {
                return Err(SqlError::new(NO_NULL, "field name must not be null").into());
            };
            put_key(&mut out, key);
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b'}');
        made.push(Some(text(out)));
    }
    Ok(StringArray::from(made))
}

/// A key, behind a comma where it is not the first.
fn put_key(out: &mut Vec<u8>, key: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend_from_slice(serde_json::Value::from(key).to_string().as_bytes());
    out.push(b':');
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
