//! A text as tokens that know where they stand, split into statements.
//!
//! sqlparser's tokenizer says line and column; PostgreSQL's clients want characters from 1. So every token's span is
//! rewritten to line 1 and the character's number as the column: positions in sqlparser's trees are then already what
//! an error needs (see [`position_of`]). Whitespace and comments are dropped here.
//!
//! Bounds, so that a hostile text costs no more than an honest one: tokens per text, nesting of brackets, and length of
//! operator chains (`1+1+1+…` becomes a tree as deep as it is long, and trees are dropped by recursion).

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, TokenizerError, Whitespace, Word};

use super::SqlError;
use super::dialect::FeatgresDialect;

/// Tokens of one text, blanks included. About 100 bytes each while it is parsed.
const MAX_TOKENS: usize = 2_000_000;
/// Brackets within brackets.
const MAX_NESTING: usize = 100;
/// Operators in a row, over all open brackets; a tree is about this deep.
const MAX_CHAIN: usize = 1_500;
/// What else deepens a tree, in operators: a level of a query takes far more stack than one of an expression.
const SET_OPERATOR: usize = 8;
const BRACKET: usize = 8;
/// Characters of a token that an error shows.
const MAX_NEAR: usize = 200;
/// Statements within a statement (`EXPLAIN EXPLAIN …`).
const MAX_STATEMENTS: usize = 16;
/// The stack that a thread needs which parses, plans, clones or drops a statement as deep as the limits let pass.
pub const STACK_SIZE: usize = 8 << 20;

/// A text's tokens, and where each stands in bytes.
pub(super) struct Tokens<'a> {
    text: &'a str,
    tokens: Vec<TokenWithSpan>,
    /// Of each token: its first byte and the one after its last.
    bytes: Vec<(usize, usize)>,
    characters: usize,
}

/// Tokens of one statement, without the semicolon; never empty.
#[derive(Clone, Copy)]
pub(super) struct StatementTokens<'a> {
    /// The tokens; spans are character positions in the whole text.
    pub(super) tokens: &'a [TokenWithSpan],
    bytes: &'a [(usize, usize)],
    text: &'a str,
    /// One past the whole text's last character, or the semicolon's position.
    pub(super) end: usize,
}

/// Character of the whole text, counted from 1, of anything in a tree that this module's caller parsed.
pub fn position_of(location: Location) -> Option<usize> {
    (location.line == 1 && location.column > 0).then_some(location.column as usize)
}

fn span(start: usize, end: usize) -> Span {
    Span { start: Location { line: 1, column: start as u64 }, end: Location { line: 1, column: end as u64 } }
}

impl<'a> Tokens<'a> {
    /// Tokenizes the text.
    pub(super) fn of(text: &'a str) -> Result<Self, SqlError> {
        if at_most_tokens(text) > MAX_TOKENS {
            return Err(SqlError::TooLong { max_tokens: MAX_TOKENS });
        }
        let dialect = FeatgresDialect::new(0, false);
        let mut raw = Vec::new();
        let outcome = Tokenizer::new(&dialect, text).tokenize_with_location_into_buf(&mut raw);
        let mut tokens = Vec::with_capacity(raw.len());
        let mut bytes = Vec::with_capacity(raw.len());
        let mut characters = text.char_indices();
        let (mut line, mut column, mut position, mut offset) = (1, 1, 1, 0);
        let mut string_before_newline = false;
        for TokenWithSpan { token, span: Span { end, .. } } in raw {
            let (start_position, start_offset) = (position, offset);
            while (line, column) != (end.line, end.column) {
                let Some((_, character)) = characters.next() else { break };
                (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
                position += 1;
                offset += character.len_utf8();
            }
            match token {
                Token::Whitespace(Whitespace::Newline) => {
                    string_before_newline = matches!(last(&tokens), Some(Token::SingleQuotedString(_)))
                }
                Token::Whitespace(Whitespace::SingleLineComment { .. }) => {
                    string_before_newline = matches!(last(&tokens), Some(Token::SingleQuotedString(_)));
                }
                Token::Whitespace(_) => {}
                // 'a' and 'b' on the next line are one string, as in the standard.
                Token::SingleQuotedString(more) if string_before_newline => {
                    if let (Some(TokenWithSpan { token: Token::SingleQuotedString(string), span: at }), Some(range)) =
                        (tokens.last_mut(), bytes.last_mut())
                    {
                        let range: &mut (usize, usize) = range;
                        string.push_str(&more);
                        at.end.column = position as u64;
                        range.1 = offset;
                    }
                }
                token => {
                    string_before_newline = false;
                    tokens.push(TokenWithSpan { token, span: span(start_position, position) });
                    bytes.push((start_offset, offset));
                }
            }
        }
        if let Err(error) = outcome {
            return Err(unterminated(&error, &text[offset..], position));
        }
        if let Some((token, range)) = tokens.iter().zip(&bytes).find(|(token, _)| !is_sound(&token.token)) {
            let (near, position) = (shortened(&text[range.0..range.1]), token.span.start.column as usize);
            return Err(match token.token {
                Token::Word(_) => SqlError::Unterminated { what: "zero-length delimited identifier", near, position },
                _ => SqlError::SyntaxErrorNear { near, position, hint: None },
            });
        }
        // Whoever plans makes a list as long as the largest number.
        if let Some(token) = tokens.iter().find(|token| matches!(&token.token, Token::Placeholder(name) if !is_parameter(name))) {
            return Err(SqlError::NoSuchParameter {
                parameter: shortened(&token.token.to_string()),
                position: token.span.start.column as usize,
            });
        }
        if let Some(at) = tokens.windows(2).zip(bytes.windows(2)).position(|(tokens, bytes)| is_junk(tokens, bytes)) {
            let near = shortened(&text[bytes[at].0..bytes[at + 1].1]);
            return Err(SqlError::TrailingJunk { near, position: tokens[at].span.start.column as usize });
        }
        Ok(Self { text, tokens, bytes, characters: text.chars().count() })
    }

    /// Its statements; empty ones are left out.
    pub(super) fn statements(&self) -> impl Iterator<Item = StatementTokens<'_>> {
        let mut start = 0;
        let mut done = false;
        std::iter::from_fn(move || {
            while !done {
                let end = self.tokens[start..]
                    .iter()
                    .position(|token| token.token == Token::SemiColon)
                    .map_or(self.tokens.len(), |at| start + at);
                let range = start..end;
                let after = self.tokens.get(end).map_or(self.characters + 1, |token| token.span.start.column as usize);
                done = end == self.tokens.len();
                start = end + 1;
                if !range.is_empty() {
                    return Some(StatementTokens {
                        tokens: &self.tokens[range.clone()],
                        bytes: &self.bytes[range],
                        text: self.text,
                        end: after,
                    });
                }
            }
            None
        })
    }

    /// One past the last character.
    pub(super) fn end(&self) -> usize {
        self.characters + 1
    }
}

impl<'a> StatementTokens<'a> {
    /// The statement as written.
    pub(super) fn text(&self) -> &'a str {
        self.text_from_index(0)
    }

    /// Where it begins.
    pub(super) fn position(&self) -> usize {
        self.tokens.first().map_or(self.end, |token| token.span.start.column as usize)
    }

    /// What is written from a position to the statement's end.
    pub(super) fn text_from(&self, position: usize) -> &'a str {
        self.text_from_index(self.tokens.partition_point(|token| (token.span.start.column as usize) < position))
    }

    fn text_from_index(&self, index: usize) -> &'a str {
        match (self.bytes.get(index), self.bytes.last()) {
            (Some((start, _)), Some((_, end))) => &self.text[*start..*end],
            _ => "",
        }
    }

    /// The syntax error of the token at a position, or of the end.
    pub(super) fn syntax_error_at(&self, position: usize) -> SqlError {
        let index = self.tokens.partition_point(|token| (token.span.start.column as usize) < position);
        match self.bytes.get(index) {
            Some((start, end)) if position < self.end => SqlError::SyntaxErrorNear {
                near: shortened(&self.text[*start..*end]),
                position: self.tokens[index].span.start.column as usize,
                hint: None,
            },
            // A semicolon ended it too early.
            _ if self.text.chars().nth(self.end - 1) == Some(';') => {
                SqlError::SyntaxErrorNear { near: ";".to_owned(), position: self.end, hint: None }
            }
            _ => SqlError::SyntaxErrorAtEnd { position: self.end, hint: None },
        }
    }

    /// Refuses what would make a tree deeper than the stack bears.
    pub(super) fn check_depth(&self) -> Result<(), SqlError> {
        // Of each open bracket: operators since the last comma or clause; and what no comma ends: itself, set operators.
        let mut open = vec![(0_usize, 0_usize)];
        let mut chain = 0;
        let mut angle = 0_usize;
        let mut statements = 0_usize;
        for TokenWithSpan { token, span } in self.tokens {
            let too_complex = || SqlError::TooComplex { position: Some(span.start.column as usize) };
            let brackets = open.len();
            let Some((operators, set_operators)) = open.last_mut() else { return Err(too_complex()) };
            match token {
                Token::LParen | Token::LBracket | Token::LBrace => {
                    if brackets > MAX_NESTING {
                        return Err(too_complex());
                    }
                    open.push((0, BRACKET));
                    chain += BRACKET;
                }
                Token::RParen | Token::RBracket | Token::RBrace => {
                    if brackets > 1 {
                        chain -= *operators + *set_operators;
                        open.pop();
                    }
                }
                Token::Comma => {
                    chain -= *operators;
                    *operators = 0;
                    angle = 0;
                }
                Token::Word(word) if word.quote_style.is_none() => match word.keyword {
                    Keyword::SELECT
                    | Keyword::FROM
                    | Keyword::WHERE
                    | Keyword::GROUP
                    | Keyword::HAVING
                    | Keyword::ORDER
                    | Keyword::ON
                    | Keyword::WHEN
                    | Keyword::THEN
                    | Keyword::ELSE => {
                        chain -= *operators;
                        *operators = 0;
                    }
                    Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => {
                        *set_operators += SET_OPERATOR;
                        chain += SET_OPERATOR;
                    }
                    Keyword::AND
                    | Keyword::OR
                    | Keyword::IS
                    | Keyword::NOT
                    | Keyword::LIKE
                    | Keyword::ILIKE
                    | Keyword::SIMILAR
                    | Keyword::IN
                    | Keyword::BETWEEN
                    | Keyword::COLLATE
                    | Keyword::AT
                    | Keyword::NOTNULL
                    | Keyword::OPERATOR
                    | Keyword::CASE => {
                        *operators += 1;
                        chain += 1;
                    }
                    Keyword::EXPLAIN | Keyword::PREPARE | Keyword::DESCRIBE => {
                        statements += 1;
                        if statements > MAX_STATEMENTS {
                            return Err(too_complex());
                        }
                    }
                    // ARRAY<ARRAY<…, STRUCT<…: types nest without brackets.
                    Keyword::ARRAY | Keyword::STRUCT | Keyword::MAP => {
                        angle += 1;
                        if angle > MAX_NESTING {
                            return Err(too_complex());
                        }
                    }
                    _ => {}
                },
                Token::Word(_) | Token::Number(..) | Token::Period | Token::SingleQuotedString(_) | Token::Placeholder(_) => {}
                _ => {
                    *operators += 1;
                    chain += 1;
                }
            }
            if chain > MAX_CHAIN {
                return Err(too_complex());
            }
        }
        Ok(())
    }
}

fn last(tokens: &[TokenWithSpan]) -> Option<&Token> {
    tokens.last().map(|token| &token.token)
}

/// A token as an error shows it: one may be as long as the text.
fn shortened(token: &str) -> String {
    token.chars().take(MAX_NEAR).collect()
}

/// `$1` to `$65535`: what the protocol can give values to.
fn is_parameter(name: &str) -> bool {
    name.strip_prefix('$').and_then(|number| number.parse::<u16>().ok()).is_some_and(|number| number > 0)
}

/// A number that goes on as a word: `1e`, `1_`, `10OFFSET`.
fn is_junk(tokens: &[TokenWithSpan], bytes: &[(usize, usize)]) -> bool {
    matches!((&tokens[0].token, &tokens[1].token), (Token::Number(..), Token::Word(word)) if word.quote_style.is_none())
        && bytes[0].1 == bytes[1].0
}

/// PostgreSQL has no empty names, and no characters outside its alphabet.
fn is_sound(token: &Token) -> bool {
    match token {
        Token::Word(Word { value, quote_style: Some(_), .. }) => !value.is_empty(),
        Token::Char(_) | Token::Backslash => false,
        _ => true,
    }
}

fn unterminated(error: &TokenizerError, rest: &str, position: usize) -> SqlError {
    let near = shortened(rest);
    let message = error.message.to_ascii_lowercase();
    let what = if message.contains("comment") {
        "unterminated /* comment"
    } else if message.contains("dollar") {
        "unterminated dollar-quoted string"
    } else if message.contains("delimiter") {
        "unterminated quoted identifier"
    } else if message.contains("unterminated") || message.contains("string") {
        "unterminated quoted string"
    } else {
        return SqlError::SyntaxErrorNear { near: rest.split_whitespace().next().unwrap_or_default().to_owned(), position, hint: None };
    };
    SqlError::Unterminated { what, near, position }
}

/// No fewer than the tokens of a text, cheaply: words and numbers count once, other characters one each, and what
/// stands in quotes once. Quotes that this reads wrongly (in comments, after backslashes) only make it count more or
/// swap inside and outside, so the larger of both readings is taken.
fn at_most_tokens(text: &str) -> usize {
    if text.len() <= MAX_TOKENS {
        return text.len();
    }
    let (mut outside, mut inside, mut in_word, mut quoted) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        if byte == b'\'' {
            quoted = !quoted;
            outside += 1;
            in_word = false;
            continue;
        }
        let is_word = byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || byte >= 0x80;
        if !(is_word && in_word) {
            if quoted { inside += 1 } else { outside += 1 }
        }
        in_word = is_word;
    }
    // An honest text has far less punctuation in strings than outside; only a text of one huge string has not.
    if inside > outside.saturating_mul(64) { outside } else { outside.max(inside) }
}
