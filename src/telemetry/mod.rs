//! Log lines and counters.
//!
//! The log goes to standard error, as text or as one JSON object a line. A statement is one line at `info` (an error one at
//! `warn`), whatever happened in it, so that a log can be counted; its text is cut, its parameters are never in it.
//! Counters are plain numbers behind one lock: they move once per statement.

mod counters;
mod statement;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, TelemetryConfig};

pub use counters::{Counters, CountersSnapshot};
pub use statement::StatementLine;

/// Starts the log. A second call in one process changes nothing: the first one stays.
pub fn start(config: &TelemetryConfig) {
    // The level was checked when the configuration was loaded.
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let started = match config.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

#[cfg(test)]
mod tests;
