//! Parquet files with field ids.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::bounds::{ColumnSummary, summarize};
use super::partition::PartitionValue;
use super::{WarehouseError, schema};

/// A file as a manifest lists it.
#[derive(Debug, Clone)]
pub(super) struct DataFile {
    /// 0 = data, 1 = position deletes.
    pub(super) content: i32,
    pub(super) location: String,
    pub(super) partition: Vec<PartitionValue>,
    pub(super) rows: i64,
    pub(super) bytes: i64,
    /// By field id.
    pub(super) columns: Vec<(i64, ColumnSummary)>,
}

/// Writes `rows` to `path`; `ids` are the columns' field ids.
pub(super) fn write(
    path: &Path,
    rows: &RecordBatch,
    ids: &[i64],
    content: i32,
    partition: Vec<PartitionValue>,
) -> Result<DataFile, WarehouseError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| WarehouseError::io(folder, source))?;
    }
    let schema = schema::with_field_ids(&Schema::new(rows.schema().fields().clone()), ids.iter().copied());
    let rows = RecordBatch::try_new(schema.clone(), rows.columns().to_vec())?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(32_768))
        .build();
    let file = std::fs::File::create(path).map_err(|source| WarehouseError::io(path, source))?;
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties))?;
    writer.write(&rows)?;
    writer.close()?;
    let bytes = std::fs::metadata(path).map_err(|source| WarehouseError::io(path, source))?.len() as i64;
    let columns = ids.iter().copied().zip(rows.columns().iter().map(summarize)).collect();
    Ok(DataFile { content, location: format!("file://{}", path.display()), partition, rows: rows.num_rows() as i64, bytes, columns })
}
