//! A schema that has an id. It is parsed when it is first asked what it says.

use std::sync::{Arc, OnceLock};

use crate::{Parsed, Schema};

/// A schema that has an id.
#[derive(Debug)]
pub struct Registered {
    /// Its id.
    pub id: u32,
    /// The schema.
    pub schema: Schema,
    /// When its id was first given, microseconds since 1970: no event before that can have been written with it.
    pub since_us: i64,
    /// What it refers to, and what that refers to: each behind what it needs itself.
    pub needs: Vec<(String, Arc<Registered>)>,
    parsed: OnceLock<Result<Parsed, String>>,
}

impl Registered {
    /// The schema, parsed.
    pub fn parsed(&self) -> Result<&Parsed, String> {
        let parse = || {
            let needs = self.needs.iter().map(|(name, need)| (name.as_str(), &need.schema));
            let needs: Vec<(&str, &Schema)> = needs.collect();
            Parsed::of(&self.schema, &needs)
        };
        self.parsed.get_or_init(parse).as_ref().map_err(String::clone)
    }

    pub(crate) fn new(id: u32, schema: Schema, since_us: i64, needs: Vec<(String, Arc<Registered>)>) -> Registered {
        Registered {
            id,
            schema,
            since_us,
            needs,
            parsed: OnceLock::new(),
        }
    }
}
