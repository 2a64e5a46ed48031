//! `featgres hash-password`: a SCRAM-SHA-256 verifier as PostgreSQL stores it. The password is read from standard input, never
//! from the command line, where other users of the machine could see it.

use std::io::{BufRead, IsTerminal};
use std::process::{Command, ExitCode};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{ScramSecret, gen_salted_password};

use crate::error::{Report, SqlState};

pub(super) fn hash(iterations: u32) -> Result<ExitCode, Report> {
    let password = read_password().map_err(|failure| Report::new(SqlState::IO_ERROR, format!("could not read the password: {failure}")))?;
    if password.is_empty() {
        return Err(Report::new(SqlState::INVALID_PARAMETER_VALUE, "the password is empty"));
    }
    println!("{}", verifier(&password, uuid::Uuid::new_v4().as_bytes(), iterations)?);
    Ok(ExitCode::SUCCESS)
}

/// `SCRAM-SHA-256$iterations:salt$stored:server`.
fn verifier(password: &str, salt: &[u8], iterations: u32) -> Result<String, Report> {
    let rounds = iterations as usize;
    let salted = gen_salted_password(password, salt, rounds);
    match ScramSecret::verifier_from_salted_password(salt.to_vec(), salted, rounds) {
        ScramSecret::Verifier { salt, iterations, stored_key, server_key } => Ok(format!(
            "SCRAM-SHA-256${iterations}:{}${}:{}",
            STANDARD.encode(salt),
            STANDARD.encode(stored_key),
            STANDARD.encode(server_key)
        )),
        ScramSecret::SaltedPassword { .. } => Err(Report::new(SqlState::INTERNAL_ERROR, "no verifier was made")),
    }
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

#[cfg(test)]
mod tests {
    use super::verifier;

    #[test]
    fn the_verifier_is_postgresqls() {
        // RFC 7677's example: user "user", password "pencil".
        let salt = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, "W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let expected = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(verifier("pencil", &salt, 4096).unwrap(), expected);
    }
}
