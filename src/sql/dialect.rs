//! The dialect that sqlparser is given: PostgreSQL's, with four differences.
//!
//! - Table versions (`FOR VERSION AS OF`) are read only in statements that have them, so that `at` and `before` stay
//!   ordinary aliases everywhere else.
//! - Named arguments have names, not expressions: trying an expression first parses every nested call twice, which is
//!   exponential in the nesting.
//! - A few spellings that sqlparser reads wrong are read here.
//! - Work is bounded: sqlparser backtracks, and a hostile text can make it do so at every level. Each expression costs
//!   one unit of fuel; when it runs out, the one error that backtracking does not swallow ends the parse.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// Fuel for each token of a statement, and some to start with: ordinary statements use about one.
const FUEL_PER_TOKEN: usize = 64;
const FUEL_AT_LEAST: usize = 20_000;

const POSTGRES: PostgreSqlDialect = PostgreSqlDialect {};

/// PostgreSQL's dialect as featgres reads it, for one statement.
#[derive(Debug)]
pub(super) struct FeatgresDialect {
    versioned: bool,
    fuel: Cell<usize>,
    /// The first token behind everything that was once read as an expression.
    reached: Cell<usize>,
}

impl FeatgresDialect {
    /// For a statement of so many tokens, with or without table versions in it.
    pub(super) fn new(tokens: usize, versioned: bool) -> Self {
        Self { versioned, fuel: Cell::new(tokens.saturating_mul(FUEL_PER_TOKEN).saturating_add(FUEL_AT_LEAST)), reached: Cell::new(0) }
    }

    /// How far the parser came, whatever it went back to: the index of a token. Where it fails, the mistake is here or further on.
    pub(super) fn reached(&self) -> usize {
        self.reached.get()
    }
}

impl Dialect for FeatgresDialect {
    // sqlparser asks "is this PostgreSQL?" in many places.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    // sqlparser takes `(VALUES …)` for a call of a function.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let Some(left) = self.fuel.get().checked_sub(1) else { return Some(Err(ParserError::RecursionLimitExceeded)) };
        self.fuel.set(left);
        // `(t).*` is `t.*`: behind parentheses sqlparser takes the star for the end of a name.
        let token = |place| &parser.peek_nth_token_ref(place).token;
        if matches!(
            [token(0), token(1), token(2), token(3), token(4)],
            [Token::LParen, Token::Word(_), Token::RParen, Token::Period, Token::Mul]
        ) {
            let mut name = || {
                parser.expect_token(&Token::LParen)?;
                let name = parser.parse_identifier()?;
                parser.expect_token(&Token::RParen)?;
                Ok(Expr::Identifier(name))
            };
            return Some(name());
        }
        let values = matches!(&parser.peek_nth_token_ref(1).token, Token::Word(word) if word.keyword == Keyword::VALUES);
        (values && parser.peek_token_ref().token == Token::LParen && parser.peek_nth_token_ref(2).token == Token::LParen).then(|| {
            parser.expect_token(&Token::LParen)?;
            let query = parser.parse_query()?;
            parser.expect_token(&Token::RParen)?;
            Ok(Expr::Subquery(query))
        })
    }

    // sqlparser reads COLLATE after a first operand only, not after a cast; and all that follows DISTINCT FROM as its operand.
    fn parse_infix(&self, parser: &mut Parser, expression: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
            let other = parser.parse_subexpr(precedence);
            return Some(other.map(|other| Expr::IsDistinctFrom(Box::new(expression.clone()), Box::new(other))));
        }
        if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) {
            let other = parser.parse_subexpr(precedence);
            return Some(other.map(|other| Expr::IsNotDistinctFrom(Box::new(expression.clone()), Box::new(other))));
        }
        parser
            .parse_keyword(Keyword::COLLATE)
            .then(|| Ok(Expr::Collate { expr: Box::new(expression.clone()), collation: parser.parse_object_name(false)? }))
    }

    fn supports_table_versioning(&self) -> bool {
        self.versioned
    }

    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRES.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        POSTGRES.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        POSTGRES.is_custom_operator_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        POSTGRES.is_reserved_for_identifier(keyword)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.reached.set(self.reached.get().max(parser.index()));
        POSTGRES.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        POSTGRES.prec_value(precedence)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_create_index_with_clause(&self) -> bool {
        true
    }

    fn supports_explain_with_utility_options(&self) -> bool {
        true
    }

    fn supports_listen_notify(&self) -> bool {
        true
    }

    fn supports_factorial_operator(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_comment_on(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_colon_operator(&self) -> bool {
        false
    }

    // PostgreSQL's older spelling of named arguments: f(a := 1).
    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn supports_empty_projections(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_geometric_types(&self) -> bool {
        true
    }

    fn supports_set_names(&self) -> bool {
        true
    }

    fn supports_alter_column_type_using(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_interval_options(&self) -> bool {
        true
    }

    fn supports_insert_table_alias(&self) -> bool {
        true
    }

    fn supports_create_table_like_parenthesized(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }
}
