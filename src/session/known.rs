//! [`KnownTexts`]: statements that clients send again and again, with what need be found out about each only once.
//!
//! A text's tree depends on nothing but the text, so it is parsed once for all sessions; so is what the log and the statistics
//! show of it, and the one row of a statement that is nothing but literals (`SELECT 1`, by which pools ask whether somebody is
//! there). What depends on a session, a registry or a table is never kept. A text that holds a password is not kept either, nor is
//! a long one. The whole is bounded by [`TOTAL`] bytes; the least used texts go first.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, Statement as SqlStatement, UnaryOperator, Value,
};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::response::Column;
use crate::sql::{SqlError, Statement, StatementText, without_constants, without_passwords};

/// Bytes that all kept texts may take.
const TOTAL: u64 = 16 << 20;
/// The longest text that is kept, and that the statistics show, in bytes.
const LONGEST: usize = 4 << 10;
/// What a text weighs beside its trees.
const OWN_WEIGHT: u64 = 512;
/// What a tree weighs for each byte of its text, about.
const WEIGHT_OF_BYTE: u64 = 64;

/// One statement.
#[derive(Debug)]
pub(super) struct KnownStatement {
    text: StatementText,
    shown: OnceLock<Arc<str>>,
    kind: OnceLock<Arc<str>>,
    /// The answer, if it can be no other.
    constant: bool,
    answer: OnceLock<ConstantAnswer>,
}

/// The columns and the row of a statement of literals.
#[derive(Debug, Clone)]
pub(super) struct ConstantAnswer {
    pub columns: Arc<[Column]>,
    pub row: RecordBatch,
}

impl From<StatementText> for KnownStatement {
    fn from(text: StatementText) -> Self {
        let constant = matches!(&text.statement, Statement::Sql(sql) if is_constant(sql));
        Self { text, shown: OnceLock::new(), kind: OnceLock::new(), constant, answer: OnceLock::new() }
    }
}

impl Deref for KnownStatement {
    type Target = StatementText;

    fn deref(&self) -> &StatementText {
        &self.text
    }
}

impl KnownStatement {
    /// The text as others may see it.
    pub(super) fn shown(&self) -> Arc<str> {
        Arc::clone(self.shown.get_or_init(|| Arc::from(without_passwords(&self.text.text))))
    }

    /// The text that all statements of its kind share.
    pub(super) fn kind(&self) -> Arc<str> {
        Arc::clone(self.kind.get_or_init(|| kind_of(&self.text.text)))
    }

    /// The answer, if it can be no other and was given before.
    pub(super) fn answer(&self) -> Option<&ConstantAnswer> {
        self.answer.get()
    }

    /// Keeps an answer of one row, if it can be no other.
    pub(super) fn keep(&self, columns: &Arc<[Column]>, row: &RecordBatch) {
        if self.constant && row.num_rows() == 1 {
            // Somebody else may have been first, with the same.
            let _ = self.answer.set(ConstantAnswer { columns: Arc::clone(columns), row: row.clone() });
        }
    }
}

/// A text without its constants, at most [`LONGEST`] bytes of it: what the statistics count it as.
pub(super) fn kind_of(text: &str) -> Arc<str> {
    let kind = without_constants(text);
    let mut end = kind.len().min(LONGEST);
    while !kind.is_char_boundary(end) {
        end -= 1;
    }
    Arc::from(&kind[..end])
}

/// Whether a statement is one row of literals, whatever the session's settings: no call, no cast, no parameter, no relation.
fn is_constant(statement: &SqlStatement) -> bool {
    let SqlStatement::Query(query) = statement else { return false };
    let Query { with: None, body, order_by: None, limit_clause: None, fetch: None, locks, for_clause: None, .. } = query.as_ref() else {
        return false;
    };
    let SetExpr::Select(select) = body.as_ref() else { return false };
    let Select { distinct: None, into: None, projection, from, selection: None, group_by, having: None, named_window, .. } =
        select.as_ref()
    else {
        return false;
    };
    let grouped = !matches!(group_by, GroupByExpr::Expressions(keys, sets) if keys.is_empty() && sets.is_empty());
    let more = grouped || !locks.is_empty() || !from.is_empty() || !named_window.is_empty();
    !more
        && projection.iter().all(|item| match item {
            SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. } => is_literal(value),
            _ => false,
        })
}

fn is_literal(expression: &Expr) -> bool {
    match expression {
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_literal(expr),
        _ => false,
    }
}

/// A text and its statements.
#[derive(Debug)]
pub(super) struct Script {
    /// All of it, as sent.
    pub text: Arc<str>,
    /// In their order.
    pub statements: Vec<Arc<KnownStatement>>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Arc<str>, Arc<Script>> for Weight {
    fn weight(&self, text: &Arc<str>, _: &Arc<Script>) -> u64 {
        OWN_WEIGHT + WEIGHT_OF_BYTE * text.len() as u64
    }
}

/// The texts of all sessions.
pub struct KnownTexts {
    scripts: Cache<Arc<str>, Arc<Script>, Weight>,
}

impl Default for KnownTexts {
    fn default() -> Self {
        Self { scripts: Cache::with_weighter(1024, TOTAL, Weight) }
    }
}

impl KnownTexts {
    /// A text's statements.
    pub(super) fn parse(&self, text: &str) -> Result<Arc<Script>, SqlError> {
        if let Some(script) = self.scripts.get(text) {
            return Ok(script);
        }
        let statements = crate::sql::parse(text)?.into_iter().map(|statement| Arc::new(statement.into())).collect();
        let script = Arc::new(Script { text: Arc::from(text), statements });
        if text.len() <= LONGEST && matches!(without_passwords(text), Cow::Borrowed(_)) {
            self.scripts.insert(Arc::clone(&script.text), Arc::clone(&script));
        }
        Ok(script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Arc<Script> {
        KnownTexts::default().parse(text).unwrap()
    }

    #[test]
    fn only_rows_of_literals_are_constant() {
        for text in ["SELECT 1", "select 1 AS one, 'two', -3.5, NULL, true, E'\\x'"] {
            assert!(parsed(text).statements[0].constant, "{text}");
        }
        for text in [
            "SELECT now()",
            "SELECT current_user",
            "SELECT 'now'::timestamp",
            "SELECT DATE '2024-01-01'",
            "SELECT $1",
            "SELECT a",
            "SELECT *",
            "SELECT 1 FROM t",
            "SELECT 1 WHERE false",
            "SELECT 1 LIMIT 0",
            "SELECT 1 OFFSET 1",
            "SELECT 1 FETCH FIRST 0 ROWS ONLY",
            "SELECT 1 ORDER BY now()",
            "SELECT DISTINCT 1",
            "SELECT 1 GROUP BY 1",
            "SELECT 1 HAVING false",
            "SELECT 1 UNION SELECT 2",
            "SELECT 1 INTO t",
            "SELECT 1 FOR UPDATE",
            "WITH a AS (SELECT 1) SELECT 1",
            "(SELECT 1)",
            "VALUES (1)",
            "SHOW TimeZone",
            "SELECT 1/0",
        ] {
            let script = KnownTexts::default().parse(text);
            assert!(script.is_err() || script.is_ok_and(|script| script.statements.iter().all(|known| !known.constant)), "{text}");
        }
    }

    #[test]
    fn texts_are_parsed_once_and_passwords_never_kept() {
        let texts = KnownTexts::default();
        let (first, again) = (texts.parse("SELECT 1; SELECT 2").unwrap(), texts.parse("SELECT 1; SELECT 2").unwrap());
        assert!(Arc::ptr_eq(&first, &again) && first.statements.len() == 2);
        for text in ["SET PASSWORD = 'x'".to_owned(), format!("SELECT '{}'", "x".repeat(LONGEST))] {
            let (first, again) = (texts.parse(&text).unwrap(), texts.parse(&text).unwrap());
            assert!(!Arc::ptr_eq(&first, &again));
        }
        assert!(texts.parse("SELEC 1").is_err());
    }

    #[test]
    fn the_whole_is_bounded() {
        let texts = KnownTexts::default();
        for number in 0..4000 {
            texts.parse(&format!("SELECT {number} AS {}", "n".repeat(LONGEST - 100))).unwrap();
        }
        assert!(texts.scripts.weight() <= TOTAL && texts.scripts.len() > 10);
    }
}
