//! A text as tokens: each with its place in lines and columns and in bytes, cut into statements.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::limits::TEXT_BYTES_MAX;
use crate::{Place, SqlError, SqlState};

/// program_limit_exceeded
const TOO_LONG: SqlState = SqlState("54000");

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
            let message = format!("the text cannot be read: {}", first_lower(&error.message));
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
    for token in tokens.into_iter().flat_map(signs_apart) {
        let start = walk.to(token.span.start);
        let end = walk.to(token.span.end);
        if !matches!(token.token, Token::Whitespace(_) | Token::EOF) {
            pieces.push(Piece { token, start, end });
        }
    }
    Ok(pieces)
}

/// An operator that the tokenizer took together with the sign of what comes behind it, as `>-` of `n >-1`, without the sign. One that ends in a sign has
/// one of some characters that no operator of standard SQL has.
///
/// Source: PostgreSQL documentation, "Lexical Structure", "Operators".
fn signs_apart(token: TokenWithSpan) -> Vec<TokenWithSpan> {
    const NOT_STANDARD: [char; 10] = ['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'];
    let Token::CustomBinaryOperator(written) = &token.token else {
        return vec![token];
    };
    let operator = written.trim_end_matches(['+', '-']);
    if operator.is_empty() || operator.len() == written.len() || written.contains(NOT_STANDARD) {
        return vec![token];
    }
    let begin = token.span.start;
    let behind = |chars: usize| Location::new(begin.line, begin.column + chars as u64);
    let Ok(parts) = Tokenizer::new(&PostgreSqlDialect {}, operator).tokenize() else {
        return vec![token];
    };
    let signs = written[operator.len()..].chars();
    let signs = signs.map(|sign| if sign == '-' { Token::Minus } else { Token::Plus });
    let mut apart: Vec<TokenWithSpan> = Vec::new();
    let mut at = 0;
    for part in parts.into_iter().chain(signs) {
        let length = part.to_string().len();
        let span = Span::new(behind(at), behind(at + length));
        apart.push(TokenWithSpan { token: part, span });
        at += length;
    }
    apart
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

/// A sentence as a part of another.
pub(super) fn first_lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first
            .to_lowercase()
            .chain(chars)
            .collect::<String>()
            .trim_end_matches('.')
            .replace("EOF", "the end"),
        None => String::new(),
    }
}

/// The words of one statement with a space between, whatever stood between them; names in lower case unless they are quoted.
pub(super) fn words_of(pieces: &[Piece]) -> String {
    let word = |piece: &Piece| match &piece.token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
        other => other.to_string(),
    };
    let words: Vec<String> = pieces.iter().map(word).collect();
    words.join(" ")
}
