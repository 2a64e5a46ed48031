//! The story holds: sizes, and the four customers that it is about.

use super::*;

fn night(rows: &[Aggregate], id: i64, day: i64) -> Option<&Aggregate> {
    rows.iter().find(|row| row.id == id && row.updated_at == START + day * DAY + 2 * HOUR)
}

#[test]
fn about_a_hundred_thousand_rows_the_same_every_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(crate::clock::FixedClock(START + 200 * DAY));
    let warehouse = Warehouse::open("iceberg", &folder.path().join("c.sqlite"), &folder.path().join("w"), clock).unwrap();
    let written = write(&warehouse).unwrap();
    assert_eq!(written.tables, 4);
    assert!((95_000..110_000).contains(&written.rows), "{written:?}");
    let files = warehouse.load_table("gold", "customer_aggregates").unwrap().data_files().unwrap();
    // Six months, and two that the corrections touch.
    assert_eq!(files.len(), 8);
}

#[test]
fn customer_1002_was_corrected_later() {
    let rows = nights(&customers());
    let before = night(&rows, 1002, 150).unwrap();
    let after = correction(before).unwrap();
    assert_eq!(after.orders, before.orders - 3);
    assert!(after.ingested_at > before.ingested_at && after.updated_at == before.updated_at);
    assert!(correction(night(&rows, 1002, 160).unwrap()).is_none());
}

#[test]
fn customer_1003_went_silent_in_february() {
    let rows = nights(&customers());
    assert!(night(&rows, 1003, 52).is_some());
    assert!(night(&rows, 1003, 53).is_none());
}

#[test]
fn corrections_leave_others_alone() {
    let rows = nights(&customers());
    let touched: std::collections::BTreeSet<i64> = rows.iter().filter_map(correction).map(|row| row.id).collect();
    assert!(touched.contains(&1002) && !touched.contains(&1001) && touched.len() <= 15, "{touched:?}");
}
