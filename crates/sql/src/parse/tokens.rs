//! A text as tokens: each with its place in lines and columns and in bytes, cut into statements, and bounded before anything recurses over it.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::limits::{BRACKETS_MAX, OPERATORS_MAX, READINGS_MAX, SET_OPERATIONS_MAX, TEXT_BYTES_MAX};
use crate::{Place, SqlError, SqlState};

/// program_limit_exceeded
const TOO_LONG: SqlState = SqlState("54000");
/// statement_too_complex
pub(super) const TOO_COMPLEX: SqlState = SqlState("54001");

/// One token that is no white space or comment.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// The token, with its lines and columns.
    pub(super) token: TokenWithSpan,
    /// Its first byte in the text.
    pub(super) start: usize,
    /// The byte after its last.
    pub(super) end: usize,
}

impl Piece {
    pub(super) fn span(&self) -> Span {
        self.token.span
    }

    /// Whether it is this word, unquoted, in any case.
    pub(super) fn is_word(&self, word: &str) -> bool {
        match &self.token.token {
            Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
            _ => false,
        }
    }

    pub(super) fn is(&self, token: &Token) -> bool {
        self.token.token == *token
    }
}

/// The place of a location in a file.
pub(super) fn place(file: &str, location: Location) -> Place {
    Place {
        file: file.to_owned(),
        line: location.line.max(1),
        column: location.column.max(1),
    }
}

/// Cuts a text into tokens, and these at `;` into statements. Empty statements are left out.
pub(super) fn statements(text: &str, file: &str) -> Result<Vec<Vec<Piece>>, SqlError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SqlError::new(
            TOO_LONG,
            format!(
                "the text has {} bytes, more than the {TEXT_BYTES_MAX} that are taken at once",
                text.len()
            ),
        )
        .hint("split it, or load events through the Kafka or the HTTP door"));
    }
    let mut statements: Vec<Vec<Piece>> = Vec::new();
    let mut statement: Vec<Piece> = Vec::new();
    for piece in pieces(text, file)? {
        if piece.is(&Token::SemiColon) {
            statements.push(std::mem::take(&mut statement));
        } else {
            statement.push(piece);
        }
    }
    statements.push(statement);
    statements.retain(|statement| !statement.is_empty());
    Ok(statements)
}

fn pieces(text: &str, file: &str) -> Result<Vec<Piece>, SqlError> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| {
            let message = format!(
                "the text cannot be read: {}",
                super::cursor::first_lower(&error.message)
            );
            SqlError::new(SqlState::SYNTAX, message)
                .hint("close what was opened: quotes, comments and dollar quotes go in pairs")
                .at(place(file, error.location))
        })?;
    let mut pieces: Vec<Piece> = Vec::new();
    let mut walk = Walk {
        chars: text.char_indices(),
        here: Location { line: 1, column: 1 },
        byte: 0,
    };
    for token in tokens {
        let start = walk.to(token.span.start);
        let end = walk.to(token.span.end);
        if !matches!(token.token, Token::Whitespace(_) | Token::EOF) {
            pieces.push(Piece { token, start, end });
        }
    }
    Ok(pieces)
}

/// Goes through a text once, counting lines and columns as the tokenizer does.
struct Walk<'a> {
    chars: std::str::CharIndices<'a>,
    here: Location,
    byte: usize,
}

impl Walk<'_> {
    /// The byte that stands at a location, which is not behind an earlier one.
    fn to(&mut self, location: Location) -> usize {
        while self.here < location {
            let Some((at, c)) = self.chars.next() else {
                break;
            };
            self.byte = at + c.len_utf8();
            match c {
                '\n' => self.here = Location::new(self.here.line + 1, 1),
                _ => self.here.column += 1,
            }
        }
        self.byte
    }
}

/// One level of brackets.
#[derive(Default)]
struct Level {
    /// Operators and keywords since the last comma.
    operators: usize,
    set_operations: usize,
    /// How many brackets opened right before this one, itself included.
    run: usize,
    /// In how many ways what stands here may come to be read.
    readings: usize,
}

/// Refuses brackets that do not go in pairs: sqlparser would stumble later, and elsewhere.
pub(super) fn check_brackets(pieces: &[Piece], file: &str) -> Result<(), SqlError> {
    let mut open: Vec<&Piece> = Vec::new();
    for piece in pieces {
        let closes = match &piece.token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                open.push(piece);
                continue;
            }
            Token::RParen => Token::LParen,
            Token::RBracket => Token::LBracket,
            Token::RBrace => Token::LBrace,
            _ => continue,
        };
        let refuse =
            |message: String| Err(SqlError::new(SqlState::SYNTAX, message).at(place(file, piece.span().start)));
        match open.pop() {
            Some(opened) if opened.is(&closes) => {}
            Some(opened) => {
                let opened_at = opened.span().start;
                return refuse(format!(
                    "'{}' cannot close '{}' of line {}, column {}",
                    piece.token, opened.token, opened_at.line, opened_at.column
                ));
            }
            None => return refuse(format!("'{}' closes nothing: no bracket is open", piece.token)),
        }
    }
    match open.pop() {
        None => Ok(()),
        Some(opened) => Err(
            SqlError::new(SqlState::SYNTAX, format!("'{}' is never closed", opened.token))
                .hint("close it before the end of the statement")
                .at(place(file, opened.span().start)),
        ),
    }
}

/// Refuses a statement whose tree would be too deep, or would take too long to find.
pub(super) fn check_complexity(pieces: &[Piece], file: &str) -> Result<(), SqlError> {
    let mut levels: Vec<Level> = vec![Level {
        readings: 1,
        ..Level::default()
    }];
    let mut is_after_interval = false;
    for (index, piece) in pieces.iter().enumerate() {
        let refuse = |message: String, hint: &str| {
            Err(SqlError::new(TOO_COMPLEX, message)
                .hint(hint)
                .at(place(file, piece.span().start)))
        };
        let is_operator = is_operator(&piece.token.token);
        let Some(level) = levels.last_mut() else {
            break;
        };
        match &piece.token.token {
            Token::Comma => level.operators = 0,
            _ if is_operator => level.operators += 1,
            _ => {}
        }
        if ["UNION", "EXCEPT", "INTERSECT"].iter().any(|word| piece.is_word(word)) {
            level.set_operations += 1;
        }
        if piece.is_word("SELECT") || piece.is_word("WITH") {
            level.readings = level.readings.saturating_mul(level.run.max(1));
            level.run = 1;
        }
        if level.operators > OPERATORS_MAX {
            return refuse(
                format!("an expression has more than {OPERATORS_MAX} operators and keywords in a row"),
                "compare with a list (IN (…)), or join with VALUES",
            );
        }
        if level.set_operations > SET_OPERATIONS_MAX {
            return refuse(
                format!("more than {SET_OPERATIONS_MAX} queries are put together with UNION, EXCEPT or INTERSECT"),
                "put them together in groups, in brackets",
            );
        }
        if level.readings > READINGS_MAX {
            return refuse(
                "too many queries stand in double brackets inside of each other".to_owned(),
                "take away the brackets that are not needed",
            );
        }
        let (run, readings) = match pieces.get(index.wrapping_sub(1)) {
            Some(before) if before.is(&Token::LParen) => (level.run + 1, level.readings),
            _ => (1, level.readings),
        };
        match &piece.token.token {
            Token::LParen | Token::LBracket | Token::LBrace => levels.push(Level {
                run,
                readings,
                ..Level::default()
            }),
            Token::RParen | Token::RBracket | Token::RBrace if levels.len() > 1 => {
                levels.pop();
            }
            _ => {}
        }
        if levels.len() > BRACKETS_MAX + 1 {
            return refuse(
                format!("brackets are nested more than {BRACKETS_MAX} deep"),
                "take away those that are not needed, or name parts of the query with WITH",
            );
        }
        let is_angled = piece.is(&Token::Lt) && index > 0 && pieces[index - 1].is_word("ARRAY");
        if is_angled {
            return Err(SqlError::new(SqlState::SYNTAX, "ARRAY<…> is no type here")
                .hint("write the type of the elements and [], such as BIGINT[]")
                .at(place(file, piece.span().start)));
        }
        if piece.is_word("INTERVAL") && is_after_interval {
            return Err(
                SqlError::new(SqlState::SYNTAX, "expected a text behind INTERVAL, found INTERVAL")
                    .hint("write it as INTERVAL '1 day'")
                    .at(place(file, piece.span().start)),
            );
        }
        is_after_interval = piece.is_word("INTERVAL") || (is_after_interval && is_interval_part(piece));
    }
    Ok(())
}

/// How deep the parser may have to go for these tokens, at most.
pub(super) fn nesting(pieces: &[Piece]) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0_usize;
    let mut prefixes = 0_usize;
    let mut is_after_operator = false;
    for piece in pieces {
        match &piece.token.token {
            Token::LParen | Token::LBracket | Token::LBrace => open += 1,
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            _ => {}
        }
        let is_word = matches!(piece.token.token, Token::Word(_));
        let is_operator = is_operator(&piece.token.token);
        let is_prefix = piece.is_word("CASE") || piece.is_word("NOT") || (is_operator && !is_word && is_after_operator);
        prefixes += usize::from(is_prefix);
        is_after_operator = is_operator;
        deepest = deepest.max(open);
    }
    deepest + prefixes
}

/// Whether a token can make the tree one level deeper without a bracket.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Comma
        | Token::Period
        | Token::RParen
        | Token::RBracket
        | Token::RBrace => false,
        _ => true,
    }
}

/// Whether a token may stand between INTERVAL and its text.
fn is_interval_part(piece: &Piece) -> bool {
    const UNITS: [&str; 7] = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "TO"];
    match &piece.token.token {
        Token::LParen | Token::RParen | Token::Number(..) => true,
        _ => UNITS.iter().any(|unit| piece.is_word(unit)),
    }
}
