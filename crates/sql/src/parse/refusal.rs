//! What a command says when it refuses: `'insufficient funds: {balance}' CODE 'insufficient_funds'`.
//!
//! `{name}` stands for the value of a parameter or a LET; `{{` and `}}` are braces. A name that is none is refused here, where the command is defined.

use super::cursor::Cursor;
use super::limits::CODE_CHARS_MAX;
use crate::nearest::nearest;
use crate::syntax::{Refusal, RefusalPart};
use crate::{SqlError, SqlState};

/// Reads the text. `names`: the values that it may hold.
pub(super) fn text(cursor: &mut Cursor, names: &[&str]) -> Result<Refusal, SqlError> {
    let at = cursor.location();
    let text = cursor.text("the text of the refusal in quotes")?;
    parts(&text, names).map_err(|fault| {
        let (message, hint) = match fault {
            Fault::Unknown(name) => {
                let hint = match nearest(&name, names.iter().copied()) {
                    Some(near) => {
                        format!("did you mean {{{near}}}? Braces that are meant as such are written {{{{ and }}}}")
                    }
                    None if names.is_empty() => "braces that are meant as such are written {{ and }}".to_owned(),
                    None => format!(
                        "there are {}; braces that are meant as such are written {{{{ and }}}}",
                        names.join(", ")
                    ),
                };
                (
                    format!("there is no parameter and no LET '{name}' before this text"),
                    hint,
                )
            }
            Fault::Open => (
                "a '{' of the text is never closed".to_owned(),
                "write {name} for a value, and {{ for a brace".to_owned(),
            ),
            Fault::Closed => (
                "a '}' of the text closes nothing".to_owned(),
                "write {name} for a value, and }} for a brace".to_owned(),
            ),
        };
        cursor.error_at(at, SqlState::UNKNOWN_COLUMN, message).hint(hint)
    })
}

/// Reads `CODE 'code'`, where it stands.
pub(super) fn code(cursor: &mut Cursor) -> Result<Option<String>, SqlError> {
    if !cursor.take_word("CODE") {
        return Ok(None);
    }
    let at = cursor.location();
    let code = cursor.text("the code of the refusal in quotes")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    if code.is_empty() || code.len() > CODE_CHARS_MAX || !code.chars().all(fits) {
        return Err(cursor
            .error_at(
                at,
                SqlState::INVALID_DEFINITION,
                format!("a refusal's code has 1 to {CODE_CHARS_MAX} letters, digits, '_', '-', '.' or ':'"),
            )
            .hint("write a word that programs compare, such as CODE 'insufficient_funds'"));
    }
    Ok(Some(code))
}

#[derive(Debug, PartialEq)]
enum Fault {
    Unknown(String),
    Open,
    Closed,
}

fn parts(text: &str, names: &[&str]) -> Result<Refusal, Fault> {
    let mut parts: Vec<RefusalPart> = Vec::new();
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' | '}' if rest.next_if_eq(&c).is_some() => plain.push(c),
            '}' => return Err(Fault::Closed),
            '{' => {
                let mut name = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some('{') | None => return Err(Fault::Open),
                        Some(c) => name.push(c),
                    }
                }
                let known = known(name.trim(), names).ok_or_else(|| Fault::Unknown(name.trim().to_owned()))?;
                if !plain.is_empty() {
                    parts.push(RefusalPart::Plain(std::mem::take(&mut plain)));
                }
                parts.push(RefusalPart::Value(known));
            }
            c => plain.push(c),
        }
    }
    if !plain.is_empty() || parts.is_empty() {
        parts.push(RefusalPart::Plain(plain));
    }
    Ok(Refusal { parts })
}

/// Names are folded as everywhere: as they are written, or in lower case.
fn known(name: &str, names: &[&str]) -> Option<String> {
    let folded = name.to_lowercase();
    let found = names.iter().find(|known| **known == name);
    let found = found.or_else(|| names.iter().find(|known| **known == folded));
    found.map(|known| (*known).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, Fault>) {
        let shown = parts(text, &["balance", "Amount"]).map(|refusal| {
            let parts = refusal.parts.iter().map(|part| match part {
                RefusalPart::Plain(text) => text.clone(),
                RefusalPart::Value(name) => format!("<{name}>"),
            });
            parts.collect::<Vec<String>>().join("|")
        });
        assert_eq!(shown, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn values_stand_in_braces() {
        check("insufficient funds", Ok("insufficient funds"));
        check("", Ok(""));
        check("{balance}", Ok("<balance>"));
        check("only {Balance} of { Amount }!", Ok("only |<balance>| of |<Amount>|!"));
        check("{{balance}} {{{balance}}}", Ok("{balance} {|<balance>|}"));
        check("{amount}", Err(Fault::Unknown("amount".to_owned())));
        check("{}", Err(Fault::Unknown(String::new())));
        check("{balance", Err(Fault::Open));
        check("{bal{ance}", Err(Fault::Open));
        check("balance}", Err(Fault::Closed));
    }
}
