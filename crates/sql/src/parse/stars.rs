//! Puts columns in the place of each `*`, and of each NATURAL, of a statement's text.

use datafusion::sql::sqlparser::tokenizer::{Location, Token};

use super::tokens::{self, Piece};
use crate::SqlError;

/// A `*` that stands for columns.
pub(crate) struct Star {
    /// Where its token begins.
    pub(crate) at: Location,
    /// What comes in its place, and in that of its qualifier.
    pub(crate) columns: String,
}

/// The text of one statement with columns in the place of these.
pub(crate) fn spelled_out(text: &str, stars: &[Star]) -> Result<String, SqlError> {
    let pieces: Vec<Piece> = tokens::statements(text, "")?.into_iter().flatten().collect();
    let mut spelled_out = String::new();
    let mut done = 0;
    for (place, piece) in pieces.iter().enumerate() {
        let star = stars.iter().find(|star| star.at == piece.span().start);
        if let Some(star) = star.filter(|_| piece.is(&Token::Mul)) {
            spelled_out.push_str(&text[done..pieces[begin(&pieces, place)].start]);
            spelled_out.push_str(&star.columns);
            done = piece.end;
        }
    }
    spelled_out.push_str(&text[done..]);
    Ok(spelled_out)
}

/// A NATURAL JOIN whose columns are known.
pub(crate) struct Natural {
    /// Where the name of the joined table begins.
    pub(crate) at: Location,
    /// Where the last word of what it is called does.
    pub(crate) end: Location,
    /// The columns that both sides have.
    pub(crate) columns: Vec<String>,
}

/// The text of one statement with these joins written with `USING`.
pub(crate) fn joined_by(text: &str, joins: &[Natural]) -> Result<String, SqlError> {
    let pieces: Vec<Piece> = tokens::statements(text, "")?.into_iter().flatten().collect();
    let place = |at: &Location| pieces.iter().position(|piece| piece.span().start == *at);
    // What is left out and what comes in, each by its place.
    let mut edits: Vec<(usize, usize, String)> = Vec::new();
    for join in joins {
        let (Some(begin), Some(end)) = (place(&join.at), place(&join.end)) else {
            continue;
        };
        let before = pieces.get(..begin).unwrap_or_default();
        let Some(natural) = before.iter().rposition(|piece| piece.is_word("NATURAL")) else {
            continue;
        };
        let quoted = join
            .columns
            .iter()
            .map(|name| format!("\"{}\"", name.replace('"', "\"\"")));
        let columns: Vec<String> = quoted.collect();
        let condition = match columns.is_empty() {
            true => " ON true".to_owned(),
            false => format!(" USING ({})", columns.join(", ")),
        };
        edits.push((pieces[natural].start, pieces[natural + 1].start, String::new()));
        edits.push((pieces[end].end, pieces[end].end, condition));
    }
    edits.sort();
    let (mut joined, mut done) = (String::new(), 0);
    for (from, to, put) in edits {
        joined.push_str(&text[done..from]);
        joined.push_str(&put);
        done = to;
    }
    joined.push_str(&text[done..]);
    Ok(joined)
}

/// Where what qualifies a `*` begins.
fn begin(pieces: &[Piece], star: usize) -> usize {
    let mut begin = star;
    while begin >= 2 && pieces[begin - 1].is(&Token::Period) {
        begin -= 2;
    }
    begin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_in_the_place_of_a_star_and_its_qualifier() {
        let check = |text: &str, expected: &str| {
            let at = text.find('*').expect("a star");
            let star = Star {
                at: Location::new(1, at as u64 + 1),
                columns: "a, b".to_owned(),
            };
            assert_eq!(spelled_out(text, &[star]).expect("it is read"), expected);
        };
        check("SELECT * FROM t", "SELECT a, b FROM t");

        check("SELECT 1, x.\"Y\".* FROM t", "SELECT 1, a, b FROM t");
    }
}
