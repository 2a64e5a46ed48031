//! Retrievals of recent rows from a table of two hundred time-ordered files: what they open, and that the rows are those of all files.

use featgres::demo::warehouse::Warehouse;
use tokio_postgres::Client;

use crate::support::{Cells, TestGateway, batch, schema};

const DAYS: i64 = 200;
const CUSTOMERS: i64 = 10;

fn midnight(day: i64) -> String {
    let start = chrono::NaiveDate::from_ymd_opt(2026, 1, 1).unwrap();
    start.checked_add_days(chrono::Days::new(day.cast_unsigned())).unwrap().to_string()
}

/// One file a day, in an order of its own; customer `c` has a row in each, of the day's hour `c`. Customer 3 left after a hundred days.
fn write(warehouse: &Warehouse) {
    let columns = schema(&[("customer_id", "bigint"), ("updated_at", "timestamptz"), ("orders", "bigint")]);
    let mut table = warehouse.create_table("gold", "daily", &columns, &[]).unwrap();
    for turn in 0..DAYS {
        let day = turn * 77 % DAYS;
        let rows: Vec<[String; 3]> = (0..CUSTOMERS)
            .filter(|customer| *customer != 3 || day < 100)
            .map(|customer| [customer.to_string(), format!("{}T{customer:02}:00:00", midnight(day)), (day * 100 + customer).to_string()])
            .collect();
        let cells: Vec<Vec<Option<&str>>> = rows.iter().map(|row| row.iter().map(|cell| Some(cell.as_str())).collect()).collect();
        let cells: Vec<Cells> = cells.iter().map(Vec::as_slice).collect();
        warehouse.append(&mut table, &batch(&columns, &cells)).unwrap();
    }
}

struct Recent {
    gateway: TestGateway,
    client: Client,
}

impl Recent {
    /// The answer's (customer, orders), and how many requests it took.
    async fn ask(&self, call: &str) -> (Vec<(i64, Option<i64>)>, u64) {
        let storage = self.gateway.gateway.planner.sources.catalog("iceberg").unwrap().storage();
        let before = storage.request_counts();
        let rows = self.client.query(&format!("SELECT customer_id, orders FROM {call} ORDER BY 1, 2"), &[]).await.unwrap();
        let after = storage.request_counts();
        assert_eq!((after.heads, after.lists), (before.heads, before.lists));
        (rows.iter().map(|row| (row.get(0), row.get(1))).collect(), after.gets - before.gets)
    }
}

fn everyone(day: i64, but: &[i64]) -> Vec<(i64, Option<i64>)> {
    (0..CUSTOMERS).filter(|customer| !but.contains(customer)).map(|customer| (customer, Some(day * 100 + customer))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recent_rows_are_found_in_the_newest_files() {
    let gateway = TestGateway::with(|_| {}, write).await;
    let client = gateway.connect().await;
    client
        .batch_execute(
            "CREATE ENTITY customer KEY (customer_id BIGINT);
             CREATE FEATURE VIEW daily ENTITIES (customer) FROM iceberg.gold.daily TIMESTAMP updated_at;
             CREATE FEATURE VIEW dated ENTITIES (customer) FROM iceberg.gold.daily TIMESTAMP updated_at TTL INTERVAL '36 hours';",
        )
        .await
        .unwrap();
    let recent = Recent { gateway, client };
    let these = |customers: &str| format!("(SELECT customer_id::bigint AS customer_id FROM unnest(ARRAY[{customers}]) AS c (customer_id))");
    let all = these("0, 1, 2, 4, 5, 6, 7, 8, 9");
    // The manifests, once.
    recent.client.query("SELECT count(*) FROM iceberg.gold.daily WHERE orders < 0", &[]).await.unwrap();

    let last = everyone(DAYS - 1, &[3]);
    let (rows, latest) = recent.ask(&format!("get_latest_features({all}, ARRAY['daily:orders'])")).await;
    assert_eq!(rows, last);
    // On a certain day: later files are pruned, and of the others the newest settle it.
    let at = |day: i64| format!("(SELECT customer_id, TIMESTAMPTZ '{} 12:00:00+00' AS event_timestamp FROM {all} AS c)", midnight(day));
    let (rows, history) = recent.ask(&format!("get_historical_features({}, ARRAY['daily:orders'])", at(50))).await;
    assert_eq!(rows, everyone(50, &[3]));
    let (rows, dated) = recent.ask(&format!("get_historical_features({}, ARRAY['dated:orders'])", at(150))).await;
    assert_eq!(rows, everyone(150, &[3]));
    // One who left long ago is looked for as far back as that; one who never was, everywhere.
    let (rows, left) = recent.ask(&format!("get_latest_features({}, ARRAY['daily:orders'])", these("3, 4"))).await;
    assert_eq!(rows, [(3, Some(9903)), (4, Some((DAYS - 1) * 100 + 4))]);
    let (rows, never) = recent.ask(&format!("get_latest_features({}, ARRAY['daily:orders'])", these("4, 1000"))).await;
    assert_eq!(rows, [(4, Some((DAYS - 1) * 100 + 4)), (1000, None)]);
    println!("requests for {DAYS} files: latest {latest}, in between {history}, with a TTL {dated}, one who left {left}, unknown {never}");
    for few in [latest, history, dated] {
        assert!(few <= 16, "{few} requests");
    }
    // A request a file, and a few for the winners.
    assert!(left < 100 + 40, "{left} requests");
    assert!(never < DAYS.cast_unsigned() + 40, "{never} requests");
}
