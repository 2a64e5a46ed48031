//! Builds the engine's Parquet scans of a set of data files.
//!
//! Files that can share one scan form a [`Group`]: their spec takes the same columns from partition values, and either all or
//! none of them have equality deletes. Inside a scan the columns have names of their own, which no file column can match by
//! accident: `#ID` for the column of a field id, `$row` for the row's number in its file, `$sequence` for the
//! file's data sequence number, `$file` its URL, `$number` its number, `$scope` the scope of its equality deletes,
//! `$first` the row lineage's id of its first row. The scan's
//! projection gives the table's names back, and puts the columns that equality deletes need after them.
//!
//! Large files are cut by byte ranges here, not by the optimizer: it would cut by the manifest's file sizes, and row groups
//! past a size that is too small would be in no range. The last range of a file has no end.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema as ArrowSchema};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, IsNotNullExpr, Literal, case};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use hashbrown::HashMap;
use object_store::ObjectMeta;
use parquet::arrow::RowNumber;
use parquet::arrow::arrow_reader::RowSelection;

use super::column_words::path;
use super::deletes::{DeletedPositions, ScanDeletes};
use super::engine_store::engine_store_url;
use super::equality_delete_exec::{EqualityDeleteExec, EqualityDeletes};
use super::error::{TableError, external};
use super::field_ids::{field_id, shown, with_field_id};
use super::listing::ListedFile;
use super::pinned::PinnedTable;
use super::position_deletes::live_rows;
use super::reader_factory::{FileUrl, StorageReaderFactory};
use super::scalar::stored_scalar;
use super::schema::{initial_defaults, unsupported_type};
use super::schema_evolution::{FieldIdAdapterFactory, PartitionValues, inner_name};
use crate::source::iceberg::{ContentFile, Datum, PartitionSpec, PartitionTuple, PartitionValue, Transform};

const ROW: &str = "$row";
const SEQUENCE: &str = "$sequence";
const FILE: &str = "$file";
const NUMBER: &str = "$number";
const SCOPE: &str = "$scope";
const FIRST_ROW_ID: &str = "$first";

/// Reserved field ids of the row lineage columns.
const ROW_ID: i32 = 2_147_483_540;
const LAST_UPDATED: i32 = 2_147_483_539;

/// A column that a scan gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanColumn {
    /// The table's column of this position.
    Table(usize),
    /// The file's URL.
    File,
    /// The row's number in its file.
    Position,
    /// The sequence number of the commit that last changed the row.
    LastUpdated,
    /// The row's number in the table.
    RowId,
    /// The file's number, as the caller gave it.
    FileNumber,
}

/// A data file, ready to be scanned.
#[derive(Debug, Clone)]
pub struct ScanFile {
    /// The file and its deletes.
    pub listed: ListedFile,
    /// Its rows deleted by position.
    pub deleted: Option<DeletedPositions>,
    /// Rows to read instead of all that are not deleted.
    pub selection: Option<RowSelection>,
    /// Its number.
    pub number: u32,
    /// The scope of equality deletes that it is in.
    pub scope: u32,
}

/// Files that share a scan.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// Field ids of the columns that come from partition values.
    pub identity: Vec<i32>,
    /// Whether the files have equality deletes.
    pub equality: bool,
    /// The files.
    pub files: Vec<ScanFile>,
}

/// How to scan.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// How many partitions to cut the files into at the most.
    pub partitions: usize,
    /// Below this many bytes no file is cut.
    pub cut_from: u64,
    /// The session's Parquet options.
    pub parquet: TableParquetOptions,
    /// Rows per batch, if not the session's.
    pub batch_size: Option<usize>,
    /// Stop after this many rows.
    pub limit: Option<usize>,
    /// Whether rows must come in the files' order.
    pub ordered: bool,
    /// Whether an optimizer will see the scan.
    pub optimized: bool,
    /// A predicate over the table's Arrow schema to prune row groups and pages by.
    pub prune: Option<Arc<dyn PhysicalExpr>>,
}

/// Puts files into groups; `positions` are those of `deletes`.
pub fn group(pinned: &PinnedTable, files: Vec<ListedFile>, deletes: &ScanDeletes, number: impl Fn(usize) -> u32) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let keys = deletes.equality.as_ref().map(|equality| equality.column_ids()).unwrap_or_default();
    for (index, listed) in files.into_iter().enumerate() {
        let identity = identity_sources(pinned, &listed.data, &keys);
        let equality = !listed.deletes.equality.is_empty();
        let file = ScanFile {
            deleted: deletes.positions.get(index).cloned().flatten(),
            selection: None,
            number: number(index),
            scope: deletes.scopes.number(listed.data.spec_id, &listed.data.partition),
            listed,
        };
        match groups.iter_mut().find(|group| group.identity == identity && group.equality == equality) {
            Some(group) => group.files.push(file),
            None => groups.push(Group { identity, equality, files: vec![file] }),
        }
    }
    groups
}

/// Columns of the pinned schema, or among these keys of equality deletes, which may have been dropped since, that this file takes from its
/// partition.
pub fn identity_sources(pinned: &PinnedTable, file: &ContentFile, keys: &[i32]) -> Vec<i32> {
    let Some(spec) = pinned.snapshot.metadata.partition_spec(file.spec_id) else { return Vec::new() };
    let sources = identity_values(spec, &file.partition).map(|(id, _)| id);
    let mut ids: Vec<i32> = sources.filter(|id| is_primitive_column(pinned, *id) || keys.contains(id)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn is_primitive_column(pinned: &PinnedTable, id: i32) -> bool {
    pinned.snapshot.schema.fields().iter().any(|field| field.id == id && field.field_type.as_primitive().is_some())
}

/// Sources of a spec's identity fields, with the values that a partition has of them: NULL too, but not those that it lacks.
fn identity_values<'a>(spec: &'a PartitionSpec, partition: &'a PartitionTuple) -> impl Iterator<Item = (i32, &'a PartitionValue)> {
    let fields = spec.fields.iter().zip(&partition.values).filter(|(field, _)| field.transform == Transform::Identity);
    fields.filter(|(_, value)| **value != PartitionValue::Absent).filter_map(|(field, value)| Some((field.source_id()?, value)))
}

/// A partition's value of this column as the pinned schema's type; none of a column whose type is not known any more. `of` is the type
/// that it must have.
fn stored_value(pinned: &PinnedTable, file: &ContentFile, id: i32, value: &Datum, of: Option<&DataType>) -> Result<Option<ScalarValue>> {
    let column = pinned.snapshot.schema.field(id);
    let Some(primitive) = column.map_or_else(|| pinned.snapshot.metadata.field_type(id), |field| field.field_type.as_primitive()) else {
        return Ok(None);
    };
    let stored = stored_scalar(value, primitive).filter(|stored| of.is_none_or(|of| stored.data_type() == *of));
    stored.map(Some).ok_or_else(|| {
        let reason = format!("the partition value of column {id} of \"{}\" is not of type {primitive}", file.path);
        external(TableError::DamagedMetadata { table: pinned.snapshot.ident.to_string(), reason })
    })
}

/// What partitions say of fields inside structs, by file: a file that has no such field has that value in each of its rows, or NULL.
fn nested_values(pinned: &PinnedTable, files: &[ScanFile]) -> Result<PartitionValues> {
    let mut values = PartitionValues::new();
    for file in files.iter().map(|file| &file.listed.data) {
        let Some(spec) = pinned.snapshot.metadata.partition_spec(file.spec_id) else { continue };
        for (id, value) in identity_values(spec, &file.partition) {
            // Of the pinned schema, and not one of its columns, which come beside the file's.
            if pinned.snapshot.schema.path(id).len() > 1 {
                let value = value.datum().map(|value| stored_value(pinned, file, id, value, None)).transpose()?.flatten();
                values.entry(file.path.to_string()).or_default().insert(id, value);
            }
        }
    }
    Ok(values)
}

/// The scan of one group: `columns` under their names, in order.
pub fn scan_group(
    pinned: &PinnedTable,
    group: Group,
    columns: &[(ScanColumn, String)],
    equality: Option<&Arc<EqualityDeletes>>,
    factory: &StorageReaderFactory,
    options: &ScanOptions,
) -> Result<Arc<dyn ExecutionPlan>> {
    let equality = equality.filter(|_| group.equality);
    let inner = InnerSchema::of(pinned, &group, columns, equality, options.prune.as_ref())?;
    let table = inner.table_schema();
    let mut projection = Vec::with_capacity(columns.len());
    for (column, name) in columns {
        projection.push(ProjectionExpr::new(inner.expression(pinned, &table, column)?, name.clone()));
    }
    for hidden in inner.hidden(equality) {
        projection.push(ProjectionExpr::new(Arc::new(Column::new_with_schema(&hidden, table.table_schema())?), hidden));
    }
    let mut parquet = options.parquet.clone();
    parquet.global.coerce_int96 = Some("us".to_owned());
    parquet.global.coerce_int96_tz = None;
    let mut source =
        ParquetSource::new(table.clone()).with_table_parquet_options(parquet).with_parquet_file_reader_factory(Arc::new(factory.clone()));
    if let Some(prune) = options.prune.as_ref().and_then(|prune| inner.predicate(pinned, &table, prune)) {
        source = source.with_predicate(prune);
    }
    let source: Arc<dyn FileSource> = source
        .try_pushdown_projection(&ProjectionExprs::new(projection))?
        .ok_or_else(|| datafusion::common::DataFusionError::Internal("a Parquet scan takes a projection".to_owned()))?;
    let roots = pinned.snapshot.schema.fields().iter().filter(|field| inner.ids.contains(&field.id));
    // A key of equality deletes may be of no column that is read, or of one that was dropped since.
    let keys = equality.into_iter().flat_map(|deletes| &deletes.key_sets).flat_map(|set| &set.columns).map(|key| &key.root);
    let defaults = initial_defaults(roots.chain(keys), &pinned.snapshot.ident.to_string()).map_err(external)?;
    let adapter = FieldIdAdapterFactory {
        columns: Arc::new(inner.by_name()),
        names: Arc::new(inner.names(pinned, equality)),
        defaults: Arc::new(defaults),
        partition: Arc::new(nested_values(pinned, &group.files)?),
        name_mapping: pinned.name_mapping.clone(),
        by_name: pinned.by_name,
    };
    let files = group.files.iter().map(|file| inner.partitioned_file(pinned, file)).collect::<Result<Vec<_>>>()?;
    let groups = cut(files, options);
    let partitions = groups.len();
    let config = FileScanConfigBuilder::new(engine_store_url(), source)
        .with_file_groups(groups)
        .with_expr_adapter(Some(Arc::new(adapter)))
        .with_batch_size(options.batch_size)
        .with_limit(options.limit.filter(|_| equality.is_none()))
        .with_preserve_order(options.ordered)
        // Says that the cuts are final.
        .with_output_partitioning(options.optimized.then_some(Partitioning::UnknownPartitioning(partitions)))
        .build();
    let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
    Ok(match equality {
        Some(deletes) => Arc::new(EqualityDeleteExec::try_new(scan, Arc::clone(deletes), columns.len(), SEQUENCE, SCOPE)?),
        None => scan,
    })
}

/// The columns inside one scan.
struct InnerSchema {
    /// Read from the file; with ids at every depth, which the rows do not have.
    file: Vec<FieldRef>,
    /// From partition values: field id and column.
    identity: Vec<(i32, FieldRef)>,
    rows: bool,
    lineage: bool,
    row_ids: bool,
    /// Field ids of all of them.
    ids: Vec<i32>,
}

impl InnerSchema {
    fn of(
        pinned: &PinnedTable,
        group: &Group,
        columns: &[(ScanColumn, String)],
        equality: Option<&Arc<EqualityDeletes>>,
        prune: Option<&Arc<dyn PhysicalExpr>>,
    ) -> Result<Self> {
        let mut inner = Self { file: Vec::new(), identity: Vec::new(), rows: false, lineage: false, row_ids: false, ids: Vec::new() };
        let add = |inner: &mut Self, at: usize| {
            let field = pinned.arrow.field(at);
            let Some(id) = field_id(field) else { return };
            if inner.ids.contains(&id) {
                return;
            }
            inner.ids.push(id);
            let field = Arc::new(field.clone().with_name(inner_name(id)));
            if group.identity.contains(&id) { inner.identity.push((id, field)) } else { inner.file.push(field) }
        };
        for (column, _) in columns {
            match column {
                ScanColumn::Table(at) => {
                    // Of a struct with such a field other fields may be what is wanted: its files' adapter knows.
                    let field = pinned.arrow.field(*at);
                    if let Some((inside, name)) = unsupported_type(field).filter(|_| !matches!(field.data_type(), DataType::Struct(_))) {
                        let column = path(field.name(), &inside);
                        return Err(external(TableError::UnsupportedType { column, name: name.to_owned() }));
                    }
                    add(&mut inner, *at);
                }
                ScanColumn::Position => inner.rows = true,
                ScanColumn::LastUpdated => inner.lineage = pinned.snapshot.metadata.format_version >= 3,
                ScanColumn::RowId if pinned.snapshot.metadata.format_version >= 3 => (inner.row_ids, inner.rows) = (true, true),
                ScanColumn::RowId => {}
                ScanColumn::File | ScanColumn::FileNumber => {}
            }
        }
        if let Some(prune) = prune {
            for column in datafusion::physical_expr::utils::collect_columns(prune) {
                if let Ok(at) = pinned.arrow.index_of(column.name())
                    && !pinned.arrow.field(at).data_type().is_nested()
                {
                    add(&mut inner, at);
                }
            }
        }
        for key in equality.into_iter().flat_map(|deletes| &deletes.key_sets).flat_map(|set| &set.columns) {
            if key.depth == 0
                && let Some(at) = pinned.position(key.id)
            {
                add(&mut inner, at);
            } else if key.depth == 0 && group.identity.contains(&key.id) {
                if inner.identity.iter().all(|(id, _)| *id != key.id) {
                    inner.identity.push((key.id, Arc::clone(&key.column)));
                }
            } else if inner.file.iter().all(|field| field.name() != key.column.name()) {
                inner.file.push(Arc::clone(&key.column));
            }
        }
        for (_, id) in [(inner.lineage, LAST_UPDATED), (inner.row_ids, ROW_ID)].into_iter().filter(|(asked, _)| *asked) {
            inner.file.push(Arc::new(with_field_id(Field::new(inner_name(id), DataType::Int64, true), id)));
        }
        Ok(inner)
    }

    /// The file's columns by their names inside the scan.
    fn by_name(&self) -> HashMap<String, FieldRef> {
        self.file.iter().map(|field| (field.name().clone(), Arc::clone(field))).collect()
    }

    /// What the table calls the file's columns, by their names inside the scan.
    fn names(&self, pinned: &PinnedTable, equality: Option<&Arc<EqualityDeletes>>) -> HashMap<String, String> {
        let own = pinned.arrow.fields().iter().filter_map(|field| Some((inner_name(field_id(field)?), field.name().clone())));
        let keys = equality.into_iter().flat_map(|deletes| &deletes.key_sets).flat_map(|set| &set.columns);
        let keys = keys.map(|key| (key.column.name().clone(), key.root.name.clone()));
        // A key that is a column has its name of today.
        keys.chain(own).filter(|(inner, _)| self.file.iter().any(|field| field.name() == inner)).collect()
    }

    fn table_schema(&self) -> TableSchema {
        let mut partition: Vec<FieldRef> = self.identity.iter().map(|(_, field)| Arc::clone(field)).collect();
        partition.push(Arc::new(Field::new(SEQUENCE, DataType::Int64, false)));
        partition.push(Arc::new(Field::new(FILE, DataType::Utf8, false)));
        partition.push(Arc::new(Field::new(NUMBER, DataType::UInt32, false)));
        partition.push(Arc::new(Field::new(SCOPE, DataType::UInt32, false)));
        partition.push(Arc::new(Field::new(FIRST_ROW_ID, DataType::Int64, true)));
        let file: Vec<FieldRef> = self.file.iter().map(|field| shown(field)).collect();
        let mut builder = TableSchema::builder(Arc::new(ArrowSchema::new(file))).with_table_partition_cols(partition);
        if self.rows {
            let row: FieldRef = Arc::new(Field::new(ROW, DataType::Int64, false).with_extension_type(RowNumber));
            builder = builder.with_virtual_columns(vec![row]);
        }
        builder.build()
    }

    fn expression(&self, pinned: &PinnedTable, table: &TableSchema, column: &ScanColumn) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = |name: &str| -> Result<Arc<dyn PhysicalExpr>> { Ok(Arc::new(Column::new_with_schema(name, table.table_schema())?)) };
        match column {
            ScanColumn::Table(at) => inner(&inner_name(field_id(pinned.arrow.field(*at)).unwrap_or_default())),
            ScanColumn::File => inner(FILE),
            ScanColumn::Position => inner(ROW),
            ScanColumn::FileNumber => inner(NUMBER),
            ScanColumn::LastUpdated if self.lineage => stored_or(inner(&inner_name(LAST_UPDATED))?, inner(SEQUENCE)?),
            ScanColumn::LastUpdated => inner(SEQUENCE),
            ScanColumn::RowId if self.row_ids => {
                let inherited = Arc::new(BinaryExpr::new(inner(FIRST_ROW_ID)?, Operator::Plus, inner(ROW)?));
                stored_or(inner(&inner_name(ROW_ID))?, inherited)
            }
            ScanColumn::RowId => Ok(Arc::new(Literal::new(ScalarValue::Int64(None)))),
        }
    }

    /// Names of the columns that equality deletes need.
    fn hidden(&self, equality: Option<&Arc<EqualityDeletes>>) -> Vec<String> {
        let Some(equality) = equality else { return Vec::new() };
        let mut names: Vec<String> = Vec::new();
        for key in equality.key_sets.iter().flat_map(|set| &set.columns) {
            if !names.contains(key.column.name()) {
                names.push(key.column.name().clone());
            }
        }
        names.push(SEQUENCE.to_owned());
        names.push(SCOPE.to_owned());
        names
    }

    /// The conjuncts of a predicate over the table's schema that only ask for columns of the scan, over its own names.
    fn predicate(&self, pinned: &PinnedTable, table: &TableSchema, prune: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
        let inner = |conjunct: &Arc<dyn PhysicalExpr>| {
            pinned.rename_columns(conjunct, |id| Column::new_with_schema(&inner_name(id), table.table_schema()).ok())
        };
        let conjuncts: Vec<_> = datafusion::physical_expr::split_conjunction(prune).into_iter().filter_map(inner).collect();
        (!conjuncts.is_empty()).then(|| datafusion::physical_expr::conjunction(conjuncts))
    }

    fn partitioned_file(&self, pinned: &PinnedTable, file: &ScanFile) -> Result<PartitionedFile> {
        let data = &file.listed.data;
        let located = pinned.snapshot.storage.locate(&data.path).map_err(external)?;
        let mut scanned = PartitionedFile::new_from_meta(ObjectMeta {
            location: located.path,
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: u64::try_from(data.file_size).unwrap_or(0),
            e_tag: None,
            version: None,
        });
        let spec = pinned.snapshot.metadata.partition_spec(data.spec_id);
        let mut values = Vec::with_capacity(self.identity.len() + 5);
        for (id, field) in &self.identity {
            let known = spec.and_then(|spec| identity_values(spec, &data.partition).find(|(source, _)| source == id));
            let value = known.and_then(|(_, value)| value.datum());
            let value = value.map(|value| stored_value(pinned, data, *id, value, Some(field.data_type()))).transpose()?;
            values.push(value.flatten().map_or_else(|| ScalarValue::try_new_null(field.data_type()), Ok)?);
        }
        values.push(ScalarValue::Int64(Some(data.sequence_number)));
        values.push(ScalarValue::Utf8(Some(data.path.clone())));
        values.push(ScalarValue::UInt32(Some(file.number)));
        values.push(ScalarValue::UInt32(Some(file.scope)));
        values.push(ScalarValue::Int64(data.first_row_id));
        scanned = scanned.with_partition_values(values).with_extension(FileUrl(data.path.as_str().into()));
        let deleted = || file.deleted.as_ref().map(|deleted| live_rows(&deleted.positions, deleted.rows));
        if let Some(selection) = file.selection.clone().or_else(deleted) {
            scanned = scanned.with_extension(ParquetRowSelection::new(selection));
        }
        Ok(scanned)
    }
}

/// What a file stores of a row's lineage, where it does, else what the row inherits.
fn stored_or(stored: Arc<dyn PhysicalExpr>, inherited: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let known: Arc<dyn PhysicalExpr> = Arc::new(IsNotNullExpr::new(Arc::clone(&stored)));
    case(None, vec![(known, stored)], Some(inherited))
}

/// Deals files out to partitions, cutting large ones.
fn cut(files: Vec<PartitionedFile>, options: &ScanOptions) -> Vec<FileGroup> {
    let partitions = options.partitions.max(1);
    let total: u64 = files.iter().map(|file| file.object_meta.size).fold(0, u64::saturating_add);
    if partitions == 1 || files.is_empty() {
        return vec![FileGroup::new(files)];
    }
    if total < options.cut_from {
        let per_partition = files.len().div_ceil(partitions);
        return files.chunks(per_partition).map(|chunk| FileGroup::new(chunk.to_vec())).collect();
    }
    let share = total.div_ceil(partitions as u64).max(1);
    let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new()];
    let mut room = share;
    for file in files {
        let size = file.object_meta.size;
        let mut start = 0;
        loop {
            let left = size - start;
            let last = left <= room || groups.len() == partitions;
            let whole = last && start == 0;
            let piece = if whole {
                file.clone()
            } else {
                let end = if last { i64::MAX } else { i64::try_from(start + room).unwrap_or(i64::MAX) };
                file.clone().with_range(i64::try_from(start).unwrap_or(i64::MAX), end)
            };
            if let Some(group) = groups.last_mut() {
                group.push(piece);
            }
            if last {
                room = room.saturating_sub(left);
                break;
            }
            start += room;
            groups.push(Vec::new());
            room = share;
        }
        if room == 0 && groups.len() < partitions {
            groups.push(Vec::new());
            room = share;
        }
    }
    groups.into_iter().filter(|group| !group.is_empty()).map(FileGroup::new).collect()
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
