//! A million rows through every client: what arrives, and what it costs the gateway's memory.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::matrix::{CLIENTS, Lines, Server};
use crate::support::TestGateway;

const ROWS: u64 = 1_000_000;
/// What the gateway's memory may grow by, in kilobytes.
const GROWTH: u64 = 150 * 1024;

/// The program itself, so that its memory is nobody else's.
struct Gateway {
    process: Child,
    address: SocketAddr,
}

impl Gateway {
    fn start(folder: &Path) -> Self {
        TestGateway::write_to(folder, |_| {});
        let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let file = folder.join("featgres.toml");
        let registry = folder.join("registry");
        let mut config = std::fs::File::create(&file).expect("a configuration");
        write!(config, "project = \"test\"\nlisten = \"{address}\"\nregistry = \"file://{}\"\n", registry.display())
            .expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_featgres"));
        // Variables of the tests are no settings of the gateway's.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FEATGRES_")) {
            command.env_remove(name);
        }
        let process = command
            .args(["serve", "--config"])
            .arg(&file)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the gateway starts");
        let patience = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < patience, "the gateway does not listen");
            std::thread::yield_now();
        }
        Self { process, address }
    }

    /// A line of its status: resident memory, or the most there was of it, in kilobytes.
    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_default();
        line.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the clients' own words for the rows have in common.
fn is_all_of_it(shown: &str) -> bool {
    shown.contains(&ROWS.to_string()) && shown.contains(&format!("row {ROWS}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_rows_through_every_client() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = Gateway::start(folder.path());
    let server = Server { address: gateway.address, user: "tester".to_owned(), database: "test".to_owned(), encrypted: None };
    // The first statement loads what every later one uses.
    let _: Lines = super::rust::lines(&server.conninfo(), Some(1), None).await;
    for client in CLIENTS {
        let lines = match client.lines(&server, Some(ROWS)).await {
            Ok(lines) => lines,
            Err(why) => {
                eprintln!("SKIPPED: a million rows through {}: {why}", client.name);
                continue;
            }
        };
        let Some((_, shown)) = lines.iter().find(|(name, _)| name == "a large fetch") else {
            assert_eq!(client.name, "connectorx", "{lines:?}");
            continue;
        };
        assert!(is_all_of_it(shown), "{}: {shown}", client.name);
        let sums = [(ROWS * (ROWS + 1) / 2).to_string(), format!("{:.1}", (ROWS * (ROWS + 1)) as f64 / 4.0)];
        if shown.matches(',').count() > 4 {
            assert!(sums.iter().all(|sum| shown.contains(sum)), "{}: {shown}", client.name);
        }
        println!("{}: {} kB of memory", client.name, gateway.memory("VmRSS:"));
    }
    // Its operators and its allocator keep some of what the first of these took; each later one must not add to it.
    let (settled, most) = (gateway.memory("VmRSS:"), gateway.memory("VmHWM:"));
    if settled == 0 {
        return eprintln!("SKIPPED: the memory of a million rows: there is no /proc");
    }
    let before = gateway.memory("VmRSS:");
    let _: Lines = super::rust::lines(&server.conninfo(), Some(ROWS), None).await;
    assert!(gateway.memory("VmHWM:").saturating_sub(before.min(most)) < GROWTH, "{most} kB at the most");
}
