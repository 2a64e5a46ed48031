//! Every direction against a plain list, in memory and from files.

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;

use super::*;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

/// The numbers 1 to `rows`, three to a batch.
fn numbers(rows: i64) -> RowStream {
    let batches: Vec<_> = (0..rows)
        .step_by(3)
        .map(|first| {
            let column: ArrayRef = Arc::new(Int64Array::from_iter_values(first + 1..=(first + 3).min(rows)));
            Ok(RecordBatch::try_new(schema(), vec![column]).unwrap())
        })
        .collect();
    futures::stream::iter(batches).boxed()
}

fn kept(memory: usize, first: u64) -> KeptRows {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(memory));
    KeptRows::new(schema(), &pool, &Arc::new(RuntimeEnv::default()), first)
}

async fn fetched(cursor: &mut CursorRows, direction: Direction, scroll: bool) -> Result<Vec<i64>, Report> {
    let mut step = cursor.seek(direction, scroll, false).await?;
    let mut found = Vec::new();
    while let Some(batch) = cursor.next(&mut step).await? {
        found.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
    }
    Ok(found)
}

/// A cursor over `1..=rows` as PostgreSQL defines it: rows that FETCH gives, and the new position.
struct Model {
    rows: i64,
    at: i64,
}

impl Model {
    fn run(&mut self, from: i64, count: i64, back: bool) -> Vec<i64> {
        let (mut at, mut found) = (from, Vec::new());
        for _ in 0..count.min(self.rows + 2) {
            at = if back { (at - 1).max(0) } else { (at + 1).min(self.rows + 1) };
            if (1..=self.rows).contains(&at) {
                found.push(at);
            } else {
                break;
            }
        }
        self.at = at;
        found
    }

    fn fetch(&mut self, direction: Direction) -> Vec<i64> {
        match direction {
            Direction::Forward(0) | Direction::Backward(0) | Direction::Relative(0) => {
                if (1..=self.rows).contains(&self.at) {
                    vec![self.at]
                } else {
                    Vec::new()
                }
            }
            Direction::Forward(count) if count < 0 => self.run(self.at, -count, true),
            Direction::Backward(count) if count < 0 => self.run(self.at, -count, false),
            Direction::Forward(count) => self.run(self.at, count, false),
            Direction::Backward(count) => self.run(self.at, count, true),
            Direction::Relative(count) => self.jump(self.at + count),
            Direction::Absolute(0) => self.jump(0),
            Direction::Absolute(row) => self.jump(if row > 0 { row } else { self.rows + 1 + row }),
        }
    }

    fn jump(&mut self, row: i64) -> Vec<i64> {
        self.at = row.clamp(0, self.rows + 1);
        if (1..=self.rows).contains(&self.at) { vec![self.at] } else { Vec::new() }
    }
}

#[tokio::test]
async fn every_direction_from_memory_and_from_files() {
    for (rows, memory) in [(10, 1 << 20), (10, 1), (7, 700), (0, 1 << 20), (1, 1)] {
        let mut cursor = CursorRows::new(numbers(rows), Some(kept(memory, 0)));
        let mut model = Model { rows, at: 0 };
        let mut state = 17_u64;
        for step in 0..400 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let count = (state >> 33) as i64 % 9 - 4;
            let direction = match (state >> 60) % 5 {
                0 => Direction::Forward(count),
                1 => Direction::Backward(count),
                2 => Direction::Absolute(count * 3),
                3 => Direction::Relative(count),
                _ if count > 2 => Direction::Forward(ALL_ROWS),
                _ if count < -2 => Direction::Backward(ALL_ROWS),
                _ => Direction::Forward(1),
            };
            let expected = model.fetch(direction);
            assert_eq!(fetched(&mut cursor, direction, true).await.unwrap(), expected, "step {step}: {direction:?} of {rows}");
        }
    }
}

#[tokio::test]
async fn without_scroll_it_goes_on_only() {
    let mut cursor = CursorRows::new(numbers(8), None);
    assert_eq!(fetched(&mut cursor, Direction::Absolute(2), false).await.unwrap(), [2]);
    assert_eq!(fetched(&mut cursor, Direction::Relative(2), false).await.unwrap(), [4]);
    assert_eq!(cursor.seek(Direction::Forward(0), false, true).await.map(|step| step.standing), Ok(true));
    for direction in [
        Direction::Backward(1),
        Direction::Forward(-1),
        Direction::Forward(0),
        Direction::Absolute(1),
        Direction::Absolute(4),
        Direction::Absolute(-1),
        Direction::Relative(-1),
        Direction::Absolute(0),
    ] {
        let report = fetched(&mut cursor, direction, false).await.unwrap_err();
        assert_eq!(
            (report.sqlstate, report.message.as_str()),
            (SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        );
    }
    assert_eq!(fetched(&mut cursor, Direction::Forward(2), false).await.unwrap(), [5, 6]);
    assert_eq!(fetched(&mut cursor, Direction::Forward(ALL_ROWS), false).await.unwrap(), [7, 8]);
    assert_eq!(fetched(&mut cursor, Direction::Forward(1), false).await.unwrap(), [0_i64; 0]);
}

#[tokio::test]
async fn what_is_left_outlives_the_query() {
    for memory in [1, 1 << 20] {
        let mut cursor = CursorRows::new(numbers(8), None);
        assert_eq!(fetched(&mut cursor, Direction::Forward(4), false).await.unwrap(), [1, 2, 3, 4]);
        cursor.hold(|first| kept(memory, first)).await.unwrap();
        assert!(cursor.stream.is_none());
        assert_eq!(fetched(&mut cursor, Direction::Forward(3), false).await.unwrap(), [5, 6, 7]);
        assert_eq!(fetched(&mut cursor, Direction::Forward(ALL_ROWS), false).await.unwrap(), [8]);
    }
    let mut cursor = CursorRows::new(numbers(3), None);
    assert_eq!(fetched(&mut cursor, Direction::Forward(ALL_ROWS), false).await.unwrap(), [1, 2, 3]);
    cursor.hold(|first| kept(1, first)).await.unwrap();
    assert_eq!(fetched(&mut cursor, Direction::Forward(1), false).await.unwrap(), [0_i64; 0]);
}

#[tokio::test]
async fn a_query_that_failed_gives_no_more() {
    let failing = numbers(3).chain(futures::stream::iter([Err(Report::new(SqlState::DIVISION_BY_ZERO, "division by zero"))])).boxed();
    let mut cursor = CursorRows::new(failing, None);
    assert_eq!(fetched(&mut cursor, Direction::Forward(3), false).await.unwrap(), [1, 2, 3]);
    assert_eq!(fetched(&mut cursor, Direction::Forward(1), false).await.unwrap_err().sqlstate, SqlState::DIVISION_BY_ZERO);
    assert_eq!(fetched(&mut cursor, Direction::Forward(1), false).await.unwrap_err().sqlstate, SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
}
