//! Feast's registry in a database: SQLite, or PostgreSQL. Rows hold the messages that a file would hold.

use std::path::Path;

use super::registry::{Registered, damaged};
use super::wire_format::{Message, WireError};
use crate::config::FeastRegistry;
use crate::error::{Report, SqlState};

type Take = fn(&mut Registered, &Message<'_>, &str) -> Result<(), WireError>;

/// Table, column, and what takes its messages.
const TABLES: [(&str, &str, Take); 5] = [
    ("entities", "entity_proto", Registered::take_entity),
    ("feature_views", "feature_view_proto", Registered::take_view),
    ("stream_feature_views", "feature_view_proto", Registered::take_stream_view),
    ("feature_services", "feature_service_proto", Registered::take_service),
    ("on_demand_feature_views", "feature_view_proto", Registered::take_on_demand),
];

/// Reads the registry of this project.
pub async fn read(folder: &Path, registry: &FeastRegistry) -> Result<Registered, Report> {
    let (scheme, rest) = registry.path.split_once("://").unwrap_or_default();
    // SQLAlchemy's URLs may name a driver: `postgresql+psycopg`.
    match scheme.split('+').next().unwrap_or_default() {
        "sqlite" => sqlite(&folder.join(rest.strip_prefix('/').unwrap_or(rest)), &registry.project),
        "postgresql" | "postgres" => postgres(&format!("postgresql://{rest}"), &registry.project).await,
        other => Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("Feast's registry in \"{other}\" cannot be read"))
            .hint("There are sqlite and postgresql.")),
    }
}

fn sqlite(path: &Path, project: &str) -> Result<Registered, Report> {
    use rusqlite::{Connection, OpenFlags};
    let failed = |error: rusqlite::Error| {
        Report::new(SqlState::IO_ERROR, format!("Feast's registry \"{}\" cannot be read: {error}", path.display()))
    };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    let mut found = Registered::default();
    for (table, column, take) in TABLES {
        let mut query = connection.prepare(&format!("SELECT {column} FROM {table} WHERE project_id = ?1 ORDER BY 1")).map_err(failed)?;
        let rows = query.query_map([project], |row| row.get::<_, Vec<u8>>(0)).map_err(failed)?;
        for bytes in rows {
            let bytes = bytes.map_err(failed)?;
            Message::parse(&bytes)
                .and_then(|message| take(&mut found, &message, project))
                .map_err(|_| damaged(&path.display().to_string()))?;
        }
    }
    Ok(found)
}

/// Without TLS: a registry is read from the machine that administers it.
async fn postgres(url: &str, project: &str) -> Result<Registered, Report> {
    // The URL has a password: the driver's words are passed on, the URL is not.
    let failed = |error: tokio_postgres::Error| {
        let said = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        Report::new(SqlState::IO_ERROR, format!("Feast's registry in PostgreSQL cannot be read: {said}"))
    };
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.map_err(failed)?;
    let serving = tokio::spawn(connection);
    let mut found = Registered::default();
    for (table, column, take) in TABLES {
        let rows =
            client.query(&format!("SELECT {column} FROM {table} WHERE project_id = $1 ORDER BY 1"), &[&project]).await.map_err(failed)?;
        for row in rows {
            let bytes: &[u8] = row.try_get(0).map_err(failed)?;
            Message::parse(bytes).and_then(|message| take(&mut found, &message, project)).map_err(|_| damaged("the database"))?;
        }
    }
    drop(client);
    serving.abort();
    Ok(found)
}
