//! `sql/*.sql` and the README's SQL run as they stand, over the tables of `featgres demo`.

use std::path::PathBuf;

use featgres::demo::session;

use crate::support::{TestGateway, root};

/// Runs a script as psql would, and fails with its output if a statement of it does.
async fn run(gateway: &TestGateway, name: &str, script: String) -> String {
    let address = gateway.address;
    let (outcome, output) = tokio::task::spawn_blocking(move || {
        let mut output = Vec::new();
        let outcome = session::run(address, "tester", "test", &script, &mut output);
        (outcome, String::from_utf8_lossy(&output).into_owned())
    })
    .await
    .expect("the script runs");
    let outcome = outcome.unwrap_or_else(|failure| panic!("{name}: {failure}\n{output}"));
    assert!(outcome.statements > 0, "{name} has statements");
    assert_eq!(outcome.errors, 0, "{name}:\n{output}");
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quickstart_runs_twice() {
    let gateway = TestGateway::of_the_demo().await;
    let script = std::fs::read_to_string(root().join("sql/quickstart.sql")).expect("the quickstart");
    run(&gateway, "quickstart", script.clone()).await;
    run(&gateway, "quickstart, again", script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_runs() {
    let gateway = TestGateway::of_the_demo().await;
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join("sql/examples")).expect("sql/examples").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let script = std::fs::read_to_string(&file).expect("an example");
        run(&gateway, &file.display().to_string(), script).await;
    }
}

/// Fenced blocks of this language, in their order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        match &mut current {
            Some(_) if line.trim() == "```" => found.extend(current.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
            None if line.trim() == format!("```{language}") => current = Some(String::new()),
            None => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_sql_runs_in_its_order() {
    let gateway = TestGateway::of_the_demo().await;
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let quickstart = std::fs::read_to_string(root().join("sql/quickstart.sql")).expect("the quickstart");
    let output = run(&gateway, "quickstart", quickstart).await;
    let shown = readme.split_once("<!-- quickstart -->").and_then(|(_, rest)| rest.split_once("<!-- /quickstart -->"));
    for block in blocks(shown.expect("the quickstart's output in the README").0, "console") {
        assert!(output.contains(block.trim_end()), "the README shows what the quickstart prints now:\n{output}");
    }
    let blocks = blocks(&readme, "sql");
    assert!(!blocks.is_empty(), "the README has SQL in it");
    for (number, block) in blocks.into_iter().enumerate() {
        run(&gateway, &format!("block {} of the README", number + 1), block).await;
    }
}
