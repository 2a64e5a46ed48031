//! Just enough of Avro to write manifests: values by hand, so that the reader's decoder meets bytes that are not its own
//! library's.

use serde_json::Value;

/// A value; a union of null and something is [`Avro::Some`] or [`Avro::None`].
#[derive(Debug, Clone)]
pub enum Avro {
    None,
    Some(Box<Avro>),
    Bool(bool),
    /// `int` and `long` are written alike.
    Long(i64),
    Bytes(Vec<u8>),
    Text(String),
    Record(Vec<Avro>),
    Array(Vec<Avro>),
}

impl Avro {
    pub fn optional(value: Option<Avro>) -> Self {
        value.map_or(Self::None, |value| Self::Some(Box::new(value)))
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => long(0, out),
            Self::Some(value) => {
                long(1, out);
                value.write(out);
            }
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::Long(value) => long(*value, out),
            Self::Bytes(bytes) => {
                long(bytes.len() as i64, out);
                out.extend(bytes);
            }
            Self::Text(text) => {
                long(text.len() as i64, out);
                out.extend(text.as_bytes());
            }
            Self::Record(fields) => fields.iter().for_each(|field| field.write(out)),
            Self::Array(items) => {
                if !items.is_empty() {
                    long(items.len() as i64, out);
                    items.iter().for_each(|item| item.write(out));
                }
                long(0, out);
            }
        }
    }
}

fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A container file of these records.
pub fn container(schema: &Value, properties: &[(&str, String)], records: &[Avro]) -> Vec<u8> {
    const SYNC: [u8; 16] = *b"featgres-history";
    let mut out = b"Obj\x01".to_vec();
    let mut metadata = vec![("avro.schema", schema.to_string()), ("avro.codec", "null".to_owned())];
    metadata.extend(properties.iter().map(|(name, value)| (*name, value.clone())));
    long(metadata.len() as i64, &mut out);
    for (name, value) in metadata {
        Avro::Text(name.to_owned()).write(&mut out);
        Avro::Text(value).write(&mut out);
    }
    long(0, &mut out);
    out.extend(SYNC);
    // Several blocks, as large files have them.
    for block in records.chunks(3) {
        let mut bytes = Vec::new();
        block.iter().for_each(|record| record.write(&mut bytes));
        long(block.len() as i64, &mut out);
        long(bytes.len() as i64, &mut out);
        out.extend(bytes);
        out.extend(SYNC);
    }
    out
}
