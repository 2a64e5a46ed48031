//! How Nessie spells keys and references in its URLs.

use chrono::{DateTime, Utc};

use crate::source::TableIdent;

/// Whether Nessie takes this as a part of a key.
pub(super) fn is_element(text: &str) -> bool {
    !text.is_empty() && text != "." && !text.chars().any(|character| character < ' ')
}

/// The key of a table, read as its name is written; none if there can be no such key.
pub(super) fn elements(ident: &TableIdent) -> Option<Vec<String>> {
    let elements: Vec<String> = ident.schema.split('.').chain([&*ident.table]).map(str::to_owned).collect();
    elements.iter().all(|element| is_element(element)).then_some(elements)
}

/// A key as path or query: elements joined by dots. From the first element on that has a dot, slash, backslash or percent sign in it,
/// elements are escaped (that one begins with a dot to say so) and joined by two dots.
pub(super) fn path(elements: &[String]) -> String {
    let mut path = String::new();
    let mut escaping = false;
    for element in elements {
        if !path.is_empty() {
            path.push_str(if escaping { ".." } else { "." });
        }
        if !escaping && element.contains(['.', '/', '\\', '%']) {
            escaping = true;
            path.push('.');
        }
        for character in element.chars() {
            match character {
                '.' if escaping => path.push_str("._"),
                '/' if escaping => path.push_str(".{"),
                '\\' if escaping => path.push_str(".}"),
                '%' if escaping => path.push_str(".["),
                other => path.push(other),
            }
        }
    }
    path
}

/// A reference as Nessie reads it: `name`, `name@hash`, `@hash`, or `name*timestamp` with the fraction that it insists on. None if it can be none.
pub(super) fn reference(text: &str) -> Option<String> {
    if let Some((name, hash)) = text.split_once('@') {
        let known =
            (name.is_empty() || is_name(name)) && (1..=64).contains(&hash.len()) && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        return known.then(|| text.to_owned());
    }
    if let Some((name, when)) = text.split_once('*') {
        let when = match when.parse::<i64>() {
            Ok(millis) => DateTime::from_timestamp_millis(millis)?,
            Err(_) => DateTime::parse_from_rfc3339(when).ok()?.to_utc(),
        };
        return is_name(name).then(|| format!("{name}*{}", timestamp(when)));
    }
    is_name(text).then(|| text.to_owned())
}

/// An instant as Nessie reads it.
pub(super) fn timestamp(when: DateTime<Utc>) -> String {
    when.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Nessie's rule for names of branches and tags.
fn is_name(text: &str) -> bool {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '/' | '_' | '-');
    text.starts_with(|character: char| character.is_ascii_alphabetic())
        && text.chars().all(allowed)
        && !text.ends_with(['.', '/'])
        && !text.contains("..")
}
