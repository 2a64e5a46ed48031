//! A statement's text without its constants: what makes two statements one kind, and what may be kept of a text that holds
//! values nobody should read later.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The text on one line, comments gone, each constant as `$n`, counting on from the parameters that it has. A text that is no
/// SQL gives its first word and no more: who knows what is in it.
pub fn without_constants(text: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize() else {
        return format!("{} …", text.split_whitespace().next().unwrap_or_default());
    };
    let number = |token: &Token| match token {
        Token::Placeholder(name) => name.strip_prefix('$').and_then(|digits| digits.parse::<u32>().ok()),
        _ => None,
    };
    let mut next = tokens.iter().filter_map(number).max().unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    let mut blank = false;
    for token in &tokens {
        let constant = matches!(
            token,
            Token::Number(..)
                | Token::SingleQuotedString(_)
                | Token::DollarQuotedString(_)
                | Token::EscapedStringLiteral(_)
                | Token::UnicodeStringLiteral(_)
                | Token::NationalStringLiteral(_)
                | Token::HexStringLiteral(_)
                | Token::SingleQuotedByteStringLiteral(_)
        );
        if matches!(token, Token::Whitespace(_)) {
            blank = !out.is_empty();
            continue;
        }
        if std::mem::take(&mut blank) {
            out.push(' ');
        }
        if constant {
            next = next.saturating_add(1);
            out.push('$');
            out.push_str(&next.to_string());
        } else {
            out.push_str(&token.to_string());
        }
    }
    out.truncate(out.trim_end_matches([';', ' ']).len());
    out
}

/// The text with every constant that follows the word PASSWORD as `***`: what of it may be written to a log. A text without that
/// word is itself; one that has it and is no SQL is cut there.
pub fn without_passwords(text: &str) -> std::borrow::Cow<'_, str> {
    let holds = |text: &str| text.as_bytes().windows(8).position(|word| word.eq_ignore_ascii_case(b"password"));
    let Some(at) = holds(text) else { return text.into() };
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize() else {
        return format!("{} …", &text[..at]).into();
    };
    let mut out = String::with_capacity(text.len());
    let mut after = false;
    for token in &tokens {
        match token {
            Token::Whitespace(_) => out.push_str(&token.to_string()),
            Token::Word(word) => {
                after = word.value.eq_ignore_ascii_case("password") || word.value.eq_ignore_ascii_case("encrypted");
                out.push_str(&token.to_string());
            }
            Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
                if after =>
            {
                after = false;
                out.push_str("'***'");
            }
            other => {
                after &= matches!(other, Token::Eq);
                out.push_str(&other.to_string());
            }
        }
    }
    out.into()
}
