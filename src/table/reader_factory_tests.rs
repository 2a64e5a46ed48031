//! Footers as they are used: without statistics that would prune rows that match, and small files known as such.

use std::sync::Arc;

use parquet::data_type::ByteArray;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};

use super::*;

fn schema() -> SchemaDescPtr {
    let message = "message m { optional binary t (STRING); optional int32 i; optional int64 u (INTEGER(64,false)); required int32 r; }";
    Arc::new(SchemaDescriptor::new(Arc::new(parse_message_type(message).unwrap())))
}

/// Which columns keep their statistics, given those of `t`, `i`, `u` and `r`.
fn kept(statistics: [Statistics; 4]) -> Vec<bool> {
    let schema = schema();
    let columns = statistics.into_iter().enumerate().map(|(at, statistics)| {
        ColumnChunkMetaData::builder(schema.column(at)).set_statistics(statistics).set_data_page_offset(4).build().unwrap()
    });
    let group = RowGroupMetaData::builder(Arc::clone(&schema)).set_num_rows(1).set_column_metadata(columns.collect()).build().unwrap();
    let group = with_sound_statistics(group).unwrap();
    group.columns().iter().map(|column| column.statistics().is_some()).collect()
}

fn text(nulls: Option<u64>, deprecated: bool) -> Statistics {
    let value = |text: &str| Some(ByteArray::from(text));
    Statistics::byte_array(value("a"), value("z"), None, nulls, deprecated)
}

fn int(nulls: Option<u64>, deprecated: bool) -> Statistics {
    Statistics::int32(Some(1), Some(2), None, nulls, deprecated)
}

fn long(nulls: Option<u64>, deprecated: bool) -> Statistics {
    Statistics::int64(Some(1), Some(2), None, nulls, deprecated)
}

#[test]
fn old_bounds_are_kept_only_of_signed_numbers() {
    let some = Some(0);
    assert_eq!(kept([text(some, false), int(some, false), long(some, false), int(some, false)]), [true; 4]);
    // Old writers compared text and unsigned numbers as if they were signed.
    assert_eq!(kept([text(some, true), int(some, true), long(some, true), int(some, true)]), [false, true, false, true]);
}

#[test]
fn statistics_that_do_not_count_nulls_are_dropped_where_there_may_be_some() {
    assert_eq!(kept([text(None, false), int(None, false), long(Some(1), false), int(None, false)]), [false, false, true, true]);
}

#[test]
fn small_files_are_those_whose_chunks_end_early() {
    let schema = schema();
    let footer = |start: i64, size: i64| {
        let columns = (0..4).map(|at| {
            let chunk = ColumnChunkMetaData::builder(schema.column(at)).set_data_page_offset(start).set_total_compressed_size(size);
            chunk.build().unwrap()
        });
        let group = RowGroupMetaData::builder(Arc::clone(&schema)).set_num_rows(1).set_column_metadata(columns.collect()).build().unwrap();
        let file = FileMetaData::new(1, 1, None, None, Arc::clone(&schema), None);
        ParquetMetaDataBuilder::new(file).set_row_groups(vec![group]).build()
    };
    assert_eq!(end_of_small_file(&footer(4, 100)), Some(104));
    assert_eq!(end_of_small_file(&footer(4, 1 << 30)), None);
    assert_eq!(end_of_small_file(&footer(4, -100)), None);
    assert_eq!(end_of_small_file(&footer(i64::MAX, 100)), None);
}
