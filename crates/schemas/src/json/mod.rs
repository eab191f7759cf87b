//! JSON schemas: their text with what it refers to.

mod compatibility;

use std::collections::BTreeMap;

use serde_json::Value;

/// A schema with all that it refers to.
#[derive(Debug)]
pub struct JsonSchema {
    root: Value,
    /// By the names that texts refer to them by.
    others: BTreeMap<String, Value>,
}

impl JsonSchema {
    /// Parses a schema; `needs` are the schemas that it refers to by these names, with their texts.
    pub fn parse(text: &str, needs: &[(&str, &str)]) -> Result<JsonSchema, String> {
        let root = value(text)?;
        let mut others: BTreeMap<String, Value> = BTreeMap::new();
        for (name, text) in needs {
            others.insert(
                (*name).to_owned(),
                value(text).map_err(|why| format!("'{name}': {why}"))?,
            );
        }
        let schema = JsonSchema { root, others };
        schema.check_references()?;
        Ok(schema)
    }

    /// What it means, without the accidents of its text.
    pub(crate) fn identity(&self) -> String {
        self.root.to_string()
    }

    /// What a reference in the schema `within` leads to: that schema and the part of it.
    fn resolve<'a>(&'a self, within: &'a Value, reference: &str) -> Option<(&'a Value, &'a Value)> {
        let (document, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let document = match document {
            "" => within,
            name if self.root.get("$id").and_then(Value::as_str) == Some(name) => &self.root,
            name => self.others.get(name).or_else(|| {
                let mut others = self.others.values();
                others.find(|other| other.get("$id").and_then(Value::as_str) == Some(name))
            })?,
        };
        let pointer = percent_decoded(pointer);
        Some((document, document.pointer(&pointer)?))
    }

    /// Every reference leads somewhere.
    fn check_references(&self) -> Result<(), String> {
        for document in self.others.values().chain([&self.root]) {
            let mut waiting: Vec<&Value> = vec![document];
            while let Some(part) = waiting.pop() {
                match part {
                    Value::Object(members) => {
                        if let Some(Value::String(reference)) = members.get("$ref")
                            && self.resolve(document, reference).is_none()
                        {
                            return Err(format!("it refers to '{reference}', which is not there"));
                        }
                        waiting.extend(members.values());
                    }
                    Value::Array(items) => waiting.extend(items),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn value(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Bool(_))) => Ok(value),
        Ok(_) => Err("a JSON schema is an object, true or false".to_owned()),
        Err(error) => Err(format!("it is no JSON: {error}")),
    }
}

/// A pointer as it stands behind a `#`.
fn percent_decoded(pointer: &str) -> String {
    let mut bytes: Vec<u8> = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
