//! [`PostgreSql`]: a real server of the test's own, to hold featgres to; none where PostgreSQL's server is not installed.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Authority;

/// A running server.
pub struct PostgreSql {
    /// Where it listens.
    pub address: SocketAddr,
    /// A superuser that needs no password.
    pub user: String,
    /// Its database.
    pub database: String,
    /// Whether it was started with a certificate.
    pub encrypted: bool,
    /// The process, if this test started it, and its folder.
    process: Option<(Child, tempfile::TempDir)>,
}

impl PostgreSql {
    /// The server of `FEATGRES_POSTGRES` (`postgresql://user@host:port/database`), or a new one; why not, if there is none.
    pub fn start() -> Result<Self, String> {
        Self::with(None)
    }

    /// The same; a new one speaks TLS with the authority's certificate, and wants passwords of the role `alice`.
    pub fn with(authority: Option<&Authority>) -> Result<Self, String> {
        match std::env::var("FEATGRES_POSTGRES") {
            Ok(url) => Self::at(&url).ok_or_else(|| format!("FEATGRES_POSTGRES is no postgresql://user@host:port/database: {url}")),
            Err(_) => Self::new(authority),
        }
    }

    fn at(url: &str) -> Option<Self> {
        let (user, rest) = url.strip_prefix("postgresql://")?.split_once('@')?;
        let (address, database) = rest.split_once('/')?;
        let address = address.to_socket_addrs().ok()?.next()?;
        Some(Self { address, user: user.to_owned(), database: database.to_owned(), encrypted: false, process: None })
    }

    fn new(authority: Option<&Authority>) -> Result<Self, String> {
        let programs = programs().ok_or("initdb and postgres are not installed")?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        // The server refuses to run as root.
        let other = if output("id", &["-u"]).as_deref() == Some("0") { Some(another_user()?) } else { None };
        if let Some(uid) = other {
            let owned = std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
                .and_then(|()| chown(folder.path(), Some(uid), Some(uid)));
            owned.map_err(|error| error.to_string())?;
        }
        let command = |program: &str| match other {
            None => Command::new(programs.join(program)),
            Some(uid) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()]);
                command.arg(programs.join(program));
                command
            }
        };
        let data = folder.path().join("data");
        let made = command("initdb")
            .args(["-A", "trust", "-U", "tester", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .map_err(|error| format!("initdb does not run: {error}"))?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        if let Some(authority) = authority {
            encrypt(&data, authority, other).map_err(|error| error.to_string())?;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(|error| error.to_string())?.port();
        let mut server = command("postgres");
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k", ""]);
        for setting in
            ["listen_addresses=127.0.0.1", "fsync=off", "timezone=UTC", "log_timezone=UTC", "lc_messages=C", "max_connections=50"]
        {
            server.args(["-c", setting]);
        }
        if authority.is_some() {
            server.args(["-c", "ssl=on"]);
        }
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let server = Self {
            address,
            user: "tester".to_owned(),
            database: "postgres".to_owned(),
            encrypted: authority.is_some(),
            process: Some((process, folder)),
        };
        // It listens before it lets anybody in; this is where its own tools look for whether it does.
        let status = data.join("postmaster.pid");
        let patience = Instant::now() + Duration::from_secs(30);
        while !std::fs::read_to_string(&status).is_ok_and(|text| text.lines().nth(7).is_some_and(|word| word.trim_end() == "ready")) {
            if Instant::now() > patience {
                return Err("the server does not let anybody in".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for PostgreSql {
    fn drop(&mut self) {
        if let Some((process, _)) = &mut self.process {
            // SIGINT is its "fast" shutdown, which also frees its shared memory.
            let _ = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
            let _ = process.wait();
        }
    }
}

/// Puts the certificate where the server looks for it, and a rule before those that trust everybody.
fn encrypt(data: &Path, authority: &Authority, owner: Option<u32>) -> std::io::Result<()> {
    authority.sign("postgres", "localhost", &["localhost", "127.0.0.1"]);
    for (from, to) in [("postgres.crt", "server.crt"), ("postgres.key", "server.key")] {
        let to = data.join(to);
        std::fs::copy(authority.path(from), &to)?;
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600))?;
        if let Some(uid) = owner {
            chown(&to, Some(uid), Some(uid))?;
        }
    }
    let rules = data.join("pg_hba.conf");
    let known = std::fs::read_to_string(&rules)?;
    std::fs::write(&rules, format!("hostssl all alice all scram-sha-256\n{known}"))
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The folder of the server's programs: where pg_config says, or where Debian puts the newest.
fn programs() -> Option<PathBuf> {
    let told = output("pg_config", &["--bindir"]).map(PathBuf::from);
    let mut packaged: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin")).collect();
    packaged.sort();
    let whole = |folder: &Path| ["initdb", "postgres"].iter().all(|program| folder.join(program).exists());
    told.into_iter().chain(packaged.into_iter().rev()).find(|folder| whole(folder))
}

/// Somebody who is not root.
fn another_user() -> Result<u32, String> {
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| output("id", &["-u", name])?.parse().ok())
        .ok_or_else(|| "it does not run as root, and there is no other user".to_owned())
}
