//! Moments as texts in a session's zone, and texts without a zone as moments of it.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::SessionZone;
use crate::encode::calendar::put_moment;

/// Texts of moments, those without a zone with that of the session.
pub(crate) fn texts_in(texts: &ArrayRef, zone: &SessionZone) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8)?;
    let written = texts.as_string::<i32>().iter().map(|text| {
        let text = text?;
        Some(zone.written_out(text).unwrap_or_else(|| text.to_owned()))
    });
    Ok(Arc::new(written.collect::<StringArray>()))
}

/// What the function is called by which a text is read.
pub(crate) const READ: &str = "_headwater_read_in_zone";

/// What stands where a cast was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// A moment's text.
    Shown,
    /// A text that a moment is read from.
    Read,
}

/// The call of such a function.
pub(crate) fn call(what: What, zone: &SessionZone, value: Expr) -> Expr {
    let function = InZone {
        what,
        zone: zone.clone(),
        signature: Signature::any(1, Volatility::Immutable),
    };
    ScalarUDF::from(function).call(vec![value])
}

#[derive(Debug, PartialEq)]
struct InZone {
    what: What,
    zone: SessionZone,
    signature: Signature,
}

impl Eq for InZone {}

impl std::hash::Hash for InZone {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.what, self.zone.name()).hash(state);
    }
}

impl ScalarUDFImpl for InZone {
    fn name(&self) -> &str {
        match self.what {
            What::Shown => "_headwater_shown_in_zone",
            What::Read => READ,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of = |values: &ArrayRef| match self.what {
            What::Read => texts_in(values, &self.zone),
            What::Shown => shown(values, &self.zone),
        };
        match args.args.as_slice() {
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(of(values)?)),
            [ColumnarValue::Scalar(value)] => {
                let answer = of(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?))
            }
            _ => exec_err!("'{}' is of one value", self.name()),
        }
    }
}

pub(super) fn shown(moments: &ArrayRef, zone: &SessionZone) -> Result<ArrayRef> {
    let in_utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let moments = cast(moments, &in_utc)?;
    let texts = moments.as_primitive::<TimestampMicrosecondType>().iter().map(|moment| {
        let mut text = String::new();
        put_moment(&mut text, moment?, Some(zone));
        Some(text)
    });
    Ok(Arc::new(texts.collect::<StringArray>()))
}
