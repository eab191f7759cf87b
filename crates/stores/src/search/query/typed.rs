//! What is written behind a field's name, as the field takes it.

use super::syntax::Leaf;
use crate::search::field::{Field, FieldKind};
use crate::search::numbers::{self, End};

/// What stands behind a field's name.
pub(super) enum Written {
    Word(String),
    Phrase(String, u32),
    Prefix(String),
    Fuzzy(String, u8),
    /// Between two ends; `None`: no end there.
    Range(Option<End<String>>, Option<End<String>>),
}

/// Why it is nothing that the field takes: what is wrong, and what to do.
pub(super) type Unfit = (String, &'static str);

const VALUES: &str = "numbers are written 10 or 9.99, dates 2025-12-31 or 2025-12-31T10:00:00; both are looked for whole or by range, as in [10 TO 20]";

/// As the field takes it; without a field, as a text does.
pub(super) fn typed(field: Option<&Field>, written: Written) -> Result<Leaf, Unfit> {
    let Some(field) = field else {
        return text("the query", written);
    };
    match &field.kind {
        FieldKind::Text(_) => text(&field.name, written),
        FieldKind::Keyword => Ok(match written {
            Written::Range(low, high) => Leaf::Keywords(low, high),
            Written::Word(word) | Written::Phrase(word, _) => Leaf::Word(word),
            Written::Prefix(word) => Leaf::Prefix(word),
            Written::Fuzzy(word, distance) => Leaf::Fuzzy(word, distance),
        }),
        FieldKind::Whole { read, .. } => {
            let (low, high) = ends(field, written, |text| read(text))?;
            Ok(Leaf::Whole(numbers::range(low.as_ref(), high.as_ref())))
        }
        FieldKind::Float { is_single } => {
            let (low, high) = ends(field, written, |text| float(text, *is_single))?;
            Ok(Leaf::Floats(low, high))
        }
    }
}

fn text(name: &str, written: Written) -> Result<Leaf, Unfit> {
    Ok(match written {
        Written::Word(word) => Leaf::Word(word),
        Written::Phrase(text, slop) => Leaf::Phrase(text, slop),
        Written::Prefix(word) => Leaf::Prefix(word),
        Written::Fuzzy(word, distance) => Leaf::Fuzzy(word, distance),
        Written::Range(..) => {
            let why = format!("a range is asked of '{name}', a text");
            return Err((why, "ranges are asked of keywords, numbers and dates"));
        }
    })
}

type Ends<T> = (Option<End<T>>, Option<End<T>>);

fn ends<T: Clone>(field: &Field, written: Written, read: impl Fn(&str) -> Option<T>) -> Result<Ends<T>, Unfit> {
    let value = |text: &str| {
        let wrong = || {
            (
                format!("'{text}' is no value of '{}', a {}", field.name, field.kind.word()),
                VALUES,
            )
        };
        read(text).ok_or_else(wrong)
    };
    let end = |end: Option<End<String>>| {
        let Some(End {
            value: text,
            is_included,
        }) = end
        else {
            return Ok(None);
        };
        Ok(Some(End {
            value: value(&text)?,
            is_included,
        }))
    };
    match written {
        Written::Range(low, high) => Ok((end(low)?, end(high)?)),
        Written::Word(text) | Written::Phrase(text, _) => {
            let end = End {
                value: value(&text)?,
                is_included: true,
            };
            Ok((Some(end.clone()), Some(end)))
        }
        Written::Prefix(text) | Written::Fuzzy(text, _) => {
            let why = format!(
                "'{}' is a {}: it has no beginnings and no letters that could be others",
                field.name,
                field.kind.word()
            );
            Err((format!("{why} ('{text}')"), VALUES))
        }
    }
}

fn float(text: &str, is_single: bool) -> Option<f64> {
    let value = match is_single {
        true => f64::from(text.parse::<f32>().ok()?),
        false => text.parse::<f64>().ok()?,
    };
    numbers::plain(value)
}
