//! Counters count, texts are cut between characters.

use super::*;
use crate::error::SqlState;

#[test]
fn counters_count() {
    let counters = Counters::default();
    counters.connection();
    counters.statement(3, Work { bytes_read: 10, files_read: 2, files_pruned: 1 }, None);
    counters.statement(0, Work::default(), Some(SqlState::UNDEFINED_TABLE));
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

#[test]
fn metrics_are_readable_and_name_their_units() {
    let counters = Counters::default();
    counters.connection();
    counters.statement(3, Work { bytes_read: 10, files_read: 2, files_pruned: 1 }, None);
    counters.error(SqlState::UNDEFINED_TABLE);
    counters.took(Phase::Planning, std::time::Duration::from_millis(3));
    let gauges = Gauges {
        memory_reserved: 512,
        registry_version: 7,
        caches: vec![("footers", CacheUse { hits: 5, misses: 2, bytes: 99 })],
        stores: vec![("lake".to_owned(), StoreUse { requests: [("get", 4), ("head", 0), ("list", 1), ("put", 0)], bytes: 77 })],
        ..Gauges::default()
    };
    let text = exposition(&counters, &gauges, Exposition::of("text/plain"));
    for line in [
        "featgres_connections_admitted_total 1",
        "featgres_statements_total 1",
        "featgres_rows_sent_total 3",
        "featgres_data_read_bytes_total 10",
        "featgres_data_files_pruned_total 1",
        "featgres_errors_total{sqlstate=\"42P01\"} 1",
        "featgres_planning_seconds_count 1",
        "featgres_first_row_seconds_count 0",
        "featgres_memory_reserved_bytes 512",
        "featgres_registry_version 7",
        "featgres_cache_hits_total{cache=\"footers\"} 5",
        "featgres_cache_size_bytes{cache=\"footers\"} 99",
        "featgres_object_store_requests_total{catalog=\"lake\",request=\"list\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(exposition(&counters, &gauges, Exposition::of("application/openmetrics-text;version=1.0.0")).ends_with("# EOF\n"));
}
