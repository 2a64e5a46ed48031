//! The files' lines.

/// In the place of a server's name: the message may be missing.
pub(super) const OPTIONAL: &str = "?";

/// One connection's conversation.
pub(super) struct Case {
    pub(super) title: String,
    /// The server that alone has it.
    pub(super) only: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// Something sent, or a block of answers.
pub(super) enum Step {
    Send(Line),
    Expect(Vec<Line>),
}

/// A line of the file, counted from 1, without its mark.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) only: Option<String>,
    pub(super) text: String,
}

impl Line {
    /// Whether this server is held to the line.
    pub(super) fn is_for(&self, target: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == target || only == OPTIONAL)
    }
    /// Whether the message may be missing.
    pub(super) fn is_optional(&self) -> bool {
        self.only.as_deref() == Some(OPTIONAL)
    }
}

impl Case {
    /// Whether this server has it.
    pub(super) fn is_for(&self, target: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == target)
    }
    /// Whether the case does what the runner does otherwise: the start-up.
    pub(super) fn starts_itself(&self) -> bool {
        let first = self.steps.iter().find_map(|step| match step {
            Step::Send(line) => Some(line.text.split(' ').next().unwrap_or_default()),
            Step::Expect(_) => None,
        });
        matches!(first, Some("Startup" | "SSLRequest" | "GSSENCRequest" | "CancelRequest" | "Packet"))
    }
}

/// The cases of a file.
pub(super) fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(Case { title: title.to_owned(), only: None, steps: Vec::new() });
            continue;
        }
        let case = cases.last_mut().ok_or_else(|| format!("line {number} is before the first case"))?;
        if let Some(only) = line.strip_prefix('@') {
            case.only = Some(only.split(' ').next().unwrap_or_default().to_owned());
            continue;
        }
        let (mark, text) = line.split_once(' ').ok_or_else(|| format!("line {number} is no line of a transcript: {line}"))?;
        let text = text.to_owned();
        let only = match mark {
            ">" => {
                case.steps.push(Step::Send(Line { number, only: None, text }));
                continue;
            }
            "<" => None,
            "<?" => Some(OPTIONAL.to_owned()),
            "featgres<" => Some("featgres".to_owned()),
            "postgresql<" => Some("postgresql".to_owned()),
            _ => return Err(format!("line {number} is no line of a transcript: {line}")),
        };
        let line = Line { number, only, text };
        match case.steps.last_mut() {
            Some(Step::Expect(lines)) => lines.push(line),
            _ => case.steps.push(Step::Expect(vec![line])),
        }
    }
    Ok(cases)
}

/// A message as it is written into a file: its own stars do not match everything.
pub(super) fn unescape_stars(text: &str) -> String {
    if text == "ParameterStatus *" { text.to_owned() } else { text.replace('*', "\\*") }
}

/// A token: a bare word, `'quoted \n'`, `""`, `0x…`, or `[a, b]` with brackets; and the rest.
pub(super) fn token(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = match text.as_bytes().first() {
        Some(b'\'') => closing(text, b'\''),
        Some(b'"') => closing(text, b'"'),
        Some(b'[') => closing(text, b']'),
        _ => text.find([' ', ',']).unwrap_or(text.len()),
    };
    (&text[..end], text[end..].trim_start_matches([' ', ',']))
}

/// The end of something that began with a quote or bracket; quotes inside brackets are passed over.
fn closing(text: &str, mark: u8) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut quoted, mut inner) = (1, false, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\'' if mark == b']' => quoted = !quoted,
            b'[' if mark == b']' && !quoted => inner += 1,
            b']' if mark == b']' && !quoted && inner > 0 => inner -= 1,
            byte if byte == mark && !quoted => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// What a token stands for, as bytes; none for NULL.
pub(super) fn value(token: &str) -> Result<Option<Vec<u8>>, String> {
    if token == "NULL" {
        return Ok(None);
    }
    if let Some(hex) = token.strip_prefix("0x") {
        let pairs = hex.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        return bytes.collect::<Option<Vec<u8>>>().map(Some).ok_or_else(|| format!("{token} is not hexadecimal"));
    }
    let inner = match token.as_bytes() {
        [b'\'', .., b'\''] | [b'"', .., b'"'] => &token[1..token.len() - 1],
        _ => token,
    };
    Ok(Some(unescape(inner)))
}

/// `\n`, `\t`, `\r`, `\\`, `\'`, `\xNN`.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'x') => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                out.extend(u8::from_str_radix(&digits, 16).ok());
            }
            Some(other) => out.push(other),
            None => out.push(b'\\'),
        }
    }
    out
}

/// The members of `[a, b]`.
pub(super) fn list(token: &str) -> Vec<&str> {
    let mut rest = token.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(token);
    let mut members = Vec::new();
    while !rest.trim().is_empty() {
        let (member, after) = self::token(rest);
        members.push(member);
        rest = after;
    }
    members
}
