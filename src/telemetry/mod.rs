//! Log lines, counters, and how Prometheus reads them.
//!
//! The log goes to standard error, as text or as one JSON object a line. A statement is one line at `info` (an error one at
//! `warn`), whatever happened in it, so that a log can be counted; its text is cut, its parameters are never in it.
//! Counters are plain numbers behind one lock: they move once per statement.

mod counters;
mod exposition;
mod statement;

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, TelemetryConfig};

pub use counters::{Counters, CountersSnapshot, Phase, Work};
pub use exposition::{CacheUse, Exposition, Gauges, StoreUse, exposition};
pub use statement::StatementLine;

/// Puts another filter in the place of the log's.
type SetFilter = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// The log's, once it was started.
static SET_FILTER: OnceLock<SetFilter> = OnceLock::new();

/// Changes what is logged from now on; whether it did.
pub fn set_level(level: &str) -> bool {
    match (SET_FILTER.get(), filter(level)) {
        (Some(set_filter), Ok(filter)) => set_filter(filter),
        _ => false,
    }
}

/// At `info`, a store that is down would be five lines a request, beside the one of the statement that needed it.
fn filter(level: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(if level == "info" { "info,object_store=warn" } else { level })
}

/// Starts the log. A second call in one process changes nothing: the first one stays.
pub fn start(config: &TelemetryConfig) {
    // The level was checked when the configuration was loaded.
    let filter = filter(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let started = match config.format {
        LogFormat::Text => {
            let builder = builder.with_target(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map(|()| Box::new(move |filter| handle.reload(filter).is_ok()) as SetFilter)
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false).with_span_list(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map(|()| Box::new(move |filter| handle.reload(filter).is_ok()) as SetFilter)
        }
    };
    let started = started.map(|set_filter| SET_FILTER.set(set_filter));
    if started.is_err() {
        tracing::debug!("the log was started before");
    }
}

#[cfg(test)]
mod tests;
