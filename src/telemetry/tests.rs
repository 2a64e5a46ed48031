//! Counters count, texts are cut between characters.

use super::*;
use crate::error::SqlState;

#[test]
fn counters_count() {
    let counters = Counters::default();
    counters.connection();
    counters.statement(3, None);
    counters.statement(0, Some(SqlState::UNDEFINED_TABLE));
    counters.error(SqlState::UNDEFINED_TABLE);
    let now = counters.snapshot();
    assert_eq!((now.connections, now.statements, now.rows), (1, 2, 3));
    assert_eq!(now.errors, [(SqlState::UNDEFINED_TABLE, 2)].into());
}

#[test]
fn long_statements_are_cut() {
    assert_eq!(statement::shortened("select\n  1"), "select 1");
    let cut = statement::shortened(&"ä".repeat(1000));
    assert_eq!(cut.chars().count(), 401);
    assert!(cut.ends_with('…'));
}
