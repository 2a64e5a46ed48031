//! `featgres demo`: prepare the folder, serve it, run the quickstart as a client, stay up.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::{block_on, serve};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::demo::folder::DemoFolder;
use crate::demo::{PROJECT, session};
use crate::error::{Report, SqlState};
use crate::server::Server;
use crate::telemetry;

/// The README's session.
const QUICKSTART: &str = include_str!("../../sql/quickstart.sql");
/// The role of the demo's sessions: trust admits any.
const USER: &str = "demo";

pub(super) fn demo(directory: &Path, listen: SocketAddr) -> Result<ExitCode, Report> {
    let mut folder = DemoFolder::prepare(directory, Arc::new(SystemClock))?;
    match folder.written {
        Some(written) => {
            say(&format!("Wrote {} sample tables with {} rows to {}\n", written.tables, written.rows, folder.path().display()))
        }
        None => say(&format!("Using the sample tables in {}\n", folder.path().display())),
    }
    let mut config = Config::embedded(PROJECT, folder.path(), listen);
    "warn".clone_into(&mut config.telemetry.level);
    if !listen.ip().is_loopback() {
        return Err(Report::new(SqlState::CONFIG_FILE_ERROR, format!("the demo admits anyone, and {listen} is not a loopback address"))
            .hint("Listen on 127.0.0.1, or use \"featgres serve\" with [auth]."));
    }
    telemetry::start(&config.telemetry);
    block_on(async move {
        let stop = serve::stop_signal()?;
        let server = Server::open(config).await?;
        let address = server.address()?;
        let command = format!("psql -h {} -p {} -U {USER} {PROJECT}", address.ip(), address.port());
        folder.announce(&format!("{command}\n"))?;
        say(&format!("Serving database \"{PROJECT}\" on {address}; this is sql/quickstart.sql:\n\n"));
        let show = tokio::task::spawn_blocking(move || {
            let outcome = session::run(address, USER, PROJECT, QUICKSTART, &mut std::io::stdout());
            match outcome {
                Ok(outcome) if outcome.errors == 0 => {}
                Ok(outcome) => say(&format!("{} of {} statements failed.\n", outcome.errors, outcome.statements)),
                Err(error) => say(&super::shown(&Report::from(error))),
            }
            say(&format!("The gateway stays up until Ctrl-C. Try it yourself:\n{command}\n"));
        });
        server.serve(stop).await?;
        drop(show);
        drop(folder);
        Ok(ExitCode::SUCCESS)
    })
}

/// Prints at once; a closed standard output does not stop the gateway.
fn say(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
