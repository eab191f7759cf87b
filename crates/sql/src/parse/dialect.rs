//! PostgreSQL's dialect, with a bound on the work.
//!
//! sqlparser tries one reading of a word or a bracket and, where that fails, another; readings inside of readings multiply,
//! so that `CAST(CAST(CAST(…` with a fault at its heart would take 2^n steps. Every step that matters passes
//! [`Dialect::parse_prefix`], where this dialect counts, and refuses once the count is used up.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// PostgreSQL's dialect, and the steps that are left.
#[derive(Debug)]
pub(super) struct BoundedDialect {
    steps_left: Cell<u64>,
}

impl BoundedDialect {
    /// A dialect that takes this many steps.
    pub(super) fn new(steps: u64) -> BoundedDialect {
        BoundedDialect {
            steps_left: Cell::new(steps),
        }
    }

    /// Whether the steps were used up: the errors of the parser then say nothing about the text.
    pub(super) fn is_exhausted(&self) -> bool {
        self.steps_left.get() == 0
    }
}

/// A sign before an expression, which binds closer than `^`: -2 ^ 2 is 4. The parser would let it bind as `*` does.
fn signed(parser: &mut Parser, exponentiation: u8) -> Option<Result<Expr, ParserError>> {
    let op = match parser.peek_token_ref().token {
        Token::Minus => UnaryOperator::Minus,
        Token::Plus => UnaryOperator::Plus,
        _ => return None,
    };
    parser.next_token();
    let operand = parser.parse_subexpr(exponentiation);
    Some(operand.map(|operand| Expr::UnaryOp {
        op,
        expr: Box::new(operand),
    }))
}

/// `trim(FROM x)` and `trim(LEADING FROM x)`, of what is empty in a text; the parser wants to be told which characters go.
fn trimmed(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let is_word = |at: usize, words: &[Keyword]| matches!(&parser.peek_nth_token_ref(at).token, Token::Word(word) if words.contains(&word.keyword));
    let sides = [Keyword::BOTH, Keyword::LEADING, Keyword::TRAILING];
    let at = if is_word(2, &sides) { 3 } else { 2 };
    let is_open = parser.peek_nth_token_ref(1).token == Token::LParen;
    if !is_word(0, &[Keyword::TRIM]) || !is_open || !is_word(at, &[Keyword::FROM]) {
        return None;
    }
    (0..2).for_each(|_| drop(parser.next_token()));
    let mut trim = || -> Result<Expr, ParserError> {
        let trim_where = match at {
            3 => Some(parser.parse_trim_where()?),
            _ => None,
        };
        parser.expect_keyword(Keyword::FROM)?;
        let expr = Box::new(parser.parse_expr()?);
        parser.expect_token(&Token::RParen)?;
        Ok(Expr::Trim {
            expr,
            trim_where,
            trim_what: None,
            trim_characters: None,
        })
    };
    Some(trim())
}

/// Whether `ISNULL` comes next, a word that the parser does not know.
fn is_isnull(parser: &Parser) -> bool {
    matches!(&parser.peek_token_ref().token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("isnull"))
}

/// `[NOT] BETWEEN SYMMETRIC a AND b`: between both in whichever order; `None` where something else comes next.
fn between_symmetric(parser: &mut Parser, value: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
    let is_symmetric = |token: &Token| matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("symmetric"));
    let is_negated = matches!(&parser.peek_token_ref().token, Token::Word(word) if word.keyword == Keyword::NOT);
    let at = usize::from(is_negated);
    let is_between =
        matches!(parser.peek_nth_token_ref(at).token, Token::Word(ref word) if word.keyword == Keyword::BETWEEN);
    if !is_between || !is_symmetric(&parser.peek_nth_token_ref(at + 1).token) {
        return None;
    }
    (0..at + 2).for_each(|_| drop(parser.next_token()));
    let mut bounds = || -> Result<(Expr, Expr), ParserError> {
        let one = parser.parse_subexpr(precedence)?;
        parser.expect_keyword(Keyword::AND)?;
        Ok((one, parser.parse_subexpr(precedence)?))
    };
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(value.clone()),
        negated: false,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    Some(bounds().map(|(one, other)| {
        let either = Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(between(&one, &other)),
            op: BinaryOperator::Or,
            right: Box::new(between(&other, &one)),
        }));
        match is_negated {
            true => Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: Box::new(either),
            },
            false => either,
        }
    }))
}

/// Passes methods on to PostgreSQL's dialect.
macro_rules! as_postgres {
    ($($method:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(fn $method(&self, $($argument: $kind),*) -> $result {
            PostgreSqlDialect {}.$method($($argument),*)
        })*
    };
}

impl Dialect for BoundedDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let left = self.steps_left.get().saturating_sub(1);
        self.steps_left.set(left);
        match left {
            0 => Some(Err(ParserError::RecursionLimitExceeded)),
            _ => signed(parser, self.prec_value(Precedence::Caret)).or_else(|| trimmed(parser)),
        }
    }

    // The parser would read everything behind FROM, AND and OR included, where PostgreSQL reads what binds closer than IS.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if is_isnull(parser) {
            parser.next_token();
            return Some(Ok(Expr::IsNull(Box::new(left.clone()))));
        }
        if let Some(between) = between_symmetric(parser, left, precedence) {
            return Some(between);
        }
        let is_distinct = parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]);
        let is_same =
            !is_distinct && parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]);
        if !is_distinct && !is_same {
            return None;
        }
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| {
            let (left, right) = (Box::new(left.clone()), Box::new(right));
            match is_distinct {
                true => Expr::IsDistinctFrom(left, right),
                false => Expr::IsNotDistinctFrom(left, right),
            }
        }))
    }

    // The standard's `last_value(x IGNORE NULLS)`.
    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    // `json_object('a': 1)`: each argument would be read twice, and arguments of arguments multiply.
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match is_isnull(parser) {
            true => Some(Ok(self.prec_value(Precedence::Is))),
            false => PostgreSqlDialect {}.get_next_precedence(parser),
        }
    }

    as_postgres! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        is_reserved_for_identifier(keyword: Keyword) -> bool;
        is_custom_operator_part(ch: char) -> bool;
        prec_value(precedence: Precedence) -> u8;
        supports_unicode_string_literal() -> bool;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
    }
}
