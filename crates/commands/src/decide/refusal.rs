//! The text of a refusal with the values in it.

use datafusion::common::ScalarValue;
use headwater_sql::SqlError;
use headwater_sql::encode::plain_text_of;
use headwater_sql::syntax::{Refusal, RefusalPart};

use crate::limits::VALUE_CHARS_MAX;

/// The text, with the values of the parameters and LETs that it names. A value is said as it stands in JSON, a text without its quotes, and cut where it is long.
pub(crate) fn text(refusal: &Refusal, names: &[String], values: &[ScalarValue]) -> Result<String, SqlError> {
    let mut text = String::new();
    for part in &refusal.parts {
        match part {
            RefusalPart::Plain(plain) => text.push_str(plain),
            RefusalPart::Value(name) => {
                let place = names.iter().position(|known| known == name);
                let value = place.and_then(|place| values.get(place));
                text.push_str(&shown(value.unwrap_or(&ScalarValue::Null))?);
            }
        }
    }
    Ok(text)
}

fn shown(value: &ScalarValue) -> Result<String, SqlError> {
    if value.is_null() {
        return Ok("NULL".to_owned());
    }
    let text = plain_text_of(value)?;
    Ok(match text.char_indices().nth(VALUE_CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_as_people_write_them() {
        let long = "x".repeat(VALUE_CHARS_MAX + 1);
        let cut = format!("{}…", &long[1..]);
        for (value, expected) in [
            (ScalarValue::Decimal128(Some(2_000), 18, 2), "20.00"),
            (ScalarValue::from("it's \"B\""), "it's \"B\""),
            (ScalarValue::from(&long[1..]), &long[1..]),
            (ScalarValue::from(long.as_str()), cut.as_str()),
            (ScalarValue::Utf8(None), "NULL"),
            (ScalarValue::Boolean(Some(true)), "true"),
            (ScalarValue::Date32(Some(0)), "1970-01-01"),
            (ScalarValue::Int64(Some(-7)), "-7"),
        ] {
            let parts = vec![
                RefusalPart::Plain("it is ".to_owned()),
                RefusalPart::Value("v".to_owned()),
            ];
            let said = text(&Refusal { parts }, &["v".to_owned()], std::slice::from_ref(&value));
            assert_eq!(said, Ok(format!("it is {expected}")), "{value:?}");
        }
    }
}
