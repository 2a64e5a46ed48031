//! The binary, started as an operator would, and its log.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// `featgres …` without any of our variables.
pub fn featgres() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_featgres"));
    let ours = |name: &str| ["FEATGRES_", "AWS_", "S3_"].iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    command
}

/// A running `featgres serve`, killed with its drop; its log as JSON lines.
pub struct Serving {
    child: Child,
    lines: Receiver<String>,
    log: String,
}

impl Serving {
    /// Starts it with this configuration file in this folder.
    pub fn start(folder: &Path, config: &Path) -> Self {
        Self::start_with(folder, config, &[])
    }

    /// The same with these variables.
    pub fn start_with(folder: &Path, config: &Path, environment: &[(&str, String)]) -> Self {
        let mut child = featgres()
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .args(["serve", "--config"])
            .arg(config)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("its log");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, log: String::new() }
    }

    /// Reads the log up to the line that holds these words.
    pub fn wait_for(&mut self, words: &str) -> String {
        loop {
            let line = self.lines.recv().unwrap_or_else(|_| panic!("it ended before it said \"{words}\":\n{}", self.log));
            self.log.push_str(&line);
            self.log.push('\n');
            if line.contains(words) {
                return line;
            }
        }
    }

    /// The value of a field of a JSON line.
    pub fn field(line: &str, name: &str) -> String {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
        line[name].as_str().map_or_else(|| line[name].to_string(), str::to_owned)
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Ends it, and gives its exit status and all of its log.
    pub fn stop(mut self) -> (Option<i32>, String) {
        self.signal("TERM");
        let status = self.child.wait().expect("its status");
        while let Ok(line) = self.lines.recv() {
            self.log.push_str(&line);
            self.log.push('\n');
        }
        (status.code(), std::mem::take(&mut self.log))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
