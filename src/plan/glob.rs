//! Views with `scan = 'glob'`: every Parquet file that a pattern matches, for those who ask for it by name.
//!
//! The pattern is found when the view is created or refreshed and kept with its definition; a statement lists it once, so that all of
//! its reads see the same files. Nothing here falls back to it: a table that cannot be read exactly is an error.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::catalog::TableProvider;

use super::define::Source;
use super::feature_view::ViewRows;
use super::{Planner, StatementSettings};
use crate::error::{Notice, Report, SqlState};
use crate::registry::{FeatureView, Scan, ViewSource};
use crate::source::{TableIdent, TableSnapshot};
use crate::sql::{CreateFeatureView, SourceClause};
use crate::table::{SnapshotTable, TableOptions, glob_snapshot};

impl Planner {
    /// The files that match a view's pattern in this statement.
    pub(super) async fn glob(
        &self,
        ident: &TableIdent,
        pattern: &str,
        settings: &StatementSettings<'_>,
    ) -> Result<Arc<TableSnapshot>, Report> {
        let key = (ident.clone(), pattern.to_owned());
        if let Some(known) = settings.pinned.folder(&key) {
            return Ok(known);
        }
        let catalog = self.sources.catalog(&ident.catalog)?;
        let snapshot = glob_snapshot(catalog.storage(), ident, pattern).await?;
        Ok(settings.pinned.keep_folder(key, snapshot))
    }

    /// The source of a view under creation `WITH (scan = 'glob')`.
    pub(super) async fn glob_source(&self, create: &CreateFeatureView, settings: &StatementSettings<'_>) -> Result<Source, Report> {
        let SourceClause::Table { table, pin } = &create.source else {
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, "scan = 'glob' needs a source table, not a query")
                .position(create.name.position));
        };
        let position = table.parts.first().map_or(1, |part| part.position);
        if pin.is_some() {
            return Err(Report::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "a view with scan = 'glob' cannot be pinned: files have no snapshots",
            )
            .hint("scan = 'snapshot', the default, reads a table as it was.")
            .position(position));
        }
        let ident = self.table_ident(table)?;
        let pattern = self.sources.glob_pattern(&ident).await.map_err(|failure| Report::from(failure).position(position))?;
        let snapshot = self.glob(&ident, &pattern, settings).await.map_err(|report| report.position(position))?;
        let schema = SnapshotTable::new(snapshot, TableOptions::default())?.schema();
        // Columns are bound by name: ids that were given to the files of today mean nothing tomorrow.
        let unbound = |field: &Arc<Field>| {
            let mut metadata = field.metadata().clone();
            metadata.remove(parquet::arrow::PARQUET_FIELD_ID_META_KEY);
            field.as_ref().clone().with_metadata(metadata)
        };
        let schema = Arc::new(Schema::new(schema.fields().iter().map(unbound).collect::<Vec<_>>()));
        settings.notices.lock().push(warning(&create.name.name, &pattern));
        let name = ident.to_string();
        let TableIdent { catalog, schema: namespace, table } = ident;
        let source = ViewSource::Table { catalog, schema: namespace, table, table_uuid: None, pin: None, path: Some(pattern) };
        Ok(Source { source, schema, name })
    }

    /// The rows of a view with `scan = 'glob'`.
    pub(super) async fn glob_rows(
        &self,
        view: &FeatureView,
        ident: &TableIdent,
        pattern: Option<&str>,
        travels: bool,
        settings: &StatementSettings<'_>,
    ) -> Result<ViewRows, Report> {
        if travels {
            let message = format!("feature view \"{}\" has scan = 'glob': its files have no snapshots to read as they were", view.name);
            return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, message)
                .hint("CREATE OR REPLACE FEATURE VIEW without scan = 'glob' reads the table's snapshots."));
        }
        let pattern = match pattern {
            Some(pattern) => pattern.to_owned(),
            None => self.sources.glob_pattern(ident).await?,
        };
        let snapshot = self.glob(ident, &pattern, settings).await?;
        let table = Arc::new(SnapshotTable::new(Arc::clone(&snapshot), TableOptions::default())?);
        Ok(ViewRows::Snapshot { snapshot, table })
    }

    /// Finds the pattern of a view's files anew; none where it is what it was.
    pub(super) async fn refreshed_path(
        &self,
        view: &FeatureView,
        rows: &ViewRows,
        settings: &StatementSettings<'_>,
    ) -> Result<Option<String>, Report> {
        let (ViewSource::Table { catalog, schema, table, path, .. }, ViewRows::Snapshot { snapshot, .. }) = (&view.source, rows) else {
            return Ok(None);
        };
        let found = match view.scan {
            Scan::Snapshot => self.sources.data_pattern(snapshot).await,
            Scan::Glob => {
                let ident = TableIdent { catalog: catalog.clone(), schema: schema.clone(), table: table.clone() };
                let pattern = self.sources.glob_pattern(&ident).await?;
                self.glob(&ident, &pattern, settings).await?;
                settings.notices.lock().push(warning(&view.name, &pattern));
                pattern
            }
        };
        Ok((path.as_deref() != Some(found.as_str())).then_some(found))
    }
}

/// What such a view cannot see.
fn warning(view: &str, pattern: &str) -> Notice {
    Notice::warning(
        SqlState::WARNING,
        format!(
            "feature view \"{view}\" reads every file that matches {pattern}: deleted and updated rows come back, compacted rows come twice, \
             rollbacks, branches and failed writes are not seen for what they are, and a renamed column is another column"
        ),
    )
}
