//! Which data files a scan reads, and with which deletes.
//!
//! Manifests are pruned by their summaries before they are read, data files by their bounds and partitions after; deletes
//! are looked up for the files that are left. Delete manifests are always read: a global equality delete reaches every
//! partition.

use hashbrown::HashSet;

use super::error::TableError;
use super::pruning::{FileContainer, ManifestContainer, Pruner};
use crate::source::TableSnapshot;
use crate::source::iceberg::{DataFile, Deletes, ManifestContent, ManifestFile};

/// A data file to read.
#[derive(Debug, Clone)]
pub struct ListedFile {
    /// The file.
    pub data: DataFile,
    /// Which deletes apply to it.
    pub deletes: Deletes,
}

/// The files of a scan.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Those that may have rows of use.
    pub files: Vec<ListedFile>,
    /// Manifests read, and how many there are.
    pub manifests: (usize, usize),
    /// Data files in the manifests read.
    pub files_total: usize,
}

impl Listing {
    /// Position delete files that apply to the files.
    pub fn position_deletes(&self) -> usize {
        let paths: HashSet<&str> = self.files.iter().flat_map(|file| &file.deletes.position).map(|delete| delete.path.as_str()).collect();
        paths.len()
    }
}

/// Lists the files that may have rows of use.
pub async fn list(snapshot: &TableSnapshot, pruner: Option<&Pruner>) -> Result<Listing, TableError> {
    let metadata = &snapshot.metadata;
    let keep_manifest = |manifest: &ManifestFile| match pruner {
        Some(pruner) if manifest.content == ManifestContent::Data => {
            let spec = manifest.partition_spec_id.and_then(|id| metadata.partition_spec(id)).map(AsRef::as_ref);
            pruner.keep(&[ManifestContainer { manifest, spec }]).first().copied().unwrap_or(true)
        }
        _ => true,
    };
    let scan = snapshot.scan_files(&keep_manifest).await?;
    let keep = match pruner {
        Some(pruner) => {
            let containers: Vec<_> = scan
                .data_files
                .iter()
                .map(|file| FileContainer { file, spec: metadata.partition_spec(file.spec_id).map(AsRef::as_ref) })
                .collect();
            pruner.keep(&containers)
        }
        None => vec![true; scan.data_files.len()],
    };
    let index = snapshot.delete_index(&scan)?;
    let files_total = scan.data_files.len();
    let manifests = (scan.manifests_read, scan.manifests_read + scan.manifests_skipped);
    let kept = scan.data_files.into_iter().zip(keep).filter(|(_, keep)| *keep);
    let listed = kept.map(|(data, _)| {
        snapshot.check_readable(&data)?;
        let deletes = index.deletes_for(&data);
        Ok(ListedFile { data, deletes })
    });
    let files = listed.collect::<Result<Vec<_>, TableError>>()?;
    Ok(Listing { files, manifests, files_total })
}
