//! The command line: `serve`, `demo`, `check`, `apply`, `registry`, `print-config`, `import-feast`, `hash-password`.
//!
//! Results go to standard output, everything said about them to standard error. Exit status: 0 = done, 1 = it failed, 2 = the command line
//! itself was wrong. An error is printed as psql prints one: message, DETAIL, HINT.

mod apply;
mod check;
mod demo;
mod import_feast;
mod password;
mod registry;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Overrides};
use crate::error::{Report, SqlState};
use crate::telemetry;

/// A feature store that speaks PostgreSQL: point-in-time correct training data from Apache Iceberg tables.
#[derive(Debug, Parser)]
#[command(name = "featgres", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the configured catalogs to PostgreSQL clients, until SIGTERM or SIGINT.
    ///
    /// Without a file, and without FEATGRES_… variables, an embedded warehouse in ./featgres-data is created and served.
    /// SIGTERM stops accepting, lets running statements finish within `shutdown_timeout`, cancels the rest, and exits with 0.
    /// SIGHUP reads the configuration again and takes over its users and its log level, and reads certificates again; what else changed needs a restart.
    Serve(ConfigArguments),
    /// Write sample tables, serve them, run the quickstart over the socket, and stay up.
    ///
    /// The folder must be empty or an earlier demo's; a second start reuses it.
    Demo {
        /// The folder of the sample warehouse and its registry.
        #[arg(long, default_value = "featgres-demo")]
        dir: PathBuf,
        /// Where to listen, host:port; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:5433")]
        listen: SocketAddr,
    },
    /// Load the configuration and try every connection it names; one line each, exit status 1 if any fails.
    Check(ConfigArguments),
    /// Run the DDL of a file in one transaction: all of it or nothing.
    Apply {
        /// SQL statements: CREATE and DROP of entities and feature views.
        file: PathBuf,
        /// Show the difference that it would make to the registry, and make none. Exit status 0, whether there is one or not.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Read the registry.
    Registry {
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// Print the configuration as it is after file, environment and flags; secrets as ***.
    PrintConfig {
        /// Print the defaults instead.
        #[arg(long)]
        defaults: bool,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Print a Feast repository's definitions as DDL, or apply them.
    ///
    /// Reads feature_store.yaml and the registry that it names: a file (local or s3://), SQLite or PostgreSQL.
    ImportFeast {
        /// The folder with feature_store.yaml.
        repo: PathBuf,
        #[command(flatten)]
        import: import_feast::ImportArguments,
        #[command(flatten)]
        config: ConfigArguments,
    },
    /// Read a password from standard input and print its SCRAM-SHA-256 verifier, for [auth.users].
    HashPassword {
        /// Rounds of the key derivation; more cost an attacker, and every log-in, more.
        #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(4096..=1_000_000))]
        iterations: u32,
    },
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    /// Print the DDL that creates everything again.
    Dump(ConfigArguments),
    /// Read every version and say whether all are there and whole.
    Verify(ConfigArguments),
}

/// Where settings come from, for every command that needs them.
#[derive(Debug, Clone, Args)]
struct ConfigArguments {
    /// The configuration, a TOML file.
    #[arg(long, env = "FEATGRES_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, host:port; instead of the file's `listen`.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// URL or folder of the registry; instead of the file's `registry`.
    #[arg(long, value_name = "URL")]
    registry: Option<String>,
}

impl ConfigArguments {
    fn load(self) -> Result<Config, Report> {
        let overrides = Overrides { listen: self.listen, registry: self.registry };
        Ok(Config::load(self.config.as_deref(), environment(), &overrides)?)
    }
}

/// This process's variables; one that is not UTF-8 cannot be one of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(report) => {
            eprint!("{}", shown(&report));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Report> {
    match command {
        Command::Serve(config) => serve::serve(started(config.clone().load()?), config),
        Command::Demo { dir, listen } => demo::demo(&dir, listen),
        Command::Check(config) => check::check(&started(config.load()?)),
        Command::Apply { file, dry_run, config } => apply::apply(started(config.load()?), &file, dry_run),
        Command::Registry { command: RegistryCommand::Dump(config) } => registry::dump(&started(config.load()?)),
        Command::Registry { command: RegistryCommand::Verify(config) } => registry::verify(&started(config.load()?)),
        Command::PrintConfig { defaults, config } => {
            let config = if defaults { Config::default() } else { config.load()? };
            print!("{}", config.to_toml());
            Ok(ExitCode::SUCCESS)
        }
        Command::ImportFeast { repo, import, config } => import_feast::import(&repo, import, config),
        Command::HashPassword { iterations } => password::hash(iterations),
    }
}

/// Starts the log as configured.
fn started(config: Config) -> Config {
    telemetry::start(&config.telemetry);
    config
}

/// Beyond one per core: while statements hold theirs in one long step (a plan of thousands of expressions, a function of one huge value), the
/// others' logins, cancels and short statements still find one.
const SPARE_THREADS: usize = 6;

/// A runtime for one command.
fn block_on<T>(future: impl Future<Output = Result<T, Report>>) -> Result<T, Report> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(cores + SPARE_THREADS)
        // Statements may nest as deep as the parser's limits let them; the usual 2 MiB are too few for that.
        .thread_stack_size(crate::sql::STACK_SIZE)
        .build()
        .map_err(|failure| Report::new(SqlState::IO_ERROR, format!("could not start the runtime: {failure}")))?;
    keep_listening(runtime.handle().clone());
    runtime.block_on(future)
}

/// How long the sockets may go without anybody who looks at them.
const HEARTBEAT: Duration = Duration::from_millis(50);

/// The runtime's thread that waits at the sockets is the one that takes what arrives there, and while that is a long step none of its
/// sleeping threads goes to wait in its place. A task from outside wakes one, which does when it finds no more to do.
fn keep_listening(runtime: tokio::runtime::Handle) {
    let beat = move || {
        loop {
            std::thread::sleep(HEARTBEAT);
            // The task is gone with its runtime.
            drop(runtime.spawn(std::future::ready(())));
        }
    };
    // Without the thread all works, but for what comes while another statement is in a long step.
    let _ = std::thread::Builder::new().name("heartbeat".to_owned()).stack_size(64 * 1024).spawn(beat);
}

/// An error as psql prints one.
fn shown(report: &Report) -> String {
    let mut out = format!("featgres: {}\n", report.message);
    for (label, text) in [("DETAIL", &report.detail), ("HINT", &report.hint)] {
        if let Some(text) = text {
            out.push_str(&format!("{label}:  {text}\n"));
        }
    }
    out
}

#[cfg(test)]
#[path = "cli/tests.rs"]
mod tests;
