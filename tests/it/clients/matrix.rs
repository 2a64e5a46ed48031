//! The same cases through every client that is installed, on featgres and on PostgreSQL, and the table of it in the README.
//!
//! A client's program prints a line per case. What PostgreSQL made of it is kept in `tests/clients/expected`, so that the comparison needs no
//! server; where there is one, it is asked again. `FEATGRES_CLIENTS` is the folder with the clients (`.ci/run` fills it): `python/bin/python`,
//! `node/node_modules`, `go/matrix`, `java/*.jar`, `sqlx/matrix`. With `FEATGRES_CLIENTS_REWRITE=1` the expected lines, the results and the README's table are written anew.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::process::Command;

use super::encrypted::Encrypted;
use super::rust;
use crate::support::{Authority, PostgreSql, TestGateway, root};

/// A client: its name in files, its name for people, and how it is run.
pub(super) struct Client {
    pub(super) name: &'static str,
    title: &'static str,
    run: Run,
}

/// What runs a client's program.
#[derive(Clone, Copy, PartialEq)]
enum Run {
    Psql,
    Python,
    Node,
    Go,
    Java,
    Sqlx,
    Rust,
}

pub(super) const CLIENTS: &[Client] = &[
    Client { name: "psql", title: "psql", run: Run::Psql },
    Client { name: "psycopg2", title: "psycopg2", run: Run::Python },
    Client { name: "psycopg3", title: "psycopg 3", run: Run::Python },
    Client { name: "asyncpg", title: "asyncpg", run: Run::Python },
    Client { name: "pg8000", title: "pg8000", run: Run::Python },
    Client { name: "sqlalchemy", title: "SQLAlchemy, pandas", run: Run::Python },
    Client { name: "adbc", title: "ADBC", run: Run::Python },
    Client { name: "connectorx", title: "ConnectorX, polars", run: Run::Python },
    Client { name: "pyodbc", title: "psqlODBC, pyodbc", run: Run::Python },
    Client { name: "tokio-postgres", title: "tokio-postgres", run: Run::Rust },
    Client { name: "sqlx", title: "sqlx", run: Run::Sqlx },
    Client { name: "pgjdbc", title: "pgjdbc", run: Run::Java },
    Client { name: "pg", title: "node-pg", run: Run::Node },
    Client { name: "postgres", title: "postgres.js", run: Run::Node },
    Client { name: "pgx", title: "pgx", run: Run::Go },
    Client { name: "pq", title: "lib/pq", run: Run::Go },
];
const BEGIN: &str = "<!-- clients:begin -->";
const END: &str = "<!-- clients:end -->";

/// A server to run clients against.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) user: String,
    pub(super) database: String,
    /// Where it wants TLS.
    pub(super) encrypted: Option<Encrypted>,
}

impl Server {
    /// Where a client of ours connects to.
    pub(super) fn conninfo(&self) -> String {
        format!("host={} port={} user={} dbname={}", self.address.ip(), self.address.port(), self.user, self.database)
    }
}

/// A client's cases in their order, each with what came back.
pub(super) type Lines = Vec<(String, String)>;

/// What is known of one client: version, how many cases, which of them differ.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    version: String,
    cases: usize,
    differing: Vec<String>,
}

fn expected_file(client: &Client) -> PathBuf {
    root().join(format!("tests/clients/expected/{}.tsv", client.name))
}

fn results_file() -> PathBuf {
    root().join("tests/clients/results.tsv")
}

impl Client {
    /// The command, or what is missing.
    fn command(&self) -> Result<Command, String> {
        let programs = root().join("tests/clients");
        let installed = |what: &str| -> Result<PathBuf, String> {
            let folder = std::env::var_os("FEATGRES_CLIENTS").map(PathBuf::from).ok_or("FEATGRES_CLIENTS is not set")?;
            let path = folder.join(what);
            if path.exists() { Ok(path) } else { Err(format!("{what} is not in FEATGRES_CLIENTS")) }
        };
        let mut command;
        match self.run {
            Run::Psql => {
                command = Command::new("psql");
                command.args(["-X", "-q", "-f"]).arg(programs.join("psql/matrix.sql"));
            }
            Run::Python => {
                command = Command::new(installed("python/bin/python")?);
                command.arg(programs.join("python/matrix.py")).arg(self.name);
            }
            Run::Node => {
                command = Command::new("node");
                command.arg(programs.join("node/matrix.mjs")).arg(self.name).env("NODE_PATH", installed("node/node_modules")?);
            }
            Run::Go => {
                command = Command::new(installed("go/matrix")?);
                command.arg(self.name);
            }
            Run::Sqlx => command = Command::new(installed("sqlx/matrix")?),
            Run::Java => {
                command = Command::new("java");
                command.arg("-cp").arg(installed("java/postgresql.jar")?).arg(programs.join("java/Matrix.java"));
            }
            Run::Rust => return Err("runs in the test".to_owned()),
        }
        Ok(command)
    }

    /// Runs the cases against a server, or the large fetch alone, of so many rows; why not, if the client is not there.
    pub(super) async fn lines(&self, server: &Server, rows: Option<u64>) -> Result<Lines, String> {
        if self.run == Run::Rust {
            return Ok(rust::lines(&server.conninfo(), rows, server.encrypted.as_ref()).await);
        }
        let mut command = self.command()?;
        if let Some(rows) = rows {
            if self.run == Run::Psql {
                command = Command::new("psql");
                command
                    .args(["-X", "-At", "-F", ", ", "-c"])
                    .arg(format!("SELECT g::int8 AS id, 'row ' || g::text AS name FROM generate_series(1::int8, {rows}::int8) AS t(g)"));
            }
            command.env("FEATGRES_ROWS", rows.to_string()).env("FEATGRES_CASES", "a large fetch");
        }
        if let Some(encrypted) = &server.encrypted {
            command.envs(encrypted.environment());
        }
        command
            .env("PGHOST", server.address.ip().to_string())
            .env("PGPORT", server.address.port().to_string())
            .env("PGUSER", &server.user)
            .env("PGDATABASE", &server.database)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .current_dir(root())
            .kill_on_drop(true);
        let output = match tokio::time::timeout(std::time::Duration::from_secs(180), command.output()).await {
            Ok(output) => output.map_err(|error| format!("it does not run: {error}"))?,
            Err(_) => return Ok(vec![("all of it".to_owned(), "took longer than three minutes".to_owned())]),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if self.run == Run::Psql && rows.is_some() {
            let shown = format!("{} rows, the last {}", text.lines().count(), text.lines().last().unwrap_or_default());
            return Ok(vec![("a large fetch".to_owned(), shown)]);
        }
        if self.run == Run::Psql {
            let version = Command::new("psql").arg("--version").output().await.map_err(|error| error.to_string())?;
            let version = String::from_utf8_lossy(&version.stdout).split(' ').nth(2).unwrap_or_default().trim().to_owned();
            return Ok(sections(&version, &text, &String::from_utf8_lossy(&output.stderr)));
        }
        let lines: Lines =
            text.lines().filter_map(|line| line.split_once('\t')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if rows.is_some() || lines.iter().any(|(name, _)| name == "connect" || name.starts_with("frame")) {
            return Ok(lines);
        }
        let told = String::from_utf8_lossy(&output.stderr);
        // A module that is not there is the machine's matter; everything after that is ours.
        if told.contains("ModuleNotFoundError") || told.contains("StopIteration") || told.contains("libodbc") {
            return Err(told.lines().last().unwrap_or("it is not installed").to_owned());
        }
        Ok(vec![("connect".to_owned(), told.into_owned())])
    }
}

/// psql's output, cut at its headings.
fn sections(version: &str, text: &str, errors: &str) -> Lines {
    let mut found = vec![("version".to_owned(), version.to_owned())];
    for line in text.lines() {
        match (line.strip_prefix("== "), found.last_mut()) {
            (Some(title), _) => found.push((title.to_owned(), String::new())),
            (None, Some((_, body))) if body.is_empty() => *body = line.to_owned(),
            (None, Some((_, body))) => *body = format!("{body}\\n{line}"),
            (None, None) => {}
        }
    }
    let codes = errors.lines().map(|line| line.rsplit_once(": ").map_or(line, |(_, code)| code));
    found.push(("errors and notices".to_owned(), codes.collect::<Vec<_>>().join(" ")));
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn written(lines: &Lines) -> String {
    lines.iter().filter(|(name, _)| name != "version").map(|(name, value)| format!("{name}\t{value}\n")).collect()
}

fn results() -> BTreeMap<String, Outcome> {
    read(&results_file())
        .lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            let (name, version) = (fields.next()?.to_owned(), fields.next()?.to_owned());
            let cases = fields.next()?.parse().ok()?;
            let differing = fields.next().unwrap_or_default().split("; ").filter(|name| !name.is_empty()).map(str::to_owned).collect();
            Some((name, Outcome { version, cases, differing }))
        })
        .collect()
}

/// The README's table.
fn table(results: &BTreeMap<String, Outcome>) -> String {
    let mut table = "| client | version | cases as on PostgreSQL | what differs |\n|---|---|---|---|\n".to_owned();
    for client in CLIENTS {
        let Some(Outcome { version, cases, differing }) = results.get(client.name) else { continue };
        let same = cases - differing.len();
        table.push_str(&format!("| {} | {version} | {same} of {cases} | {} |\n", client.title, differing.join(", ")));
    }
    table
}

fn readme_with(table: &str) -> Option<String> {
    let readme = read(&root().join("README.md"));
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}{END}{after}"))
}

#[test]
fn the_readme_shows_the_results() {
    let wanted = readme_with(&table(&results())).expect("the README has a place for the table");
    assert_eq!(read(&root().join("README.md")), wanted, "write it anew with FEATGRES_CLIENTS_REWRITE=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_what_they_see_on_postgresql() {
    let gateway = TestGateway::start().await;
    let (authority, other) = (Arc::new(Authority::new()), Arc::new(Authority::new()));
    let (_encrypted, encrypted) = Encrypted::gateway(&authority, &other).await;
    let ours = Server { address: gateway.address, user: "tester".to_owned(), database: "test".to_owned(), encrypted: Some(encrypted) };
    let trusted = Arc::clone(&authority);
    let postgres = tokio::task::spawn_blocking(move || PostgreSql::with(Some(&trusted))).await.expect("the server is started or not");
    let theirs = match &postgres {
        Ok(server) => Some(Server {
            address: server.address,
            user: server.user.clone(),
            database: server.database.clone(),
            encrypted: Encrypted::postgres(server, &authority, &other).await,
        }),
        Err(why) => {
            eprintln!("SKIPPED: a fresh answer of PostgreSQL: {why}");
            None
        }
    };
    let rewrite = std::env::var_os("FEATGRES_CLIENTS_REWRITE").is_some();
    let mut known = results();
    let mut wrong = Vec::new();
    for client in CLIENTS {
        let (found, fresh) = tokio::join!(client.lines(&ours, None), async {
            match &theirs {
                Some(theirs) => client.lines(theirs, None).await.ok(),
                None => None,
            }
        });
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                eprintln!("SKIPPED: {}: {why}", client.name);
                continue;
            }
        };
        if let Some(fresh) = &fresh {
            if rewrite {
                std::fs::write(expected_file(client), written(fresh)).expect("the expected lines are written");
            } else if written(fresh) != read(&expected_file(client)) {
                eprintln!("{}: PostgreSQL answers otherwise than recorded; that is compared with", client.name);
            }
        }
        let expected = fresh.map_or_else(|| read(&expected_file(client)), |fresh| written(&fresh));
        let expected: Vec<(&str, &str)> = expected.lines().filter_map(|line| line.split_once('\t')).collect();
        let value = |name: &str| found.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let differing: Vec<&(&str, &str)> = expected.iter().filter(|(name, wanted)| value(name) != Some(wanted)).collect();
        let outcome = Outcome {
            version: value("version").unwrap_or_default().to_owned(),
            cases: expected.len(),
            differing: differing.iter().map(|(name, _)| (*name).to_owned()).collect(),
        };
        for (name, wanted) in &differing {
            if !known.get(client.name).is_some_and(|known| known.differing.iter().any(|known| known == name)) {
                let found = value(name).unwrap_or("nothing");
                wrong.push(format!("{}: {name}\n    PostgreSQL: {wanted}\n    featgres:   {found}", client.name));
            }
        }
        println!("{}: {} of {} cases as on PostgreSQL", client.name, outcome.cases - outcome.differing.len(), outcome.cases);
        known.insert(client.name.to_owned(), outcome);
    }
    if rewrite {
        let lines = known
            .iter()
            .map(|(name, Outcome { version, cases, differing })| format!("{name}\t{version}\t{cases}\t{}\n", differing.join("; ")));
        std::fs::write(results_file(), lines.collect::<String>()).expect("the results are written");
        let readme = readme_with(&table(&known)).expect("the README has a place for the table");
        std::fs::write(root().join("README.md"), readme).expect("the README is written");
    }
    assert!(wrong.is_empty(), "{} cases differ that are not known to:\n{}", wrong.len(), wrong.join("\n"));
}
