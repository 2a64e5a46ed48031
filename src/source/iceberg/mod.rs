//! The Iceberg specification's nouns, one file each: bytes in, values out, no I/O and no engine.
//!
//! Why our own: exact reading is what the gateway exists for, and that means keeping what other parsers throw away
//! (raw bounds, raw defaults, v1's inline manifests) and letting be what a query does not need (unknown types and
//! transforms are values here, an error only for the column or the pruning that wants them).
//!
//! The input is hostile until parsed: every failure is a [`FormatError`] that names the file; sizes and counts are
//! checked against the bytes that are there before anything is allocated for them.

mod avro;
mod content_file;
mod datum;
mod datum_json;
mod delete_index;
mod deletion_vector;
mod error;
mod manifest;
mod manifest_list;
mod metadata;
mod name_mapping;
mod partition;
mod reference;
mod schema;
mod snapshot;
mod sort_order;
mod transform;
mod types;

pub use content_file::{ColumnStatistics, ContentFile, DataFile, DeleteFile, DeleteKind, FileFormat, IdMap};
pub use datum::Datum;
pub use delete_index::{DeleteIndex, Deletes};
pub use deletion_vector::DeletionVector;
pub use error::FormatError;
pub use manifest::{Manifest, ManifestEntry, ManifestStatus};
pub use manifest_list::{FieldSummary, ManifestContent, ManifestFile, ManifestList};
pub use metadata::{SnapshotLogEntry, TableMetadata};
pub use name_mapping::{MappedField, NameMapping};
pub use partition::{PartitionField, PartitionSpec, PartitionTuple, PartitionValue};
pub use reference::{ReferenceKind, SnapshotReference};
pub use schema::Schema;
pub use snapshot::Snapshot;
pub use sort_order::{NullOrder, SortDirection, SortField, SortOrder};
pub use transform::Transform;
pub use types::{ListType, MapType, NestedField, PrimitiveType, StructType, Type};
