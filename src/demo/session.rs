//! A script of SQL, run over the socket and printed with its results.

use std::io::Write;
use std::net::SocketAddr;

use super::client::{Client, Reply};
use super::{DemoError, psql};

/// How a script went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Statements run.
    pub statements: usize,
    /// How many of them failed.
    pub errors: usize,
}

/// Runs `script` as `user` of `database`, writing to `out` each statement with the comments before it and what psql would print.
/// A statement that fails is shown and the next one runs, as in psql.
pub fn run(address: SocketAddr, user: &str, database: &str, script: &str, out: &mut dyn Write) -> Result<Outcome, DemoError> {
    let mut client = Client::connect(address, user, database)?;
    let mut outcome = Outcome::default();
    for statement in statements(script) {
        let mut print = |text: &str| out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(DemoError::io("could not print"));
        print(&format!("{statement}\n"))?;
        let sent = without_leading_comments(statement);
        outcome.statements += 1;
        let mut columns = Vec::new();
        let mut rows = Vec::new();
        client.query(sent, |reply| {
            match reply {
                Reply::Columns(described) => columns = described,
                Reply::Row(row) => rows.push(row),
                // psql prints a tag only where there was no table.
                Reply::Tag(_) if !columns.is_empty() => {
                    print(&psql::table(&columns, &rows))?;
                    columns.clear();
                    rows.clear();
                }
                Reply::Tag(tag) => print(&format!("{tag}\n\n"))?,
                Reply::Notice(notice) => print(&psql::message(&notice, sent))?,
                Reply::Error(error) => {
                    outcome.errors += 1;
                    columns.clear();
                    rows.clear();
                    print(&format!("{}\n", psql::message(&error, sent)))?;
                }
            }
            Ok(())
        })?;
    }
    Ok(outcome)
}

/// The statements of a script, each with the comments before it, up to and with its semicolon. Quotes and `--` comments are
/// heeded; dollar quotes and block comments are not, and our scripts have none.
pub fn statements(script: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut quote: Option<u8> = None;
    let mut comment = false;
    let bytes = script.as_bytes();
    for (at, byte) in bytes.iter().copied().enumerate() {
        match (byte, quote, comment) {
            (b'\n', _, true) => comment = false,
            (_, _, true) => {}
            (byte, Some(open), _) if byte == open => quote = None,
            (_, Some(_), _) => {}
            (b'\'' | b'"', None, _) => quote = Some(byte),
            (b'-', None, _) if bytes.get(at + 1) == Some(&b'-') => comment = true,
            (b';', None, _) => {
                found.push(script[start..=at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// What is sent: positions in errors then count from the statement's first word.
fn without_leading_comments(statement: &str) -> &str {
    let mut rest = statement;
    while let Some(comment) = rest.strip_prefix("--") {
        rest = comment.split_once('\n').map_or("", |(_, after)| after).trim_start();
    }
    rest
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
