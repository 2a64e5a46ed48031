//! The questions that a SQL catalog is asked, to PostgreSQL.
//!
//! A few connections are kept and shared; one that broke, or whose question took too long, is dropped, and a question that finds its
//! connection dead is asked once more on a new one, so that a restart of the server is not noticed. All questions are plain reads.
//!
//! TLS follows `sslmode`, which here never means less than it says: `require`, `verify-ca` and `verify-full` all want a certificate that
//! is valid for the host (by `ssl.cabundle`, `sslrootcert` or the machine's own authorities), and only `disable` and `prefer` can end in
//! the clear. Without `sslmode` it is `verify-full`, but `disable` for a socket or a server on this machine.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::postgres_uri::Target;
use crate::source::error::root_cause;
use crate::source::{SourceError, TableIdent, TablePointer};

/// Connections at a time.
const CONNECTIONS: usize = 4;

/// The most names that one answer holds.
const MOST_NAMES: i64 = 100_000;

/// Where the rows are.
pub(super) struct Database {
    /// The `[catalogs.NAME]`, for errors.
    pub section: String,
    /// `catalog_name` of our rows.
    pub catalog: String,
    target: Target,
    tls: Option<MakeRustlsConnect>,
    timeout: Duration,
    idle: Mutex<Vec<Client>>,
    places: Semaphore,
}

impl std::fmt::Debug for Database {
    /// Nothing of the connection: it holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("section", &self.section).field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

/// Why a question has no answer.
enum Failed {
    /// The connection is no good.
    Broken(tokio_postgres::Error),
    /// The server says no.
    Refused(tokio_postgres::Error),
}

impl Failed {
    fn of(error: tokio_postgres::Error) -> Self {
        // 57P: the server ends the session; what has no code never reached it.
        let refused = error.code().is_some_and(|code| !code.code().starts_with("57P") && !code.code().starts_with("08"));
        if refused { Self::Refused(error) } else { Self::Broken(error) }
    }
}

/// With their types, so that one message asks all: nothing is prepared, which poolers between us and the server like best.
type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

impl Database {
    /// Connects to nobody yet; a certificate file that cannot be read is an error now.
    pub(super) fn new(section: &str, catalog: &str, target: Target, timeout: Duration) -> Result<Arc<Self>, SourceError> {
        let tls = target.tls().map_err(|reason| SourceError::BadSetting { catalog: section.to_owned(), reason })?;
        Ok(Arc::new(Self {
            section: section.to_owned(),
            catalog: catalog.to_owned(),
            target,
            tls,
            timeout,
            idle: Mutex::default(),
            places: Semaphore::new(CONNECTIONS),
        }))
    }

    fn unreachable(&self, reason: &str) -> SourceError {
        SourceError::CatalogUnreachable { catalog: self.section.clone(), reason: format!("{}: {reason}", self.target.place()) }
    }

    /// The error in our words; the server's message without its place in our SQL.
    fn told(&self, failed: &Failed) -> SourceError {
        let (Failed::Broken(error) | Failed::Refused(error)) = failed;
        let reason = match error.as_db_error() {
            Some(said) => said.message().to_owned(),
            None => root_cause(error),
        };
        match (failed, error.code().map(tokio_postgres::error::SqlState::code)) {
            (_, Some("28P01" | "28000")) => SourceError::CatalogLogin { catalog: self.section.clone(), reason },
            (_, Some("42501")) => SourceError::CatalogForbids { catalog: self.section.clone(), reason },
            (Failed::Refused(_), Some("42P01")) => SourceError::CatalogFailed {
                catalog: self.section.clone(),
                reason: format!("{reason}: the database has no Iceberg catalog in it, or not on the search_path"),
            },
            // It does not take connections: too many, starting, no such database.
            (Failed::Refused(_), Some(code)) if code.starts_with("53") || code == "3D000" => self.unreachable(&reason),
            (Failed::Refused(_), _) => SourceError::CatalogFailed { catalog: self.section.clone(), reason },
            (Failed::Broken(_), _) if reason.contains("certificate") => {
                SourceError::CatalogTls { catalog: self.section.clone(), reason: format!("{}: {reason}", self.target.place()) }
            }
            (Failed::Broken(_), _) => self.unreachable(&reason),
        }
    }

    async fn connect(&self) -> Result<Client, Failed> {
        let config = self.target.config();
        // The connection lives in a task of its own and ends with its client.
        match &self.tls {
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await.map_err(Failed::of)?;
                tokio::spawn(async move {
                    let _ = connection.await;
                });
                Ok(client)
            }
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(Failed::of)?;
                tokio::spawn(async move {
                    let _ = connection.await;
                });
                Ok(client)
            }
        }
    }

    fn take_idle(&self) -> Option<Client> {
        let mut idle = self.idle.lock();
        while let Some(client) = idle.pop() {
            if !client.is_closed() {
                return Some(client);
            }
        }
        None
    }

    /// One question, on a connection that is kept or a new one.
    async fn query(&self, question: &str, parameters: Parameters<'_>) -> Result<Vec<Row>, SourceError> {
        let asked = async {
            // Never closed, so never an error.
            let _place = self.places.acquire().await.ok();
            if let Some(client) = self.take_idle() {
                match client.query_typed(question, parameters).await.map_err(Failed::of) {
                    // It was kept too long: the server went away in between.
                    Err(Failed::Broken(_)) => {}
                    answer => {
                        self.idle.lock().push(client);
                        return answer;
                    }
                }
            }
            let client = self.connect().await?;
            let answer = client.query_typed(question, parameters).await.map_err(Failed::of);
            if !matches!(answer, Err(Failed::Broken(_))) {
                self.idle.lock().push(client);
            }
            answer
        };
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(answer) => answer.map_err(|failed| self.told(&failed)),
            Err(_) => Err(self.unreachable(&format!("no answer within {} s", self.timeout.as_secs_f64()))),
        }
    }

    async fn names(&self, question: &str, parameters: Parameters<'_>) -> Result<Vec<String>, SourceError> {
        let rows = self.query(question, parameters).await?;
        let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>();
        names.map_err(|error| self.told(&Failed::Refused(error)))
    }

    /// Which of the optional parts the database has: types of entries, and namespaces of their own.
    async fn shape(&self) -> Result<(bool, bool), SourceError> {
        let question = "SELECT
            EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('iceberg_tables') AND attname = 'iceberg_type' AND NOT attisdropped),
            to_regclass('iceberg_namespace_properties') IS NOT NULL";
        let rows = self.query(question, &[]).await?;
        let flag = |index| rows.first().and_then(|row| row.try_get::<_, bool>(index).ok()).unwrap_or(false);
        Ok((flag(0), flag(1)))
    }

    /// Where the table's metadata is now.
    pub(super) async fn pointer(&self, ident: &TableIdent) -> Result<TablePointer, SourceError> {
        // A row as JSON has the column `iceberg_type` or not: one question for both schemas.
        let question = "SELECT metadata_location, upper(to_jsonb(t) ->> 'iceberg_type') FROM iceberg_tables t
            WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3";
        let rows = self.query(question, &[(&self.catalog, Type::TEXT), (&ident.schema, Type::TEXT), (&ident.table, Type::TEXT)]).await?;
        let Some(row) = rows.first() else { return Err(self.missing(ident).await?) };
        let get = |index| row.try_get::<_, Option<String>>(index).map_err(|error| self.told(&Failed::Refused(error)));
        match (get(0)?, get(1)?.as_deref()) {
            (_, Some("VIEW")) => Err(SourceError::NotATable { ident: ident.clone(), kind: "a view".to_owned() }),
            (Some(location), None | Some("TABLE")) => Ok(TablePointer::at(location)),
            (None, _) => Err(SourceError::CatalogFailed {
                catalog: self.section.clone(),
                reason: format!("table \"{ident}\" has no metadata location"),
            }),
            (Some(_), Some(other)) => Err(SourceError::NotATable { ident: ident.clone(), kind: format!("of type {other}") }),
        }
    }

    async fn missing(&self, ident: &TableIdent) -> Result<SourceError, SourceError> {
        let schemas = self.schemas().await?;
        if !schemas.contains(&ident.schema) {
            return Ok(self.unknown_schema(&ident.schema, schemas));
        }
        Ok(SourceError::UnknownTable { ident: ident.clone(), known: self.tables_of(&ident.schema).await? })
    }

    fn unknown_schema(&self, schema: &str, known: Vec<String>) -> SourceError {
        SourceError::UnknownSchema { catalog: self.section.clone(), schema: schema.to_owned(), known }
    }

    /// All namespaces, sorted by bytes whatever the database's collation.
    pub(super) async fn schemas(&self) -> Result<Vec<String>, SourceError> {
        let (_, namespaces) = self.shape().await?;
        let mut question = "SELECT table_namespace::text AS name FROM iceberg_tables WHERE catalog_name = $1".to_owned();
        if namespaces {
            question.push_str(" UNION SELECT namespace::text FROM iceberg_namespace_properties WHERE catalog_name = $1");
        }
        let question = format!("SELECT DISTINCT name COLLATE \"C\" FROM ({question}) AS names ORDER BY 1 LIMIT $2");
        self.names(&question, &[(&self.catalog, Type::TEXT), (&MOST_NAMES, Type::INT8)]).await
    }

    async fn tables_of(&self, schema: &str) -> Result<Vec<String>, SourceError> {
        let (typed, _) = self.shape().await?;
        let tables_only = if typed { "AND (iceberg_type IS NULL OR upper(iceberg_type) = 'TABLE')" } else { "" };
        let question = format!(
            "SELECT table_name::text COLLATE \"C\" FROM iceberg_tables WHERE catalog_name = $1 AND table_namespace = $2 {tables_only} ORDER BY 1 LIMIT $3"
        );
        self.names(&question, &[(&self.catalog, Type::TEXT), (&schema, Type::TEXT), (&MOST_NAMES, Type::INT8)]).await
    }

    /// All tables of a namespace, sorted.
    pub(super) async fn tables(&self, schema: &str) -> Result<Vec<String>, SourceError> {
        let tables = self.tables_of(schema).await?;
        if tables.is_empty() {
            let schemas = self.schemas().await?;
            if !schemas.iter().any(|known| known == schema) {
                return Err(self.unknown_schema(schema, schemas));
            }
        }
        Ok(tables)
    }
}
