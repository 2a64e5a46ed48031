//! `featgres hash-password`: a SCRAM-SHA-256 verifier as PostgreSQL stores it. The password is read from standard input, never
//! from the command line, where other users of the machine could see it.

use std::io::{BufRead, IsTerminal};
use std::process::{Command, ExitCode};

use crate::error::{Report, SqlState};
use crate::verifier::Verifier;

pub(super) fn hash(iterations: u32) -> Result<ExitCode, Report> {
    let password = read_password().map_err(|failure| Report::new(SqlState::IO_ERROR, format!("could not read the password: {failure}")))?;
    if password.is_empty() {
        return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, "the password is empty"));
    }
    println!("{}", Verifier::of(&password, iterations as usize).text());
    Ok(ExitCode::SUCCESS)
}

/// One line; on a terminal asked for and not echoed.
fn read_password() -> std::io::Result<String> {
    let terminal = std::io::stdin().is_terminal();
    let echo = |on: &str| Command::new("stty").arg(on).status().is_ok_and(|status| status.success());
    let silenced = terminal && echo("-echo");
    if terminal {
        eprint!("Password: ");
    }
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if silenced {
        echo("echo");
        eprintln!();
    }
    read?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
