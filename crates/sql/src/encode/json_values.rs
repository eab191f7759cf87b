//! Values of any type as JSON: decimals as exact numbers, moments as ISO 8601 in UTC, bytes as base64, NULL as `null`.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder};

use super::json::write_base64;
use super::json_floats::json_floats;

/// How the query engine's encoders write values, those inside of lists and structs too.
pub static JSON_OPTIONS: LazyLock<EncoderOptions> = LazyLock::new(|| {
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(OwnEncoders))
        .with_timestamp_format("%Y-%m-%dT%H:%M:%S%.f".to_owned())
        .with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.fZ".to_owned())
});

/// Moments are shown in UTC, whatever zone their type names: the format above says `Z`.
pub fn in_utc(field: &FieldRef, column: &ArrayRef) -> Result<(FieldRef, ArrayRef), ArrowError> {
    match field.data_type() {
        DataType::Timestamp(_, Some(zone)) if zone.as_ref() != "+00:00" => {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
            let shown = Field::new(field.name(), utc.clone(), field.is_nullable());
            Ok((Arc::new(shown), cast(column, &utc)?))
        }
        _ => Ok((Arc::clone(field), Arc::clone(column))),
    }
}

/// Writes bytes as base64, the form in which events carry them, and floats that JSON has no numbers for as texts.
#[derive(Debug)]
struct OwnEncoders;

impl EncoderFactory for OwnEncoders {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        if let Some(floats) = json_floats(array) {
            return Ok(Some(NullableEncoder::new(floats, array.nulls().cloned())));
        }
        let value: Box<dyn Fn(usize) -> &'a [u8] + 'a> = match array.data_type() {
            DataType::Binary => Box::new(|row| array.as_binary::<i32>().value(row)),
            DataType::LargeBinary => Box::new(|row| array.as_binary::<i64>().value(row)),
            DataType::BinaryView => Box::new(|row| array.as_binary_view().value(row)),
            DataType::FixedSizeBinary(_) => Box::new(|row| array.as_fixed_size_binary().value(row)),
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(
            Box::new(Base64Encoder { value }),
            array.nulls().cloned(),
        )))
    }
}

struct Base64Encoder<'a> {
    value: Box<dyn Fn(usize) -> &'a [u8] + 'a>,
}

impl Encoder for Base64Encoder<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        write_base64(out, (self.value)(row));
        out.push(b'"');
    }
}
