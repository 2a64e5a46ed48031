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
fn chunks_without_a_place_are_impossible() {
    let schema = schema();
    let chunk = |start: i64, dictionary: Option<i64>, size: i64| {
        let chunk = ColumnChunkMetaData::builder(schema.column(0)).set_data_page_offset(start).set_total_compressed_size(size);
        is_impossible(&chunk.set_dictionary_page_offset(dictionary).build().unwrap())
    };
    assert!(!chunk(4, None, 10) && !chunk(4, Some(0), 0));
    assert!(chunk(-1, None, 10) && chunk(4, Some(-1), 10) && chunk(4, None, -5));
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

/// A file of two row groups of eight columns, about 128 KiB each and not compressible, with a page index; and a reader of it.
async fn large_file() -> (Arc<Storage>, StorageReaderFactory, usize) {
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::record_batch::RecordBatch;
    use object_store::{ObjectStoreExt, PutPayload};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.cast_signed()
    };
    let columns: Vec<(String, ArrayRef)> =
        (0..8).map(|column| (format!("c{column}"), Arc::new((0..32_768).map(|_| next()).collect::<Int64Array>()) as ArrayRef)).collect();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(16_384)).set_dictionary_enabled(false).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let (store, size) = (Arc::new(object_store::memory::InMemory::new()), bytes.len());
    store.put(&object_store::path::Path::from("f.parquet"), PutPayload::from(bytes)).await.unwrap();
    let storage = Storage::with_store("s3://b", store);
    let footers = Arc::new(FooterCache::new(1 << 20));
    let factory = StorageReaderFactory::new(Arc::clone(&storage), footers, None, false);
    (storage, factory, size)
}

#[tokio::test]
async fn footer_and_page_index_are_one_request_and_near_chunks_are_another() {
    use futures::TryStreamExt;
    use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};

    let (storage, factory, size) = large_file().await;
    assert!(size > 2 << 20);
    let url = || "s3://b/f.parquet".into();
    let options = || ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let mut reader = factory.open(url()).unwrap();
    let footer = reader.get_metadata(Some(&options())).await.unwrap();
    assert!(footer.offset_index().is_some() && footer.row_groups().len() == 2);
    assert_eq!(storage.request_counts().gets, 1, "the footer brought the page index along");

    // Columns 1, 2, 4 and 7 of each row group: three gaps of a chunk or two, less than a request is worth.
    let before = storage.request_counts();
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(factory.open(url()).unwrap(), options()).await.unwrap();
    let mask = ProjectionMask::roots(builder.parquet_schema(), [1, 2, 4, 7]);
    let batches: Vec<_> = builder.with_projection(mask).build().unwrap().try_collect().await.unwrap();
    assert_eq!(batches.iter().map(arrow::record_batch::RecordBatch::num_rows).sum::<usize>(), 32_768);
    let after = storage.request_counts();
    // The page index once more (it is not kept with its values), and one request for each row group.
    assert_eq!((after.gets - before.gets, after.heads, after.lists), (3, 0, 0));
}

#[tokio::test]
async fn an_encrypted_footer_is_refused_as_what_it_is() {
    use object_store::{ObjectStoreExt, PutPayload};

    let store = Arc::new(object_store::memory::InMemory::new());
    store.put(&object_store::path::Path::from("f.parquet"), PutPayload::from(b"PARE0123456789\x08\0\0\0PARE".to_vec())).await.unwrap();
    let storage = Storage::with_store("s3://b", store);
    let factory = StorageReaderFactory::new(storage, Arc::new(FooterCache::new(1 << 20)), None, false);
    let error = factory.open("s3://b/f.parquet".into()).unwrap().footer().await.unwrap_err();
    assert!(matches!(error, TableError::Encrypted { .. }), "{error}");
}
