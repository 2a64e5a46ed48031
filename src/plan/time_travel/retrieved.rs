//! What a retrieval read: [`Reads`] while it is resolved, [`Retrieved`] afterwards, for `feature_store.last_query()`.

use std::sync::Arc;

use parking_lot::Mutex;

use super::at::{own_name, table_name};
use crate::catalog::RetrievedTable;
use crate::source::{SnapshotRef, TableIdent, TableSnapshot};

/// The tables that one statement reads, noted as they are resolved.
#[derive(Debug, Default)]
pub struct Reads(Mutex<Vec<Read>>);

#[derive(Debug, Clone)]
struct Read {
    ident: TableIdent,
    /// The table's own pin: a view's, or the statement's `FOR VERSION AS OF`.
    own: SnapshotRef,
    /// Whether a call's `at` decided instead.
    by_call: bool,
    snapshot: Arc<TableSnapshot>,
}

impl Reads {
    /// Notes one.
    pub fn note(&self, ident: &TableIdent, own: &SnapshotRef, by_call: bool, snapshot: &Arc<TableSnapshot>) {
        let read = Read { ident: ident.clone(), own: own.clone(), by_call, snapshot: Arc::clone(snapshot) };
        self.0.lock().push(read);
    }

    /// All of them, as they are remembered.
    pub fn retrieved(&self, registry_version: u64) -> Retrieved {
        let mut reads = self.0.lock().clone();
        // Those of calls first: they are what `at` has to give back. Then by name, so that the text depends on nothing else.
        reads.sort_by(|a, b| (!a.by_call, &a.ident, own_name(&a.own)).cmp(&(!b.by_call, &b.ident, own_name(&b.own))));
        let at = at_text(&reads);
        let mut tables: Vec<RetrievedTable> = Vec::new();
        for read in &reads {
            let row = RetrievedTable {
                catalog: read.ident.catalog.clone(),
                schema: read.ident.schema.clone(),
                table: read.ident.table.clone(),
                metadata_location: read.snapshot.pointer.metadata_location.clone(),
                table_uuid: read.snapshot.table_uuid().map(str::to_owned),
                snapshot_id: read.snapshot.snapshot_id(),
                schema_id: read.snapshot.schema.schema_id,
                nessie_hash: read.snapshot.pointer.nessie_hash.clone(),
                registry_version,
                at: at.clone(),
            };
            if !tables.contains(&row) {
                tables.push(row);
            }
        }
        tables.sort_by(|a, b| (&a.catalog, &a.schema, &a.table, a.snapshot_id).cmp(&(&b.catalog, &b.schema, &b.table, b.snapshot_id)));
        Retrieved { tables }
    }
}

/// The tables of a retrieval.
#[derive(Debug, Clone, Default)]
pub struct Retrieved {
    /// One per table and snapshot.
    pub tables: Vec<RetrievedTable>,
}

/// The list that leads back to these reads.
fn at_text(reads: &[Read]) -> String {
    let mut pairs: Vec<String> = Vec::new();
    let mut named: Vec<(&TableIdent, Option<String>)> = Vec::new();
    for read in reads {
        let target = target(&read.snapshot);
        let agree = reads.iter().filter(|other| other.ident == read.ident).all(|other| self::target(&other.snapshot) == target);
        let own = if agree { None } else { own_name(&read.own) };
        let key = (&read.ident, own);
        if named.contains(&key) {
            continue;
        }
        let own = key.1.as_ref().map(|own| format!("@\"{}\"", own.replace('"', "\"\""))).unwrap_or_default();
        pairs.push(format!("{}{own}={target}", table_name(&read.ident)));
        named.push(key);
    }
    pairs.join(", ")
}

/// `id`, or `id/schema` where it was not read with the snapshot's own schema, and `@hash` where a commit led to it.
fn target(read: &TableSnapshot) -> String {
    let schema_id = read.schema.schema_id;
    let snapshot = match &read.snapshot {
        None => format!("-1/{schema_id}"),
        Some(snapshot) if snapshot.schema_id == Some(schema_id) => snapshot.snapshot_id.to_string(),
        Some(snapshot) => format!("{}/{schema_id}", snapshot.snapshot_id),
    };
    match &read.pointer.nessie_hash {
        Some(hash) => format!("{snapshot}@{hash}"),
        None => snapshot,
    }
}
