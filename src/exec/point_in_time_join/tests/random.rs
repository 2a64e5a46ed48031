//! Random feature tables and entity rows of every shape, the operator against the reference. A failure prints the seed; to see that case
//! alone, put it into [`SEEDS`].

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int64Array, ListArray,
    RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, IntervalMonthDayNano, Schema, TimeUnit};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::memory_rows::MemoryRows;
use super::reference::{self, Entity, Feature, Question};
use crate::exec::point_in_time_join::{EntityTime, FeatureRows, Lookup, OutputColumn, PointInTimeJoinExec, TieCounter};

/// The cases.
const SEEDS: Range<u64> = 0..3000;

const DAY: i128 = 86_400_000_000_000;

/// Pairs of key types that compare.
fn key_types(random: &mut StdRng) -> (DataType, DataType) {
    use DataType::*;
    let timestamp = |unit, zone: bool| Timestamp(unit, zone.then(|| "Europe/Berlin".into()));
    let families: [Vec<DataType>; 8] = [
        vec![Int8, Int16, Int32, Int64, UInt8, UInt64, Dictionary(Box::new(Int8), Box::new(Int32))],
        vec![Utf8, LargeUtf8, Utf8View, Dictionary(Box::new(Int16), Box::new(Utf8))],
        vec![Decimal128(10, 2), Decimal128(18, 0), Decimal64(12, 3)],
        vec![Decimal128(38, 4), Decimal256(50, 1), Decimal128(10, 0)],
        vec![Date32, Date64],
        vec![timestamp(TimeUnit::Second, false), timestamp(TimeUnit::Microsecond, true), timestamp(TimeUnit::Nanosecond, false)],
        vec![Boolean],
        vec![Binary, BinaryView, FixedSizeBinary(16), LargeBinary],
    ];
    let family = &families[random.random_range(0..families.len())];
    let mut one = || family[random.random_range(0..family.len())].clone();
    (one(), one())
}

/// Keys as an array of a type; every type spells the same number in its own way.
fn key_array(keys: impl Iterator<Item = Option<u8>>, data_type: &DataType) -> ArrayRef {
    let keys: Vec<Option<u8>> = keys.collect();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter(keys.iter().map(|key| key.map(i64::from))));
    match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(keys.iter().map(|key| key.map(|key| key == 1)))),
        DataType::Date32 | DataType::Date64 => {
            let days: ArrayRef = Arc::new(Date32Array::from_iter(keys.iter().map(|key| key.map(i32::from))));
            cast(&days, data_type).unwrap()
        }
        DataType::Timestamp(unit, zone) => {
            let seconds = cast(&numbers, &DataType::Timestamp(TimeUnit::Second, zone.clone())).unwrap();
            cast(&seconds, &DataType::Timestamp(*unit, zone.clone())).unwrap()
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let bytes = keys.iter().map(|key| key.map(|key| [key; 16]));
            let fixed: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, 16).unwrap());
            cast(&fixed, data_type).unwrap()
        }
        DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Decimal64(..) => {
            let whole = keys.iter().map(|key| key.map(i128::from));
            let whole: ArrayRef = Arc::new(Decimal128Array::from_iter(whole).with_precision_and_scale(3, 0).unwrap());
            cast(&whole, data_type).unwrap()
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = keys.iter().map(|key| key.map(|key| format!("key {key} {}", "x".repeat(usize::from(key) * 7))));
            cast(&(Arc::new(StringArray::from_iter(text)) as ArrayRef), data_type).unwrap()
        }
        DataType::Dictionary(_, value) => cast(&key_array(keys.into_iter(), value), data_type).unwrap(),
        _ => cast(&numbers, data_type).unwrap(),
    }
}

fn time_type(random: &mut StdRng) -> DataType {
    let zone = random.random_bool(0.5).then(|| Arc::from("UTC"));
    match random.random_range(0..7) {
        0 => DataType::Date32,
        1 => DataType::Timestamp(TimeUnit::Second, zone),
        2 => DataType::Timestamp(TimeUnit::Millisecond, zone),
        3 => DataType::Timestamp(TimeUnit::Nanosecond, zone),
        4 => DataType::Date64,
        _ => DataType::Timestamp(TimeUnit::Microsecond, zone),
    }
}

fn nanos_per_step(data_type: &DataType) -> i128 {
    match data_type {
        DataType::Date32 => DAY,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    }
}

/// An instant near others, as the type can hold it: around ends of months, with small differences of every unit.
fn instant(random: &mut StdRng, data_type: &DataType) -> i128 {
    let day = 19_780 + random.random_range(0..4) * random.random_range(0..30);
    let small = [0, 0, 0, 1, 999, 1_000, 1_000_000, 999_999_999, 1_000_000_000, DAY - 1][random.random_range(0..10)];
    let nanos: i128 = i128::from(day) * DAY + small;
    let step = if *data_type == DataType::Date64 { DAY } else { nanos_per_step(data_type) };
    nanos.div_euclid(step) * step
}

fn time_array(times: impl Iterator<Item = Option<i128>>, data_type: &DataType) -> ArrayRef {
    let step = nanos_per_step(data_type);
    let steps = Int64Array::from_iter(times.map(|time| time.map(|time| (time / step) as i64)));
    match data_type {
        DataType::Date32 => cast(&cast(&steps, &DataType::Int32).unwrap(), data_type).unwrap(),
        _ => cast(&(Arc::new(steps) as ArrayRef), data_type).unwrap(),
    }
}

fn maybe<T>(random: &mut StdRng, null: f64, value: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    if random.random_bool(null) { None } else { Some(value(random)) }
}

fn float(random: &mut StdRng) -> f64 {
    [0.0, -0.0, 1.0, f64::NAN, -f64::NAN, f64::INFINITY, -1.0][random.random_range(0..7)]
}

/// A feature table: plain rows, and the same as Arrow. Columns: keys, ts, created, valid until, commit, number, list, text.
struct Table {
    rows: Vec<Feature>,
    arrow: Arc<dyn FeatureRows>,
    memory: Arc<MemoryRows>,
    keys: usize,
}

fn table(random: &mut StdRng, key_types: &[DataType], can_fetch: bool) -> Table {
    let [timestamp, created, valid_until] = [(); 3].map(|()| time_type(random));
    let files = random.random_range(1..5);
    let dull = random.random_bool(0.5);
    let mut rows = Vec::new();
    let mut batches = Vec::new();
    for file in 0..files {
        let from = rows.len();
        for _ in 0..random.random_range(0..25) {
            let row = Feature {
                keys: key_types.iter().map(|_| maybe(random, 0.1, |random| random.random_range(0..2))).collect(),
                timestamp: maybe(random, 0.1, |random| instant(random, &timestamp)),
                created: maybe(random, 0.2, |random| instant(random, &created)),
                valid_until: maybe(random, 0.5, |random| instant(random, &valid_until)),
                commit: (file / 2) as i64,
                number: maybe(random, 0.2, |random| if dull { 1.0 } else { float(random) }),
                list: maybe(random, 0.2, |random| (0..random.random_range(0..3)).map(|_| maybe(random, 0.3, float)).collect()),
                text: maybe(random, 0.2, |random| "abc"[..random.random_range(0..4)].to_string()),
            };
            // Now and then the same row again, with a later created timestamp or exactly so.
            rows.push(row.clone());
            if random.random_bool(0.2) {
                let created = maybe(random, 0.5, |random| instant(random, &created)).or(row.created);
                rows.push(Feature { created, number: maybe(random, 0.3, float), ..row });
            }
        }
        let here = &rows[from..];
        let mut columns: Vec<(String, ArrayRef)> = key_types
            .iter()
            .enumerate()
            .map(|(part, data_type)| (format!("k{part}"), key_array(here.iter().map(|row| row.keys[part]), data_type)))
            .collect();
        columns.push(("ts".into(), time_array(here.iter().map(|row| row.timestamp), &timestamp)));
        columns.push(("created".into(), time_array(here.iter().map(|row| row.created), &created)));
        columns.push(("valid_until".into(), time_array(here.iter().map(|row| row.valid_until), &valid_until)));
        columns.push(("commit".into(), Arc::new(Int64Array::from_iter_values(here.iter().map(|row| row.commit)))));
        columns.push(("number".into(), Arc::new(Float64Array::from_iter(here.iter().map(|row| row.number)))));
        let lists = ListArray::from_iter_primitive::<Float64Type, _, _>(here.iter().map(|row| row.list.clone()));
        columns.push(("list".into(), Arc::new(lists)));
        columns.push(("text".into(), cast(&StringArray::from_iter(here.iter().map(|row| row.text.clone())), &DataType::Utf8View).unwrap()));
        let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        batches.push(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap());
    }
    let memory = Arc::new(MemoryRows::new(batches, can_fetch, random.random_bool(0.5)));
    Table { rows, arrow: memory.clone(), memory, keys: key_types.len() }
}

fn question(random: &mut StdRng, filter_by_created: bool) -> Question {
    let mut ties = vec![0, 1, 2];
    ties.shuffle(random);
    let intervals = [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 30, 1_000), (1, 1, 0), (0, 0, 1_000_000_000), (0, 0, 86_400_000_000_000)];
    Question {
        ttl: maybe(random, 0.4, |random| {
            let (months, days, nanos) = intervals[random.random_range(0..intervals.len())];
            IntervalMonthDayNano::new(months, days, nanos)
        }),
        has_created: random.random_bool(0.5),
        has_commit: random.random_bool(0.5),
        has_valid_until: random.random_bool(0.3),
        filter_by_created,
        ties,
    }
}

fn lookup(name: String, table: &Table, question: &Question) -> Lookup {
    let first = table.keys;
    Lookup {
        name,
        rows: table.arrow.clone(),
        on: (0..table.keys).map(|part| (part + 1, part)).collect(),
        timestamp: first,
        created: question.has_created.then_some(first + 1),
        valid_until: question.has_valid_until.then_some(first + 2),
        commit_order: question.has_commit.then_some(first + 3),
        tie_columns: question.ties.iter().map(|column| first + 4 + column).collect(),
        ttl: question.ttl,
        filter_by_created: question.filter_by_created,
    }
}

/// A value as text, with one spelling of NaN.
fn show(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".into();
    }
    match array.data_type() {
        DataType::Float64 => show_float(Some(array.as_primitive::<Float64Type>().value(row))),
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            let list = list.as_primitive::<Float64Type>();
            format!("{:?}", list.iter().map(show_float).collect::<Vec<_>>())
        }
        DataType::Utf8View => array.as_string_view().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        other => panic!("{other}"),
    }
}

fn show_float(value: Option<f64>) -> String {
    match value {
        None => "NULL".into(),
        Some(value) if value.is_nan() => "NaN".into(),
        Some(value) => format!("{value:?}"),
    }
}

fn expected(feature: Option<&Feature>, column: usize) -> String {
    let Some(feature) = feature else { return "NULL".into() };
    match column {
        0 => show_float(feature.number),
        1 => feature
            .list
            .as_ref()
            .map_or("NULL".into(), |list| format!("{:?}", list.iter().map(|value| show_float(*value)).collect::<Vec<_>>())),
        2 => feature.text.clone().unwrap_or("NULL".into()),
        _ => feature.timestamp.unwrap().to_string(),
    }
}

fn context(random: &mut StdRng) -> Arc<TaskContext> {
    let partitions = if random.random_bool(0.5) { 1 } else { 4 };
    let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size([1, 2, 7, 8192][random.random_range(0..4)]);
    SessionContext::new_with_config(config).task_ctx()
}

async fn case(seed: u64) {
    let random = &mut StdRng::seed_from_u64(seed);
    let keys = random.random_range(0..3);
    let types: Vec<(DataType, DataType)> = (0..keys).map(|_| key_types(random)).collect();
    let feature_types: Vec<DataType> = types.iter().map(|pair| pair.1.clone()).collect();
    let time = time_type(random);
    let constant = random.random_bool(0.15).then(|| instant(random, &time));
    let entities: Vec<Entity> = (0..random.random_range(0..40))
        .map(|_| Entity {
            keys: types.iter().map(|_| maybe(random, 0.1, |random| random.random_range(0..2))).collect(),
            time: constant.or_else(|| maybe(random, 0.1, |random| instant(random, &time))),
        })
        .collect();
    let mut columns: Vec<(String, ArrayRef)> =
        vec![("id".into(), Arc::new(UInt32Array::from_iter_values(0..entities.len() as u32)) as ArrayRef)];
    for (part, (data_type, _)) in types.iter().enumerate() {
        columns.push((format!("e{part}"), key_array(entities.iter().map(|entity| entity.keys[part]), data_type)));
    }
    columns.push(("t".into(), time_array(entities.iter().map(|entity| entity.time), &time)));
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    // The entity rows in partitions, and in batches of any size.
    let mut partitions: Vec<Vec<RecordBatch>> = vec![Vec::new(); random.random_range(1..4)];
    let mut start = 0;
    while start < batch.num_rows() {
        let length = random.random_range(1..=batch.num_rows() - start);
        let number = random.random_range(0..partitions.len());
        partitions[number].push(batch.slice(start, length));
        start += length;
    }
    let tables: Vec<Table> = (0..random.random_range(1..3))
        .map(|_| {
            let can_fetch = random.random_bool(0.6);
            table(random, &feature_types, can_fetch)
        })
        .collect();
    let filter = random.random_bool(0.3);
    let questions: Vec<(usize, Question)> =
        (0..random.random_range(1..4)).map(|_| (random.random_range(0..tables.len()), question(random, filter))).collect();
    let lookups: Vec<Lookup> =
        questions.iter().enumerate().map(|(number, (table, question))| lookup(format!("v{number}"), &tables[*table], question)).collect();
    let mut outputs: Vec<(usize, usize)> = (0..lookups.len()).flat_map(|number| [0, 1, 2, 3].map(|column| (number, column))).collect();
    outputs.shuffle(random);
    outputs.truncate(random.random_range(1..=outputs.len()));
    let output_columns = outputs
        .iter()
        .map(|(number, column)| OutputColumn {
            lookup: *number,
            column: if *column == 3 { keys } else { keys + 4 + column },
            name: format!("o{number}_{column}"),
        })
        .collect();
    let entity_time = match constant {
        Some(_) if batch.num_rows() > 0 => {
            EntityTime::Constant(datafusion::scalar::ScalarValue::try_from_array(batch.column(keys + 1), 0).unwrap())
        }
        _ => EntityTime::Column(keys + 1),
    };
    let input = MemorySourceConfig::try_new_exec(&partitions, schema, None).unwrap();
    let ties = Arc::new(TieCounter::default());
    let exec = Arc::new(PointInTimeJoinExec::try_new(input, entity_time, lookups, output_columns, ties.clone()).unwrap());
    let context = context(random);
    let batches = collect(exec.clone(), context.clone()).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), entities.len(), "seed {seed}: rows");
    let mut seen = vec![false; entities.len()];
    for batch in &batches {
        assert_eq!(batch.schema(), exec.schema(), "seed {seed}");
        assert!(batch.num_rows() <= context.session_config().batch_size(), "seed {seed}: batch size");
        for row in 0..batch.num_rows() {
            let id = batch.column(0).as_primitive::<arrow::datatypes::UInt32Type>().value(row) as usize;
            assert!(!std::mem::replace(&mut seen[id], true), "seed {seed}: entity row {id} twice");
            for (place, (number, column)) in outputs.iter().enumerate() {
                let (table, question) = &questions[*number];
                let (winner, _) = reference::winner(&entities[id], &tables[*table].rows, question);
                let array = batch.column(keys + 2 + place);
                let got = if *column == 3 { show_time(array, row) } else { show(array, row) };
                assert_eq!(
                    got,
                    expected(winner, *column),
                    "seed {seed}: entity row {id} {:?}, lookup {number}, column {column}, {question:?}, {winner:?}",
                    entities[id]
                );
            }
        }
    }
    let counted: usize = questions
        .iter()
        .enumerate()
        .filter(|(number, _)| outputs.iter().any(|output| output.0 == *number))
        .map(|(_, (table, question))| entities.iter().filter(|entity| reference::winner(entity, &tables[*table].rows, question).1).count())
        .sum();
    assert_eq!(ties.rows(), counted as u64, "seed {seed}: rows decided by commit order or content");
    assert_eq!(context.memory_pool().reserved(), 0, "seed {seed}: memory is given back");
    assert!(tables.iter().all(|table| table.memory.can_fetch || table.memory.fetches.load(Ordering::Relaxed) == 0));
}

fn show_time(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".into();
    }
    let step = nanos_per_step(array.data_type());
    let steps = match array.data_type() {
        DataType::Date32 => cast(&cast(array, &DataType::Int32).unwrap(), &DataType::Int64).unwrap(),
        _ => cast(array, &DataType::Int64).unwrap(),
    };
    (i128::from(steps.as_primitive::<Int64Type>().value(row)) * step).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_operator_agrees_with_the_reference() {
    for seed in SEEDS {
        case(seed).await;
    }
}

/// One large case of many batches and repeated ties, so that lists are settled on the way and kept rows are copied together.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ties_without_end_are_settled_on_the_way() {
    for can_fetch in [true, false] {
        let files: Vec<RecordBatch> = (0..4_i64)
            .map(|file| {
                let rows = 40_000_i64;
                let k: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row % 100)));
                let ts =
                    cast(&Int64Array::from_iter_values((0..rows).map(|_| 5)), &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap();
                let value: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| (row * 7919 + file) % 40_009)));
                RecordBatch::try_from_iter([("k", k), ("ts", ts), ("value", value)]).unwrap()
            })
            .collect();
        let mut best = vec![i64::MIN; 100];
        for file in 0..4 {
            for row in 0..40_000_i64 {
                let best = &mut best[(row % 100) as usize];
                *best = (*best).max((row * 7919 + file) % 40_009);
            }
        }
        let rows = Arc::new(MemoryRows::new(files, can_fetch, true));
        let k: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let t = cast(&Int64Array::from_iter_values((0..100).map(|_| 9)), &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap();
        let batch = RecordBatch::try_from_iter([("k", k), ("t", t)]).unwrap();
        let input = MemorySourceConfig::try_new_exec(&[vec![batch.clone()]], batch.schema(), None).unwrap();
        let lookup = Lookup {
            name: "v".into(),
            rows,
            on: vec![(0, 0)],
            timestamp: 1,
            created: None,
            valid_until: None,
            commit_order: None,
            tie_columns: vec![2],
            ttl: None,
            filter_by_created: false,
        };
        let ties = Arc::new(TieCounter::default());
        let output = OutputColumn { lookup: 0, column: 2, name: "value".into() };
        let exec = PointInTimeJoinExec::try_new(input, EntityTime::Column(1), vec![lookup], vec![output], ties.clone()).unwrap();
        let config = SessionConfig::new().with_target_partitions(2);
        let batches = collect(Arc::new(exec), SessionContext::new_with_config(config).task_ctx()).await.unwrap();
        let mut checked = 0;
        for batch in batches {
            for row in 0..batch.num_rows() {
                let key = batch.column(0).as_primitive::<Int64Type>().value(row);
                assert_eq!(batch.column(2).as_primitive::<Int64Type>().value(row), best[key as usize], "key {key}, can_fetch {can_fetch}");
                checked += 1;
            }
        }
        assert_eq!((checked, ties.rows()), (100, 100));
    }
}
