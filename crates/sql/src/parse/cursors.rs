//! `DECLARE name [[NO] SCROLL] CURSOR [{WITH | WITHOUT} HOLD] FOR query`, `FETCH [how many] {FROM | IN} name`, `CLOSE name`.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::question;
use super::source::Source;
use super::tokens::place;
use crate::syntax::{CursorStep, Parsed, Statement};
use crate::{SqlError, SqlState};

/// Reads the whole statement. Whether a cursor may go back is not asked: it may not, and FETCH says so.
pub(super) fn declare(cursor: &mut Cursor, source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("DECLARE")?;
    let name = cursor.name("the name of the cursor")?;
    for word in ["BINARY", "INSENSITIVE", "ASENSITIVE", "NO", "SCROLL"] {
        cursor.take_word(word);
    }
    cursor.expect_word("CURSOR")?;
    let is_held = cursor.take_words(&["WITH", "HOLD"]);
    if !is_held {
        cursor.take_words(&["WITHOUT", "HOLD"]);
    }
    cursor.expect_word("FOR")?;
    let (begins, text) = (place(source.file, cursor.location()), source.text_from(cursor));
    let question = question::whole(cursor, source.rewinds.to_vec())?;
    let query = Parsed {
        statement: Statement::Query(question),
        text,
        place: begins,
    };
    Ok(Statement::Cursor(CursorStep::Declare {
        name: name.value,
        is_held,
        query: Box::new(query),
    }))
}

/// Reads the whole statement.
pub(super) fn fetch(cursor: &mut Cursor, _source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("FETCH")?;
    let is_back = ["PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE", "BACKWARD"]
        .iter()
        .any(|word| cursor.is_word(word));
    if is_back || cursor.peek().is_some_and(|piece| piece.is(&Token::Minus)) {
        return Err(cursor
            .error(SqlState::NOT_SUPPORTED, "cursors go forward only")
            .hint("write FETCH FORWARD and how many rows; what was before is asked again with another cursor"));
    }
    let is_forward = cursor.take_word("FORWARD");
    let rows = match cursor.peek().map(|piece| &piece.token.token) {
        Some(Token::Number(number, _)) => {
            let rows = number.parse::<u64>();
            let rows = rows.map_err(|_| cursor.expected("how many rows"))?;
            cursor.next();
            Some(rows)
        }
        _ if cursor.take_word("ALL") => None,
        _ => {
            if !is_forward {
                cursor.take_word("NEXT");
            }
            Some(1)
        }
    };
    if !cursor.take_word("FROM") {
        cursor.take_word("IN");
    }
    let name = cursor.name("the name of a cursor")?.value;
    cursor.expect_end()?;
    Ok(Statement::Cursor(CursorStep::Fetch { name, rows }))
}

/// Reads the whole statement.
pub(super) fn close(cursor: &mut Cursor, _source: &Source) -> Result<Statement, SqlError> {
    cursor.expect_word("CLOSE")?;
    let name = cursor.name("the name of a cursor, or ALL")?.value;
    cursor.expect_end()?;
    Ok(Statement::Cursor(CursorStep::Close { name }))
}

#[cfg(test)]
mod tests {
    use crate::parse::parse;
    use crate::syntax::{CursorStep, Statement};

    /// A statement, and what is read.
    fn check(text: &str, expected: Result<&str, &str>) {
        let read = parse(text, "").map(|mut parsed| match parsed.remove(0).statement {
            Statement::Cursor(CursorStep::Declare { name, is_held, query }) => {
                let column = query.place.column;
                format!("declare {name} held={is_held} at {column}")
            }
            Statement::Cursor(CursorStep::Fetch { name, rows }) => format!("fetch {rows:?} of {name}"),
            Statement::Cursor(CursorStep::Close { name }) => format!("close {name}"),
            other => format!("{other:?}"),
        });
        match (read, expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{text}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
            (read, expected) => panic!("{text}: {read:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn cursors_are_declared_fetched_from_and_closed() {
        check("DECLARE \"C\" CURSOR FOR SELECT 1", Ok("declare C held=false at 24"));
        check(
            "declare c no scroll cursor without hold for values (1)",
            Ok("declare c held=false at 45"),
        );
        check(
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            Ok("declare c held=true at 32"),
        );
        check("DECLARE c CURSOR FOR DROP STREAM s", Err("expected a query"));
        check("FETCH FORWARD 20 FROM \"C\"", Ok("fetch Some(20) of C"));
        check("FETCH 0 IN c", Ok("fetch Some(0) of c"));
        check("FETCH c", Ok("fetch Some(1) of c"));
        check("FETCH NEXT FROM c", Ok("fetch Some(1) of c"));
        check("FETCH FORWARD FROM c", Ok("fetch Some(1) of c"));
        check("FETCH ALL FROM c", Ok("fetch None of c"));
        check("FETCH FORWARD ALL FROM c", Ok("fetch None of c"));
        check("FETCH BACKWARD 2 FROM c", Err("cursors go forward only"));
        check("FETCH -1 FROM c", Err("cursors go forward only"));
        check("FETCH 99999999999999999999 FROM c", Err("how many rows"));
        check("CLOSE c", Ok("close c"));
        check("CLOSE c d", Err("expected the end"));
    }
}
