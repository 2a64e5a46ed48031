//! PostgreSQL's protocol, versions 3.0 and 3.2: bytes in, Arrow batches out as messages; knows no SQL.
//!
//! A connection is one task and one loop ([`connection`](self)): read a message, ask the session for what it wants, send the answer. The
//! session is behind [`Backend`](crate::session::Backend) and [`Gateway`](crate::session::Gateway), so everything here is tested with a
//! fake one. What the loop holds to:
//!
//! - Whatever the session does is polled together with its interrupt, its deadline and the socket, so that a cancel, a time-out,
//!   a termination or a lost client ends it on every path.
//! - Results are streamed: a batch and the buffers are all that is held. Nothing is written before 64 KiB are there or
//!   the client waits for an answer (Sync, Flush, ReadyForQuery): an extended round trip is one write.
//! - Values are encoded by cursors that know a column's type, into the one buffer.
//! - No number that a client sends reserves memory, no bytes it sends panic: frames and bodies are checked here, before and
//!   instead of pgwire's decoders. pgwire gives the SCRAM exchange and the TLS stack.
//! - An error after which the client knows where it stands is an ERROR and the session goes on; being out of step is FATAL.
//!
//! Refused: protocol 2, GSS encryption, cleartext and MD5 passwords, the function-call message, replication.

mod auth;
mod connection;
mod copy;
mod encryption;
mod error;
mod extended_query;
mod frame;
mod messages;
mod rewound;
mod server;
mod simple_query;
mod socket;
mod startup;
pub mod tls;
mod unread;

pub use server::{serve, serve_connection};

#[cfg(test)]
mod tests;
