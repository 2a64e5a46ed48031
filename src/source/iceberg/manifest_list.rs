//! [`ManifestList`]: the manifests of a snapshot, with what is needed to skip them.

use bytes::Bytes;

use super::avro::{Records, record};
use super::error::FormatError;

/// The most that a list may take in memory: a small compressed file can unfold to any size.
const MAX_LIST: usize = 1 << 30;

/// All manifests of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestList {
    /// In the writer's order.
    pub manifests: Vec<ManifestFile>,
}

/// What a manifest lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManifestContent {
    /// Data files.
    Data,
    /// Delete files.
    Deletes,
}

/// One manifest as the list describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its URL.
    pub path: String,
    /// Its size in bytes; may lie.
    pub length: i64,
    /// The spec of all files in it; none where version 1 lists it inline (the manifest itself says).
    pub partition_spec_id: Option<i32>,
    /// Data or deletes.
    pub content: ManifestContent,
    /// When it was added; 0 in version 1.
    pub sequence_number: i64,
    /// The smallest data sequence number in it.
    pub min_sequence_number: i64,
    /// The snapshot that added it.
    pub added_snapshot_id: Option<i64>,
    /// Files added by that snapshot, if it says.
    pub added_files_count: Option<i64>,
    /// Files of before, if it says.
    pub existing_files_count: Option<i64>,
    /// For each field of the spec, what values its files have; none if not kept.
    pub partitions: Option<Vec<FieldSummary>>,
    /// Whether it is encrypted: not read.
    pub encrypted: bool,
    /// Row lineage: where its files' ids start.
    pub first_row_id: Option<i64>,
}

/// The values of one partition field in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSummary {
    /// Some file has NULL.
    pub contains_null: bool,
    /// Some file has NaN, if it says.
    pub contains_nan: Option<bool>,
    /// At most any value, in binary form.
    pub lower_bound: Option<Bytes>,
    /// At least any value.
    pub upper_bound: Option<Bytes>,
}

impl ManifestFile {
    /// A manifest of which nothing is known but where it is (version 1's inline list).
    pub(crate) fn inline(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            length: 0,
            partition_spec_id: None,
            content: ManifestContent::Data,
            sequence_number: 0,
            min_sequence_number: 0,
            added_snapshot_id: None,
            added_files_count: None,
            existing_files_count: None,
            partitions: None,
            encrypted: false,
            first_row_id: None,
        }
    }

    /// About how much memory it takes.
    fn weight(&self) -> usize {
        let length = |bound: &Option<Bytes>| bound.as_ref().map_or(0, Bytes::len);
        let summary = |summary: &FieldSummary| size_of::<FieldSummary>() + length(&summary.lower_bound) + length(&summary.upper_bound);
        size_of::<Self>() + self.path.len() + self.partitions.iter().flatten().map(summary).sum::<usize>()
    }

    /// Whether it lists no live file, by its own word.
    pub fn is_dead(&self) -> bool {
        self.added_files_count == Some(0) && self.existing_files_count == Some(0)
    }
}

impl ManifestList {
    /// From the file's bytes; `url` names it in errors.
    pub fn parse(bytes: &[u8], url: &str) -> Result<Self, FormatError> {
        Self::parse_within(bytes, url, MAX_LIST)
    }

    /// The same of a list that takes no more than `limit` bytes of memory.
    pub(super) fn parse_within(bytes: &[u8], url: &str, limit: usize) -> Result<Self, FormatError> {
        let mut records = Records::open(bytes, url)?;
        let shape = records.shape()?;
        let at = |id, name| shape.find(id, name);
        let path = at(500, "manifest_path");
        let length = at(501, "manifest_length");
        let spec = at(502, "partition_spec_id");
        let content = at(517, "content");
        let sequence = at(515, "sequence_number");
        let min_sequence = at(516, "min_sequence_number");
        let snapshot = at(503, "added_snapshot_id");
        let added = at(504, "added_files_count");
        let existing = at(505, "existing_files_count");
        let partitions = at(507, "partitions");
        let key = at(519, "key_metadata");
        let first_row = at(520, "first_row_id");
        let summary = shape.inner(partitions);
        let in_summary = |id, name| summary.and_then(|shape| shape.find(id, name));
        let (null, nan) = (in_summary(509, "contains_null"), in_summary(518, "contains_nan"));
        let (lower, upper) = (in_summary(510, "lower_bound"), in_summary(511, "upper_bound"));

        let (mut manifests, mut weight) = (Vec::new(), 0_usize);
        while let Some(mut fields) = records.next()? {
            let missing = |name: &str| FormatError::damaged(url, format!("a manifest has no {name}"));
            let path = fields.take_text(path).ok_or_else(|| missing("path"))?;
            let summaries = fields.take_array(partitions).map(|items| {
                let summaries = items.into_iter().map(|item| {
                    let mut fields = record(item)?;
                    Some(FieldSummary {
                        contains_null: fields.take_bool(null).unwrap_or(true),
                        contains_nan: fields.take_bool(nan),
                        lower_bound: fields.take_bytes(lower),
                        upper_bound: fields.take_bytes(upper),
                    })
                });
                summaries.collect::<Option<Vec<_>>>()
            });
            let manifest = ManifestFile {
                path,
                length: fields.take_long(length).unwrap_or(0),
                partition_spec_id: Some(fields.take_int(spec).ok_or_else(|| missing("partition spec"))?),
                content: match fields.take_long(content).unwrap_or(0) {
                    0 => ManifestContent::Data,
                    1 => ManifestContent::Deletes,
                    other => return Err(FormatError::damaged(url, format!("there is no manifest content {other}"))),
                },
                sequence_number: fields.take_long(sequence).unwrap_or(0),
                min_sequence_number: fields.take_long(min_sequence).unwrap_or(0),
                added_snapshot_id: fields.take_long(snapshot),
                added_files_count: fields.take_long(added),
                existing_files_count: fields.take_long(existing),
                partitions: summaries.flatten(),
                // Some writers have no other word for none.
                encrypted: fields.take_bytes(key).is_some_and(|key| !key.is_empty()),
                first_row_id: fields.take_long(first_row),
            };
            weight = weight.saturating_add(manifest.weight());
            if weight > limit {
                return Err(FormatError::damaged(url, format!("its manifests take more than {limit} bytes")));
            }
            manifests.push(manifest);
        }
        Ok(Self { manifests })
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        self.manifests.iter().map(ManifestFile::weight).sum()
    }
}
