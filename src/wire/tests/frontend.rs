//! What a client says, as bytes, and nothing of what it should say. `tests/it/wire/raw.rs` speaks with these, too.

/// A message of this tag.
pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], (body.len() as u32 + 4).to_be_bytes().as_slice(), body].concat()
}

pub(crate) fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &[sql.as_bytes(), b"\0"].concat())
}

pub(crate) fn parse(name: &str, sql: &str, oids: &[u32]) -> Vec<u8> {
    let oids: Vec<u8> = oids.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    message(b'P', &[name.as_bytes(), b"\0", sql.as_bytes(), b"\0", &(oids.len() as u16 / 4).to_be_bytes(), &oids].concat())
}

pub(crate) fn bind(portal: &str, statement: &str, parameters: &[Option<&[u8]>], formats: &[i16], results: &[i16]) -> Vec<u8> {
    let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
    let codes = |formats: &[i16], body: &mut Vec<u8>| {
        body.extend((formats.len() as u16).to_be_bytes());
        body.extend(formats.iter().flat_map(|format| format.to_be_bytes()));
    };
    codes(formats, &mut body);
    body.extend((parameters.len() as u16).to_be_bytes());
    for parameter in parameters {
        body.extend(parameter.map_or(-1, |bytes| bytes.len() as i32).to_be_bytes());
        body.extend(parameter.unwrap_or_default());
    }
    codes(results, &mut body);
    message(b'B', &body)
}

pub(crate) fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

pub(crate) fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[&[kind], name.as_bytes(), b"\0"].concat())
}

pub(crate) fn execute(portal: &str, rows: i32) -> Vec<u8> {
    message(b'E', &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat())
}

pub(crate) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub(crate) fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    body.push(0);
    [(body.len() as u32 + 4).to_be_bytes().as_slice(), &body].concat()
}
