//! Patterns that clients give: each has to match a whole text.
//!
//! They are matched in time linear in the text, as with RE2: there are no back references and no look-around. What one takes to compile is bounded, too.

use regex::bytes::{Regex, RegexBuilder};

use crate::limits::{PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX};

/// A pattern of topics' names, or what is wrong with it.
pub(crate) fn of_names(pattern: &str) -> Result<Regex, String> {
    // Names have nothing but ASCII, and classes of all of Unicode take a hundred times as much: they count where a pattern asks for them.
    compile(pattern, false).or_else(|_| compile(pattern, true))
}

/// A pattern of any texts, or what is wrong with it.
pub(crate) fn of_texts(pattern: &str) -> Result<Regex, String> {
    compile(pattern, true)
}

fn compile(pattern: &str, unicode: bool) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!(
            "the pattern has {} bytes, more than the {PATTERN_BYTES_MAX} that are taken: choose a shorter one",
            pattern.len()
        ));
    }
    let build = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        builder.unicode(unicode).size_limit(PATTERN_COMPILED_BYTES_MAX);
        builder.build().map_err(|error| error.to_string())
    };
    // On its own first: a pattern must not reach out of the brackets around it.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_texts() {
        let check = |pattern: &str, text: &str, expected: Option<bool>| {
            for compiled in [of_names(pattern), of_texts(pattern)] {
                let matched = compiled.ok().map(|compiled| compiled.is_match(text.as_bytes()));
                assert_eq!(matched, expected, "{pattern} on {text}");
            }
        };
        check("orders", "orders", Some(true));
        check("order", "orders", Some(false));
        check("orders|bills", "bills", Some(true));
        check("orders|bills", "billsx", Some(false));
        check("o.*", "orders\n", Some(false));
        check("", "orders", Some(false));
        check(r"\w+-\d", "orders-7", Some(true));
        check(r"\pL+", "orders", Some(true));
        check("(a+)+$", &"a".repeat(249), Some(true));
        check(r"(a)\1", "aa", None);
        check("a)|(b", "a", None);
        check("(?=a)a", "a", None);
        check(&"a".repeat(PATTERN_BYTES_MAX), "a", Some(false));
        check(&"a".repeat(PATTERN_BYTES_MAX + 1), "a", None);
        check(r"\w{1000}{1000}", "a", None);
        check(r"\pL{200}\pL{200}", "a", None);
    }

    #[test]
    fn a_letter_of_a_text_is_one_letter() {
        let matches = |pattern: &str, text: &str| of_texts(pattern).unwrap().is_match(text.as_bytes());
        assert!(matches(".{3}", "äöü") && matches(r"\w+", "größe") && !matches(".", "äö"));
    }

    #[test]
    fn words_in_names_cost_what_ascii_takes() {
        // With the letters of all languages it would be too large.
        assert!(of_names(r"(\w+-){40}\w{100}").is_ok());
        assert!(of_texts(r"(\w+-){40}\w{100}").is_err());
    }
}
