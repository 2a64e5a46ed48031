//! Types by SQL's names where the engine means others: microseconds as in PostgreSQL, which reach the year 9999; uuid; text with a length.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType as SqlDataType, ExactNumberInfo, ObjectName, TimezoneInfo,
};

use crate::error::{Report, SqlState};
use crate::pg_type::{NUMERIC_PRECISION, PG_TYPE_KEY, PG_TYPMOD_KEY, PgType};

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
            SqlDataType::Timestamp(digits, zone) if with_zone(zone) => {
                return Ok(Some(moment(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&self.time_zone))), *digits)));
            }
            SqlDataType::Timestamp(digits, _) | SqlDataType::TimestampNtz(digits) => {
                return Ok(Some(moment(DataType::Timestamp(TimeUnit::Microsecond, None), *digits)));
            }
            SqlDataType::Time(digits, zone) if !with_zone(zone) => {
                return Ok(Some(moment(DataType::Time64(TimeUnit::Microsecond), *digits)));
            }
            SqlDataType::Time(..) => return Err(without_values(PgType::TIMETZ)),
            SqlDataType::Bit(_) => return Err(without_values(PgType::BIT)),
            SqlDataType::BitVarying(_) | SqlDataType::VarBit(_) => return Err(without_values(PgType::VARBIT)),
            SqlDataType::Varchar(None) | SqlDataType::CharacterVarying(None) => {
                return Ok(Some(Arc::new(PgType::VARCHAR.arrow_field(""))));
            }
            SqlDataType::Uuid => {
                return Ok(PgType::from_sql_name("uuid").map(|(uuid, _)| Arc::new(uuid.arrow_field("uuid"))));
            }
            SqlDataType::Varchar(length) | SqlDataType::CharacterVarying(length) | SqlDataType::CharVarying(length) => {
                return characters(PgType::VARCHAR, length.as_ref()).map(|field| Some(Arc::new(field)));
            }
            SqlDataType::Char(length) | SqlDataType::Character(length) => {
                // Without a length it is one character.
                let one = CharacterLength::IntegerLength { length: 1, unit: None };
                return characters(PgType::BPCHAR, Some(length.as_ref().unwrap_or(&one))).map(|field| Some(Arc::new(field)));
            }
            SqlDataType::Array(ArrayElemTypeDef::SquareBracket(element, size)) => return self.array(element, size.is_some()),
            SqlDataType::Array(ArrayElemTypeDef::AngleBracket(element)) => return self.array(element, false),
            SqlDataType::Custom(name, modifiers) if is_fixed(name) => {
                let length = match modifiers.as_slice() {
                    [] if is_named(name, "nchar") => Some(CharacterLength::IntegerLength { length: 1, unit: None }),
                    [length] => length.parse().ok().map(|length| CharacterLength::IntegerLength { length, unit: None }),
                    _ => None,
                };
                return characters(PgType::BPCHAR, length.as_ref()).map(|field| Some(Arc::new(field)));
            }
            SqlDataType::Numeric(info) | SqlDataType::Decimal(info) | SqlDataType::Dec(info) => return numeric(info),
            SqlDataType::JSON => return Ok(Some(Arc::new(PgType::JSON.arrow_field("")))),
            SqlDataType::JSONB => return Ok(Some(Arc::new(PgType::JSONB.arrow_field("")))),
            SqlDataType::Custom(name, modifiers) if modifiers.is_empty() => return self.named(name),
            SqlDataType::Custom(name, modifiers) => {
                // pg_catalog.varchar(3): the type of the last name, sizes and all.
                let Some(plain) = last_name(name).and_then(|name| crate::sql::parse_type(&format!("{name}({})", modifiers.join(","))))
                else {
                    return Ok(None);
                };
                return if matches!(plain, SqlDataType::Custom(..)) { Ok(None) } else { self.plan_type_field(&plain) };
            }
            SqlDataType::Text | SqlDataType::String(None) => DataType::Utf8,
            SqlDataType::SmallInt(None) | SqlDataType::Int2(None) => DataType::Int16,
            SqlDataType::Int(None) | SqlDataType::Integer(None) | SqlDataType::Int4(None) => DataType::Int32,
            SqlDataType::BigInt(None) | SqlDataType::Int8(None) => DataType::Int64,
            SqlDataType::Boolean | SqlDataType::Bool => DataType::Boolean,
            SqlDataType::Float(info) => return float(info).map(|data_type| Some(Arc::new(bare(data_type)))),
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(bare(data_type))))
    }
}

impl PostgresTypes {
    /// An array of texts with a name or a length of their own, which is the array's to say. How many elements it has, nothing says: as in
    /// PostgreSQL a number in the brackets means nothing.
    fn array(&self, element: &SqlDataType, sized: bool) -> Result<Option<FieldRef>> {
        let (mut element, mut dimensions) = (element, 1_usize);
        while let SqlDataType::Array(ArrayElemTypeDef::SquareBracket(inner, _) | ArrayElemTypeDef::AngleBracket(inner)) = element {
            element = inner;
            dimensions += 1;
        }
        let known = || PgType::from_sql_name(&element.to_string()).map(|(pg_type, _)| Arc::new(pg_type.arrow_field("")));
        let Some(element) = self.plan_type_field(element)?.or_else(known) else { return Ok(None) };
        let pg_type = PgType::of(&element);
        let is_named_text = !element.metadata().is_empty() && *element.data_type() == DataType::Utf8;
        if pg_type.element().is_some() || !(dimensions > 1 || is_named_text || sized || pg_type == PgType::OID) {
            return Ok(None);
        }
        let list = |of: DataType, _| DataType::List(Arc::new(Field::new("item", of, true)));
        let data_type = (0..dimensions).fold(element.data_type().clone(), list);
        let mut metadata = element.metadata().clone();
        metadata.insert(PG_TYPE_KEY.to_owned(), pg_type.array_of().name().to_owned());
        Ok(Some(Arc::new(Field::new("", data_type, true).with_metadata(metadata))))
    }

    /// A type by its catalog name (`oid`, `name`, `pg_catalog.int4`).
    fn named(&self, name: &ObjectName) -> Result<Option<FieldRef>> {
        // Without quotes it is folded, and `char` is another type than "char".
        let Some(pg_type) = last_name(name).and_then(|name| PgType::from_name(&name)) else { return Ok(None) };
        if pg_type == PgType::TIMESTAMPTZ {
            return Ok(Some(Arc::new(bare(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&self.time_zone)))))));
        }
        // What the catalog has of the others are NULLs, and texts that are shown.
        if matches!(pg_type, PgType::INET | PgType::CIDR | PgType::MONEY | PgType::TIMETZ | PgType::XML) {
            return Err(without_values(pg_type));
        }
        Ok(Some(Arc::new(pg_type.arrow_field(""))))
    }
}

/// The last of the names of a type, folded, if it is one of the catalog's.
fn last_name(name: &ObjectName) -> Option<String> {
    let (schema, name) = match name.0.as_slice() {
        [name] => (None, name.as_ident()?),
        [schema, name] => (Some(schema.as_ident()?), name.as_ident()?),
        _ => return None,
    };
    if schema.is_some_and(|schema| !schema.value.eq_ignore_ascii_case("pg_catalog")) {
        return None;
    }
    Some(if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() })
}

/// 0A000: a value of it would be something else.
fn without_values(pg_type: PgType) -> DataFusionError {
    external(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("type {pg_type} is not supported")))
}

/// A type that says nothing more. A field without a name would keep what the operand of a cast was called: `'{}'::jsonb::text` is no jsonb.
fn bare(data_type: DataType) -> Field {
    Field::new("bare", data_type, true)
}

/// A moment that keeps so many digits of a second; six at the most.
fn moment(data_type: DataType, digits: Option<u64>) -> FieldRef {
    let field = bare(data_type);
    Arc::new(match digits {
        None => field,
        Some(digits) => field.with_metadata([(PG_TYPMOD_KEY.to_owned(), digits.min(6).to_string())].into()),
    })
}

/// `float(p)`, of as many bits as it names; a double where it names none.
fn float(info: &ExactNumberInfo) -> Result<DataType> {
    let refused = match *info {
        ExactNumberInfo::None | ExactNumberInfo::Precision(25..=53) => return Ok(DataType::Float64),
        ExactNumberInfo::Precision(1..=24) => return Ok(DataType::Float32),
        ExactNumberInfo::Precision(0) => "precision for type float must be at least 1 bit",
        _ => "precision for type float must be less than 54 bits",
    };
    Err(external(Report::new(SqlState::INVALID_PARAMETER_VALUE, refused)))
}

/// A numeric with a precision, which is part of its type even where its Arrow type does not tell it from a computed one.
fn numeric(info: &ExactNumberInfo) -> Result<Option<FieldRef>> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => return Ok(Some(Arc::new(bare(PgType::NUMERIC.arrow())))),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    if !(1..=MAX_PRECISION).contains(&precision) {
        let message = format!("NUMERIC precision {precision} must be between 1 and {MAX_PRECISION}");
        return Err(external(Report::new(SqlState::INVALID_PARAMETER_VALUE, message)));
    }
    // A wider one is as wide as the engine's can be: no value is wider.
    let digits = u8::try_from(precision).unwrap_or(NUMERIC_PRECISION).min(NUMERIC_PRECISION);
    let Some(scale) = i8::try_from(scale).ok().filter(|scale| (0..=digits as i8).contains(scale)) else {
        let message = format!("numeric({precision},{scale}) is not supported: its scale is not between 0 and {digits}");
        return Err(external(Report::new(SqlState::FEATURE_NOT_SUPPORTED, message)));
    };
    if digits > DECIMAL_DIGITS {
        return Ok(Some(Arc::new(bare(DataType::Decimal256(digits, scale)))));
    }
    let field = Field::new("", DataType::Decimal128(digits, scale), true);
    let metadata = [(PG_TYPMOD_KEY.to_owned(), PgType::typmod(&field).to_string())];
    Ok(Some(Arc::new(field.with_metadata(metadata.into()))))
}

fn external(report: Report) -> DataFusionError {
    DataFusionError::External(Box::new(report))
}

/// Digits of the engine's usual numeric.
const DECIMAL_DIGITS: u8 = 38;
/// Digits of PostgreSQL's widest.
const MAX_PRECISION: u64 = 1000;

/// Characters of the longest text with a length.
const MAX_CHARACTERS: u64 = 10_485_760;

/// Whether it is a name of `char(n)` that the parser does not know.
fn is_fixed(name: &ObjectName) -> bool {
    is_named(name, "nchar") || is_named(name, "bpchar")
}

fn is_named(name: &ObjectName, wanted: &str) -> bool {
    name.0.last().and_then(|part| part.as_ident()).is_some_and(|part| part.quote_style.is_none() && part.value.eq_ignore_ascii_case(wanted))
}

/// Text of a type that has a name and perhaps a length of its own.
fn characters(pg_type: PgType, length: Option<&CharacterLength>) -> Result<Field> {
    let field = pg_type.arrow_field("");
    let Some(CharacterLength::IntegerLength { length, .. }) = length else { return Ok(field) };
    let name = if pg_type == PgType::VARCHAR { "varchar" } else { "char" };
    let refused = match *length {
        0 => format!("length for type {name} must be at least 1"),
        length if length > MAX_CHARACTERS => format!("length for type {name} cannot exceed {MAX_CHARACTERS}"),
        _ => {
            let mut metadata = field.metadata().clone();
            metadata.insert(PG_TYPMOD_KEY.to_owned(), length.saturating_add(4).to_string());
            return Ok(field.with_metadata(metadata));
        }
    };
    Err(external(Report::new(SqlState::INVALID_PARAMETER_VALUE, refused)))
}
