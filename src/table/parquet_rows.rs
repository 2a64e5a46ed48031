//! Reads whole delete files: a few columns of a Parquet file as batches, with errors that name the file.
//!
//! Delete files are read under the caller's future in `scan()`, so cancel and deadline reach them, and any problem with one is
//! an error: a delete that is not applied would bring deleted rows back.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use arrow::record_batch::RecordBatch;
use datafusion::datasource::physical_plan::parquet::Int96Coercer;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;

use super::error::{TableError, report_within};
use super::field_ids::{any_field_id, field_id, map_names};
use super::reader_factory::StorageReaderFactory;
use crate::error::Report;
use crate::source::TableSnapshot;
use crate::source::iceberg::DeleteFile;

/// Rows per batch.
const BATCH: usize = 8192;

/// A delete file, opened.
pub struct DeleteRows {
    builder: ParquetRecordBatchStreamBuilder<super::reader_factory::StorageFileReader>,
    url: Arc<str>,
    /// Its columns, with ids: the file's own, else those of the table's name mapping.
    pub fields: Fields,
}

/// Opens the file and reads its footer.
pub async fn open(factory: &StorageReaderFactory, snapshot: &TableSnapshot, delete: &DeleteFile) -> Result<DeleteRows, Report> {
    let url: Arc<str> = delete.path.as_str().into();
    let mut reader = factory.open(Arc::clone(&url)).map_err(|error| engine_report(&url, &error))?;
    if let Some(content) = snapshot.small_delete_file(delete).await? {
        reader = reader.with_content(content);
    }
    let footer = reader.footer().await.map_err(|error| match error {
        TableError::DamagedFile { url, reason } => TableError::DamagedDeleteFile { url, reason },
        other => other,
    })?;
    let report = |error| parquet_report(&url, &error);
    let mut metadata = ArrowReaderMetadata::try_new(footer, ArrowReaderOptions::new()).map_err(report)?;
    // The old form of timestamps is read as the scan of data files reads it.
    if let Some(schema) = Int96Coercer::new(metadata.parquet_schema(), metadata.schema(), &TimeUnit::Microsecond).coerce() {
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).map_err(report)?;
    }
    let mut fields = metadata.schema().fields().clone();
    if !any_field_id(&fields)
        && let Some(Ok(mapping)) = snapshot.metadata.name_mapping()
    {
        fields = map_names(&fields, &mapping.fields);
    }
    Ok(DeleteRows { builder: ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata), url, fields })
}

impl DeleteRows {
    /// The position of the column with this id, or, where files have no ids, of this name.
    pub fn column(&self, id: i32, name: &str) -> Option<usize> {
        let by_id = self.fields.iter().position(|field| field_id(field) == Some(id));
        by_id.or_else(|| self.fields.iter().position(|field| field_id(field).is_none() && field.name() == name))
    }

    /// These columns (ascending) of all rows.
    pub fn read(self, columns: &[usize]) -> Result<BoxStream<'static, Result<RecordBatch, Report>>, Report> {
        let Self { builder, url, .. } = self;
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        let stream = builder.with_projection(mask).with_batch_size(BATCH).build().map_err(|error| parquet_report(&url, &error))?;
        Ok(Box::pin(stream.map_err(move |error| parquet_report(&url, &error))))
    }
}

/// The reader's error as ours.
fn parquet_report(url: &str, error: &ParquetError) -> Report {
    if let Some(report) = report_within(error) {
        return report.clone();
    }
    TableError::DamagedDeleteFile { url: url.to_owned(), reason: error.to_string() }.into()
}

fn engine_report(url: &str, error: &datafusion::common::DataFusionError) -> Report {
    report_within(error).cloned().unwrap_or_else(|| TableError::DamagedDeleteFile { url: url.to_owned(), reason: error.to_string() }.into())
}

/// The field as a struct around it would hold it: used to give a nested key its path.
pub fn struct_of(name: &str, child: FieldRef) -> Field {
    Field::new(name, DataType::Struct(Fields::from(vec![child])), true)
}
