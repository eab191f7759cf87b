//! Whether whatever is valid by a writer's schema is valid by a reader's.
//!
//! What is compared, keyword by keyword: `type`, `enum`, `const`, the bounds of numbers, texts, arrays and objects, `multipleOf`, `pattern`, `properties`,
//! `required`, `additionalProperties`, `items`, `prefixItems`, `additionalItems`, `uniqueItems`, `$ref`, `allOf`, `anyOf`, `oneOf`. Any other keyword that
//! binds values must stand in both alike, or only in the writer's: otherwise it cannot be judged, and that is said. Words that bind nothing (`title`,
//! `description`, `default`, `format`, …) do not count.
//!
//! An object whose `additionalProperties` are not false may hold any property already. So a property that is new to the reader binds what a writer was
//! free to write, and stands in the way, unless it takes any value. Closed schemas gain properties freely.

use std::collections::BTreeSet;

use serde_json::Value;

use super::JsonSchema;
use crate::limits::{JSON_PAIRS_MAX, NESTING_MAX};

/// Keywords that bind values, and are compared only for being the same.
const UNJUDGED: [&str; 16] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "propertyNames",
    "patternProperties",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
];

/// Keywords whose value may become larger, and smaller.
const UPPER: [&str; 6] = [
    "maximum",
    "exclusiveMaximum",
    "maxLength",
    "maxItems",
    "maxProperties",
    "maxContains",
];
const LOWER: [&str; 6] = [
    "minimum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "minProperties",
    "minContains",
];

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

impl JsonSchema {
    /// Why this schema does not take everything that the writer's takes; nothing where it does.
    pub(crate) fn obstacles(&self, writer: &JsonSchema) -> Vec<String> {
        let mut comparing = Comparing {
            reader: self,
            writer,
            assumed: BTreeSet::new(),
            pairs: 0,
            depth: 0,
            path: Vec::new(),
        };
        let (reader, writer) = (Place::root(&self.root), Place::root(&writer.root));
        match comparing.schemas(reader, writer) {
            Ok(()) => Vec::new(),
            Err(why) => vec![why],
        }
    }
}

/// A schema, and the document that its references are looked up in.
#[derive(Clone, Copy)]
struct Place<'a> {
    document: &'a Value,
    schema: &'a Value,
}

impl<'a> Place<'a> {
    fn root(document: &'a Value) -> Place<'a> {
        Place {
            document,
            schema: document,
        }
    }

    fn at(self, schema: &'a Value) -> Place<'a> {
        Place { schema, ..self }
    }

    fn get(self, keyword: &str) -> Option<&'a Value> {
        self.schema.get(keyword)
    }

    /// Whether it takes any value.
    fn is_open(self) -> bool {
        const SAYING: [&str; 12] = [
            "title",
            "description",
            "default",
            "examples",
            "$comment",
            "$id",
            "$schema",
            "definitions",
            "$defs",
            "format",
            "readOnly",
            "writeOnly",
        ];
        match self.schema {
            Value::Bool(takes) => *takes,
            Value::Object(members) => members.keys().all(|name| SAYING.contains(&name.as_str())),
            _ => false,
        }
    }

    fn alternatives(self, keyword: &str) -> Vec<Place<'a>> {
        let branches = self.get(keyword).and_then(Value::as_array);
        branches.into_iter().flatten().map(|branch| self.at(branch)).collect()
    }
}

struct Comparing<'a> {
    reader: &'a JsonSchema,
    writer: &'a JsonSchema,
    /// Pairs of places under comparison or compared: a schema that holds itself is taken if the rest is.
    assumed: BTreeSet<(usize, usize)>,
    pairs: usize,
    depth: usize,
    path: Vec<String>,
}

impl<'a> Comparing<'a> {
    fn fail(&self, why: impl std::fmt::Display) -> Result<(), String> {
        Err(format!("#/{}: {why}", self.path.join("/")))
    }

    fn within(&mut self, step: &str, reader: Place<'a>, writer: Place<'a>) -> Result<(), String> {
        self.path.push(step.to_owned());
        self.schemas(reader, writer)?;
        self.path.pop();
        Ok(())
    }

    /// Whether they fit, without a trace of the try.
    fn fits(&mut self, reader: Place<'a>, writer: Place<'a>) -> bool {
        let (assumed, depth) = (self.assumed.clone(), self.path.len());
        let fits = self.schemas(reader, writer).is_ok();
        if !fits {
            self.assumed = assumed;
            self.path.truncate(depth);
        }
        fits
    }

    fn schemas(&mut self, reader: Place<'a>, writer: Place<'a>) -> Result<(), String> {
        self.depth += 1;
        let fits = self.pair(reader, writer);
        self.depth -= 1;
        fits
    }

    fn pair(&mut self, reader: Place<'a>, writer: Place<'a>) -> Result<(), String> {
        if reader.is_open() || *writer.schema == Value::Bool(false) {
            return Ok(());
        }
        self.pairs += 1;
        if self.pairs > JSON_PAIRS_MAX || self.depth > NESTING_MAX {
            return self.fail("it is too large to be judged");
        }
        let pair = (
            std::ptr::from_ref(reader.schema).addr(),
            std::ptr::from_ref(writer.schema).addr(),
        );
        if !self.assumed.insert(pair) {
            return Ok(());
        }
        if *reader.schema == Value::Bool(false) {
            return self.fail("the reader takes nothing");
        }
        if let Some(followed) = follow(self.reader, reader) {
            return self.schemas(followed, writer);
        }
        if let Some(followed) = follow(self.writer, writer) {
            return self.schemas(reader, followed);
        }
        self.alternatives(reader, writer)?
            .map_or_else(|| self.keywords(reader, writer), Ok)
    }

    /// Compares what the schemas are made of; `None` where they are not.
    fn alternatives(&mut self, reader: Place<'a>, writer: Place<'a>) -> Result<Option<()>, String> {
        for keyword in ["anyOf", "oneOf"] {
            let written = writer.alternatives(keyword);
            if !written.is_empty() {
                for branch in written {
                    self.schemas(reader, branch)?;
                }
                return Ok(Some(()));
            }
        }
        for keyword in ["anyOf", "oneOf"] {
            let branches = reader.alternatives(keyword);
            if !branches.is_empty() {
                for branch in branches {
                    if self.fits(branch, writer) {
                        return Ok(None);
                    }
                }
                self.fail(format!("none of the reader's {keyword} takes what the writer writes"))?;
            }
        }
        for part in reader.alternatives("allOf") {
            self.schemas(part, writer)?;
        }
        let parts = writer.alternatives("allOf");
        if !parts.is_empty() {
            // What is valid by all is valid by each: it is enough that the reader takes one, or the rest of the schema.
            for part in parts {
                if self.fits(reader, part) {
                    return Ok(Some(()));
                }
            }
        }
        Ok(None)
    }

    fn keywords(&mut self, reader: Place<'a>, writer: Place<'a>) -> Result<(), String> {
        let types = types_of(reader);
        if let Some(wrong) = types_of(writer)
            .into_iter()
            .find(|written| !takes_type(&types, written))
        {
            return self.fail(format!("the reader does not take the type {wrong}"));
        }
        self.values(reader, writer)?;
        self.bounds(reader, writer)?;
        for keyword in UNJUDGED {
            if let Some(binding) = reader.get(keyword)
                && Some(binding) != writer.get(keyword)
            {
                return self.fail(format!(
                    "'{keyword}' is new or changed, which cannot be judged; keep it, or set the level NONE"
                ));
            }
        }
        let written = types_of(writer);
        if written.contains("object") && types.contains("object") {
            self.objects(reader, writer)?;
        }
        if written.contains("array") && types.contains("array") {
            self.arrays(reader, writer)?;
        }
        Ok(())
    }

    fn values(&self, reader: Place<'a>, writer: Place<'a>) -> Result<(), String> {
        let listed = |place: Place<'a>| match (place.get("const"), place.get("enum").and_then(Value::as_array)) {
            (Some(only), _) => Some(vec![only]),
            (None, Some(values)) => Some(values.iter().collect::<Vec<&Value>>()),
            (None, None) => None,
        };
        let Some(taken) = listed(reader) else { return Ok(()) };
        let Some(written) = listed(writer) else {
            return self.fail("the reader takes certain values, the writer any");
        };
        match written.iter().find(|value| !taken.contains(value)) {
            None => Ok(()),
            Some(value) => self.fail(format!("the reader does not take the value {value}")),
        }
    }

    fn bounds(&self, reader: Place<'a>, writer: Place<'a>) -> Result<(), String> {
        for (keywords, is_upper) in [(UPPER, true), (LOWER, false)] {
            for keyword in keywords {
                let Some(bound) = reader.get(keyword) else { continue };
                let holds = match (bound.as_f64(), writer.get(keyword).and_then(Value::as_f64)) {
                    (Some(bound), Some(written)) if is_upper => written <= bound,
                    (Some(bound), Some(written)) => written >= bound,
                    // At draft 4 an exclusive bound is a flag.
                    (None, _) => writer.get(keyword) == Some(bound) || *bound == Value::Bool(false),
                    (Some(bound), None) => {
                        !is_upper && bound <= 0.0 && keyword != "minimum" && keyword != "exclusiveMinimum"
                    }
                };
                if !holds {
                    return self.fail(format!("the reader's '{keyword}' is narrower"));
                }
            }
        }
        if let Some(factor) = reader.get("multipleOf").and_then(Value::as_f64) {
            let written = writer.get("multipleOf").and_then(Value::as_f64);
            if !written.is_some_and(|written| (written / factor).fract() == 0.0) {
                return self.fail("the reader's 'multipleOf' is narrower");
            }
        }
        for keyword in ["pattern", "uniqueItems"] {
            if let Some(bound) = reader.get(keyword)
                && *bound != Value::Bool(false)
                && writer.get(keyword) != Some(bound)
            {
                return self.fail(format!("the reader's '{keyword}' is new or changed"));
            }
        }
        Ok(())
    }

    fn objects(&mut self, reader: Place<'a>, writer: Place<'a>) -> Result<(), String> {
        static OPEN: Value = Value::Bool(true);
        let properties = |place: Place<'a>| place.get("properties").and_then(Value::as_object);
        let (taken, written) = (properties(reader), properties(writer));
        let more_taken = reader.at(reader.get("additionalProperties").unwrap_or(&OPEN));
        let more_written = writer.at(writer.get("additionalProperties").unwrap_or(&OPEN));
        for (name, schema) in written.into_iter().flatten() {
            let other = taken.and_then(|taken| taken.get(name)).map(|found| reader.at(found));
            self.within(name, other.unwrap_or(more_taken), writer.at(schema))?;
        }
        for (name, schema) in taken.into_iter().flatten() {
            if !written.is_some_and(|written| written.contains_key(name)) {
                self.within(name, reader.at(schema), more_written)?;
            }
        }
        let required = |place: Place<'a>| -> BTreeSet<&'a str> {
            let names = place.get("required").and_then(Value::as_array);
            names.into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let has_default = |name: &&&str| {
            let property = taken.and_then(|taken| taken.get(**name));
            property.is_some_and(|property| property.get("default").is_some())
        };
        let promised = required(writer);
        let missing = required(reader);
        if let Some(name) = missing
            .iter()
            .find(|name| !promised.contains(**name) && !has_default(name))
        {
            return self.fail(format!("the reader requires '{name}', which the writer may leave out"));
        }
        self.within("*", more_taken, more_written)
    }

    fn arrays(&mut self, reader: Place<'a>, writer: Place<'a>) -> Result<(), String> {
        static OPEN: Value = Value::Bool(true);
        // Before 2020-12 a list of items was a tuple, and additionalItems what comes behind it.
        let tuple = |place: Place<'a>| -> (Vec<Place<'a>>, Place<'a>) {
            let (first, rest) = match (place.get("prefixItems"), place.get("items")) {
                (Some(first), rest) => (Some(first), rest),
                (None, Some(first @ Value::Array(_))) => (Some(first), place.get("additionalItems")),
                (None, rest) => (None, rest),
            };
            let first = first.and_then(Value::as_array);
            let first = first.into_iter().flatten().map(|schema| place.at(schema)).collect();
            (first, place.at(rest.unwrap_or(&OPEN)))
        };
        let ((taken, more_taken), (written, more_written)) = (tuple(reader), tuple(writer));
        for index in 0..taken.len().max(written.len()) {
            let taken = taken.get(index).copied().unwrap_or(more_taken);
            let written = written.get(index).copied().unwrap_or(more_written);
            self.within(&index.to_string(), taken, written)?;
        }
        self.within("[]", more_taken, more_written)
    }
}

/// What a `$ref` leads to. Every one leads somewhere, and one that leads to itself was assumed before.
fn follow<'a>(schema: &'a JsonSchema, place: Place<'a>) -> Option<Place<'a>> {
    let reference = place.get("$ref")?.as_str()?;
    let (document, schema) = schema.resolve(place.document, reference)?;
    Some(Place { document, schema })
}

fn types_of(place: Place<'_>) -> BTreeSet<&str> {
    match place.get("type") {
        Some(Value::String(one)) => BTreeSet::from([one.as_str()]),
        Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).collect(),
        _ => TYPES.into(),
    }
}

fn takes_type(types: &BTreeSet<&str>, written: &str) -> bool {
    types.contains(written) || (written == "integer" && types.contains("number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reader: &str, writer: &str, expected: Result<(), &str>) {
        let parse = |text: &str| JsonSchema::parse(text, &[]).unwrap_or_else(|why| panic!("{text}: {why}"));
        let found = parse(reader).obstacles(&parse(writer));
        match (found.first(), expected) {
            (None, Ok(())) => {}
            (Some(found), Err(why)) => assert!(found.contains(why), "{reader} of {writer}: {found}"),
            (found, expected) => panic!("{reader} of {writer}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn types_and_bounds() {
        check(r#"{"type":"number"}"#, r#"{"type":"integer"}"#, Ok(()));
        check(r#"{"type":"integer"}"#, r#"{"type":"number"}"#, Err("the type number"));
        check(r#"{"type":["string","null"]}"#, r#"{"type":"string"}"#, Ok(()));
        check(r#"{"type":"string"}"#, "{}", Err("does not take the type"));
        check("{}", r#"{"type":"string"}"#, Ok(()));
        check(
            r#"{"type":"string","maxLength":5}"#,
            r#"{"type":"string","maxLength":4}"#,
            Ok(()),
        );
        check(
            r#"{"type":"string","maxLength":5}"#,
            r#"{"type":"string"}"#,
            Err("'maxLength' is narrower"),
        );
        check(
            r#"{"type":"integer","minimum":1}"#,
            r#"{"type":"integer","minimum":0}"#,
            Err("'minimum'"),
        );
        check(r#"{"enum":["a","b"]}"#, r#"{"enum":["a"]}"#, Ok(()));
        check(r#"{"enum":["a"]}"#, r#"{"enum":["a","b"]}"#, Err("the value \"b\""));
        check(
            r#"{"type":"string","not":{"const":"x"}}"#,
            r#"{"type":"string"}"#,
            Err("cannot be judged"),
        );
        check(
            r#"{"type":"string"}"#,
            r#"{"type":"string","not":{"const":"x"}}"#,
            Ok(()),
        );
    }

    #[test]
    fn properties() {
        let object =
            |properties: &str, more: &str| format!(r#"{{"type":"object","properties":{{{properties}}}{more}}}"#);
        let (a, b) = (r#""a":{"type":"string"}"#, r#""b":{"type":"string"}"#);
        let closed = r#","additionalProperties":false"#;
        let both = format!("{a},{b}");
        check(&object(&both, closed), &object(a, closed), Ok(()));
        check(
            &object(a, closed),
            &object(&both, closed),
            Err("b: the reader takes nothing"),
        );
        check(&object(&both, ""), &object(a, ""), Err("b: the reader does not take"));
        check(&object(a, ""), &object(&both, ""), Ok(()));
        check(&object(a, closed), &object(a, ""), Err("the reader takes nothing"));
        check(&object(a, r#","required":["a"]"#), &object(a, ""), Err("requires 'a'"));
        check(
            &object(r#""a":{"type":"string","default":"x"}"#, r#","required":["a"]"#),
            &object(a, ""),
            Ok(()),
        );
        check(
            &object(r#""a":{"type":"integer"}"#, ""),
            &object(a, ""),
            Err("#/a: the reader does not take"),
        );
    }

    #[test]
    fn arrays_alternatives_and_references() {
        check(
            r#"{"type":"array","items":{"type":"number"}}"#,
            r#"{"type":"array","items":{"type":"integer"}}"#,
            Ok(()),
        );
        check(
            r#"{"type":"array","items":{"type":"string"}}"#,
            r#"{"type":"array"}"#,
            Err("[]"),
        );
        let (text, number) = (r#"{"type":"string"}"#, r#"{"type":"number"}"#);
        let one_of = |list: &[&str]| format!(r#"{{"oneOf":[{}]}}"#, list.join(","));
        check(&one_of(&[text, number]), text, Ok(()));
        check(&one_of(&[text, number]), &one_of(&[number]), Ok(()));
        check(text, &one_of(&[text, number]), Err("the type number"));
        check(&one_of(&[text]), number, Err("none of the reader's oneOf"));
        let list = |kind: &str| {
            format!(
                r##"{{"type":"object","properties":{{"v":{{"type":"{kind}"}},"next":{{"$ref":"#"}}}},"additionalProperties":false}}"##
            )
        };
        check(&list("number"), &list("integer"), Ok(()));
        check(&list("integer"), &list("number"), Err("#/v"));
        check(r##"{"$ref":"#"}"##, r##"{"$ref":"#"}"##, Ok(()));
        assert!(JsonSchema::parse(r##"{"$ref":"#/definitions/x"}"##, &[]).is_err());
        assert!(JsonSchema::parse("[]", &[]).is_err());
    }

    #[test]
    fn other_schemas_are_referred_to_by_their_names() {
        let text = r#"{"type":"object","properties":{"a":{"$ref":"address.json"}}}"#;
        let parse = |other: &str| JsonSchema::parse(text, &[("address.json", other)]).expect("it is a schema");
        let (old, new) = (
            parse(r#"{"type":"string","maxLength":5}"#),
            parse(r#"{"type":"string"}"#),
        );
        assert!(new.obstacles(&old).is_empty());
        assert_eq!(old.obstacles(&new).len(), 1);
    }
}
