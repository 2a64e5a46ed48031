//! The Avro container as Iceberg uses it: records whose fields are found by field id.
//!
//! `apache-avro` decodes; here its two weak spots against hostile files are closed. A schema that contains itself
//! would be recursed into without consuming input, so schemas with references to an enclosing record are refused. And
//! the process-wide allocation limit of the crate is set before its first use, as is that names may hold any character.

use std::collections::HashMap;
use std::sync::Once;

use apache_avro::error::Details;
use apache_avro::schema::{Name, Schema};
use apache_avro::types::Value;
use apache_avro::validator::RecordFieldNameValidator;
use apache_avro::{AvroResult, Reader};
use bytes::Bytes;

use super::datum::{Datum, big_endian};
use super::error::FormatError;

/// The largest single allocation that decoding may make.
const MAX_ALLOCATION: usize = 256 << 20;

/// Deeper schemas are refused.
const MAX_DEPTH: usize = 64;

static LIMIT: Once = Once::new();

/// Avro allows few characters in names; partitions are called as their columns are, and not every writer spells that otherwise.
struct AnyName;

impl RecordFieldNameValidator for AnyName {
    fn validate(&self, _name: &str) -> AvroResult<()> {
        Ok(())
    }
}

/// What the crate takes from its process once, at its first use: the limit, and that names are free.
pub(super) fn prepare() {
    LIMIT.call_once(|| {
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
        // Only the first one counts; the demo's writer, the other user of the crate, sets one that allows the same.
        let _ = apache_avro::validator::set_record_field_name_validator(Box::new(AnyName));
    });
}

/// An open container file.
pub(super) struct Records<'a> {
    reader: Reader<'a, &'a [u8]>,
    url: &'a str,
}

impl<'a> Records<'a> {
    pub(super) fn open(bytes: &'a [u8], url: &'a str) -> Result<Self, FormatError> {
        prepare();
        let reader = Reader::new(bytes).map_err(|error| fault(&error, url))?;
        check(reader.writer_schema(), &mut Vec::new(), 0).map_err(|reason| FormatError::damaged(url, reason))?;
        Ok(Self { reader, url })
    }

    /// A value of the container's own metadata (`partition-spec-id`, …).
    pub(super) fn property(&self, name: &str) -> Option<&str> {
        self.reader.user_metadata().get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Where the fields are in each record.
    pub(super) fn shape(&self) -> Result<Shape, FormatError> {
        match self.reader.writer_schema() {
            Schema::Record(_) => {
                let mut named = HashMap::new();
                collect_named(self.reader.writer_schema(), &mut named);
                Ok(Shape::of(self.reader.writer_schema(), &named))
            }
            _ => Err(FormatError::damaged(self.url, "Avro: its items are no records")),
        }
    }

    /// The next record's values, in the writer's order.
    pub(super) fn next(&mut self) -> Result<Option<Fields>, FormatError> {
        match self.reader.next() {
            None => Ok(None),
            Some(Ok(Value::Record(fields))) => Ok(Some(Fields::new(fields))),
            Some(Ok(_)) => Err(FormatError::damaged(self.url, "Avro: an item is no record")),
            Some(Err(error)) => Err(fault(&error, self.url)),
        }
    }
}

/// A compression that is not built in is no damage.
fn fault(error: &apache_avro::Error, url: &str) -> FormatError {
    match error.details() {
        Details::CodecNotSupported(codec) => FormatError::unsupported(url, format!("Avro files compressed with {codec} are")),
        _ => FormatError::damaged(url, format!("Avro: {error}")),
    }
}

/// Refuses schemas that decoding could not get out of.
fn check<'s>(schema: &'s Schema, open: &mut Vec<&'s Name>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("Avro: types are nested deeper than {MAX_DEPTH}"));
    }
    match schema {
        Schema::Record(record) => {
            open.push(&record.name);
            record.fields.iter().try_for_each(|field| check(&field.schema, open, depth + 1))?;
            open.pop();
            Ok(())
        }
        Schema::Array(array) => check(&array.items, open, depth + 1),
        Schema::Map(map) => check(&map.types, open, depth + 1),
        Schema::Union(union) => union.variants().iter().try_for_each(|variant| check(variant, open, depth + 1)),
        Schema::Ref { name } if open.contains(&name) => Err(format!("Avro: type {name} contains itself")),
        _ => Ok(()),
    }
}

/// Positions of a record's fields, by field id and by name.
#[derive(Debug, Default)]
pub(super) struct Shape {
    by_id: HashMap<i32, usize>,
    by_name: HashMap<String, usize>,
    inner: HashMap<usize, Shape>,
    /// (field id, name, schema) in the writer's order.
    pub(super) fields: Vec<(Option<i32>, String, Option<DecimalShape>)>,
}

/// Precision and scale of a decimal field.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecimalShape {
    precision: u8,
    scale: u8,
}

impl Shape {
    fn of(schema: &Schema, named: &Named<'_>) -> Self {
        let mut shape = Self::default();
        let Schema::Record(record) = schema else { return shape };
        for (position, field) in record.fields.iter().enumerate() {
            let id = field.custom_attributes.get("field-id").and_then(|id| i32::try_from(id.as_i64()?).ok());
            if let Some(id) = id {
                shape.by_id.insert(id, position);
            }
            shape.by_name.insert(field.name.clone(), position);
            let inner = not_null(&field.schema, named);
            let inner = if let Schema::Array(array) = inner { not_null(&array.items, named) } else { inner };
            if matches!(inner, Schema::Record(_)) {
                shape.inner.insert(position, Self::of(inner, named));
            }
            let decimal = match inner {
                Schema::Decimal(decimal) => u8::try_from(decimal.precision).ok().zip(u8::try_from(decimal.scale).ok()),
                _ => None,
            };
            let decimal = decimal.map(|(precision, scale)| DecimalShape { precision, scale });
            shape.fields.push((id, field.name.clone(), decimal));
        }
        shape
    }

    /// The field's position by id, else by name: old writers gave other names, odd ones no ids.
    pub(super) fn find(&self, id: i32, name: &str) -> Option<usize> {
        self.by_id.get(&id).or_else(|| self.by_name.get(name)).copied()
    }

    /// The shape of the record (or of the records in the array) at this position.
    pub(super) fn inner(&self, position: Option<usize>) -> Option<&Shape> {
        self.inner.get(&position?)
    }
}

/// A schema's named types. Avro writes a type out once and then calls it by its name: the second of two partition columns of one decimal
/// is such a name.
type Named<'s> = HashMap<&'s Name, &'s Schema>;

fn collect_named<'s>(schema: &'s Schema, named: &mut Named<'s>) {
    if let Schema::Ref { .. } = schema {
        return;
    }
    if let Some(name) = schema.name() {
        named.insert(name, schema);
    }
    match schema {
        Schema::Record(record) => record.fields.iter().for_each(|field| collect_named(&field.schema, named)),
        Schema::Array(array) => collect_named(&array.items, named),
        Schema::Map(map) => collect_named(&map.types, named),
        Schema::Union(union) => union.variants().iter().for_each(|variant| collect_named(variant, named)),
        _ => {}
    }
}

/// The other side of a union with null, as it was written out.
fn not_null<'s>(schema: &'s Schema, named: &Named<'s>) -> &'s Schema {
    let schema = match schema {
        Schema::Union(union) => union.variants().iter().find(|variant| **variant != Schema::Null).unwrap_or(schema),
        other => other,
    };
    match schema {
        Schema::Ref { name } => named.get(name).copied().unwrap_or(schema),
        other => other,
    }
}

/// A record's values; each is taken once.
pub(super) struct Fields {
    values: Vec<Value>,
}

impl Fields {
    fn new(fields: Vec<(String, Value)>) -> Self {
        Self { values: fields.into_iter().map(|(_, value)| value).collect() }
    }

    /// The value at this position; none if it is NULL or the position is none.
    pub(super) fn take(&mut self, position: Option<usize>) -> Option<Value> {
        let value = std::mem::replace(self.values.get_mut(position?)?, Value::Null);
        unwrap_union(value)
    }

    pub(super) fn take_long(&mut self, position: Option<usize>) -> Option<i64> {
        self.take(position).and_then(|value| long(&value))
    }

    pub(super) fn take_int(&mut self, position: Option<usize>) -> Option<i32> {
        self.take_long(position).and_then(|value| i32::try_from(value).ok())
    }

    pub(super) fn take_text(&mut self, position: Option<usize>) -> Option<String> {
        match self.take(position)? {
            Value::String(text) | Value::Enum(_, text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn take_bytes(&mut self, position: Option<usize>) -> Option<Bytes> {
        bytes(self.take(position)?)
    }

    pub(super) fn take_bool(&mut self, position: Option<usize>) -> Option<bool> {
        match self.take(position)? {
            Value::Boolean(value) => Some(value),
            _ => None,
        }
    }

    pub(super) fn take_record(&mut self, position: Option<usize>) -> Option<Fields> {
        record(self.take(position)?)
    }

    pub(super) fn take_array(&mut self, position: Option<usize>) -> Option<Vec<Value>> {
        match self.take(position)? {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// A map with int keys, which Iceberg writes as an array of records (`key`, `value`).
    pub(super) fn take_map<V>(&mut self, position: Option<usize>, value: impl Fn(Value) -> Option<V>) -> Vec<(i32, V)> {
        let pairs = self.take_array(position).unwrap_or_default().into_iter().filter_map(|pair| {
            let Value::Record(fields) = unwrap_union(pair)? else { return None };
            let mut fields = fields.into_iter().map(|(_, value)| value);
            let key = i32::try_from(long(&fields.next()?)?).ok()?;
            Some((key, value(unwrap_union(fields.next()?)?)?))
        });
        pairs.collect()
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

/// The value itself; none for NULL.
pub(super) fn unwrap_union(value: Value) -> Option<Value> {
    match value {
        Value::Union(_, inner) => unwrap_union(*inner),
        Value::Null => None,
        other => Some(other),
    }
}

pub(super) fn record(value: Value) -> Option<Fields> {
    match unwrap_union(value)? {
        Value::Record(fields) => Some(Fields::new(fields)),
        _ => None,
    }
}

pub(super) fn long(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(i64::from(*value)),
        Value::Long(value) => Some(*value),
        _ => None,
    }
}

pub(super) fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => Some(Bytes::from(bytes)),
        _ => None,
    }
}

/// A partition's value as Avro's own types tell it; none if it is of no type that a partition can have.
pub(super) fn datum(value: Value, decimal: Option<DecimalShape>) -> Option<Datum> {
    Some(match value {
        Value::Boolean(value) => Datum::Boolean(value),
        Value::Int(value) => Datum::Int(value),
        Value::Long(value) => Datum::Long(value),
        // All NaNs are one value, and one partition.
        Value::Float(value) => Datum::Float(if value.is_nan() { f32::NAN } else { value }),
        Value::Double(value) => Datum::Double(if value.is_nan() { f64::NAN } else { value }),
        Value::Bytes(bytes) => Datum::Binary(Bytes::from(bytes)),
        Value::Fixed(_, bytes) => Datum::Fixed(Bytes::from(bytes)),
        Value::String(text) => Datum::String(text),
        Value::Date(days) => Datum::Date(days),
        Value::TimeMicros(micros) => Datum::Time(micros),
        Value::TimestampMicros(micros) => Datum::Timestamptz(micros),
        Value::LocalTimestampMicros(micros) => Datum::Timestamp(micros),
        Value::TimestampNanos(nanos) => Datum::TimestamptzNs(nanos),
        Value::LocalTimestampNanos(nanos) => Datum::TimestampNs(nanos),
        Value::TimestampMillis(millis) | Value::LocalTimestampMillis(millis) => Datum::Timestamp(millis.checked_mul(1000)?),
        Value::Uuid(uuid) => Datum::Uuid(*uuid.as_bytes()),
        Value::Decimal(number) => {
            let bytes = Vec::<u8>::try_from(number).ok()?;
            let DecimalShape { precision, scale } = decimal?;
            Datum::Decimal { unscaled: big_endian(&bytes)?, precision, scale }
        }
        _ => return None,
    })
}
