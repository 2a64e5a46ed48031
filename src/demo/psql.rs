//! Results as psql prints them: aligned tables, `(n rows)`, command tags, errors with a caret under the place.

use std::fmt::Write;

use super::client::{ResultColumn, ServerMessage};

/// Types that psql puts to the right: int8, int2, int4, oid, float4, float8, money, numeric.
const RIGHT: [u32; 8] = [20, 21, 23, 26, 700, 701, 790, 1700];

/// An aligned table with its footer and the empty line after it.
pub fn table(columns: &[ResultColumn], rows: &[Vec<Option<String>>]) -> String {
    let cell = |row: &[Option<String>], at: usize| -> Vec<String> {
        let text = row.get(at).and_then(Option::as_deref).unwrap_or_default();
        text.split('\n').map(|line| line.replace('\t', "        ")).collect()
    };
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().flat_map(|row| cell(row, at)).map(|line| width(&line)).max().unwrap_or(0);
            cells.max(width(&column.name))
        })
        .collect();
    let mut out = String::new();
    let header: Vec<String> = columns
        .iter()
        .zip(&widths)
        .map(|(column, wide)| {
            let spare = wide - width(&column.name);
            format!(" {}{}{} ", " ".repeat(spare / 2), column.name, " ".repeat(spare - spare / 2))
        })
        .collect();
    out.push_str(&header.join("|"));
    out.push('\n');
    out.push_str(&widths.iter().map(|wide| "-".repeat(wide + 2)).collect::<Vec<_>>().join("+"));
    out.push('\n');
    for row in rows {
        let cells: Vec<Vec<String>> = (0..columns.len()).map(|at| cell(row, at)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(1);
        for line in 0..height {
            for (at, (column, wide)) in columns.iter().zip(&widths).enumerate() {
                let text = cells[at].get(line).map_or("", String::as_str);
                let spare = " ".repeat(wide - width(text));
                let more = cells[at].len() > line + 1;
                let last = at + 1 == columns.len();
                let (left, right) = if RIGHT.contains(&column.type_oid) { (spare.as_str(), "") } else { ("", spare.as_str()) };
                // psql pads the last column only where a `+` follows.
                let right = if last && !more { "" } else { right };
                let end = match (more, last) {
                    (true, _) => "+",
                    (false, true) => "",
                    (false, false) => " ",
                };
                let _ = write!(out, " {left}{text}{right}{end}");
                if !last {
                    out.push('|');
                }
            }
            out.push('\n');
        }
    }
    let _ = writeln!(out, "({} row{})\n", rows.len(), if rows.len() == 1 { "" } else { "s" });
    out
}

/// An error or a notice; `statement` is what was sent, for the place of an error in it.
pub fn message(message: &ServerMessage, statement: &str) -> String {
    let mut out = format!("{}:  {}\n", message.severity, message.message);
    if let Some(place) = message.position.and_then(|position| place(statement, position)) {
        out.push_str(&place);
    }
    for (label, text) in [("DETAIL", &message.detail), ("HINT", &message.hint)] {
        if let Some(text) = text {
            let _ = writeln!(out, "{label}:  {text}");
        }
    }
    out
}

/// `LINE 2: …` and a caret under the character.
fn place(statement: &str, position: usize) -> Option<String> {
    let before: String = statement.chars().take(position.checked_sub(1)?).collect();
    let number = before.matches('\n').count() + 1;
    let line = statement.lines().nth(number - 1)?;
    let column = before.rsplit('\n').next().map_or(0, |text| text.chars().count());
    let label = format!("LINE {number}: ");
    Some(format!("{label}{line}\n{}^\n", " ".repeat(label.len() + column)))
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
#[path = "psql_tests.rs"]
mod tests;
