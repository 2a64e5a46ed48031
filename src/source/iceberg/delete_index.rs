//! [`DeleteIndex`]: which delete files a data file must be read with.
//!
//! The rules of the specification ("scan planning"), for a data file of sequence number *s*:
//! - a deletion vector that references it, with sequence number >= *s*, replaces all position deletes for it;
//! - else position deletes of the same spec and partition, with sequence number >= *s*: files for one data file are
//!   found by its path, others by partition, less those whose path bounds exclude it;
//! - equality deletes with sequence number > *s*, of the same spec and partition, or of any unpartitioned spec (global).
//!
//! Looking up costs a few hash lookups and the deletes that apply, so planning is linear in files and deletes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::content_file::{DataFile, DeleteFile, DeleteKind};
use super::error::FormatError;
use super::metadata::TableMetadata;
use super::partition::PartitionTuple;

/// The reserved field id of a position delete's `file_path`.
const FILE_PATH: i32 = 2_147_483_546;

/// Deletes of one group by ascending sequence number.
type BySequence = Vec<Arc<DeleteFile>>;

/// All deletes of a snapshot, ready for lookups.
#[derive(Debug, Default)]
pub struct DeleteIndex {
    vectors: HashMap<String, Arc<DeleteFile>>,
    position_by_path: HashMap<String, BySequence>,
    /// Lengths of the paths above that are known from bounds alone: such a path may be the beginning of one, cut by its writer.
    bound_lengths: BTreeSet<usize>,
    position_by_partition: HashMap<(i32, PartitionTuple), BySequence>,
    equality_global: BySequence,
    equality_by_partition: HashMap<(i32, PartitionTuple), BySequence>,
}

/// The deletes of one data file.
#[derive(Debug, Clone, Default)]
pub struct Deletes {
    /// Its deletion vector; there are no position deletes then.
    pub vector: Option<Arc<DeleteFile>>,
    /// Position delete files that may name it.
    pub position: Vec<Arc<DeleteFile>>,
    /// Equality delete files that apply to it.
    pub equality: Vec<Arc<DeleteFile>>,
}

impl Deletes {
    /// Whether the file is read as it is.
    pub fn is_empty(&self) -> bool {
        self.vector.is_none() && self.position.is_empty() && self.equality.is_empty()
    }
}

impl DeleteIndex {
    /// Sorts the deletes; two vectors for one data file are damage, since nobody could say which one counts.
    pub fn new(delete_files: &[Arc<DeleteFile>], metadata: &TableMetadata) -> Result<Self, FormatError> {
        let mut index = Self::default();
        for delete in delete_files {
            let key = || (delete.spec_id, delete.partition.clone());
            match delete.kind {
                DeleteKind::Vector => {
                    let path = delete.referenced_data_file.clone().unwrap_or_default();
                    let reason = format!("two deletion vectors for \"{path}\"");
                    if index.vectors.insert(path, Arc::clone(delete)).is_some() {
                        return Err(FormatError::damaged(&delete.path, reason));
                    }
                }
                DeleteKind::Position => {
                    let group = match only_data_file(delete) {
                        Some(path) => {
                            if delete.referenced_data_file.is_none() {
                                index.bound_lengths.insert(path.len());
                            }
                            index.position_by_path.entry(path).or_default()
                        }
                        None => index.position_by_partition.entry(key()).or_default(),
                    };
                    group.push(Arc::clone(delete));
                }
                DeleteKind::Equality => {
                    let global = metadata.partition_spec(delete.spec_id).is_none_or(|spec| spec.is_unpartitioned());
                    let group = if global { &mut index.equality_global } else { index.equality_by_partition.entry(key()).or_default() };
                    group.push(Arc::clone(delete));
                }
            }
        }
        let groups = index.position_by_path.values_mut().chain(index.position_by_partition.values_mut());
        let groups = groups.chain(index.equality_by_partition.values_mut()).chain([&mut index.equality_global]);
        groups.for_each(|group| group.sort_by_key(|delete| delete.sequence_number));
        Ok(index)
    }

    /// Whether there is any delete at all.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
            && self.position_by_path.is_empty()
            && self.position_by_partition.is_empty()
            && self.equality_global.is_empty()
            && self.equality_by_partition.is_empty()
    }

    /// The deletes that apply to this file.
    pub fn deletes_for(&self, data: &DataFile) -> Deletes {
        if self.is_empty() {
            return Deletes::default();
        }
        let partition = (data.spec_id, data.partition.clone());
        let mut deletes = Deletes::default();
        let from = data.sequence_number;
        deletes.vector = self.vectors.get(&data.path).filter(|vector| vector.sequence_number >= from).cloned();
        if deletes.vector.is_none() {
            let own = self.position_by_path.get(&data.path);
            deletes.position.extend(own.into_iter().flat_map(|group| since(group, from)).cloned());
            for length in self.bound_lengths.range(..data.path.len()) {
                let cut = data.path.get(..*length).and_then(|path| self.position_by_path.get(path));
                let of_partition = |delete: &&Arc<DeleteFile>| {
                    delete.referenced_data_file.is_none() && delete.spec_id == data.spec_id && delete.partition == data.partition
                };
                deletes.position.extend(cut.into_iter().flat_map(|group| since(group, from)).filter(of_partition).cloned());
            }
            let group = self.position_by_partition.get(&partition);
            let group = group.into_iter().flat_map(|group| since(group, from)).filter(|delete| may_name(delete, &data.path));
            deletes.position.extend(group.cloned());
        }
        // Strictly later: an upsert's delete does not reach the rows of its own commit.
        if let Some(after) = from.checked_add(1) {
            deletes.equality.extend(since(&self.equality_global, after).iter().cloned());
            let group = self.equality_by_partition.get(&partition);
            deletes.equality.extend(group.into_iter().flat_map(|group| since(group, after)).cloned());
        }
        deletes
    }
}

/// Those of this sequence number or a later one.
fn since(group: &[Arc<DeleteFile>], from: i64) -> &[Arc<DeleteFile>] {
    &group[group.partition_point(|delete| delete.sequence_number < from)..]
}

/// The data file that all positions are of: named, or both bounds of the path. (A cut upper bound should be rounded up, and
/// then never equals the lower; where a writer did not, the path is the beginning of one.)
fn only_data_file(delete: &DeleteFile) -> Option<String> {
    if let Some(path) = &delete.referenced_data_file {
        return Some(path.clone());
    }
    let lower = delete.statistics.lower_bounds.get(FILE_PATH)?;
    let upper = delete.statistics.upper_bounds.get(FILE_PATH)?;
    if lower != upper || lower.is_empty() {
        return None;
    }
    std::str::from_utf8(lower).ok().map(str::to_owned)
}

/// Whether the path lies within the file's bounds; an upper bound that is a prefix was cut without rounding.
fn may_name(delete: &DeleteFile, path: &str) -> bool {
    let path = path.as_bytes();
    let above_lower = delete.statistics.lower_bounds.get(FILE_PATH).is_none_or(|lower| path >= lower.as_ref());
    let below_upper = delete.statistics.upper_bounds.get(FILE_PATH).is_none_or(|upper| path <= upper.as_ref() || path.starts_with(upper));
    above_lower && below_upper
}

#[cfg(test)]
mod tests;
