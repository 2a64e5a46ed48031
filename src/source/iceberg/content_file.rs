//! Data files and delete files as manifests describe them.
//!
//! What a manifest says of a file is kept once ([`ContentFile`], shared by the cache); what it inherits from the
//! manifest list in a given snapshot (sequence number, first row id) lies beside it.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::partition::PartitionTuple;

/// The format of a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Apache Parquet: what we read.
    Parquet,
    /// Apache ORC.
    Orc,
    /// Apache Avro.
    Avro,
    /// Puffin: deletion vectors.
    Puffin,
    /// Something else, by its name.
    Other(String),
}

impl FileFormat {
    /// By its name in a manifest, in any case.
    pub fn parse(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "parquet" => Self::Parquet,
            "orc" => Self::Orc,
            "avro" => Self::Avro,
            "puffin" => Self::Puffin,
            _ => Self::Other(name.to_owned()),
        }
    }
}

impl std::fmt::Display for FileFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Parquet => "Parquet",
            Self::Orc => "ORC",
            Self::Avro => "Avro",
            Self::Puffin => "Puffin",
            Self::Other(name) => name,
        })
    }
}

/// Values by field id: sorted pairs, since there are many and they are small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap<V>(Box<[(i32, V)]>);

impl<V> Default for IdMap<V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<V> IdMap<V> {
    /// The value of this field.
    pub fn get(&self, id: i32) -> Option<&V> {
        self.0.binary_search_by_key(&id, |(id, _)| *id).ok().map(|position| &self.0[position].1)
    }

    /// All pairs by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &V)> {
        self.0.iter().map(|(id, value)| (*id, value))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> FromIterator<(i32, V)> for IdMap<V> {
    fn from_iter<I: IntoIterator<Item = (i32, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by_key(|(id, _)| *id);
        pairs.dedup_by_key(|(id, _)| *id);
        Self(pairs.into_boxed_slice())
    }
}

/// What a manifest knows of a file's columns, by field id, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnStatistics {
    /// Values, NULL and NaN included.
    pub value_counts: IdMap<i64>,
    /// NULLs.
    pub null_value_counts: IdMap<i64>,
    /// NaNs.
    pub nan_value_counts: IdMap<i64>,
    /// At most any value, in the binary form and type of its time.
    pub lower_bounds: IdMap<Bytes>,
    /// At least any value; text may be cut and rounded up.
    pub upper_bounds: IdMap<Bytes>,
    /// Bytes on disk.
    pub column_sizes: IdMap<i64>,
}

/// A file as its manifest describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentFile {
    /// Its URL, as written.
    pub path: String,
    /// Its format.
    pub format: FileFormat,
    /// The spec it was cut by.
    pub spec_id: i32,
    /// Its partition under that spec.
    pub partition: PartitionTuple,
    /// Rows (or positions); the file's own count wins where they differ.
    pub record_count: i64,
    /// Bytes; may lie.
    pub file_size: i64,
    /// Raw statistics.
    pub statistics: ColumnStatistics,
    /// Whether it is encrypted: not read.
    pub encrypted: bool,
    /// Where row groups start.
    pub split_offsets: Vec<i64>,
    /// The order its rows claim to be in.
    pub sort_order_id: Option<i32>,
    /// Of equality deletes: the fields that are compared.
    pub equality_ids: Vec<i32>,
    /// Of deletes: the one data file that they are for, if it is one.
    pub referenced_data_file: Option<String>,
    /// Of deletion vectors: where in the file.
    pub content_offset: Option<i64>,
    /// Of deletion vectors: how long.
    pub content_size: Option<i64>,
    /// As written; see [`DataFile::first_row_id`].
    pub(super) first_row_id: Option<i64>,
}

/// A live data file of a snapshot.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// What its manifest says.
    pub file: Arc<ContentFile>,
    /// Its data sequence number: deletes apply by it.
    pub sequence_number: i64,
    /// Row lineage: the id of its first row, if it has one.
    pub first_row_id: Option<i64>,
}

/// What a delete file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeleteKind {
    /// Rows of (file, position).
    Position,
    /// Rows of keys.
    Equality,
    /// A bitmap of positions of one data file, in a Puffin file.
    Vector,
}

/// A live delete file of a snapshot.
#[derive(Debug, Clone)]
pub struct DeleteFile {
    /// What its manifest says.
    pub file: Arc<ContentFile>,
    /// What it holds.
    pub kind: DeleteKind,
    /// Its data sequence number.
    pub sequence_number: i64,
}

impl DataFile {
    /// A Parquet file that no manifest knows: found by listing a folder. It belongs to the unpartitioned spec 0.
    pub fn listed(path: String, record_count: i64, file_size: i64, statistics: ColumnStatistics) -> Self {
        let file = ContentFile {
            path,
            format: FileFormat::Parquet,
            spec_id: 0,
            partition: PartitionTuple::default(),
            record_count,
            file_size,
            statistics,
            encrypted: false,
            split_offsets: Vec::new(),
            sort_order_id: None,
            equality_ids: Vec::new(),
            referenced_data_file: None,
            content_offset: None,
            content_size: None,
            first_row_id: None,
        };
        Self { file: Arc::new(file), sequence_number: 0, first_row_id: None }
    }
}

impl Deref for DataFile {
    type Target = ContentFile;

    fn deref(&self) -> &ContentFile {
        &self.file
    }
}

impl Deref for DeleteFile {
    type Target = ContentFile;

    fn deref(&self) -> &ContentFile {
        &self.file
    }
}

impl ContentFile {
    /// About how much memory it takes: the cache weighs by it.
    pub(crate) fn weight(&self) -> usize {
        let statistics = &self.statistics;
        let counts = statistics.value_counts.len()
            + statistics.null_value_counts.len()
            + statistics.nan_value_counts.len()
            + statistics.column_sizes.len();
        let bounds: usize = statistics.lower_bounds.iter().chain(statistics.upper_bounds.iter()).map(|(_, bytes)| 64 + bytes.len()).sum();
        size_of::<Self>() + self.path.len() + counts * 16 + bounds + self.partition.values.len() * 64 + self.split_offsets.len() * 8
    }
}
