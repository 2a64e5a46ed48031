//! Feast's registry as it is stored: one protocol buffer in a file, or the same messages in rows of a database.
//!
//! Only what becomes a definition is read. Field numbers are those of `feast/core/*.proto`, which Feast only adds to.

use std::collections::BTreeMap;
use std::path::Path;

use super::wire_format::{Message, WireError};
use crate::config::FeastRegistry;
use crate::error::{Report, SqlState};
use crate::storage::Storage;

/// A registry file larger than this is none: Feast reads it whole for every call, too.
const MAX_REGISTRY_BYTES: u64 = 256 << 20;

/// What is registered in one project.
#[derive(Debug, Default)]
pub struct Registered {
    /// Entities.
    pub entities: Vec<FeastEntity>,
    /// Feature views, stream feature views among them.
    pub views: Vec<FeastView>,
    /// Feature services: name, then `view:feature` or `view:*`.
    pub services: Vec<(String, Vec<String>)>,
    /// On-demand feature views, by name.
    pub on_demand: Vec<String>,
}

/// An entity.
#[derive(Debug, Default, Clone)]
pub struct FeastEntity {
    /// Its name.
    pub name: String,
    /// The key's name.
    pub join_key: String,
    /// The key's type, a number of `ValueType`.
    pub value_type: u64,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A feature view.
#[derive(Debug, Default, Clone)]
pub struct FeastView {
    /// Its name.
    pub name: String,
    /// Its entities' names.
    pub entities: Vec<String>,
    /// Its features.
    pub features: Vec<FeastField>,
    /// Its join keys, with their types.
    pub entity_columns: Vec<FeastField>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its TTL in seconds; 0 = no limit.
    pub ttl_seconds: i64,
    /// Where its rows are; none in a broken registry.
    pub source: Option<FeastSource>,
    /// Whether Feast serves it online.
    pub online: bool,
    /// Its description.
    pub description: String,
    /// Its owner.
    pub owner: String,
}

/// A column.
#[derive(Debug, Default, Clone)]
pub struct FeastField {
    /// Its name.
    pub name: String,
    /// A number of `ValueType`.
    pub value_type: u64,
    /// Its description.
    pub description: String,
}

/// A batch source.
#[derive(Debug, Default, Clone)]
pub struct FeastSource {
    /// Where.
    pub place: FeastPlace,
    /// The source's names for columns, by Feast's.
    pub columns: BTreeMap<String, String>,
    /// The event timestamp, by the source's name.
    pub timestamp: String,
    /// The created timestamp, by the source's name; empty if there is none.
    pub created: String,
}

/// Where rows are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum FeastPlace {
    /// A table of Trino's or Spark's.
    Table(String),
    /// A query of theirs.
    Query(String),
    /// Parquet files.
    Files(String),
    /// Something else, by Feast's word for it.
    #[default]
    Unknown,
    /// A kind of source that holds no Iceberg tables.
    Foreign(String),
}

impl Registered {
    /// Reads the registry that the file in `folder` names.
    pub async fn read(folder: &Path, registry: &FeastRegistry, storage: &Storage) -> Result<Self, Report> {
        match registry.kind.as_str() {
            "file" => Self::of_file(folder, registry, storage).await,
            "sql" => super::sql_registry::read(folder, registry).await,
            other => Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("Feast's registry of type \"{other}\" cannot be read"))
                .hint("There are file and sql; \"feast registry-dump\" shows any other.")),
        }
    }

    async fn of_file(folder: &Path, registry: &FeastRegistry, storage: &Storage) -> Result<Self, Report> {
        let url = match registry.path.split_once("://") {
            Some(("s3a", rest)) => format!("s3://{rest}"),
            Some(_) => registry.path.clone(),
            None => {
                let path = std::path::absolute(folder.join(&registry.path)).unwrap_or_else(|_| folder.join(&registry.path));
                format!("file://{}", path.display())
            }
        };
        if let Some(path) = url.strip_prefix("file://")
            && std::fs::metadata(path).is_ok_and(|file| file.len() > MAX_REGISTRY_BYTES)
        {
            return Err(damaged(&url));
        }
        let bytes = storage.read(&url).await?;
        let message = Message::parse(&bytes).map_err(|_| damaged(&url))?;
        let mut found = Self::default();
        found.take_all(&message, &registry.project).map_err(|_| damaged(&url))?;
        Ok(found)
    }

    fn take_all(&mut self, registry: &Message<'_>, project: &str) -> Result<(), WireError> {
        for message in registry.messages(1)? {
            self.take_entity(&message, project)?;
        }
        for message in registry.messages(6)? {
            self.take_view(&message, project)?;
        }
        for message in registry.messages(14)? {
            self.take_stream_view(&message, project)?;
        }
        for message in registry.messages(7)? {
            self.take_service(&message, project)?;
        }
        for message in registry.messages(8)? {
            self.take_on_demand(&message, project)?;
        }
        Ok(())
    }

    /// `Entity`.
    pub fn take_entity(&mut self, message: &Message<'_>, project: &str) -> Result<(), WireError> {
        let Some(spec) = message.message(1)?.filter(|spec| of_project(spec, 9, project)) else { return Ok(()) };
        let name = spec.text(1)?;
        // What Feast keeps for views without entities.
        if name == "__dummy" {
            return Ok(());
        }
        let join_key = Some(spec.text(4)?).filter(|key| !key.is_empty()).unwrap_or_else(|| name.clone());
        let (description, tags) = (spec.text(3)?, spec.map(8)?);
        self.entities.push(FeastEntity { name, join_key, value_type: spec.number(2), description, tags });
        Ok(())
    }

    /// `FeatureView`.
    pub fn take_view(&mut self, message: &Message<'_>, project: &str) -> Result<(), WireError> {
        let Some(spec) = message.message(1)?.filter(|spec| of_project(spec, 2, project)) else { return Ok(()) };
        self.views.push(FeastView {
            name: spec.text(1)?,
            entities: spec.texts(3)?,
            features: fields(&spec, 4)?,
            tags: spec.map(5)?,
            ttl_seconds: seconds(&spec, 6)?,
            source: source(&spec, 7)?,
            online: spec.number(8) != 0,
            description: spec.text(10)?,
            owner: spec.text(11)?,
            entity_columns: fields(&spec, 12)?,
        });
        Ok(())
    }

    /// `StreamFeatureView`: its batch source has the history.
    pub fn take_stream_view(&mut self, message: &Message<'_>, project: &str) -> Result<(), WireError> {
        let Some(spec) = message.message(1)?.filter(|spec| of_project(spec, 2, project)) else { return Ok(()) };
        self.views.push(FeastView {
            name: spec.text(1)?,
            entities: spec.texts(3)?,
            features: fields(&spec, 4)?,
            entity_columns: fields(&spec, 5)?,
            description: spec.text(6)?,
            tags: spec.map(7)?,
            owner: spec.text(8)?,
            ttl_seconds: seconds(&spec, 9)?,
            source: source(&spec, 10)?,
            online: spec.number(12) != 0,
        });
        Ok(())
    }

    /// `FeatureService`.
    pub fn take_service(&mut self, message: &Message<'_>, project: &str) -> Result<(), WireError> {
        let Some(spec) = message.message(1)?.filter(|spec| of_project(spec, 2, project)) else { return Ok(()) };
        let mut references = Vec::new();
        for projection in spec.messages(3)? {
            let view = projection.text(1)?;
            references.extend(fields(&projection, 2)?.into_iter().map(|feature| format!("{view}:{}", feature.name)));
        }
        self.services.push((spec.text(1)?, references));
        Ok(())
    }

    /// `OnDemandFeatureView`.
    pub fn take_on_demand(&mut self, message: &Message<'_>, project: &str) -> Result<(), WireError> {
        if let Some(spec) = message.message(1)?.filter(|spec| of_project(spec, 2, project)) {
            self.on_demand.push(spec.text(1)?);
        }
        Ok(())
    }
}

/// Whether a spec is of this project; an old registry names none.
fn of_project(spec: &Message<'_>, field: u64, project: &str) -> bool {
    spec.text(field).is_ok_and(|found| found.is_empty() || found == project)
}

/// `FeatureSpecV2`s.
fn fields(message: &Message<'_>, field: u64) -> Result<Vec<FeastField>, WireError> {
    let read = |spec: &Message<'_>| Ok(FeastField { name: spec.text(1)?, value_type: spec.number(2), description: spec.text(4)? });
    message.messages(field)?.iter().map(read).collect()
}

/// A `Duration`, whole seconds: a TTL of less is none that anybody sets.
fn seconds(message: &Message<'_>, field: u64) -> Result<i64, WireError> {
    Ok(message.message(field)?.map_or(0, |duration| duration.number(1).cast_signed()))
}

fn source(spec: &Message<'_>, field: u64) -> Result<Option<FeastSource>, WireError> {
    let Some(mut source) = spec.message(field)? else { return Ok(None) };
    // A push, Kafka or Kinesis source has a batch source inside, with the history.
    for _ in 0..4 {
        match source.message(26)? {
            Some(inner) => source = inner,
            None => break,
        }
    }
    let columns: BTreeMap<String, String> = source.map(2)?.into_iter().map(|(theirs, feasts)| (feasts, theirs)).collect();
    let own = |name: String| columns.get(&name).cloned().unwrap_or(name);
    let (timestamp, created) = (own(source.text(3)?), own(source.text(5)?));
    Ok(Some(FeastSource { place: place(&source)?, timestamp, created, columns }))
}

fn place(source: &Message<'_>) -> Result<FeastPlace, WireError> {
    // Options by field number; in both messages 1 is the table and 2 the query.
    for options in [30, 27] {
        if let Some(options) = source.message(options)? {
            let (table, query, path) = (options.text(1)?, options.text(2)?, options.text(3)?);
            return Ok(if !table.is_empty() {
                FeastPlace::Table(table)
            } else if !query.is_empty() {
                FeastPlace::Query(query)
            } else {
                FeastPlace::Files(path)
            });
        }
    }
    if let Some(options) = source.message(11)? {
        return Ok(FeastPlace::Files(options.text(2)?));
    }
    let class = source.text(17)?;
    let word = class.rsplit('.').next().unwrap_or_default();
    Ok(if word.is_empty() { FeastPlace::Unknown } else { FeastPlace::Foreign(word.to_owned()) })
}

/// XX001 for what cannot be read.
pub fn damaged(place: &str) -> Report {
    Report::new(SqlState::DATA_CORRUPTED, format!("\"{place}\" is no registry of Feast's"))
        .hint("The registry of feature_store.yaml must be what \"feast apply\" wrote.")
}
