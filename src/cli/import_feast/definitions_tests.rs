//! Which table a source is, and what is said where there is none.

use super::*;

fn mapping() -> Mapping {
    Mapping { tables: BTreeMap::new(), catalog: "iceberg".to_owned() }
}

fn shown(source: Option<ViewSource>) -> String {
    match source {
        Some(ViewSource::Table { catalog, schema, table, .. }) => format!("{catalog}.{schema}.{table}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn folders_of_files_are_tables() {
    let uuid = "3b47231ef3b04d2ea373644a18f34c23";
    for (path, table) in [
        (format!("s3://b/iceberg/gold/orders-{uuid}/data/*.parquet"), "iceberg.gold.orders"),
        (format!("s3://b/iceberg/gold/my_orders_{uuid}/data/x=1/f.parquet"), "iceberg.gold.my_orders"),
        ("s3://b/gold.db/orders/data/*.parquet".to_owned(), "iceberg.gold.orders"),
        ("/warehouse/gold/orders/data".to_owned(), "iceberg.gold.orders"),
    ] {
        assert_eq!(shown(table_of_files(&path, &mapping())), table, "{path}");
    }
    for path in ["data/driver_stats.parquet", "s3://b/x.parquet", "", "/data/x"] {
        assert!(table_of_files(path, &mapping()).is_none(), "{path}");
    }
}

#[test]
fn tables_have_two_or_three_parts() {
    assert_eq!(shown(table("lake.gold.t", &mapping())), "lake.gold.t");
    assert_eq!(shown(table("gold.\"T x\"", &mapping())), "iceberg.gold.T x");
    assert!(table("t", &mapping()).is_none() && table("..", &mapping()).is_none() && table("a.b.c.d", &mapping()).is_none());
}

#[test]
fn a_ttl_of_zero_is_none() {
    assert_eq!(time_to_live(0), None);
    assert_eq!(time_to_live(86_400 * 3), Some(TimeToLive { months: 0, days: 3, micros: 0 }));
    assert_eq!(time_to_live(90), Some(TimeToLive { months: 0, days: 0, micros: 90_000_000 }));
}
