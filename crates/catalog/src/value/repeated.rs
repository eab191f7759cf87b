//! Names that stand in one JSON object more than once: the last one counts, as in columns, and as in most parsers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A step into a JSON text.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A name in an object; in a path it may be the place of an element, too.
    Name(&'a str),
    /// A place in an array, which only one value has.
    Place,
}

/// The text with the last of each name alone, where on the way that the steps lead, or in the object at its end, a name repeats. `None`: it stays as it is,
/// also where it is no JSON.
pub fn last_of_each(text: &str, steps: &[Step<'_>]) -> Option<String> {
    if !may_repeat(text, steps) || !repeats(text, steps) {
        return None;
    }
    let mut kept = String::with_capacity(text.len());
    put(text, &mut kept).ok()?;
    Some(kept)
}

/// A look that costs little: whether a name that is asked for stands there twice, in whatever object, or may be written with escapes.
fn may_repeat(text: &str, steps: &[Step<'_>]) -> bool {
    let is_twice = |step: &Step<'_>| match step {
        Step::Name(name) => text.matches(&format!("\"{name}\"")).take(2).count() == 2,
        Step::Place => false,
    };
    steps.is_empty() || text.contains("\\u") || steps.iter().any(is_twice)
}

fn repeats(text: &str, steps: &[Step<'_>]) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return object(text).is_some_and(|fields| fields.last_places().len() < fields.0.len());
    };
    match step {
        Step::Name(name) => {
            let Some(fields) = object(text) else {
                return repeats_within(text, rest);
            };
            let mut found = fields.0.iter().filter(|(field, _)| field == name);
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => true,
                (Some((_, value)), None) => !rest.is_empty() && repeats(value.get(), rest),
                (None, _) => false,
            }
        }
        Step::Place => repeats_within(text, rest),
    }
}

/// The same of an array's elements. Which of them is meant is not looked at: any of them may repeat a name.
fn repeats_within(text: &str, rest: &[Step<'_>]) -> bool {
    let values: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
    !rest.is_empty() && values.iter().any(|value| repeats(value.get(), rest))
}

fn object(text: &str) -> Option<Fields<'_>> {
    serde_json::from_str(text).ok()
}

fn put(text: &str, kept: &mut String) -> Result<(), serde_json::Error> {
    match text.trim_start().as_bytes().first() {
        Some(b'{') => {
            let fields: Fields<'_> = serde_json::from_str(text)?;
            let last = fields.last_places();
            let fields = fields.0.iter().enumerate();
            let fields = fields.filter(|(place, (name, _))| last.get(name.as_ref()) == Some(place));
            kept.push('{');
            for (index, (_, (name, value))) in fields.enumerate() {
                if index > 0 {
                    kept.push(',');
                }
                kept.push_str(&serde_json::to_string(name)?);
                kept.push(':');
                put(value.get(), kept)?;
            }
            kept.push('}');
        }
        Some(b'[') => {
            let values: Vec<&RawValue> = serde_json::from_str(text)?;
            kept.push('[');
            for (index, value) in values.into_iter().enumerate() {
                if index > 0 {
                    kept.push(',');
                }
                put(value.get(), kept)?;
            }
            kept.push(']');
        }
        // As it is written: a number keeps its digits.
        _ => kept.push_str(text),
    }
    Ok(())
}

/// The fields of an object in their order, those that repeat included.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Fields<'_> {
    /// Where each name stands last.
    fn last_places(&self) -> HashMap<&str, usize> {
        let fields = self.0.iter().enumerate();
        fields.map(|(place, (name, _))| (name.as_ref(), place)).collect()
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            fields.push((name.0, value));
        }
        Ok(Fields(fields))
    }
}

/// A name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, steps: &[Step<'_>], expected: Option<&str>) {
        assert_eq!(last_of_each(text, steps).as_deref(), expected, "{text} {steps:?}");
    }

    #[test]
    fn the_last_of_a_name_stays_where_one_repeats_on_the_way() {
        use Step::{Name, Place};
        check(r#"{"a": 1, "a": 2.50}"#, &[Name("a")], Some(r#"{"a":2.50}"#));
        check(r#"{"a": 1, "b": {"a": 2}}"#, &[Name("a")], None);
        check(r#"{"a": 1, "\u0061": "x"}"#, &[Name("a")], Some(r#"{"a":"x"}"#));
        check(
            r#"{"a": {"b": 1, "b": [3, {"c": 1, "c": null}]}}"#,
            &[Name("a"), Name("b")],
            Some(r#"{"a":{"b":[3,{"c":null}]}}"#),
        );
        check(r#"[{"c": 1, "c": 2}]"#, &[Place, Name("c")], Some(r#"[{"c":2}]"#));
        check(r#"{"a": 1, "a": 2}"#, &[], Some(r#"{"a":2}"#));
        check(r#"{"a": 1, "b": 2}"#, &[], None);
        check(r#"{"a": 1, "a": 2"#, &[Name("a")], None);
        check(r#"{"a": 1, "a": 2}"#, &[Name("b")], None);
        check("7", &[Name("a")], None);
    }
}
