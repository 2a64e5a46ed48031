//! `SIMILAR TO`: SQL's patterns as regular expressions. The engine takes the pattern for one already.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};

use crate::error::{Report, SqlState};

/// The match by a regular expression; a pattern that is no constant is refused.
pub(super) fn rewrite(like: Like) -> Result<Transformed<Expr>> {
    let pattern = match like.pattern.as_ref() {
        Expr::Literal(ScalarValue::Utf8(Some(pattern)), _) => pattern,
        Expr::Literal(..) => return Ok(Transformed::yes(Expr::Literal(ScalarValue::Boolean(None), None))),
        _ => {
            let report = Report::new(SqlState::FEATURE_NOT_SUPPORTED, "SIMILAR TO needs a constant pattern")
                .hint("A regular expression (~) can come from a column.");
            return Err(DataFusionError::External(Box::new(report)));
        }
    };
    let regular = lit(translated(pattern, like.escape_char.unwrap_or('\\')));
    let op = if like.negated { Operator::RegexNotMatch } else { Operator::RegexMatch };
    Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(like.expr, op, Box::new(regular)))))
}

/// The whole text must match: `%` is anything, `_` one character; `|*+?{}()[]` mean what they mean in regular expressions.
fn translated(pattern: &str, escape: char) -> String {
    let mut regular = String::from("^(?:");
    let mut inside_brackets = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            character if character == escape => {
                if let Some(next) = characters.next() {
                    if !next.is_alphanumeric() {
                        regular.push('\\');
                    }
                    regular.push(next);
                }
            }
            ']' if inside_brackets => {
                inside_brackets = false;
                regular.push(']');
            }
            character if inside_brackets => regular.push(character),
            '[' => {
                inside_brackets = true;
                regular.push('[');
            }
            '%' => regular.push_str("(?s:.*)"),
            '_' => regular.push_str("(?s:.)"),
            '.' | '^' | '$' | '\\' => {
                regular.push('\\');
                regular.push(character);
            }
            other => regular.push(other),
        }
    }
    regular.push_str(")$");
    regular
}
