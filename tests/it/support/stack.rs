//! The real servers (S3, Nessie, Trino), where their scripts are beside the checkout: `FEATGRES_STACK`, or `shared/stack`.
//!
//! A test asks for what it needs and gets it running, or says by its name why it is skipped. Downloads are for the CI run or
//! a person to begin (`up.sh`): a plain `cargo test` starts only what is on the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use featgres::config::{Config, Overrides};
use prusto::{Client, ClientBuilder, Row};
use serde_json::Value;

/// Running servers.
pub struct Stack {
    folder: PathBuf,
    /// What `up.sh` printed: `TRINO_URL`, `NESSIE_URI`, `AWS_…`.
    pub variables: BTreeMap<String, String>,
}

impl Stack {
    /// With these components of `up.sh` running; none, after a line on stderr, where that cannot be.
    pub async fn up(test: &str, components: &[&str]) -> Option<Self> {
        let components: Vec<String> = components.iter().map(|component| (*component).to_owned()).collect();
        match tokio::task::spawn_blocking(move || Self::start(&components)).await.expect("the starter ends") {
            Ok(stack) => Some(stack),
            Err(why) => {
                eprintln!("SKIPPED: {test}: {why}");
                None
            }
        }
    }

    fn start(components: &[String]) -> Result<Self, String> {
        let folder = match (std::env::var_os("FEATGRES_STACK"), std::env::var_os("FEATGRES_SHARED")) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(shared)) => PathBuf::from(shared).join("stack"),
            (None, None) => PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().ok_or("no parent folder")?.join("shared/stack"),
        };
        if !folder.join("up.sh").exists() {
            return Err(format!("{} has no up.sh (FEATGRES_STACK names the folder)", folder.display()));
        }
        let cache = std::env::var_os("STACK_CACHE").map(PathBuf::from).or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(PathBuf::from(home).join(".cache/featgres-stack"))
        });
        let downloaded = cache.and_then(|cache| std::fs::read_dir(cache).ok()).into_iter().flatten().flatten();
        let downloaded = downloaded.filter(|entry| entry.path().join(".complete").exists()).count();
        let wanted = components.iter().any(|component| component.starts_with("trino")) as usize
            + usize::from(components.iter().any(|component| component == "trino-new"));
        if downloaded < wanted {
            return Err(format!("its servers are not downloaded; {}/up.sh does it", folder.display()));
        }
        // Servers that it starts inherit its pipes, so what it prints goes to a file and is not waited for.
        let log = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let stderr = log.reopen().map_err(|error| error.to_string())?;
        let output = Command::new(folder.join("up.sh"))
            .args(components)
            .stdin(Stdio::null())
            .stderr(stderr)
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            let said = std::fs::read_to_string(log.path()).unwrap_or_default();
            return Err(format!("up.sh failed: {}", said.lines().last().unwrap_or_default()));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let variables = text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned()));
        Ok(Self { folder, variables: variables.collect() })
    }

    /// A value that `up.sh` printed.
    pub fn get(&self, key: &str) -> &str {
        self.variables.get(key).unwrap_or_else(|| panic!("up.sh printed no {key}"))
    }

    /// A configuration from the original deployment's variables and these of ours, in a folder of the test's own.
    pub fn config(&self, folder: &std::path::Path, more: &[(&str, &str)]) -> Config {
        let original =
            ["S3_BUCKET", "S3_ICEBERG_BASE_PATH", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL_S3"];
        let environment = original.iter().map(|key| ((*key).to_owned(), self.get(key).to_owned()));
        let environment = environment.chain(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let registry = format!("file://{}/registry", folder.display());
        let overrides = Overrides { listen: Some("127.0.0.1:0".to_owned()), registry: Some(registry) };
        Config::load(None, environment, &overrides).expect("a configuration")
    }

    /// Runs `nessie.sh`.
    pub async fn nessie(&self, arguments: &[&str]) -> String {
        let output = tokio::process::Command::new(self.folder.join("nessie.sh")).args(arguments).output().await.expect("nessie.sh runs");
        assert!(output.status.success(), "nessie.sh {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// A client of Trino, as another program would be.
pub struct TrinoSession(Client);

impl TrinoSession {
    /// Of the Trino at this URL.
    pub fn new(url: &str) -> Self {
        let url = url::Url::parse(url).expect("Trino's URL");
        let port = url.port().expect("a port");
        let client =
            ClientBuilder::new("tester", url.host_str().expect("a host")).port(port).client_request_timeout(Duration::from_secs(120));
        Self(client.build().expect("a client"))
    }

    /// Runs a statement without rows of interest.
    pub async fn run(&self, sql: &str) {
        if let Err(error) = self.0.execute(sql.to_owned()).await {
            panic!("{sql}\n{error}");
        }
    }

    /// The rows of a query, each cell as text: numbers in one spelling, NULL as `null`.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        match self.0.get_all::<Row>(sql.to_owned()).await {
            Ok(rows) => rows.into_vec().into_iter().map(|row| row.into_json().iter().map(cell).collect()).collect(),
            Err(error) => panic!("{sql}\n{error}"),
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

/// A cell in the spelling that [`TrinoSession::rows`] gives: `12` and `12.0` are one number.
pub fn plain(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => text.to_owned(),
    }
}
