//! `featgres import-feast REPO`: a Feast repository's definitions as DDL.
//!
//! Reads `feature_store.yaml` and the registry that it names, which is what `feast apply` wrote; Python is not run. The DDL goes to
//! standard output, to be read, changed and given to `featgres apply`; `--apply` runs it at once, in one transaction.

mod definitions;
mod registry;
mod sql_registry;
mod wire_format;

use std::path::Path;
use std::process::ExitCode;

use definitions::Mapping;
use registry::Registered;

use super::{ConfigArguments, apply, block_on, started};
use crate::config::FeastRegistry;
use crate::error::{Report, SqlState};
use crate::storage::Storage;

/// What the command line says besides the repository.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArguments {
    /// Run the DDL, in one transaction, instead of printing it.
    #[arg(long)]
    apply: bool,
    /// The catalog of tables that Feast names by schema and table only.
    #[arg(long, default_value = "iceberg", value_name = "NAME")]
    catalog: String,
    /// The table of a feature view whose source is none: VIEW=catalog.schema.table. May be given several times.
    #[arg(long = "table", value_name = "VIEW=TABLE")]
    tables: Vec<String>,
}

pub(super) fn import(repository: &Path, arguments: ImportArguments, config: ConfigArguments) -> Result<ExitCode, Report> {
    let mut mapping = Mapping { catalog: arguments.catalog, ..Mapping::default() };
    for table in &arguments.tables {
        let (view, table) = table
            .split_once('=')
            .ok_or_else(|| Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("--table {table} is not VIEW=catalog.schema.table")))?;
        mapping.tables.insert(view.to_owned(), table.to_owned());
    }
    let registry = FeastRegistry::read(&repository.join("feature_store.yaml"), super::environment())?;
    let settings = config.load()?;
    let registered = block_on(async {
        let storage = Storage::new(settings.registry_properties())?;
        Registered::read(repository, &registry, &storage).await
    })?;
    if let Some(unknown) = mapping.tables.keys().find(|name| !registered.views.iter().any(|view| view.name == **name)) {
        return Err(Report::new(SqlState::UNDEFINED_TABLE, format!("--table names feature view \"{unknown}\", which Feast does not have")));
    }
    let definitions = definitions::definitions(&registered, &mapping);
    let left = definitions.iter().filter(|definition| definition.lines().all(|line| line.starts_with("--"))).count();
    eprintln!(
        "featgres: project \"{}\": {} entities, {} feature views; {left} objects have no counterpart and are comments",
        registry.project,
        registered.entities.len(),
        registered.views.len()
    );
    let text = definitions.join("\n\n") + "\n";
    if arguments.apply {
        for comment in definitions.iter().flat_map(|definition| definition.lines()).filter(|line| line.starts_with("--")) {
            eprintln!("{comment}");
        }
        return apply::apply_text(started(settings), Path::new("import"), &text, false);
    }
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}
