//! What a session's settings make of a text that they can make more than one thing of: `03/04/2020 10:00`.

use super::zone::Zone;

/// The order of day, month and year, of `DateStyle`. A year of three digits or more is one wherever it stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DateOrder {
    /// 12/31/2020.
    #[default]
    MonthDayYear,
    /// 31/12/2020.
    DayMonthYear,
    /// 20/12/31.
    YearMonthDay,
}

impl DateOrder {
    /// The order that this value of `DateStyle` names.
    pub fn of_style(style: &str) -> Self {
        match style.rsplit(',').next().map(str::trim) {
            Some("DMY") => Self::DayMonthYear,
            Some("YMD") => Self::YearMonthDay,
            _ => Self::MonthDayYear,
        }
    }
}

/// How texts of dates and times are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Where a clock without a zone stands.
    pub(crate) zone: Zone,
    /// The order of a date's numbers.
    pub(crate) order: DateOrder,
}

impl From<Zone> for Reading {
    fn from(zone: Zone) -> Self {
        Self { zone, order: DateOrder::default() }
    }
}
