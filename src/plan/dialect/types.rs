//! Types by SQL's names where the engine means others: microseconds as in PostgreSQL, which reach the year 9999, and uuid.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlDataType, TimezoneInfo};

use crate::pg_type::PgType;

/// The types of one session: its time zone is part of `timestamptz`.
#[derive(Debug)]
pub struct PostgresTypes {
    /// The session's time zone.
    pub time_zone: Arc<str>,
}

impl TypePlanner for PostgresTypes {
    fn plan_type_field(&self, sql_type: &SqlDataType) -> Result<Option<FieldRef>> {
        let with_zone = |zone: &TimezoneInfo| matches!(zone, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone);
        let data_type = match sql_type {
            SqlDataType::Timestamp(_, zone) if with_zone(zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&self.time_zone)))
            }
            SqlDataType::Timestamp(..) | SqlDataType::TimestampNtz(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
            SqlDataType::Time(_, zone) if !with_zone(zone) => DataType::Time64(TimeUnit::Microsecond),
            SqlDataType::Uuid => {
                return Ok(PgType::from_sql_name("uuid").map(|(uuid, _)| Arc::new(uuid.arrow_field("uuid"))));
            }
            _ => return Ok(None),
        };
        Ok(Some(data_type.into_nullable_field_ref()))
    }
}

/// A field of a type alone.
trait IntoNullableField {
    fn into_nullable_field_ref(self) -> FieldRef;
}

impl IntoNullableField for DataType {
    fn into_nullable_field_ref(self) -> FieldRef {
        Arc::new(arrow::datatypes::Field::new("", self, true))
    }
}
