//! How the Parquet reader gets bytes: through our own storage, with typed errors.
//!
//! The engine's own factory turns a store's error into text and keys its footer cache without the bucket. Here a missing
//! object stays "snapshot expired", damage stays damage and names the file, and the rest stays I/O. A file is read
//! without asking for its size: the footer is fetched by a suffix range, whose answer brings the true size along, so
//! a manifest that lies about sizes costs nothing and no HEAD is ever sent. The end of a file that came with its footer is kept
//! by its reader, and of small files for the scan's next reader of it: a small file costs one request.
//!
//! A footer is cleaned before use: the writer's embedded Arrow schema is dropped (the Parquet types and field ids say all
//! that Iceberg means; dictionaries, large offsets and odd time zones stay out), statistics that would prune rows that match are
//! dropped, and the file's URL is put into the metadata so that errors further up can name it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{GetOptions, GetRange, coalesce_ranges};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::basic::{SortOrder, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, PageIndexPolicy, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader,
    RowGroupMetaData,
};

use super::error::{TableError, external};
use super::footer_cache::FooterCache;
use super::schema_evolution::FILE_URL;
use crate::error::{Report, SqlState};
use crate::storage::{Located, Storage, StorageError};

/// How a file with an encrypted footer ends.
const ENCRYPTED: &[u8] = b"PARE";
/// Bytes that the first request for a footer asks for.
const FOOTER_PREFETCH: u64 = 64 << 10;
/// The column chunks of a file that end before this are read by one request.
const SMALL_FILE: u64 = 256 << 10;
/// Files of one scan whose bytes are kept for a second look.
const KEPT_TAILS: usize = 16;
/// A file of more column chunks than this is not looked at for being small.
const MOST_SMALL_CHUNKS: usize = 4096;
/// A footer larger than this is refused: it would be hostile.
const MAX_FOOTER: u64 = 256 << 20;
/// Ranges nearer than this are fetched by one request.
const COALESCE_GAP: u64 = 1 << 20;
/// The key of an embedded Arrow schema.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// The URL of a [`PartitionedFile`], attached to it as an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUrl(pub Arc<str>);

/// Makes readers over one storage.
#[derive(Debug, Clone)]
pub struct StorageReaderFactory {
    /// Where the files are.
    pub storage: Arc<Storage>,
    /// Where their footers are kept.
    pub footers: Arc<FooterCache>,
    /// Where to report bytes, instead of the scan's own metrics.
    pub metrics: Option<ExecutionPlanMetricsSet>,
    /// Whether a footer comes with the places of its pages: worth a request where single rows are fetched.
    pub page_offsets: bool,
    /// Small files that were just read: the engine opens some twice.
    pub tails: Arc<Tails>,
}

impl StorageReaderFactory {
    /// Over this storage.
    pub fn new(storage: Arc<Storage>, footers: Arc<FooterCache>, metrics: Option<ExecutionPlanMetricsSet>, page_offsets: bool) -> Self {
        Self { storage, footers, metrics, page_offsets, tails: Arc::default() }
    }

    /// A reader of this file.
    pub fn open(&self, url: Arc<str>) -> Result<StorageFileReader> {
        let located = self.storage.locate(&url).map_err(external)?;
        let object = format!("{}/{}", located.bucket, located.path);
        Ok(StorageFileReader {
            storage: Arc::clone(&self.storage),
            footers: Arc::clone(&self.footers),
            page_offsets: self.page_offsets,
            tail: self.tails.of(&object),
            tails: Arc::clone(&self.tails),
            object,
            located,
            url,
            bytes_scanned: None,
            small: None,
        })
    }
}

/// The last bytes of files that one scan has read, or of small files all: a few, each at most as large as a small file.
#[derive(Debug, Default)]
pub struct Tails(Mutex<VecDeque<(String, Tail)>>);

/// Bytes of a file from a place on.
#[derive(Debug, Clone)]
struct Tail {
    start: u64,
    bytes: Bytes,
    /// Whether they are the whole file.
    whole: bool,
}

impl Tails {
    fn of(&self, object: &str) -> Option<Tail> {
        self.0.lock().iter().find(|(of, _)| of == object).map(|(_, tail)| tail.clone())
    }

    fn keep(&self, object: &str, tail: &Tail) {
        if tail.start > 0 || tail.bytes.len() as u64 > SMALL_FILE {
            return;
        }
        let mut tails = self.0.lock();
        tails.retain(|(of, _)| of != object);
        if tails.len() >= KEPT_TAILS {
            tails.pop_front();
        }
        tails.push_back((object.to_owned(), tail.clone()));
    }
}

impl ParquetFileReaderFactory for StorageReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let url = match file.extension::<FileUrl>() {
            Some(FileUrl(url)) => Arc::clone(url),
            None => return Err(external(Report::new(SqlState::INTERNAL_ERROR, "a scanned file has no URL"))),
        };
        let mut reader = self.open(url)?;
        let metrics = self.metrics.as_ref().unwrap_or(metrics);
        reader.bytes_scanned = Some(MetricBuilder::new(metrics).counter("bytes_scanned", partition_index));
        Ok(Box::new(reader))
    }
}

/// Reads one file.
pub struct StorageFileReader {
    storage: Arc<Storage>,
    footers: Arc<FooterCache>,
    url: Arc<str>,
    located: Located,
    object: String,
    page_offsets: bool,
    bytes_scanned: Option<Count>,
    /// The end of the file, if it was read: of a small file all of it.
    tail: Option<Tail>,
    tails: Arc<Tails>,
    /// Where the last column chunk (or what prunes pages and groups, after it) ends, if that is near enough to read all of them at once.
    small: Option<u64>,
}

impl fmt::Debug for StorageFileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageFileReader").field("url", &self.url).finish_non_exhaustive()
    }
}

impl StorageFileReader {
    /// The same over the file's bytes, which are there already.
    #[must_use]
    pub fn with_content(mut self, content: Bytes) -> Self {
        self.tail = Some(Tail { start: 0, bytes: content, whole: true });
        self
    }

    /// The footer, from the cache or by one or two requests.
    pub async fn footer(&mut self) -> Result<Arc<ParquetMetaData>, TableError> {
        if let Some(footer) = self.footers.get(&self.storage, &self.object) {
            return Ok(footer);
        }
        let mut wanted = FOOTER_PREFETCH;
        let footer = loop {
            let (bytes, size) = match &self.tail {
                Some(tail) if tail.whole => (tail.bytes.clone(), tail.bytes.len() as u64),
                _ => self.suffix(wanted).await?,
            };
            self.scanned(bytes.len() as u64);
            let start = size.saturating_sub(bytes.len() as u64);
            let tail = Tail { start, bytes: bytes.clone(), whole: start == 0 };
            self.tails.keep(&self.object, &tail);
            self.tail = Some(tail);
            if bytes.ends_with(ENCRYPTED) {
                return Err(TableError::Encrypted { url: self.url.to_string() });
            }
            let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
            match reader.try_parse_sized(&bytes, size).and_then(|()| reader.finish()) {
                Ok(footer) => break footer,
                Err(ParquetError::NeedMoreData(needed)) if needed as u64 > wanted && needed as u64 <= MAX_FOOTER.min(size) => {
                    wanted = needed as u64;
                }
                Err(ParquetError::NeedMoreData(_)) => return Err(self.damaged("its footer is larger than the file".to_owned())),
                Err(error) => return Err(self.damaged(error.to_string())),
            }
        };
        let footer = Arc::new(self.clean(footer)?);
        self.footers.put(&self.storage, &self.object, &footer);
        Ok(footer)
    }

    /// The footer of a file that may be written again, in the version that its listing has.
    pub async fn footer_of(&mut self, version: &str) -> Result<Arc<ParquetMetaData>, TableError> {
        self.footers.keep_version(&self.storage, &self.object, version);
        let footer = self.footer().await?;
        self.footers.set_version(&self.storage, &self.object, version);
        Ok(footer)
    }

    async fn suffix(&self, length: u64) -> Result<(Bytes, u64), TableError> {
        let options = GetOptions { range: Some(GetRange::Suffix(length)), ..GetOptions::default() };
        let answer = self.located.store.get_opts(&self.located.path, options).await.map_err(|error| self.failed(error))?;
        let size = answer.meta.size;
        let bytes = answer.bytes().await.map_err(|error| self.failed(error))?;
        Ok((bytes, size))
    }

    fn failed(&self, source: object_store::Error) -> TableError {
        match StorageError::of(&self.url, source) {
            StorageError::NotFound { .. } => TableError::FileExpired { url: self.url.to_string() },
            // An empty object has no range to give.
            StorageError::Io { source, .. } if source.to_string().contains("416") => self.damaged("it is empty".to_owned()),
            other => TableError::Storage(other),
        }
    }

    fn damaged(&self, reason: String) -> TableError {
        TableError::DamagedFile { url: self.url.to_string(), reason }
    }

    fn scanned(&self, bytes: u64) {
        if let Some(counter) = &self.bytes_scanned {
            counter.add(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
    }

    fn clean(&self, footer: ParquetMetaData) -> Result<ParquetMetaData, TableError> {
        let file = footer.file_metadata();
        if file.schema_descr().num_columns() == 0 {
            return Err(self.damaged("it has no columns".to_owned()));
        }
        if footer.row_groups().iter().any(|group| group.num_rows() < 0 || group.num_columns() == 0) {
            return Err(self.damaged("a row group is impossible".to_owned()));
        }
        if footer.row_groups().iter().flat_map(|group| group.columns()).any(is_impossible) {
            return Err(self.damaged("a column chunk is impossible".to_owned()));
        }
        let kept = file.key_value_metadata().into_iter().flatten().filter(|pair| pair.key != ARROW_SCHEMA && pair.key != FILE_URL);
        let pairs = kept.cloned().chain([KeyValue::new(FILE_URL.to_owned(), self.url.to_string())]).collect();
        let cleaned = FileMetaData::new(
            file.version(),
            file.num_rows(),
            file.created_by().map(str::to_owned),
            Some(pairs),
            file.schema_descr_ptr(),
            file.column_orders().cloned(),
        );
        let groups = footer.row_groups().iter().cloned().map(with_sound_statistics).collect::<Result<Vec<_>, _>>();
        let groups = groups.map_err(|error| self.damaged(error.to_string()))?;
        Ok(ParquetMetaDataBuilder::new(cleaned).set_row_groups(groups).build())
    }

    /// Reads all column chunks of a small file by the first request for one: its row groups would be a request each.
    async fn read_small_file(&mut self) -> Result<(), ParquetError> {
        if let Some(end) = self.small.take()
            && self.tail.is_none()
        {
            let tail = Tail { start: 0, bytes: self.range(0..end).await?, whole: false };
            self.tails.keep(&self.object, &tail);
            self.tail = Some(tail);
        }
        Ok(())
    }

    /// These bytes, if they are there already.
    fn at_hand(&self, range: &Range<u64>) -> Option<Bytes> {
        let Tail { start, bytes, .. } = self.tail.as_ref()?;
        let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
        (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
    }

    async fn range(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        if let Some(bytes) = self.at_hand(&range) {
            return Ok(bytes);
        }
        self.storage.read_range(&self.url, range).await.map_err(|error| {
            parquet(match error {
                StorageError::NotFound { url } => TableError::FileExpired { url },
                StorageError::OutOfRange { url, start, end } => {
                    TableError::DamagedFile { url, reason: format!("it does not hold bytes {start} to {end}, which its footer names") }
                }
                error => TableError::Storage(error),
            })
        })
    }
}

/// Whether a column chunk begins before the file, or has less than no bytes: the engine's reader takes neither for possible, and panics.
fn is_impossible(chunk: &ColumnChunkMetaData) -> bool {
    chunk.data_page_offset().min(chunk.compressed_size()).min(chunk.dictionary_page_offset().unwrap_or(0)) < 0
}

/// Where the last column chunk ends, if the file is small.
fn end_of_small_file(footer: &ParquetMetaData) -> Option<u64> {
    let chunks = footer.row_groups().len().saturating_mul(footer.file_metadata().schema_descr().num_columns());
    if chunks == 0 || chunks > MOST_SMALL_CHUNKS {
        return None;
    }
    let ends = footer.row_groups().iter().flat_map(|group| group.columns()).map(|chunk| {
        let start = chunk.dictionary_page_offset().map_or(chunk.data_page_offset(), |offset| offset.min(chunk.data_page_offset()));
        let start = if start > 0 { start } else { chunk.data_page_offset() };
        u64::try_from(start.checked_add(chunk.compressed_size())?).ok()
    });
    let end = ends.collect::<Option<Vec<u64>>>()?.into_iter().max().filter(|end| *end <= SMALL_FILE)?;
    // What prunes lies behind the chunks, and is asked for as well.
    let extra = |offset: Option<i64>, length: Option<i32>| u64::try_from(offset?.checked_add(i64::from(length?))?).ok();
    let behind = footer.row_groups().iter().flat_map(|group| group.columns()).flat_map(|chunk| {
        [
            extra(chunk.column_index_offset(), chunk.column_index_length()),
            extra(chunk.offset_index_offset(), chunk.offset_index_length()),
            extra(chunk.bloom_filter_offset(), chunk.bloom_filter_length()),
        ]
    });
    Some(behind.flatten().max().filter(|all| *all <= SMALL_FILE).unwrap_or(end).max(end))
}

/// Without the statistics that the engine would prune rows by that match: the old `min` and `max` of types that old writers
/// compared as signed bytes (text, binary, decimals of bytes, unsigned numbers), and those that do not count their NULLs,
/// which the engine takes for zero.
fn with_sound_statistics(group: RowGroupMetaData) -> Result<RowGroupMetaData, ParquetError> {
    let sound = |column: &ColumnChunkMetaData| {
        let Some(statistics) = column.statistics() else { return true };
        let plain = matches!(column.column_type(), Type::BOOLEAN | Type::INT32 | Type::INT64);
        let ordered = plain && column.column_descr().sort_order() == SortOrder::SIGNED;
        let counted = statistics.null_count_opt().is_some() || column.column_descr().max_def_level() == 0;
        counted && (ordered || !statistics.is_min_max_deprecated())
    };
    if group.columns().iter().all(sound) {
        return Ok(group);
    }
    let columns = group
        .columns()
        .iter()
        .map(|column| if sound(column) { Ok(column.clone()) } else { column.clone().into_builder().clear_statistics().build() });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    group.into_builder().set_column_metadata(columns).build()
}

fn parquet(error: TableError) -> ParquetError {
    ParquetError::External(Box::new(Report::from(error)))
}

impl AsyncFileReader for StorageFileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.scanned(range.end.saturating_sub(range.start));
        async move {
            self.read_small_file().await?;
            self.range(range).await
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        let lengths = ranges.iter().map(|range| range.end.saturating_sub(range.start));
        self.scanned(lengths.fold(0, u64::saturating_add));
        async move {
            if ranges.iter().any(|range| range.start > range.end) {
                return Err(parquet(self.damaged("its footer names an impossible range".to_owned())));
            }
            self.read_small_file().await?;
            if let Some(all) = ranges.iter().map(|range| self.at_hand(range)).collect::<Option<Vec<_>>>() {
                return Ok(all);
            }
            coalesce_ranges(&ranges, |range| self.range(range), COALESCE_GAP).await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let footer = self.footer().await.map_err(parquet)?;
            self.small = end_of_small_file(&footer);
            let columns = options.is_some_and(|options| options.column_index_policy() != PageIndexPolicy::Skip);
            if !(columns || self.page_offsets) || footer.offset_index().is_some() {
                return Ok(footer);
            }
            let paged = format!("{}#pages", self.object);
            if !columns && let Some(footer) = self.footers.get(&self.storage, &paged) {
                return Ok(footer);
            }
            let mut reader = ParquetMetaDataReader::new_with_metadata(footer.as_ref().clone())
                .with_column_index_policy(if columns { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip })
                .with_offset_index_policy(PageIndexPolicy::Optional);
            reader.load_page_index(&mut *self).await?;
            let footer = Arc::new(reader.finish()?);
            if !columns {
                self.footers.put(&self.storage, &paged, &footer);
            }
            Ok(footer)
        }
        .boxed()
    }
}

#[cfg(test)]
#[path = "reader_factory_tests.rs"]
mod tests;
