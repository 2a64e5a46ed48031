//! The counters as Prometheus reads them.
//!
//! The registry is built for each scrape from the numbers at that moment: what counts is one lock and seven histograms, and
//! values that somebody else holds (memory, caches, stores) come in as [`Gauges`] instead of being kept up to date twice.
//! A metric's name ends with its unit; counts have none.

use std::fmt::Write;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::counters::{Counters, Phase};

/// What else a scrape shows.
#[derive(Debug, Default, Clone)]
pub struct Gauges {
    /// Clients connected now.
    pub connections_open: u64,
    /// Memory that operators and temporary tables have reserved, in bytes.
    pub memory_reserved: u64,
    /// What they may reserve, in bytes.
    pub memory_limit: u64,
    /// The definitions' version.
    pub registry_version: u64,
    /// Seconds since the start.
    pub uptime_seconds: f64,
    /// Caches, by name.
    pub caches: Vec<(&'static str, CacheUse)>,
    /// Object stores, by catalog.
    pub stores: Vec<(String, StoreUse)>,
}

/// A cache's numbers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CacheUse {
    /// Lookups that found what they sought.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Bytes held now.
    pub bytes: u64,
}

/// What was asked of an object store.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct StoreUse {
    /// Requests by kind: `get`, `head`, `list`, `put`.
    pub requests: [(&'static str, u64); 4],
    /// Bytes read.
    pub bytes: u64,
}

/// How a scrape is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus's own text.
    Prometheus,
    /// OpenMetrics, for whom asks for it.
    OpenMetrics,
}

impl Exposition {
    /// What an `Accept` header asks for.
    pub fn of(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

type Labels = Vec<(&'static str, String)>;

/// All metrics as text.
pub fn exposition(counters: &Counters, gauges: &Gauges, how: Exposition) -> String {
    let registry = registry(counters, gauges);
    let mut text = String::new();
    let written = match how {
        Exposition::Prometheus => prometheus_text::encode(&mut text, &registry),
        Exposition::OpenMetrics => text::encode(&mut text, &registry),
    };
    if written.is_err() {
        // Writing to a string fails only where a metric refuses to be encoded; the scrape then says so.
        let _ = writeln!(text, "# the metrics could not be encoded");
    }
    text
}

fn registry(counters: &Counters, gauges: &Gauges) -> Registry {
    let now = counters.snapshot();
    let mut registry = Registry::with_prefix("featgres");
    let mut count = |name: &str, help: &str, value: u64| registry.register(name, help, ConstCounter::new(value));
    count("connections_admitted", "Connections that were admitted", now.connections);
    count("statements", "Statements that ended, well or not", now.statements);
    count("rows_sent", "Rows that were sent", now.rows);
    count("data_files_read", "Data files that statements read", now.files_read);
    count("data_files_pruned", "Data files that pruning saved statements from reading", now.files_pruned);
    count(
        "entity_rows_decided_by_commit_order",
        "Entity rows whose winner only commit order or content could decide",
        now.decided_by_commit_order,
    );
    registry.register_with_unit("data_read", "Bytes of data files that statements read", Unit::Bytes, ConstCounter::new(now.bytes_read));
    let errors = Family::<Labels, Counter>::default();
    for (sqlstate, count) in &now.errors {
        errors.get_or_create(&vec![("sqlstate", sqlstate.code().to_owned())]).inc_by(*count);
    }
    registry.register("errors", "Errors that were sent, by SQLSTATE; XX000 is a bug", errors);
    for (phase, name, help) in Phase::ALL {
        registry.register_with_unit(name, help, Unit::Seconds, counters.timings().of(phase).clone());
    }
    let gauge = |value: u64| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register("connections_open", "Clients that are connected", gauge(gauges.connections_open));
    registry.register("registry_version", "Version of the definitions", gauge(gauges.registry_version));
    let memory = [
        ("memory_reserved", "Memory that statements and temporary tables have reserved", gauges.memory_reserved),
        ("memory_limit", "Memory that they may reserve together", gauges.memory_limit),
    ];
    for (name, help, value) in memory {
        registry.register_with_unit(name, help, Unit::Bytes, gauge(value));
    }
    registry.register_with_unit("uptime", "Time since the start", Unit::Seconds, ConstGauge::new(gauges.uptime_seconds));
    caches(&mut registry, gauges);
    stores(&mut registry, gauges);
    registry
}

fn caches(registry: &mut Registry, gauges: &Gauges) {
    let (hits, misses, held) = (Family::<Labels, Counter>::default(), Family::<Labels, Counter>::default(), held_family());
    for (name, cache) in &gauges.caches {
        let labels = vec![("cache", (*name).to_owned())];
        hits.get_or_create(&labels).inc_by(cache.hits);
        misses.get_or_create(&labels).inc_by(cache.misses);
        held.get_or_create(&labels).set(i64::try_from(cache.bytes).unwrap_or(i64::MAX));
    }
    registry.register("cache_hits", "Lookups in a cache that found what they sought", hits);
    registry.register("cache_misses", "Lookups in a cache that did not", misses);
    registry.register_with_unit("cache_size", "Bytes that a cache holds", Unit::Bytes, held);
}

fn held_family() -> Family<Labels, prometheus_client::metrics::gauge::Gauge> {
    Family::default()
}

fn stores(registry: &mut Registry, gauges: &Gauges) {
    let (requests, bytes) = (Family::<Labels, Counter>::default(), Family::<Labels, Counter>::default());
    for (catalog, store) in &gauges.stores {
        for (kind, count) in store.requests {
            requests.get_or_create(&vec![("catalog", catalog.clone()), ("request", kind.to_owned())]).inc_by(count);
        }
        bytes.get_or_create(&vec![("catalog", catalog.clone())]).inc_by(store.bytes);
    }
    registry.register("object_store_requests", "Requests to the object stores of a catalog", requests);
    registry.register_with_unit("object_store_read", "Bytes read from the object stores of a catalog", Unit::Bytes, bytes);
}
