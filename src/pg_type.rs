//! PostgreSQL's types for Arrow's.
//!
//! A [`PgType`] is an oid of PostgreSQL's own `pg_type`, looked up in one table of constants; there is no other source of oids,
//! lengths or spellings in the crate. [`PgType::of`] decides what a client is told of an Arrow field, and thereby what the wire
//! encodes: it follows the data type, except where the field says more (`ARROW:extension:name` tells a uuid from other fixed
//! bytes; [`PG_TYPE_KEY`] lets the catalog call a column `name`, `oid` or `"char"`).
//!
//! Arrow has types PostgreSQL lacks. They take the next wider one that holds every value: unsigned integers the next signed
//! (but `u32` oid, since only the catalog has it), `u64` numeric, half floats float4, structs and maps jsonb. A list of lists is, as in PostgreSQL, an array of the innermost
//! element. Lookups cost a scan of some sixty entries and happen per column or per name, never per value.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};

mod feast;
mod names;

pub use feast::{FEAST_TYPES, of_feast};

/// Field metadata that names the PostgreSQL type (its `typname`) where the Arrow type alone would say less.
pub const PG_TYPE_KEY: &str = "featgres:pg_type";
/// Field metadata with the type modifier, where the Arrow type does not hold it (`varchar(10)`).
pub const PG_TYPMOD_KEY: &str = "featgres:pg_typmod";
/// Arrow's key for extension types.
const EXTENSION_NAME_KEY: &str = "ARROW:extension:name";

/// Digits of a numeric of unknown scale, and those behind the point. No table has so wide a decimal, so the width alone says that only the
/// values know their scales: they are shown without zeros at the end.
pub const NUMERIC_PRECISION: u8 = 76;
/// See [`NUMERIC_PRECISION`].
pub const NUMERIC_SCALE: i8 = 38;

/// An amount of money, in cents.
const MONEY_PRECISION: u8 = 19;
const MONEY_SCALE: i8 = 2;

/// A type of PostgreSQL's `pg_type`.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct PgType(u32);

/// One row of `pg_type`, as far as anybody asks.
struct Entry {
    oid: u32,
    array: u32,
    length: i16,
    category: char,
    name: &'static str,
    /// `format_type`'s spelling.
    sql_name: &'static str,
}

macro_rules! types {
    ($($constant:ident = $oid:literal, $array:literal, $length:literal, $category:literal, $name:literal, $sql:literal;)*) => {
        impl PgType {
            $(#[doc = concat!("`", $sql, "`")] pub const $constant: PgType = PgType($oid);)*
        }
        /// Sorted by nothing but habit; arrays are derived from their elements' rows.
        const TYPES: &[Entry] = &[
            $(Entry { oid: $oid, array: $array, length: $length, category: $category, name: $name, sql_name: $sql }),*
        ];
    };
}

types! {
    BOOL = 16, 1000, 1, 'B', "bool", "boolean";
    BYTEA = 17, 1001, -1, 'U', "bytea", "bytea";
    CHAR = 18, 1002, 1, 'Z', "char", "\"char\"";
    NAME = 19, 1003, 64, 'S', "name", "name";
    INT8 = 20, 1016, 8, 'N', "int8", "bigint";
    INT2 = 21, 1005, 2, 'N', "int2", "smallint";
    INT2VECTOR = 22, 1006, -1, 'A', "int2vector", "int2vector";
    INT4 = 23, 1007, 4, 'N', "int4", "integer";
    REGPROC = 24, 1008, 4, 'N', "regproc", "regproc";
    TEXT = 25, 1009, -1, 'S', "text", "text";
    OID = 26, 1028, 4, 'N', "oid", "oid";
    TID = 27, 1010, 6, 'U', "tid", "tid";
    XID = 28, 1011, 4, 'U', "xid", "xid";
    CID = 29, 1012, 4, 'U', "cid", "cid";
    OIDVECTOR = 30, 1013, -1, 'A', "oidvector", "oidvector";
    JSON = 114, 199, -1, 'U', "json", "json";
    XML = 142, 143, -1, 'U', "xml", "xml";
    PG_NODE_TREE = 194, 0, -1, 'Z', "pg_node_tree", "pg_node_tree";
    CIDR = 650, 651, -1, 'I', "cidr", "cidr";
    FLOAT4 = 700, 1021, 4, 'N', "float4", "real";
    FLOAT8 = 701, 1022, 8, 'N', "float8", "double precision";
    UNKNOWN = 705, 0, -2, 'X', "unknown", "unknown";
    MONEY = 790, 791, 8, 'N', "money", "money";
    INET = 869, 1041, -1, 'I', "inet", "inet";
    ACLITEM = 1033, 1034, 16, 'U', "aclitem", "aclitem";
    BPCHAR = 1042, 1014, -1, 'S', "bpchar", "character";
    VARCHAR = 1043, 1015, -1, 'S', "varchar", "character varying";
    DATE = 1082, 1182, 4, 'D', "date", "date";
    TIME = 1083, 1183, 8, 'D', "time", "time without time zone";
    TIMESTAMP = 1114, 1115, 8, 'D', "timestamp", "timestamp without time zone";
    TIMESTAMPTZ = 1184, 1185, 8, 'D', "timestamptz", "timestamp with time zone";
    INTERVAL = 1186, 1187, 16, 'T', "interval", "interval";
    TIMETZ = 1266, 1270, 12, 'D', "timetz", "time with time zone";
    BIT = 1560, 1561, -1, 'V', "bit", "bit";
    VARBIT = 1562, 1563, -1, 'V', "varbit", "bit varying";
    NUMERIC = 1700, 1231, -1, 'N', "numeric", "numeric";
    REFCURSOR = 1790, 2201, -1, 'U', "refcursor", "refcursor";
    REGPROCEDURE = 2202, 2207, 4, 'N', "regprocedure", "regprocedure";
    REGOPER = 2203, 2208, 4, 'N', "regoper", "regoper";
    REGOPERATOR = 2204, 2209, 4, 'N', "regoperator", "regoperator";
    REGCLASS = 2205, 2210, 4, 'N', "regclass", "regclass";
    REGTYPE = 2206, 2211, 4, 'N', "regtype", "regtype";
    RECORD = 2249, 2287, -1, 'P', "record", "record";
    CSTRING = 2275, 1263, -2, 'P', "cstring", "cstring";
    ANY = 2276, 0, 4, 'P', "any", "\"any\"";
    ANYARRAY = 2277, 0, -1, 'P', "anyarray", "anyarray";
    VOID = 2278, 0, 4, 'P', "void", "void";
    TRIGGER = 2279, 0, 4, 'P', "trigger", "trigger";
    INTERNAL = 2281, 0, 8, 'P', "internal", "internal";
    ANYELEMENT = 2283, 0, 4, 'P', "anyelement", "anyelement";
    UUID = 2950, 2951, 16, 'U', "uuid", "uuid";
    PG_LSN = 3220, 3221, 8, 'U', "pg_lsn", "pg_lsn";
    REGCONFIG = 3734, 3735, 4, 'N', "regconfig", "regconfig";
    REGDICTIONARY = 3769, 3770, 4, 'N', "regdictionary", "regdictionary";
    JSONB = 3802, 3807, -1, 'U', "jsonb", "jsonb";
    REGNAMESPACE = 4089, 4090, 4, 'N', "regnamespace", "regnamespace";
    REGROLE = 4096, 4097, 4, 'N', "regrole", "regrole";
    REGCOLLATION = 4191, 4192, 4, 'N', "regcollation", "regcollation";
    XID8 = 5069, 271, 8, 'U', "xid8", "xid8";
}

/// Every array type's `typname`, by its element's place in [`TYPES`]: built by hand so that `name()` can be `&'static str`.
const ARRAY_NAMES: &[(u32, &str)] = &[
    (16, "_bool"),
    (17, "_bytea"),
    (18, "_char"),
    (19, "_name"),
    (20, "_int8"),
    (21, "_int2"),
    (22, "_int2vector"),
    (23, "_int4"),
    (24, "_regproc"),
    (25, "_text"),
    (26, "_oid"),
    (27, "_tid"),
    (28, "_xid"),
    (29, "_cid"),
    (30, "_oidvector"),
    (114, "_json"),
    (142, "_xml"),
    (650, "_cidr"),
    (700, "_float4"),
    (701, "_float8"),
    (790, "_money"),
    (869, "_inet"),
    (1033, "_aclitem"),
    (1042, "_bpchar"),
    (1043, "_varchar"),
    (1082, "_date"),
    (1083, "_time"),
    (1114, "_timestamp"),
    (1184, "_timestamptz"),
    (1186, "_interval"),
    (1266, "_timetz"),
    (1560, "_bit"),
    (1562, "_varbit"),
    (1700, "_numeric"),
    (1790, "_refcursor"),
    (2202, "_regprocedure"),
    (2203, "_regoper"),
    (2204, "_regoperator"),
    (2205, "_regclass"),
    (2206, "_regtype"),
    (2249, "_record"),
    (2275, "_cstring"),
    (2950, "_uuid"),
    (3220, "_pg_lsn"),
    (3734, "_regconfig"),
    (3769, "_regdictionary"),
    (3802, "_jsonb"),
    (4089, "_regnamespace"),
    (4096, "_regrole"),
    (4191, "_regcollation"),
    (5069, "_xid8"),
];

impl PgType {
    /// The type a client is told for a field.
    pub fn of(field: &Field) -> PgType {
        if let Some(named) = field.metadata().get(PG_TYPE_KEY).and_then(|name| PgType::from_name(name)) {
            // A cast of the engine's keeps what its operand was called, and what was read out of JSON is no JSON any more.
            if named.may_be(field.data_type()) {
                return named;
            }
        }
        match field.metadata().get(EXTENSION_NAME_KEY).map(String::as_str) {
            Some("arrow.uuid") => return PgType::UUID,
            Some("arrow.json") => return PgType::JSONB,
            _ => {}
        }
        match field.data_type() {
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => PgType::list_of(item),
            other => PgType::of_data_type(other),
        }
    }

    /// Whether values of this data type may be of this type at all.
    fn may_be(self, data_type: &DataType) -> bool {
        match data_type {
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_) => {
                self.element().is_some()
                    || matches!(self, PgType::JSON | PgType::JSONB | PgType::INT2VECTOR | PgType::OIDVECTOR | PgType::ANYARRAY)
            }
            DataType::Struct(_) => matches!(self, PgType::RECORD | PgType::JSON | PgType::JSONB) || self.is_named_oid(),
            other if other.is_numeric() || other.is_temporal() || *other == DataType::Boolean => {
                self.element().is_none() && !matches!(self, PgType::JSON | PgType::JSONB) && !matches!(self.category(), 'S' | 'Z')
            }
            _ => self != PgType::RECORD,
        }
    }

    /// A list is an array; a list of lists, which may differ in length as an array's dimensions may not, is jsonb.
    fn list_of(item: &Field) -> PgType {
        let of_lists = matches!(
            item.data_type(),
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::ListView(_) | DataType::LargeListView(_)
        );
        if of_lists { PgType::JSONB } else { PgType::of(item).array_of() }
    }

    /// The type for a bare data type.
    pub fn of_data_type(data_type: &DataType) -> PgType {
        match data_type {
            DataType::Boolean => PgType::BOOL,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgType::INT2,
            DataType::Int32 | DataType::UInt16 => PgType::INT4,
            DataType::Int64 => PgType::INT8,
            // Nothing but the catalog has them.
            DataType::UInt32 => PgType::OID,
            DataType::UInt64 | DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                PgType::NUMERIC
            }
            DataType::Float16 | DataType::Float32 => PgType::FLOAT4,
            DataType::Float64 => PgType::FLOAT8,
            // Sixteen bytes are a uuid: other types have no width.
            DataType::FixedSizeBinary(16) => PgType::UUID,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => PgType::BYTEA,
            DataType::Date32 | DataType::Date64 => PgType::DATE,
            DataType::Time32(_) | DataType::Time64(_) => PgType::TIME,
            DataType::Timestamp(_, None) => PgType::TIMESTAMP,
            DataType::Timestamp(_, Some(_)) => PgType::TIMESTAMPTZ,
            DataType::Interval(_) | DataType::Duration(_) => PgType::INTERVAL,
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => PgType::list_of(item),
            DataType::Struct(_) | DataType::Map(..) => PgType::JSONB,
            DataType::Dictionary(_, values) => PgType::of_data_type(values),
            DataType::RunEndEncoded(_, values) => PgType::of(values),
            DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Union(..) => PgType::TEXT,
        }
    }

    /// The type with this oid, if it is one of ours.
    pub fn from_oid(oid: u32) -> Option<PgType> {
        TYPES.iter().any(|entry| entry.oid == oid || (entry.array == oid && oid != 0)).then_some(PgType(oid))
    }

    /// The type with this `typname` (`int8`, `_text`).
    pub fn from_name(name: &str) -> Option<PgType> {
        if let Some(entry) = TYPES.iter().find(|entry| entry.name == name) {
            return Some(PgType(entry.oid));
        }
        let (element, _) = ARRAY_NAMES.iter().find(|(_, array)| *array == name)?;
        Some(PgType(*element).array_of())
    }

    /// All types, arrays not among them.
    pub fn all() -> impl Iterator<Item = PgType> {
        TYPES.iter().map(|entry| PgType(entry.oid))
    }

    /// `pg_type.oid`.
    pub const fn oid(self) -> u32 {
        self.0
    }

    /// `pg_type.typname`.
    pub fn name(self) -> &'static str {
        match self.element() {
            Some(element) => ARRAY_NAMES.iter().find(|(oid, _)| *oid == element.0).map_or("_unknown", |(_, name)| name),
            None => self.entry().name,
        }
    }

    /// `pg_type.typlen`: bytes, or -1 for a type of varying length.
    #[allow(clippy::len_without_is_empty)] // The catalog's word; no collection.
    pub fn len(self) -> i16 {
        if self.element().is_some() { -1 } else { self.entry().length }
    }

    /// `pg_type.typcategory`.
    pub fn category(self) -> char {
        if self.element().is_some() { 'A' } else { self.entry().category }
    }

    /// `text[]`, where a constant is needed.
    pub const TEXT_ARRAY: PgType = PgType(1009);

    /// The type of arrays of this; of an array, itself, for PostgreSQL's arrays have no depth. `text[]` for what has no arrays.
    #[must_use]
    pub fn array_of(self) -> PgType {
        if self.element().is_some() {
            return self;
        }
        match self.entry().array {
            0 => PgType::TEXT_ARRAY,
            array => PgType(array),
        }
    }

    /// The element of an array type. `int2vector` and `oidvector` are no arrays here, as in `format_type`.
    pub fn element(self) -> Option<PgType> {
        TYPES.iter().find(|entry| entry.array == self.0).map(|entry| PgType(entry.oid))
    }

    /// Whether values are read and written as PostgreSQL's are. The others are known by name, for the catalog has them.
    pub fn has_values(self) -> bool {
        let element = self.element().unwrap_or(self);
        let named = matches!(
            element,
            PgType::TID
                | PgType::XML
                | PgType::CIDR
                | PgType::MONEY
                | PgType::INET
                | PgType::ACLITEM
                | PgType::TIMETZ
                | PgType::BIT
                | PgType::VARBIT
                | PgType::PG_NODE_TREE
                | PgType::PG_LSN
        );
        !named && !self.is_pseudo()
    }

    /// Whether it is none that a value could be stored as.
    pub fn is_pseudo(self) -> bool {
        let element = self.element().unwrap_or(self);
        element.category() == 'P' || element == PgType::UNKNOWN || self == PgType::ANYARRAY
    }

    /// Whether it is `numeric` or an array of it.
    pub fn has_scale(self) -> bool {
        self.element().unwrap_or(self) == PgType::NUMERIC
    }

    /// Whether values are an oid on the wire (`oid`, `regclass`, …).
    pub fn is_oid_like(self) -> bool {
        matches!(
            self,
            PgType::OID
                | PgType::XID
                | PgType::CID
                | PgType::REGPROC
                | PgType::REGPROCEDURE
                | PgType::REGOPER
                | PgType::REGOPERATOR
                | PgType::REGCLASS
                | PgType::REGTYPE
                | PgType::REGCONFIG
                | PgType::REGDICTIONARY
                | PgType::REGNAMESPACE
                | PgType::REGROLE
                | PgType::REGCOLLATION
        )
    }

    /// Whether values are an oid that text shows as the name of an object (`regclass`, …).
    pub fn is_named_oid(self) -> bool {
        self.is_oid_like() && !matches!(self, PgType::OID | PgType::XID | PgType::CID)
    }

    /// The Arrow type of a column or parameter of this type. A numeric is one of unknown scale ([`NUMERIC_PRECISION`]); a bound
    /// parameter keeps its own.
    pub fn arrow(self) -> DataType {
        if let Some(element) = self.element() {
            // What the elements are called is the array's to say, so that lists of one layout are of one type.
            return DataType::List(Arc::new(Field::new("item", element.arrow(), true)));
        }
        match self {
            PgType::BOOL => DataType::Boolean,
            // Of which the fields are not known.
            PgType::RECORD => DataType::Struct(Fields::empty()),
            PgType::BYTEA => DataType::Binary,
            PgType::INT2 => DataType::Int16,
            PgType::INT4 => DataType::Int32,
            PgType::INT8 | PgType::XID8 | PgType::PG_LSN => DataType::Int64,
            PgType::FLOAT4 => DataType::Float32,
            PgType::FLOAT8 => DataType::Float64,
            PgType::NUMERIC => DataType::Decimal256(NUMERIC_PRECISION, NUMERIC_SCALE),
            PgType::MONEY => DataType::Decimal128(MONEY_PRECISION, MONEY_SCALE),
            PgType::DATE => DataType::Date32,
            PgType::TIME | PgType::TIMETZ => DataType::Time64(TimeUnit::Microsecond),
            PgType::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
            PgType::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            PgType::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
            PgType::UUID => DataType::FixedSizeBinary(16),
            PgType::INT2VECTOR => DataType::List(Arc::new(Field::new("item", DataType::Int16, true))),
            PgType::OIDVECTOR => DataType::List(Arc::new(Field::new("item", DataType::UInt32, true))),
            PgType::VOID => DataType::Null,
            other if other.is_oid_like() => DataType::UInt32,
            _ => DataType::Utf8,
        }
    }

    /// A nullable field of [`PgType::arrow`], with the metadata that makes [`PgType::of`] give this type back.
    pub fn arrow_field(self, name: &str) -> Field {
        let field = Field::new(name, self.arrow(), true);
        // An oid says so: `'t'::regclass::oid` is to be one, and the operand's type would be kept where nothing is said.
        if PgType::of(&field) == self && self != PgType::OID {
            return field;
        }
        let metadata = match self {
            PgType::UUID => (EXTENSION_NAME_KEY.to_owned(), "arrow.uuid".to_owned()),
            other => (PG_TYPE_KEY.to_owned(), other.name().to_owned()),
        };
        field.with_metadata([metadata].into())
    }

    /// The type modifier of a field: a decimal's precision and scale, or what [`PG_TYPMOD_KEY`] says; else -1.
    pub fn typmod(field: &Field) -> i32 {
        if let Some(given) = field.metadata().get(PG_TYPMOD_KEY) {
            return given.parse().unwrap_or(-1);
        }
        match innermost(field).data_type() {
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) | DataType::Decimal128(precision, scale)
                // An amount of money is a decimal too.
                if *scale >= 0 && !field.metadata().contains_key(PG_TYPE_KEY) =>
            {
                numeric_typmod(u16::from(*precision), *scale)
            }
            _ => -1,
        }
    }

    /// `format_type` of a field: `bigint`, `numeric(10,2)`, `text[]`.
    pub fn sql_name(field: &Field) -> String {
        PgType::of(field).format(PgType::typmod(field))
    }

    /// `format_type(oid, typmod)`.
    pub fn format(self, typmod: i32) -> String {
        names::format(self, typmod)
    }

    /// The type that SQL calls by this name or an alias of it (`int8`, `varchar(10)`, `float8[]`), and its modifier or -1.
    pub fn from_sql_name(name: &str) -> Option<(PgType, i32)> {
        names::parse(name)
    }

    /// The name that `format_type` gives for a type spelt in any way: `decimal(10, 2)` is `numeric(10,2)`.
    pub fn canonical_sql_name(name: &str) -> Option<String> {
        names::parse(name).map(|(pg_type, typmod)| pg_type.format(typmod))
    }

    /// Its row, or that of its element; every constructor checked that there is one.
    fn entry(self) -> &'static Entry {
        TYPES.iter().find(|entry| entry.oid == self.0 || entry.array == self.0).unwrap_or(&TYPES[0])
    }
}

impl std::fmt::Debug for PgType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for PgType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format(-1))
    }
}

/// `numeric(p,s)` as PostgreSQL packs it.
fn numeric_typmod(precision: u16, scale: i8) -> i32 {
    ((i32::from(precision) << 16) | i32::from(scale)) + 4
}

/// The element of the innermost list, or the field itself.
fn innermost(field: &Field) -> &Field {
    match field.data_type() {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => innermost(item),
        _ => field,
    }
}

#[cfg(test)]
mod tests;
