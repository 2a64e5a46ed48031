//! [`WarehouseTable`]: one table's state, and the files of its next commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use apache_avro::types::Value as Avro;
use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde_json::Value as Json;

use super::metadata::Commit;
use super::partition::{PartitionField, PartitionSpec};
use super::{WarehouseError, avro, data_file, manifest, metadata, schema};

/// Field ids of a position delete file's columns, reserved by the specification.
const DELETE_FIELD_IDS: [i64; 2] = [2_147_483_546, 2_147_483_545];

/// A table of the sample warehouse, at one version.
#[derive(Debug)]
pub struct WarehouseTable {
    namespace: String,
    name: String,
    folder: PathBuf,
    schema: SchemaRef,
    spec: PartitionSpec,
    metadata: Json,
    metadata_location: String,
    /// Number of the metadata file, the first part of its name.
    version: usize,
    manifests: Vec<Avro>,
}

impl WarehouseTable {
    pub(super) fn create(
        folder: PathBuf,
        namespace: &str,
        name: &str,
        schema: &Schema,
        partition: &[PartitionField],
        millis: i64,
    ) -> Result<Self, WarehouseError> {
        let spec = PartitionSpec::new(partition, schema)?;
        let metadata =
            metadata::new(&format!("file://{}", folder.display()), &schema::to_json(schema)?, schema.fields().len(), &spec, millis);
        for part in ["data", "metadata"] {
            let part = folder.join(part);
            std::fs::create_dir_all(&part).map_err(|source| WarehouseError::io(&part, source))?;
        }
        let mut table = Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            folder,
            schema: Arc::new(schema.clone()),
            spec,
            metadata: Json::Null,
            metadata_location: String::new(),
            version: 0,
            manifests: Vec::new(),
        };
        table.write_metadata(metadata)?;
        Ok(table)
    }

    pub(super) fn load(location: &str, namespace: &str, name: &str) -> Result<Self, WarehouseError> {
        let foreign = |reason: &str| WarehouseError::ForeignMetadata { location: location.to_owned(), reason: reason.to_owned() };
        let path = local(location);
        let text = std::fs::read_to_string(&path).map_err(|source| WarehouseError::io(&path, source))?;
        let metadata: Json = serde_json::from_str(&text).map_err(|error| foreign(&error.to_string()))?;
        let schema = schema::from_json(&metadata["schemas"][0]).ok_or_else(|| foreign("its schema has columns of unknown types"))?;
        let spec =
            PartitionSpec::from_json(&metadata["partition-specs"][0], &schema).ok_or_else(|| foreign("its partition spec is unknown"))?;
        let version = path
            .file_name()
            .and_then(|name| name.to_str()?.split('-').next()?.parse::<usize>().ok())
            .ok_or_else(|| foreign("its name does not begin with a number"))?;
        let manifests = match metadata::last_snapshot(&metadata).and_then(|snapshot| snapshot["manifest-list"].as_str()) {
            Some(list) => avro::read(&local(list))?,
            None => Vec::new(),
        };
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            folder: local(metadata["location"].as_str().ok_or_else(|| foreign("it has no location"))?),
            schema: Arc::new(schema),
            spec,
            metadata,
            metadata_location: location.to_owned(),
            version: version + 1,
            manifests,
        })
    }

    /// Namespace and name.
    pub fn name(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Where its metadata.json is.
    pub fn metadata_location(&self) -> &str {
        &self.metadata_location
    }

    /// Its current snapshot, if it has one.
    pub fn snapshot_id(&self) -> Option<i64> {
        self.metadata["current-snapshot-id"].as_i64()
    }

    /// Location and row count of every data file, oldest commit first by manifest.
    pub fn data_files(&self) -> Result<Vec<(String, i64)>, WarehouseError> {
        manifest::data_files(&self.manifests, local)
    }

    pub(super) fn tag(&mut self, name: &str) -> Result<(), WarehouseError> {
        self.write_metadata(metadata::tag(&self.metadata, name))
    }

    pub(super) fn append(&mut self, rows: &RecordBatch, millis: i64) -> Result<i64, WarehouseError> {
        let same = rows.num_columns() == self.schema.fields().len()
            && rows.schema().fields().iter().zip(self.schema.fields()).all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if !same {
            return Err(WarehouseError::OtherColumns { name: format!("{}.{}", self.namespace, self.name) });
        }
        let rows = RecordBatch::try_new(self.schema.clone(), rows.columns().to_vec())?;
        let commit = uuid::Uuid::new_v4();
        let ids: Vec<i64> = (1..=self.schema.fields().len() as i64).collect();
        let mut files = Vec::new();
        for (at, (tuple, rows)) in self.spec.split(&rows)?.into_iter().enumerate() {
            let path = self.folder.join("data").join(self.spec.folder(&tuple)).join(format!("{at:05}-0-{commit}.parquet"));
            files.push(data_file::write(&path, &rows, &ids, 0, tuple)?);
        }
        let summary = vec![
            ("added-data-files", files.len() as i64),
            ("added-records", rows.num_rows() as i64),
            ("added-files-size", files.iter().map(|file| file.bytes).sum()),
        ];
        self.commit(&files, "append", summary, millis)
    }

    pub(super) fn delete_positions(&mut self, positions: &[(String, i64)], millis: i64) -> Result<i64, WarehouseError> {
        if self.spec.len() > 0 {
            // A delete file belongs to one partition; the sample never needs it.
            return Err(WarehouseError::UnsupportedPartition { column: "position deletes".to_owned() });
        }
        let mut positions = positions.to_vec();
        positions.sort();
        let schema = Schema::new(vec![Field::new("file_path", DataType::Utf8, false), Field::new("pos", DataType::Int64, false)]);
        let paths: StringArray = positions.iter().map(|(path, _)| Some(path.as_str())).collect();
        let rows: Int64Array = positions.iter().map(|(_, row)| Some(*row)).collect();
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(paths), Arc::new(rows)])?;
        let path = self.folder.join("data").join(format!("00000-0-{}-deletes.parquet", uuid::Uuid::new_v4()));
        let mut file = data_file::write(&path, &batch, &DELETE_FIELD_IDS, 1, Vec::new())?;
        // The bounds of file_path must be whole paths: a reader matches them to data files.
        for (id, column) in &mut file.columns {
            if *id == DELETE_FIELD_IDS[0] {
                column.lower = positions.first().map(|(path, _)| path.as_bytes().to_vec());
                column.upper = positions.last().map(|(path, _)| path.as_bytes().to_vec());
            }
        }
        let summary = vec![("added-delete-files", 1), ("added-position-deletes", positions.len() as i64), ("added-files-size", file.bytes)];
        self.commit(&[file], "delete", summary, millis)
    }

    fn commit(
        &mut self,
        files: &[data_file::DataFile],
        operation: &str,
        summary: Vec<(&str, i64)>,
        millis: i64,
    ) -> Result<i64, WarehouseError> {
        let snapshot_id = (uuid::Uuid::new_v4().as_u64_pair().0 & (i64::MAX as u64)) as i64;
        let sequence_number = self.metadata["last-sequence-number"].as_i64().unwrap_or(0) + 1;
        // Snapshot times must not go backwards, whatever the clock does.
        let millis = millis.max(self.metadata["last-updated-ms"].as_i64().unwrap_or(0));
        let parts = self.folder.join("metadata");
        let commit = uuid::Uuid::new_v4();
        let path = parts.join(format!("{commit}-m0.avro"));
        let entry = manifest::write_manifest(&path, &self.metadata["schemas"][0], &self.spec, files, snapshot_id, sequence_number)?;
        let mut manifests = vec![entry];
        manifests.extend(self.manifests.iter().cloned());
        let list = parts.join(format!("snap-{snapshot_id}-0-{commit}.avro"));
        manifest::write_list(&list, &manifests, snapshot_id, self.snapshot_id(), sequence_number)?;
        let manifest_list = format!("file://{}", list.display());
        let change = Commit { snapshot_id, sequence_number, millis, manifest_list: &manifest_list, operation, summary };
        let next = metadata::commit(&self.metadata, &change, &self.metadata_location)?;
        self.write_metadata(next)?;
        self.manifests = manifests;
        Ok(snapshot_id)
    }

    fn write_metadata(&mut self, metadata: Json) -> Result<(), WarehouseError> {
        let path = self.folder.join("metadata").join(format!("{:05}-{}.metadata.json", self.version, uuid::Uuid::new_v4()));
        std::fs::write(&path, metadata.to_string()).map_err(|source| WarehouseError::io(&path, source))?;
        self.metadata_location = format!("file://{}", path.display());
        self.metadata = metadata;
        self.version += 1;
        Ok(())
    }
}

/// The path of a location that this module wrote.
fn local(location: &str) -> PathBuf {
    Path::new(location.strip_prefix("file://").unwrap_or(location)).to_owned()
}
