//! The forms of `at`, and where on the tree a pin goes.

use super::At;
use super::calls::pin_calls;
use crate::error::SqlState;
use crate::plan::parameters::Parameters;
use crate::source::{SnapshotRef, TableIdent};
use crate::sql::Statement;

fn table(name: &str) -> TableIdent {
    TableIdent { catalog: "iceberg".to_owned(), schema: "gold".to_owned(), table: name.to_owned() }
}

fn of(at: &str, name: &str, own: SnapshotRef) -> Result<SnapshotRef, SqlState> {
    At::parse(at).and_then(|at| at.of(&table(name), &own)).map_err(|report| report.sqlstate)
}

#[test]
fn one_word_is_for_every_table() {
    assert_eq!(of("42", "t", SnapshotRef::Current), Ok(SnapshotRef::Snapshot(42)));
    assert_eq!(of(" train-2026-11 ", "t", SnapshotRef::Current), Ok(SnapshotRef::TagOrBranch("train-2026-11".to_owned())));
    let instant = SnapshotRef::ReferenceOrTimestamp { name: "2026-01-01 02:00:00+02".to_owned(), micros: 1_767_225_600_000_000 };
    assert_eq!(of("2026-01-01 02:00:00+02", "t", SnapshotRef::Tag("x".to_owned())), Ok(instant));
    for bad in ["", "  ", "99999999999999999999"] {
        assert_eq!(of(bad, "t", SnapshotRef::Current), Err(SqlState::INVALID_PARAMETER_VALUE), "{bad}");
    }
}

#[test]
fn a_list_is_by_table_and_own_pin() {
    let list = r#"iceberg.gold.t=1, Iceberg."gold".u = 2/3, iceberg.gold.t@"tag:a""b"=-1/0,iceberg.gold.v=-1"#;
    assert_eq!(of(list, "t", SnapshotRef::Current), Ok(SnapshotRef::Snapshot(1)));
    assert_eq!(of(list, "t", SnapshotRef::Branch("x".to_owned())), Ok(SnapshotRef::Snapshot(1)));
    let recorded = |snapshot_id, schema_id| Ok(SnapshotRef::Recorded { snapshot_id, schema_id, commit: None });
    assert_eq!(of(list, "t", SnapshotRef::Tag("a\"b".to_owned())), recorded(None, Some(0)));
    assert_eq!(of(list, "u", SnapshotRef::Current), recorded(Some(2), Some(3)));
    assert_eq!(of(list, "v", SnapshotRef::Current), recorded(None, None));
    assert_eq!(of(list, "w", SnapshotRef::Current), Err(SqlState::INVALID_PARAMETER_VALUE));
    for bad in [
        "=1",
        "a.b=1",
        "a.b.c=",
        "a.b.c=x",
        "a.b.c=1,",
        "a.b.c=1 a.b.d=2",
        "a.b.c=1, a.b.c=2",
        "a.b.\"c=1",
        "a.b.c=1/99999999999",
        "a.b.c=-",
    ] {
        assert_eq!(At::parse(bad).map_err(|report| report.sqlstate), Err(SqlState::INVALID_PARAMETER_VALUE), "{bad}");
    }
}

#[test]
fn hostile_texts_are_errors() {
    for bad in ["\u{0}=\u{0}", "é.é.é=é", "\"\"\"\"=", "a.b.c@=1", "a.b.c/1=1", "====", "a.b.c=1\u{1F600}"] {
        assert!(At::parse(bad).is_err(), "{bad}");
    }
}

fn pinned(sql: &str) -> String {
    let mut statements = crate::sql::parse(sql).unwrap();
    let Statement::Sql(mut statement) = statements.remove(0).statement else { panic!("a query") };
    pin_calls(&mut statement, &Parameters::bound(Vec::new(), Vec::new()), sql).unwrap();
    statement.to_string().replace('\u{0}', "^")
}

#[test]
fn the_pin_reaches_entity_tables_and_expressions_further_out() {
    let shown = pinned(
        "WITH a AS (SELECT * FROM c.s.x), b AS (SELECT * FROM a), other AS (SELECT * FROM c.s.y) \
         SELECT * FROM get_historical_features((SELECT * FROM b, c.s.z), ARRAY['v:f'], at => 't'), a, c.s.z",
    );
    assert!(
        shown.contains(
            "(WITH \"a^1\" AS (SELECT * FROM c.s.x VERSION AS OF ('^t')), \"b^2\" AS (SELECT * FROM \"a^1\" AS a) SELECT * FROM \"b^2\" AS b, c.s.z VERSION AS OF ('^t'))"
        ),
        "{shown}"
    );
    assert!(shown.starts_with("WITH a AS (SELECT * FROM c.s.x), b"), "outside, tables are followed: {shown}");
    assert!(shown.ends_with("), a, c.s.z"), "{shown}");
}

#[test]
fn calls_inside_take_the_pin_unless_they_have_one() {
    let shown = pinned(
        "SELECT * FROM get_latest_features((SELECT * FROM get_historical_features('TABLE c.s.x', ARRAY['v:f']), \
         get_latest_features((TABLE c.s.y), ARRAY['v:f'], at => 'own')), ARRAY['w:g'], at => 'outer')",
    );
    assert!(shown.contains("c.s.x VERSION AS OF ('^outer')"), "{shown}");
    assert!(shown.contains("c.s.y VERSION AS OF ('^own')"), "{shown}");
    assert!(shown.contains("ARRAY['v:f'], at => 'outer')"), "{shown}");
}

#[test]
fn without_a_value_nothing_is_pinned() {
    for call in ["at => NULL", "at => $1"] {
        let shown = pinned(&format!("SELECT * FROM get_historical_features((TABLE c.s.x), ARRAY['v:f'], {call})"));
        assert!(!shown.contains("AS OF"), "{shown}");
    }
}
