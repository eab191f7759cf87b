//! `SIMILAR TO`: a pattern of the standard's as a regular expression. The whole text has to match.
//!
//! Source: PostgreSQL documentation, "SIMILAR TO Regular Expressions".

use crate::{SqlError, SqlState};

/// invalid_escape_sequence
const INVALID_ESCAPE: SqlState = SqlState("22025");
/// invalid_use_of_escape_character
const MARKS: SqlState = SqlState("2200C");

/// The regular expression of a pattern; `escape` is its character, none where it is empty. Where the pattern has a part between two `#"`, that is its first
/// group.
pub(super) fn expression(pattern: &str, escape: &str) -> Result<String, SqlError> {
    let mut characters = escape.chars();
    let (escape, None) = (characters.next(), characters.next()) else {
        return Err(SqlError::new(INVALID_ESCAPE, "invalid escape string").hint("it is empty or one character"));
    };
    let mut out = "^(?:".to_owned();
    let (mut is_escaped, mut in_set, mut marks) = (false, false, 0);
    for c in pattern.chars() {
        match c {
            '"' if is_escaped => {
                marks += 1;
                match marks {
                    1 => out.push_str("){1,1}?("),
                    2 => out.push_str("){1,1}(?:"),
                    _ => {
                        let message =
                            "SQL regular expression may not contain more than two escape-double-quote separators";
                        return Err(SqlError::new(MARKS, message));
                    }
                }
                is_escaped = false;
            }
            c if is_escaped => {
                out.push_str(&regex::escape(&c.to_string()));
                is_escaped = false;
            }
            c if Some(c) == escape => is_escaped = true,
            c if in_set => {
                in_set = c != ']';
                out.push_str(if c == '\\' { "\\\\" } else { "" });
                if c != '\\' {
                    out.push(c);
                }
            }
            '[' => {
                in_set = true;
                out.push('[');
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            other => out.push(other),
        }
    }
    out.push_str(")$");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_the_whole_text() {
        for (pattern, expected) in [
            ("a%_", "^(?:a.*.)$"),
            ("(b|c)+", "^(?:(?:b|c)+)$"),
            (r"a\%.", r"^(?:a%\.)$"),
            ("[a%]", "^(?:[a%])$"),
        ] {
            assert_eq!(expression(pattern, "\\").as_deref(), Ok(expected), "{pattern}");
        }
        assert_eq!(
            expression("%#\"o_b#\"%", "#").as_deref(),
            Ok("^(?:.*){1,1}?(o.b){1,1}(?:.*)$")
        );
        assert!(expression("a", "##").is_err());
    }
}
