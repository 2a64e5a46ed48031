//! What sqlparser 0.62 cannot parse, or parses into a tree that cannot carry it, is rewritten here as tokens, so that
//! every position survives:
//!
//! - `TABLE t` as a query becomes `SELECT * FROM t`.
//! - `FOR VERSION AS OF x` and `FOR TIMESTAMP AS OF x` after a table's name become spellings that it does parse; the tree
//!   then holds `TableVersion::VersionAsOf` and `TableVersion::TimestampAsOf`. The engine's own planner drops table
//!   versions silently: whoever plans must read them from the tree.
//! - `x ISNULL` becomes `x IS NULL`.
//! - `CREATE TABLE t (a, b) AS …` gets types that are not looked at.
//! - `BETWEEN SYMMETRIC a AND b` becomes `BETWEEN !! a AND b`, an operator that PostgreSQL has no more; `ASYMMETRIC` says nothing.
//! - `NATIONAL CHARACTER` is CHARACTER.
//! - `x::int ARRAY` becomes `x::int[]`.
//! - Spellings of PostgreSQL's utility statements that have a synonym: `ABORT`, `END`, `SET SESSION x`, `SET TIME ZONE x`.

use datafusion::sql::sqlparser::keywords::{ALL_KEYWORDS, ALL_KEYWORDS_INDEX, Keyword};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Word};

use crate::spelling::is_reserved;

/// Tokens ready for sqlparser.
pub(super) struct Rewritten {
    /// The tokens.
    pub(super) tokens: Vec<TokenWithSpan>,
    /// Whether table versions are in them.
    pub(super) versioned: bool,
    /// Where a table version in another system's spelling stands, which sqlparser would take for ours.
    pub(super) foreign_version: Option<usize>,
}

/// An unquoted word with its keyword.
pub(super) fn word(value: &str, span: Span) -> TokenWithSpan {
    let keyword = ALL_KEYWORDS.binary_search(&value.to_ascii_uppercase().as_str()).map_or(Keyword::NoKeyword, |at| ALL_KEYWORDS_INDEX[at]);
    TokenWithSpan { token: Token::Word(Word { value: value.to_owned(), quote_style: None, keyword }), span }
}

/// Whether the token is this unquoted word.
pub(super) fn is_word(token: Option<&TokenWithSpan>, wanted: &str) -> bool {
    matches!(token, Some(TokenWithSpan { token: Token::Word(word), .. }) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// Whether these unquoted words stand at `index`.
pub(super) fn are_words(tokens: &[TokenWithSpan], index: usize, wanted: &[&str]) -> bool {
    wanted.iter().enumerate().all(|(at, wanted)| is_word(tokens.get(index + at), wanted))
}

/// Whether what stands before is an operand, and no name follows from here: `x ISNULL`, not `AS isnull` or `isnull(x)`.
fn follows_operand(tokens: &[TokenWithSpan], index: usize) -> bool {
    let before = index.checked_sub(1).and_then(|before| tokens.get(before)).map(|token| &token.token);
    let operand = match before {
        Some(Token::Word(word)) => word.quote_style.is_some() || !is_reserved(&word.value.to_lowercase()),
        Some(Token::RParen | Token::RBracket | Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_)) => true,
        _ => false,
    };
    operand && !matches!(tokens.get(index + 1).map(|token| &token.token), Some(Token::LParen | Token::Period))
}

/// Rewrites one statement's tokens.
pub(super) fn rewrite(tokens: &[TokenWithSpan]) -> Rewritten {
    let mut rewritten = Rewritten { tokens: Vec::with_capacity(tokens.len() + 8), versioned: false, foreign_version: None };
    let mut index = utility(tokens, &mut rewritten.tokens);
    // Of each open bracket: whether it begins with WITH, so that a query may follow a closing bracket in it.
    let mut in_with = vec![is_word(tokens.first(), "WITH")];
    while let Some(token) = tokens.get(index) {
        match token.token {
            Token::LParen => in_with.push(is_word(tokens.get(index + 1), "WITH")),
            Token::RParen => drop(in_with.pop()),
            _ => {}
        }
        if is_word(Some(token), "TABLE")
            && begins_query(tokens, index, in_with.last() == Some(&true), in_with.len() == 1)
            && names_table(tokens.get(index + 1))
        {
            let span = token.span;
            rewritten.tokens.extend([word("SELECT", span), TokenWithSpan { token: Token::Mul, span }, word("FROM", span)]);
            index += 1;
        } else if is_word(Some(token), "ISNULL") && follows_operand(tokens, index) {
            rewritten.tokens.extend([word("IS", token.span), word("NULL", token.span)]);
            index += 1;
        } else if are_words(tokens, index, &["FOR", "VERSION", "AS", "OF"]) && index > 0 {
            // VERSION AS OF takes bare numbers only, so versions travel as FOR SYSTEM_TIME until the tree is there.
            rewritten.tokens.extend([token.clone(), word("SYSTEM_TIME", tokens[index + 1].span)]);
            rewritten.versioned = true;
            index += 2;
        } else if are_words(tokens, index, &["FOR", "TIMESTAMP", "AS", "OF"]) && index > 0 {
            rewritten.versioned = true;
            index += 1;
            // TIMESTAMP AS OF follows by itself, and must not be met again.
            rewritten.tokens.push(tokens[index].clone());
            index += 1;
        } else if are_words(tokens, index, &["BETWEEN", "SYMMETRIC"]) {
            rewritten.tokens.extend([token.clone(), TokenWithSpan { token: Token::DoubleExclamationMark, span: tokens[index + 1].span }]);
            index += 2;
        } else if are_words(tokens, index, &["BETWEEN", "ASYMMETRIC"]) {
            rewritten.tokens.push(token.clone());
            index += 2;
        } else if is_word(Some(token), "ARRAY") && ends_cast(tokens, index) {
            if !matches!(tokens.get(index + 1).map(|token| &token.token), Some(Token::LBracket)) {
                let span = token.span;
                rewritten.tokens.extend([Token::LBracket, Token::RBracket].map(|token| TokenWithSpan { token, span }));
            }
            index += 1;
        } else if are_words(tokens, index, &["NATIONAL", "CHARACTER"]) || are_words(tokens, index, &["NATIONAL", "CHAR"]) {
            index += 1;
        } else {
            if is_word(Some(token), "SYSTEM_TIME")
                || ["VERSION", "TIMESTAMP"].iter().any(|first| are_words(tokens, index, &[first, "AS", "OF"]))
            {
                rewritten.foreign_version.get_or_insert(token.span.start.column as usize);
            }
            rewritten.tokens.push(token.clone());
            index += 1;
        }
    }
    rewritten
}

/// Whether what ends here is the type of a cast: `::` and a name, with sizes perhaps.
fn ends_cast(tokens: &[TokenWithSpan], index: usize) -> bool {
    let mut at = index;
    let is = |at: usize, wanted: &Token| at > 0 && tokens[at - 1].token == *wanted;
    if is(at, &Token::RParen) {
        while at > 0 && !is(at, &Token::LParen) {
            at -= 1;
        }
        at = at.saturating_sub(1);
    }
    let two = [["double", "precision"], ["character", "varying"], ["char", "varying"]];
    let words = if at >= 2 && two.iter().any(|pair| are_words(tokens, at - 2, pair)) { 2 } else { 1 };
    if at < words || !matches!(tokens[at - 1].token, Token::Word(_)) {
        return false;
    }
    at -= words;
    if is(at, &Token::Period) {
        at = at.saturating_sub(2);
    }
    is(at, &Token::DoubleColon)
}

/// `TABLE` begins a query at the start of a statement, a bracket, a set operation, or after what a query follows.
fn begins_query(tokens: &[TokenWithSpan], index: usize, in_with: bool, top_level: bool) -> bool {
    let Some(before) = index.checked_sub(1).map(|before| &tokens[before]) else { return true };
    if is_word(tokens.first(), "INSERT") && index > 2 && top_level {
        return true;
    }
    match &before.token {
        Token::LParen => true,
        Token::Word(word) if word.quote_style.is_none() => match word.keyword {
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::AS | Keyword::EXPLAIN | Keyword::VERBOSE => true,
            // EXPLAIN ANALYZE TABLE t, not ANALYZE TABLE t.
            Keyword::ANALYZE => index > 1,
            // UNION ALL TABLE t; not GRANT … ON ALL TABLES.
            Keyword::ALL | Keyword::DISTINCT => {
                index > 1 && ["UNION", "EXCEPT", "INTERSECT"].iter().any(|operator| is_word(tokens.get(index - 2), operator))
            }
            // DECLARE c CURSOR FOR TABLE t.
            Keyword::FOR => is_word(tokens.first(), "DECLARE"),
            _ => false,
        },
        // WITH x AS (…) TABLE x; EXPLAIN (…) TABLE x; INSERT INTO t (a) TABLE x.
        Token::RParen => ["EXPLAIN", "INSERT"].iter().any(|first| is_word(tokens.first(), first)) || in_with,
        _ => false,
    }
}

fn names_table(token: Option<&TokenWithSpan>) -> bool {
    match token.map(|token| &token.token) {
        Some(Token::Word(word)) => word.quote_style.is_some() || !is_reserved(&word.value.to_ascii_lowercase()),
        _ => false,
    }
}

/// Synonyms at the beginning of utility statements; returns how many tokens were read.
fn utility(tokens: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let Some(first) = tokens.first() else { return 0 };
    let starts = |words: &[&str]| are_words(tokens, 0, words);
    if starts(&["SET", "SESSION"]) && !starts(&["SET", "SESSION", "CHARACTERISTICS"]) && !starts(&["SET", "SESSION", "AUTHORIZATION"]) {
        // SESSION is what SET means without it.
        out.push(first.clone());
        2
    } else if starts(&["ABORT"]) {
        out.push(word("ROLLBACK", first.span));
        1
    } else if starts(&["END"]) {
        out.push(word("COMMIT", first.span));
        1
    } else if starts(&["RESET", "TIME", "ZONE"]) {
        out.extend([first.clone(), word("timezone", tokens[1].span)]);
        3
    } else if starts(&["RESET", "SESSION", "AUTHORIZATION"]) {
        out.extend([first.clone(), word("session_authorization", tokens[1].span)]);
        3
    } else if starts(&["BEGIN"]) || starts(&["START", "TRANSACTION"]) || starts(&["SET", "TRANSACTION"]) || starts(&["SET", "SESSION"]) {
        // Without serializable snapshots to wait for, [NOT] DEFERRABLE asks for what is so anyway.
        out.extend(without_deferrable(tokens));
        tokens.len()
    } else if starts(&["CREATE"]) {
        create_table_as(tokens, out)
    } else {
        0
    }
}

/// `CREATE TABLE t (a, b) AS …`: sqlparser wants a type with every column, so each is given one that nobody looks at.
fn create_table_as(tokens: &[TokenWithSpan], out: &mut Vec<TokenWithSpan>) -> usize {
    let Some(open) = tokens.iter().position(|token| token.token == Token::LParen) else { return 0 };
    if !tokens[..open].iter().any(|token| is_word(Some(token), "TABLE")) {
        return 0;
    }
    let mut end = open + 1;
    loop {
        match (tokens.get(end).map(|token| &token.token), tokens.get(end + 1).map(|token| &token.token)) {
            (Some(Token::Word(_)), Some(Token::Comma)) => end += 2,
            (Some(Token::Word(_)), Some(Token::RParen)) => break,
            _ => return 0,
        }
    }
    if !tokens[end..].iter().any(|token| is_word(Some(token), "AS")) {
        return 0;
    }
    for token in &tokens[..=end] {
        out.push(token.clone());
        if token.span.start.column > tokens[open].span.start.column && matches!(token.token, Token::Word(_)) {
            out.push(word("TEXT", token.span));
        }
    }
    end + 1
}

fn without_deferrable(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if !is_word(Some(token), "DEFERRABLE") {
            kept.push(token.clone());
            continue;
        }
        kept.pop_if(|before| is_word(Some(before), "NOT"));
        kept.pop_if(|before| before.token == Token::Comma);
    }
    kept
}
