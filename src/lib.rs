//! featgres: a feature store that speaks PostgreSQL.
//!
//! The modules below stand in the order in which a statement flows through them; each may import only what
//! ARCHITECTURE.md lists for it, and `tests/tidy.rs` holds the walls.

// PostgreSQL's protocol: bytes in, Arrow batches out as messages; knows no SQL.
pub mod wire;
// Metrics, health, and the calls of the service that featgres replaces.
pub mod http;
// One client's state and the life cycle of its statements.
pub mod session;
// Text to statements: our own keywords, everything else by sqlparser.
pub mod sql;
// Statements to plans: names are resolved to registry entries and table snapshots, then nothing does I/O.
pub mod plan;
// What SQL can name: feature views, `feature_store`, `pg_catalog`, `information_schema`.
pub mod catalog;
// Durable definitions: entities, feature views, services; versioned objects committed by conditional put.
pub mod registry;
// Where rows live: catalogs that find a table, and the Iceberg specification's nouns.
pub mod source;
// A pinned table snapshot as a relation of the engine, and as feature rows for the join.
pub mod table;
// Physical operators of our own: the point-in-time join.
pub mod exec;
// URLs to object stores; durable conditional puts.
pub mod storage;
// The embedded warehouse of `featgres demo`: an Iceberg writer and its sample tables.
pub mod demo;
// The composition root: the only file that knows everybody.
pub mod server;
// The command line.
pub mod cli;

// Settings: file, environment, flags.
pub mod config;
// SQLSTATEs and what a client is told of an error.
pub mod error;
// PostgreSQL's spelling of names, strings and intervals.
pub mod spelling;
// PostgreSQL's types for Arrow's.
pub mod pg_type;
// PostgreSQL's text and binary forms of values, both ways.
pub mod pg_format;
// The time, replaceable in tests.
pub mod clock;
// What is kept of a password.
pub mod verifier;
// The calendar as arithmetic.
pub(crate) mod civil;
// Log lines and counters.
pub mod telemetry;
