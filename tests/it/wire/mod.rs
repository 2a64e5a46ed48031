//! The protocol against a running gateway: encryption, limits, fuzzing, many sessions at once.

mod dice;
mod fuzz_frames;
mod fuzz_sql;
mod limits;
mod raw;
mod stress;
mod tls;
mod transcript;
mod transcripts;
mod watch;

use std::process::{Output, Stdio};

/// Whether a program answers; says so if not.
pub(crate) async fn installed(test: &str, program: &str) -> bool {
    let status = tokio::process::Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    let found = status.is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: {test}: {program} does not run");
    }
    found
}

/// All that a program said.
pub(crate) fn told(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Seconds that a fuzzer or a stress test takes: its own few, or as many as the variable says.
pub(crate) fn seconds(variable: &str, few: u64) -> std::time::Duration {
    let seconds = std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(few);
    std::time::Duration::from_secs(seconds)
}
