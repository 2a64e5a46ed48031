//! The session's time zone and order of dates, on their way through the engine's settings to the casts that read by them.

use datafusion::common::config::{ConfigExtension, ConfigOptions};
use datafusion::common::extensions_options;

use crate::pg_format::DateOrder;

extensions_options! {
    /// `DateStyle`, for which the engine has no setting of its own.
    pub struct DateSettings {
        /// Its value.
        pub date_style: String, default = "ISO, MDY".to_owned()
    }
}

impl ConfigExtension for DateSettings {
    const PREFIX: &'static str = "featgres";
}

/// Both.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct Style<'a> {
    /// `TimeZone`.
    pub(super) zone: &'a str,
    /// The order of `DateStyle`.
    pub(super) order: DateOrder,
}

impl<'a> Style<'a> {
    /// As these settings have them.
    pub(in crate::plan) fn of(config: &'a ConfigOptions) -> Self {
        let order = config.extensions.get::<DateSettings>().map(|settings| DateOrder::of_style(&settings.date_style));
        Self { zone: config.execution.time_zone.as_deref().unwrap_or("UTC"), order: order.unwrap_or_default() }
    }
}
