//! All deletes of the files that a scan keeps, read before the scan is built.
//!
//! Deletion vectors and position delete files become one bitmap per data file, cut to the rows that the footer says the file
//! has; equality delete files become one table of keys. Reads run a few at a time under the caller's future. Bitmaps
//! and keys are accounted to the memory pool.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use futures::{StreamExt, TryStreamExt};
use hashbrown::HashMap;
use roaring::RoaringTreemap;

use super::equality_delete_exec::EqualityDeletes;
use super::equality_deletes::{self, Scopes};
use super::error::external;
use super::listing::ListedFile;
use super::position_deletes;
use super::reader_factory::StorageReaderFactory;
use crate::source::TableSnapshot;
use crate::source::iceberg::DeleteFile;

/// Delete files and footers read at a time.
const CONCURRENT_READS: usize = 16;

/// What a deleted row may cost in the reader's selection: a skip and a select.
const BYTES_PER_SELECTOR: usize = 32;

/// The rows of one data file that are deleted by position.
#[derive(Debug, Clone)]
pub struct DeletedPositions {
    /// Which.
    pub positions: Arc<RoaringTreemap>,
    /// How many rows the file has, by its footer.
    pub rows: u64,
}

/// The deletes of a scan.
#[derive(Debug)]
pub struct ScanDeletes {
    /// For each file, in the order given.
    pub positions: Vec<Option<DeletedPositions>>,
    /// Keys, if any file has equality deletes.
    pub equality: Option<Arc<EqualityDeletes>>,
    /// Which partitions they are scoped to.
    pub scopes: Scopes,
    /// How many equality delete files there are.
    pub equality_files: usize,
    /// What the bitmaps hold of the memory pool.
    pub reservation: MemoryReservation,
}

impl ScanDeletes {
    /// Rows deleted by position.
    pub fn deleted_rows(&self) -> u64 {
        self.positions.iter().flatten().map(|deleted| position_deletes::deleted_rows(&deleted.positions, deleted.rows)).sum()
    }
}

/// Reads the deletes of these files.
pub async fn read(
    factory: &StorageReaderFactory,
    snapshot: &TableSnapshot,
    files: &[ListedFile],
    pool: &Arc<dyn MemoryPool>,
) -> Result<ScanDeletes> {
    let metadata = &snapshot.metadata;
    let reservation = MemoryConsumer::new("position deletes").register(pool);
    let bitmaps = read_positions(factory, snapshot, files, &reservation).await?;
    let rows = futures::stream::iter(bitmaps)
        .map(|bitmap| async move {
            let Some((file, positions)) = bitmap else { return Ok(None) };
            let rows = row_count(factory, &files[file].data.path).await?;
            Ok::<_, DataFusionError>(Some(DeletedPositions { positions: Arc::new(positions), rows }))
        })
        .buffered(CONCURRENT_READS);
    let positions: Vec<Option<DeletedPositions>> = rows.try_collect().await?;
    for deleted in positions.iter().flatten() {
        let rows = position_deletes::deleted_rows(&deleted.positions, deleted.rows);
        reservation.try_grow(usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(BYTES_PER_SELECTOR))?;
    }

    let mut equality: HashMap<&str, Arc<DeleteFile>> = HashMap::new();
    for delete in files.iter().flat_map(|file| &file.deletes.equality) {
        equality.entry(&delete.path).or_insert_with(|| Arc::clone(delete));
    }
    let mut equality: Vec<_> = equality.into_values().collect();
    equality.sort_by(|a, b| a.path.cmp(&b.path));
    let scopes = Scopes::of(equality.iter().map(Arc::as_ref), metadata);
    let keys =
        if equality.is_empty() { None } else { Some(Arc::new(equality_deletes::read(factory, &equality, &scopes, snapshot, pool).await?)) };
    Ok(ScanDeletes { positions, equality: keys, scopes, equality_files: equality.len(), reservation })
}

/// Rows of a file, by its footer.
pub async fn row_count(factory: &StorageReaderFactory, url: &str) -> Result<u64> {
    let mut file = factory.open(url.into())?;
    let footer = file.footer().await.map_err(external)?;
    // The reader has refused negative counts.
    let rows = footer.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
    Ok(rows.fold(0, u64::saturating_add))
}

/// For each file its index and its bitmap, where it has one.
async fn read_positions(
    factory: &StorageReaderFactory,
    snapshot: &TableSnapshot,
    files: &[ListedFile],
    reservation: &MemoryReservation,
) -> Result<Vec<Option<(usize, RoaringTreemap)>>> {
    let mut bitmaps: Vec<RoaringTreemap> = vec![RoaringTreemap::new(); files.len()];

    let vectors: Vec<(usize, Arc<DeleteFile>)> =
        files.iter().enumerate().filter_map(|(index, file)| Some((index, Arc::clone(file.deletes.vector.as_ref()?)))).collect();
    let mut vectors = futures::stream::iter(vectors)
        .map(|(index, vector)| async move {
            let vector = snapshot.deletion_vector(&vector).await.map_err(external)?;
            Ok::<_, DataFusionError>((index, vector))
        })
        .buffer_unordered(CONCURRENT_READS);
    while let Some((index, positions)) = vectors.try_next().await? {
        reservation.try_grow(positions.positions().serialized_size())?;
        bitmaps[index] |= positions.positions();
    }
    drop(vectors);

    // One delete file may be for many data files, and one data file may have many.
    let mut wanted: HashMap<&str, (Arc<DeleteFile>, HashMap<String, Vec<usize>>)> = HashMap::new();
    for (index, file) in files.iter().enumerate() {
        for delete in &file.deletes.position {
            let (_, files) = wanted.entry(&delete.path).or_insert_with(|| (Arc::clone(delete), HashMap::new()));
            files.entry_ref(file.data.path.as_str()).or_default().push(index);
        }
    }
    let mut reads = futures::stream::iter(wanted.into_values().collect::<Vec<_>>())
        .map(|(delete, files)| async move { position_deletes::read(factory, snapshot, &delete, &files).await })
        .buffer_unordered(CONCURRENT_READS);
    while let Some(deleted) = reads.try_next().await.map_err(external)? {
        for (indices, positions) in deleted {
            for index in indices {
                reservation.try_grow(positions.serialized_size())?;
                bitmaps[index] |= &positions;
            }
        }
    }
    drop(reads);
    Ok(bitmaps.into_iter().enumerate().map(|(index, bitmap)| (!bitmap.is_empty()).then_some((index, bitmap))).collect())
}
