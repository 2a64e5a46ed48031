//! `[telemetry]`: what is written to the log.

use super::{ConfigError, Setting};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[telemetry]`.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `level`: `error`, `warn`, `info`, `debug` or `trace`, or directives such as `info,featgres::wire=debug`. Default `info`.
    pub level: String,
    /// `format`: `text` or `json`. Default `text`.
    pub format: LogFormat,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl TelemetryConfig {
    pub(super) fn set(&mut self, key: &str, setting: &Setting) -> Result<(), ConfigError> {
        match key {
            "level" => {
                let level = setting.non_empty()?;
                // A bare unknown word would be taken for a target's name, and everything would be silent.
                let named = level.contains(['=', ',']) || ["off", "error", "warn", "info", "debug", "trace"].contains(&level);
                if !named || tracing_subscriber::EnvFilter::try_new(level).is_err() {
                    return Err(setting.bad("the levels are off, error, warn, info, debug and trace"));
                }
                level.clone_into(&mut self.level);
            }
            "format" => {
                self.format = match setting.text()? {
                    "text" => LogFormat::Text,
                    "json" => LogFormat::Json,
                    _ => return Err(setting.bad("the formats are text and json")),
                }
            }
            _ => return Err(setting.unknown(["telemetry.level", "telemetry.format"])),
        }
        Ok(())
    }
}
