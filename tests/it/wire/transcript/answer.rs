//! Backend messages as text, and whether one is the expected one.

/// Names of types that appear in transcripts; another is its number.
const TYPES: &[(u32, &str)] = &[
    (16, "bool"),
    (17, "bytea"),
    (18, "char"),
    (19, "name"),
    (20, "int8"),
    (21, "int2"),
    (23, "int4"),
    (25, "text"),
    (26, "oid"),
    (114, "json"),
    (700, "float4"),
    (701, "float8"),
    (705, "unknown"),
    (1000, "bool[]"),
    (1005, "int2[]"),
    (1007, "int4[]"),
    (1009, "text[]"),
    (1016, "int8[]"),
    (1022, "float8[]"),
    (1042, "bpchar"),
    (1043, "varchar"),
    (1082, "date"),
    (1083, "time"),
    (1114, "timestamp"),
    (1184, "timestamptz"),
    (1186, "interval"),
    (1231, "numeric[]"),
    (1700, "numeric"),
    (2278, "void"),
    (2950, "uuid"),
    (3802, "jsonb"),
];

/// A type's number.
pub(super) fn oid(name: &str) -> Option<u32> {
    TYPES.iter().find(|(_, known)| *known == name).map(|(oid, _)| *oid).or_else(|| name.parse().ok())
}

fn type_name(oid: u32) -> String {
    TYPES.iter().find(|(known, _)| *known == oid).map_or_else(|| oid.to_string(), |(_, name)| (*name).to_owned())
}

/// A body being read; what is missing reads as zero, which no expected line has.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
    fn number(&mut self, width: usize) -> i64 {
        let bytes = self.take(width);
        let unsigned = bytes.iter().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        if bytes.first().is_some_and(|first| first & 0x80 != 0) { unsigned - (1 << (8 * bytes.len())) } else { unsigned }
    }
    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(self.take(end)).into_owned();
        self.take(1);
        text
    }
}

/// Text in quotes; what is not text as hexadecimal.
fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r')) => {
            format!("'{}'", escaped(text).replace('\'', "\\'"))
        }
        _ => format!("0x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")
}

fn with_format(text: String, format: i64) -> String {
    if format == 1 { format!("{text} binary") } else { text }
}

/// A message in words.
pub(super) fn describe(tag: u8, body: &[u8]) -> String {
    let mut body = Body(body);
    let words = match tag {
        b'1' => "ParseComplete".to_owned(),
        b'2' => "BindComplete".to_owned(),
        b'3' => "CloseComplete".to_owned(),
        b'n' => "NoData".to_owned(),
        b's' => "PortalSuspended".to_owned(),
        b'I' => "EmptyQueryResponse".to_owned(),
        b'c' => "CopyDone".to_owned(),
        b'Z' => format!("ReadyForQuery {}", char::from(body.number(1) as u8)),
        b'C' => format!("CommandComplete {}", body.text()),
        b'S' => format!("ParameterStatus {}={}", body.text(), escaped(&body.text())),
        b'K' => {
            body.number(4);
            format!("BackendKeyData {} bytes", body.take(usize::MAX).len())
        }
        b'v' => {
            let newest = body.number(4);
            let unknown: Vec<String> = (0..body.number(4)).map(|_| body.text()).collect();
            format!("NegotiateProtocolVersion {}.{} [{}]", newest >> 16, newest & 0xffff, unknown.join(", "))
        }
        b'R' => match body.number(4) {
            0 => "AuthenticationOk".to_owned(),
            10 => "AuthenticationSASL".to_owned(),
            code => format!("Authentication {code}"),
        },
        b'd' => format!("CopyData {}", quoted(body.take(usize::MAX))),
        b'G' | b'H' => {
            let overall = body.number(1);
            let columns: Vec<i64> = (0..body.number(2)).map(|_| body.number(2)).collect();
            let columns = columns.iter().map(|format| if *format == 1 { "binary" } else { "text" }).collect::<Vec<_>>().join(", ");
            format!("Copy{}Response {} [{columns}]", if tag == b'G' { "In" } else { "Out" }, if overall == 1 { "binary" } else { "text" })
        }
        b't' => {
            let types: Vec<String> = (0..body.number(2)).map(|_| type_name(body.number(4) as u32)).collect();
            format!("ParameterDescription {}", types.join(", "))
        }
        b'T' => {
            let columns: Vec<String> = (0..body.number(2)).map(|_| column(&mut body)).collect();
            format!("RowDescription {}", columns.join(", "))
        }
        b'D' => {
            let values: Vec<String> = (0..body.number(2))
                .map(|_| match body.number(4) {
                    -1 => "NULL".to_owned(),
                    length => quoted(body.take(length as usize)),
                })
                .collect();
            format!("DataRow {}", values.join(", "))
        }
        b'E' | b'N' => return fields(if tag == b'E' { "ErrorResponse" } else { "NoticeResponse" }, body),
        b'A' => "NotificationResponse".to_owned(),
        b'V' => "FunctionCallResponse".to_owned(),
        other => format!("message {:?}", char::from(other)),
    };
    let words = words.trim_end().to_owned();
    if body.0.is_empty() { words } else { format!("{words} and {} bytes too many", body.0.len()) }
}

fn column(body: &mut Body<'_>) -> String {
    let name = escaped(&body.text());
    let (table, attribute, oid) = (body.number(4), body.number(2), body.number(4));
    let (length, typmod, format) = (body.number(2), body.number(4), body.number(2));
    let mut text = format!("{name}:{}", type_name(oid as u32));
    if typmod != -1 {
        text.push_str(&format!("({typmod})"));
    }
    // PostgreSQL's lengths of the types that have one.
    let usual = match oid {
        16 | 18 => 1,
        21 => 2,
        23 | 26 | 700 | 1082 | 2278 => 4,
        20 | 701 | 1083 | 1114 | 1184 => 8,
        1186 | 2950 => 16,
        19 => 64,
        705 => -2,
        _ => -1,
    };
    if length != usual {
        text.push_str(&format!(" of length {length}"));
    }
    if table != 0 {
        text.push_str(&format!(" @{attribute}"));
    }
    with_format(text, format)
}

/// `ErrorResponse ERROR 42601 'syntax error' position=3`: the fields that the protocol has, but for the file and line of the server's source.
fn fields(kind: &str, mut body: Body<'_>) -> String {
    let mut found = Vec::new();
    loop {
        match body.number(1) as u8 {
            0 => break,
            field => found.push((field, body.text())),
        }
    }
    let get = |field: u8| found.iter().find(|(known, _)| *known == field).map(|(_, text)| text.as_str());
    let severity = if get(b'S') == get(b'V') { get(b'V').unwrap_or_default() } else { "severities differ:" };
    let mut text = format!("{kind} {severity} {} {}", get(b'C').unwrap_or_default(), quoted(get(b'M').unwrap_or_default().as_bytes()));
    for (field, name) in
        [(b'P', "position"), (b'D', "detail"), (b'W', "where"), (b'H', "hint"), (b't', "table"), (b'c', "column"), (b'R', "routine")]
    {
        if let Some(value) = get(field) {
            text.push_str(&format!(" {name}={}", quoted(value.as_bytes())));
        }
    }
    text
}

/// Whether a message is the expected one. Fields of an error that the expected line leaves out may be anything.
pub(super) fn matches(expected: &str, found: &str) -> bool {
    if glob(expected.as_bytes(), found.as_bytes()) {
        return true;
    }
    if !(expected.starts_with("ErrorResponse ") || expected.starts_with("NoticeResponse ")) {
        return false;
    }
    let mut shown = found.to_owned();
    for name in ["position", "detail", "where", "hint", "table", "column", "routine"] {
        if !expected.contains(&format!(" {name}='")) {
            shown = without(&shown, &format!(" {name}='"));
        }
    }
    glob(expected.as_bytes(), shown.as_bytes())
}

/// A text without one quoted field.
fn without(text: &str, field: &str) -> String {
    let Some(start) = text.find(field) else { return text.to_owned() };
    let mut end = start + field.len();
    let bytes = text.as_bytes();
    while end < bytes.len() && bytes[end] != b'\'' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    format!("{}{}", &text[..start], text.get(end + 1..).unwrap_or_default())
}

/// `*` is any text, `\*` a star.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        [b'\\', b'*', rest @ ..] => text.first() == Some(&b'*') && glob(rest, &text[1..]),
        [first, rest @ ..] => text.first() == Some(first) && glob(rest, &text[1..]),
    }
}
