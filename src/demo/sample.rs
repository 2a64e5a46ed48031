//! The sample's story: a shop, its customers, and the question who will leave.
//!
//! Six months of 2026. Every night a job writes one row of aggregates per active customer; support tickets come when they come; a
//! customer's plan is kept with its validity. On three dates it is known who has churned: the labels of a model.
//! Everything is computed from a fixed seed, so the numbers of the README are the numbers of every machine.
//!
//! What a reader is meant to trip over, if the join were wrong:
//! * customer 1002's last week of May was counted too high and corrected on 2 June (same days, later `ingested_at`, a later commit);
//! * customer 1003 left in February: the last aggregates are months older than the label, and only a TTL says so;
//! * customer 1004 ended the premium plan on 1 April and has no plan since: the profile row is no longer valid;
//! * a row of day d is written at 02:00 of the next day (`updated_at`), never at its own midnight, so no feature knows its label's future.

use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::warehouse::{PartitionField, Warehouse, WarehouseError};

/// The namespace of all sample tables.
pub const NAMESPACE: &str = "gold";

const SEED: u64 = 20_260_101;
const CUSTOMERS: i64 = 600;
const FIRST_ID: i64 = 1001;
const DAY: i64 = 86_400_000_000;
const HOUR: i64 = DAY / 24;
/// 2026-01-01 00:00 UTC.
const START: i64 = 20_454 * DAY;
/// The first days of the months January to July 2026, counted from `START`.
const MONTHS: [i64; 7] = [0, 31, 59, 90, 120, 151, 181];
const CATEGORIES: [&str; 5] = ["books", "garden", "kitchen", "sport", "toys"];
const TOPICS: [&str; 4] = ["delivery", "invoice", "quality", "return"];
const PLANS: [&str; 3] = ["basic", "plus", "premium"];
const COUNTRIES: [&str; 4] = ["DE", "FR", "NL", "PL"];

/// Days on which labels were taken: 1 April, 1 May, 15 June, at noon.
const LABEL_DAYS: [i64; 3] = [90, 120, 165];

/// The steps of a well-mixed sequence (SplitMix64): the same numbers everywhere, for ever, which no random crate promises.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`.
    fn below(&mut self, bound: u64) -> i64 {
        (self.next() % bound) as i64
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[(self.next() % of.len() as u64) as usize]
    }
}

/// A customer's life, in days from `START`.
struct Customer {
    id: i64,
    /// First day with orders.
    joined: i64,
    /// First day without, if the customer left.
    left: Option<i64>,
    /// Orders in a hundred days.
    pace: u64,
    category: &'static str,
}

/// What was written, for whoever wants to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Tables.
    pub tables: usize,
    /// Rows in all of them.
    pub rows: usize,
}

/// Writes all sample tables into an empty warehouse.
pub fn write(warehouse: &Warehouse) -> Result<Written, WarehouseError> {
    let customers = customers();
    let counts = [
        aggregates(warehouse, &customers)?,
        tickets(warehouse, &customers)?,
        profiles(warehouse, &customers)?,
        labels(warehouse, &customers)?,
    ];
    Ok(Written { tables: counts.len(), rows: counts.iter().sum() })
}

fn customers() -> Vec<Customer> {
    let mut sequence = Sequence(SEED);
    (0..CUSTOMERS)
        .map(|at| {
            let joined = if at < 4 || sequence.below(10) < 8 { 0 } else { sequence.below(100) };
            let leaves = sequence.below(100) < 18;
            let left = leaves.then(|| joined + 30 + sequence.below(130)).filter(|day| *day < MONTHS[6]);
            let customer =
                Customer { id: FIRST_ID + at, joined, left, pace: 8 + sequence.next() % 30, category: sequence.pick(&CATEGORIES) };
            match customer.id {
                1001 => Customer { left: None, pace: 30, category: "books", ..customer },
                1002 => Customer { left: None, pace: 25, category: "kitchen", ..customer },
                1003 => Customer { left: Some(52), pace: 20, category: "garden", ..customer },
                1004 => Customer { left: None, pace: 15, category: "sport", ..customer },
                _ => customer,
            }
        })
        .collect()
}

/// One night's row.
#[derive(Debug, Clone, Copy)]
struct Aggregate {
    id: i64,
    updated_at: i64,
    ingested_at: i64,
    orders: i64,
    spend: f64,
    since_last: i32,
    category: &'static str,
}

/// `customer_aggregates`: a commit a month, then one with the corrections.
fn aggregates(warehouse: &Warehouse, customers: &[Customer]) -> Result<usize, WarehouseError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("customer_id", DataType::Int64, false),
        timestamp("updated_at", false),
        timestamp("ingested_at", true),
        Field::new("total_orders", DataType::Int64, true),
        Field::new("avg_order_value", DataType::Float64, true),
        Field::new("days_since_last_order", DataType::Int32, true),
        Field::new("favourite_category", DataType::Utf8, true),
    ]));
    let mut table = warehouse.create_table(NAMESPACE, "customer_aggregates", &schema, &[PartitionField::month("updated_at")])?;
    let rows = nights(customers);
    let corrections: Vec<Aggregate> = rows.iter().filter_map(correction).collect();
    let mut written = 0;
    let months = MONTHS.windows(2).map(|month| {
        let inside = |row: &&Aggregate| (START + month[0] * DAY..START + month[1] * DAY).contains(&row.updated_at);
        rows.iter().filter(inside).copied().collect::<Vec<_>>()
    });
    for commit in months.chain([corrections]) {
        let batch = RecordBatch::try_new(
            schema.clone(),
            vec![
                Arc::new(commit.iter().map(|row| Some(row.id)).collect::<Int64Array>()),
                Arc::new(times(commit.iter().map(|row| Some(row.updated_at)))),
                Arc::new(times(commit.iter().map(|row| Some(row.ingested_at)))),
                Arc::new(commit.iter().map(|row| Some(row.orders)).collect::<Int64Array>()),
                Arc::new(commit.iter().map(|row| (row.orders > 0).then(|| cents(row.spend / row.orders as f64))).collect::<Float64Array>()),
                Arc::new(commit.iter().map(|row| Some(row.since_last)).collect::<Int32Array>()),
                Arc::new(commit.iter().map(|row| Some(row.category)).collect::<StringArray>()),
            ],
        )?;
        warehouse.append(&mut table, &batch)?;
        written += batch.num_rows();
    }
    Ok(written)
}

/// The nightly rows of everybody, by night.
fn nights(customers: &[Customer]) -> Vec<Aggregate> {
    let mut rows = Vec::new();
    for customer in customers {
        let mut sequence = Sequence(SEED ^ customer.id as u64);
        let (mut orders, mut spend, mut since_last) = (0, 0.0, 0);
        let last = customer.left.unwrap_or(MONTHS[6] - 1);
        for day in customer.joined..last {
            if sequence.next() % 100 < customer.pace {
                orders += 1;
                spend += 8.0 + sequence.below(9_000) as f64 / 100.0;
                since_last = 0;
            } else {
                since_last += 1;
            }
            let updated_at = START + (day + 1) * DAY + 2 * HOUR;
            let ingested_at = updated_at + (5 + sequence.below(20)) * 60_000_000;
            let row = Aggregate { id: customer.id, updated_at, ingested_at, orders, spend, since_last, category: customer.category };
            // From then on the nightly job knows.
            rows.push(if has_returns(row.id) && updated_at > BOOKED { without_returns(&row) } else { row });
        }
    }
    rows.sort_by_key(|row| (row.updated_at, row.id));
    rows
}

/// When the returned orders of the last week of May were booked: 2 June, 09:00.
const BOOKED: i64 = START + 152 * DAY + 9 * HOUR;

/// The late correction of a row of that week. Only every fortieth customer had returns, 1002 among them.
fn correction(row: &Aggregate) -> Option<Aggregate> {
    let week = START + 145 * DAY..START + 153 * DAY;
    (has_returns(row.id) && week.contains(&row.updated_at)).then(|| Aggregate { ingested_at: BOOKED, ..without_returns(row) })
}

fn has_returns(id: i64) -> bool {
    id % 40 == 2
}

fn without_returns(row: &Aggregate) -> Aggregate {
    let orders = (row.orders - 3).max(0);
    Aggregate { orders, spend: row.spend * orders as f64 / row.orders.max(1) as f64, ..*row }
}

/// `support_tickets`: a row whenever a ticket is opened or closed.
fn tickets(warehouse: &Warehouse, customers: &[Customer]) -> Result<usize, WarehouseError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("customer_id", DataType::Int64, false),
        timestamp("changed_at", false),
        Field::new("open_tickets", DataType::Int32, true),
        Field::new("last_topic", DataType::Utf8, true),
    ]));
    let mut rows = Vec::new();
    for customer in customers {
        let mut sequence = Sequence(SEED.rotate_left(17) ^ customer.id as u64);
        let last = customer.left.unwrap_or(MONTHS[6]);
        let (mut day, mut open) = (customer.joined + sequence.below(30), 0);
        while day < last {
            let opens = open == 0 || sequence.below(3) == 0;
            open += if opens { 1 } else { -1 };
            rows.push((START + day * DAY + sequence.below(24 * 60) * 60_000_000, customer.id, open, sequence.pick(&TOPICS)));
            day += 2 + sequence.below(35);
        }
    }
    rows.sort_unstable();
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(rows.iter().map(|row| Some(row.1)).collect::<Int64Array>()),
            Arc::new(times(rows.iter().map(|row| Some(row.0)))),
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int32Array>()),
            Arc::new(rows.iter().map(|row| Some(row.3)).collect::<StringArray>()),
        ],
    )?;
    let mut table = warehouse.create_table(NAMESPACE, "support_tickets", &schema, &[])?;
    warehouse.append(&mut table, &batch)?;
    Ok(batch.num_rows())
}

/// `customer_profile`: what was true from when until when (a slowly changing dimension of type 2), partitioned by country.
fn profiles(warehouse: &Warehouse, customers: &[Customer]) -> Result<usize, WarehouseError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("customer_id", DataType::Int64, false),
        Field::new("country", DataType::Utf8, false),
        Field::new("plan", DataType::Utf8, true),
        timestamp("valid_from", false),
        timestamp("valid_to", true),
    ]));
    let mut rows: Vec<(i64, &str, &str, i64, Option<i64>)> = Vec::new();
    for customer in customers {
        let mut sequence = Sequence(SEED.rotate_left(34) ^ customer.id as u64);
        let country = sequence.pick(&COUNTRIES);
        let mut from = customer.joined;
        if customer.id == 1004 {
            rows.push((1004, country, "basic", 0, Some(45)));
            rows.push((1004, country, "premium", 45, Some(90)));
            continue;
        }
        let mut plan = sequence.pick(&PLANS);
        while sequence.below(10) < 4 {
            let to = from + 20 + sequence.below(60);
            if to >= customer.left.unwrap_or(MONTHS[6]) {
                break;
            }
            rows.push((customer.id, country, plan, from, Some(to)));
            plan = PLANS[(PLANS.iter().position(|p| *p == plan).unwrap_or(0) + 1) % PLANS.len()];
            from = to;
        }
        rows.push((customer.id, country, plan, from, customer.left));
    }
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>()),
            Arc::new(times(rows.iter().map(|row| Some(START + row.3 * DAY)))),
            Arc::new(times(rows.iter().map(|row| row.4.map(|to| START + to * DAY)))),
        ],
    )?;
    let mut table = warehouse.create_table(NAMESPACE, "customer_profile", &schema, &[PartitionField::identity("country")])?;
    warehouse.append(&mut table, &batch)?;
    Ok(batch.num_rows())
}

/// `labels`: who had left sixty days after each label day; those who had joined by then, and had not left long before.
fn labels(warehouse: &Warehouse, customers: &[Customer]) -> Result<usize, WarehouseError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("customer_id", DataType::Int64, false),
        timestamp("event_timestamp", false),
        Field::new("churned", DataType::Boolean, true),
    ]));
    let mut rows = Vec::new();
    for day in LABEL_DAYS {
        for customer in customers {
            let gone_long_ago = customer.left.is_some_and(|left| left + 60 < day) && customer.id != 1003;
            if customer.joined < day && !gone_long_ago {
                let churned = customer.left.is_some_and(|left| left < day + 60);
                rows.push((customer.id, START + day * DAY + 12 * HOUR, churned));
            }
        }
    }
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Int64Array>()),
            Arc::new(times(rows.iter().map(|row| Some(row.1)))),
            Arc::new(rows.iter().map(|row| Some(row.2)).collect::<BooleanArray>()),
        ],
    )?;
    let mut table = warehouse.create_table(NAMESPACE, "labels", &schema, &[])?;
    warehouse.append(&mut table, &batch)?;
    Ok(batch.num_rows())
}

fn timestamp(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), nullable)
}

fn times(values: impl Iterator<Item = Option<i64>>) -> TimestampMicrosecondArray {
    values.collect::<TimestampMicrosecondArray>().with_timezone("UTC")
}

/// Rounded to cents.
fn cents(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
