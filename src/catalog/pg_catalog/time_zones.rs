//! `pg_timezone_names`: the zones that `SET TIME ZONE` takes, as their clocks stand now.
//!
//! The zones are those of the library that computes with them, so none is shown that a session could not have.

use chrono::{Offset, TimeZone, Utc};
use chrono_tz::{OffsetComponents, OffsetName};

use super::definitions::Definition;
use super::rows::{Cell, Rows};

/// All zones, by name.
pub(super) fn pg_timezone_names(definition: &'static Definition) -> Rows {
    let mut rows = Rows::new(definition, &["name", "abbrev", "utc_offset", "is_dst"]);
    let now = Utc::now().naive_utc();
    for zone in chrono_tz::TZ_VARIANTS {
        let offset = zone.offset_from_utc_datetime(&now);
        rows.push(vec![
            Cell::text(zone.name()),
            Cell::optional(offset.abbreviation()),
            Cell::Seconds(i64::from(offset.fix().local_minus_utc())),
            Cell::Bool(!offset.dst_offset().is_zero()),
        ]);
    }
    rows
}
