//! A session's prepared statements: those of Parse and those of PREPARE, under one set of names, and as `pg_prepared_statements`
//! shows them. The unnamed one, which the next Parse replaces, is not shown, as in PostgreSQL.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::known::KnownStatement;
use super::response::Column;
use crate::catalog::PreparedFacts;
use crate::pg_type::PgType;

/// A prepared statement.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The statement; none for an empty one.
    pub statement: Option<Arc<KnownStatement>>,
    /// All that the client sent.
    pub text: Arc<str>,
    /// Types of its parameters.
    pub parameters: Vec<PgType>,
    /// Its result; none if it returns no rows.
    pub columns: Option<Arc<[Column]>>,
    /// What it was last planned on.
    pub definitions: Definitions,
    /// How often it was run.
    runs: Arc<AtomicU64>,
}

/// What a plan depends on, but for the tables' own schemas: the registry's version and the state of the temporary tables.
pub(super) type Definitions = (u64, u64);

impl Prepared {
    /// Not run yet.
    pub(super) fn new(
        statement: Option<Arc<KnownStatement>>,
        text: Arc<str>,
        parameters: Vec<PgType>,
        columns: Option<Arc<[Column]>>,
        definitions: Definitions,
    ) -> Self {
        Self { statement, text, parameters, columns, definitions, runs: Arc::default() }
    }

    /// It runs once more.
    pub(super) fn runs(&self) {
        self.runs.fetch_add(1, Ordering::Relaxed);
    }
}

/// What functions and relations see of them.
pub(super) type ShownPrepared = Arc<Mutex<BTreeMap<String, PreparedFacts>>>;

/// By name.
pub(super) struct PreparedStatements {
    known: HashMap<String, Prepared>,
    shown: ShownPrepared,
}

impl PreparedStatements {
    /// None yet.
    pub(super) fn new(shown: ShownPrepared) -> Self {
        Self { known: HashMap::new(), shown }
    }

    /// The statement of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Prepared> {
        self.known.get(name)
    }

    /// The statement of this name holds for these definitions too.
    pub(super) fn confirm(&mut self, name: &str, definitions: Definitions) {
        if let Some(known) = self.known.get_mut(name) {
            known.definitions = definitions;
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// One more, or another unnamed one.
    pub(super) fn insert(&mut self, name: &str, prepared: Prepared, from_sql: bool, now: i64) {
        if !name.is_empty() {
            let results = prepared.columns.as_ref();
            let facts = PreparedFacts {
                statement: Arc::clone(&prepared.text),
                prepared_at: now,
                parameters: prepared.parameters.iter().map(|pg_type| pg_type.oid()).collect(),
                results: results.map(|columns| columns.iter().map(|column| PgType::of(&column.field).oid()).collect()),
                from_sql,
                runs: Arc::clone(&prepared.runs),
            };
            self.shown.lock().insert(name.to_owned(), facts);
        }
        self.known.insert(name.to_owned(), prepared);
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        if !name.is_empty() {
            self.shown.lock().remove(name);
        }
        self.known.remove(name).is_some()
    }

    /// DEALLOCATE ALL.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.shown.lock().clear();
    }
}
