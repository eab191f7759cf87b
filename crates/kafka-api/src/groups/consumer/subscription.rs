//! Which topics members read: by name, and by patterns that are looked at here.
//!
//! Patterns are matched in time linear in the name, as with RE2: there are no back references and no look-around.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};

use super::member::Member;
use crate::groups::topics::Topics;
use crate::limits::{GROUP_REGEX_BYTES_MAX, GROUP_REGEX_COMPILED_BYTES_MAX};

/// The pattern, which has to match a whole name, or what is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > GROUP_REGEX_BYTES_MAX {
        return Err(format!(
            "the pattern has {} bytes, more than the {GROUP_REGEX_BYTES_MAX} that are taken: choose a shorter one",
            pattern.len()
        ));
    }
    // On its own first: a pattern must not reach out of the brackets around it.
    Regex::new(pattern).map_err(|error| error.to_string())?;
    RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
        .size_limit(GROUP_REGEX_COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| error.to_string())
}

/// The names that each pattern of the members chooses.
pub(super) fn resolve<'a>(
    members: impl Iterator<Item = &'a Member>,
    topics: &Topics,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut chosen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for pattern in members.filter_map(|member| member.regex.as_ref()) {
        if chosen.contains_key(pattern) {
            continue;
        }
        let names = match compile(pattern) {
            Ok(compiled) => topics
                .choosable()
                .filter(|name| compiled.is_match(name))
                .map(str::to_owned)
                .collect(),
            // Refused when the member came with it.
            Err(_) => BTreeSet::new(),
        };
        chosen.insert(pattern.clone(), names);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names() {
        let check = |pattern: &str, name: &str, expected: Option<bool>| {
            let matched = compile(pattern).ok().map(|compiled| compiled.is_match(name));
            assert_eq!(matched, expected, "{pattern} on {name}");
        };
        check("orders", "orders", Some(true));
        check("order", "orders", Some(false));
        check("orders|bills", "bills", Some(true));
        check("orders|bills", "billsx", Some(false));
        check("o.*", "orders\n", Some(false));
        check("", "orders", Some(false));
        check("(a+)+$", &"a".repeat(249), Some(true));
        check(r"(a)\1", "aa", None);
        check("a)|(b", "a", None);
        check("(?=a)a", "a", None);
        check(&"a".repeat(GROUP_REGEX_BYTES_MAX), "a", Some(false));
        check(&"a".repeat(GROUP_REGEX_BYTES_MAX + 1), "a", None);
        check(r"\w{1000}{1000}", "a", None);
    }
}
