//! `featgres apply`: the definitions of a file, in one transaction, through the same session that a client would have.
//!
//! Nothing listens meanwhile. With `--dry-run` the transaction is rolled back, and what it would have made of the registry is
//! shown object by object. Only definitions are taken: a file that queries, or that ends the transaction itself, is refused
//! before anything runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::AsArray;
use futures::StreamExt;

use super::{block_on, serve};
use crate::config::Config;
use crate::error::{Report, SqlState};
use crate::registry::{RegistrySnapshot, entity_definition, feature_view_definition};
use crate::server::Server;
use crate::session::{Backend, Gateway, Response, SharedGateway, Startup};
use crate::spelling::quote_ident;
use crate::sql::{self, Statement};

/// The role that the registry's history names.
const ROLE: &str = "featgres";

/// Kind and name to the DDL that creates it.
type Definitions = BTreeMap<(&'static str, String), String>;

pub(super) fn apply(config: Config, file: &Path, dry_run: bool) -> Result<ExitCode, Report> {
    let text = std::fs::read_to_string(file)
        .map_err(|failure| Report::new(SqlState::IO_ERROR, format!("could not read \"{}\": {failure}", file.display())))?;
    apply_text(config, file, &text, dry_run)
}

/// The same for a text; `file` is what errors call it.
pub(super) fn apply_text(mut config: Config, file: &Path, text: &str, dry_run: bool) -> Result<ExitCode, Report> {
    let placed = |report: Report| in_file(report, file, text);
    let positions = definitions_only(text).map_err(placed)?;
    serve::create_embedded(&config)?;
    // A port of its own, which nobody is told and nothing accepts from.
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.http.listen = None;
    block_on(async {
        let project = config.project.clone();
        let server = Server::open(config).await?;
        let before = definitions(&server.gateway().registry.current());
        let gateway = SharedGateway(Arc::clone(server.gateway()));
        let mut session = gateway.open(startup(project)).await?;
        run(&mut session, "BEGIN").await?;
        session.parse_script(text).map_err(placed)?;
        let mut tags = Vec::new();
        for (index, position) in positions.into_iter().enumerate() {
            let response = session.run_script_statement(index).await;
            for notice in session.take_notices() {
                eprintln!("{}:  {}", notice.severity, notice.message);
            }
            // An error without a place of its own is about the whole statement.
            let at = |mut report: Report| {
                report.position.get_or_insert(position);
                placed(report)
            };
            if let Response::Done(tag) = response.map_err(at)? {
                tags.push(tag);
            }
        }
        if dry_run {
            let after = registered(&mut session).await?;
            run(&mut session, "ROLLBACK").await?;
            print!("{}", difference(&before, &after));
        } else {
            run(&mut session, "COMMIT").await?;
            // Only now is it true.
            tags.iter().for_each(|tag| println!("{tag}"));
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn startup(project: String) -> Startup {
    let secret = uuid::Uuid::new_v4().as_bytes().to_vec();
    Startup { user: ROLE.to_owned(), database: project, parameters: Vec::new(), peer: None, process_id: 1, secret, encryption: None }
}

/// Where each statement begins; anything but definitions is refused.
fn definitions_only(text: &str) -> Result<Vec<usize>, Report> {
    let mut positions = Vec::new();
    for statement in sql::parse(text)? {
        positions.push(statement.position);
        match statement.statement {
            // What is not supported is told by name when it is run.
            Statement::CreateEntity(_) | Statement::CreateFeatureView(_) | Statement::Drop(_) | Statement::NotSupported { .. } => {}
            _ => {
                let words: Vec<&str> = statement.text.split_whitespace().take(3).collect();
                return Err(Report::new(SqlState::FEATURE_NOT_SUPPORTED, format!("\"{} …\" is not a definition", words.join(" ")))
                    .hint("apply takes CREATE and DROP of entities and feature views; the transaction around them is its own.")
                    .position(statement.position));
            }
        }
    }
    Ok(positions)
}

/// The report with the file's line before its message.
fn in_file(mut report: Report, file: &Path, text: &str) -> Report {
    if let Some(position) = report.position.take() {
        let before: String = text.chars().take(position.saturating_sub(1)).collect();
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        report.message = format!("{}:{}:{column}: {}", file.display(), before.matches('\n').count() + 1, report.message);
    }
    report
}

/// Runs one statement of ours; rows are given as text, the first two columns of each.
async fn run<B: Backend>(session: &mut B, text: &str) -> Result<Vec<String>, Report> {
    let mut found = Vec::new();
    session.parse_script(text)?;
    if let Response::Rows(mut rows) = session.run_script_statement(0).await? {
        while let Some(batch) = rows.stream.next().await {
            let batch = batch?;
            if let Some(texts) = batch.columns().first().and_then(|column| column.as_string_opt::<i32>()) {
                found.extend(texts.iter().flatten().map(str::to_owned));
            }
        }
    }
    Ok(found)
}

/// What the session sees inside its transaction.
async fn registered<B: Backend>(session: &mut B) -> Result<Definitions, Report> {
    let mut found = Definitions::new();
    for (kind, list) in [("ENTITY", "SHOW ENTITIES"), ("FEATURE VIEW", "SHOW FEATURE VIEWS")] {
        for name in run(session, list).await? {
            let definition = run(session, &format!("SHOW CREATE {kind} {}", quote_ident(&name))).await?.concat();
            found.insert((kind, name), definition);
        }
    }
    Ok(found)
}

fn definitions(snapshot: &RegistrySnapshot) -> Definitions {
    let entities = snapshot.entities.iter().map(|(name, entity)| (("ENTITY", name.clone()), entity_definition(entity)));
    let views = snapshot.feature_views.iter().map(|(name, view)| (("FEATURE VIEW", name.clone()), feature_view_definition(view)));
    entities.chain(views).collect()
}

/// Object by object: `+` is made, `-` is dropped, `~` is changed, with the lines that go and come.
fn difference(before: &Definitions, after: &Definitions) -> String {
    let mut out = String::new();
    let mut changes = 0;
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in names {
        let (old, new) = (before.get(key), after.get(key));
        if old == new {
            continue;
        }
        changes += 1;
        let sign = match (old, new) {
            (None, _) => '+',
            (_, None) => '-',
            _ => '~',
        };
        out.push_str(&format!("{sign} {} {}\n", key.0, quote_ident(&key.1)));
        let lines = |text: Option<&String>| text.map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default();
        let (old, new) = (lines(old), lines(new));
        for (sign, lines, other) in [('-', &old, &new), ('+', &new, &old)] {
            for line in lines.iter().filter(|line| !other.contains(line)) {
                out.push_str(&format!("    {sign} {line}\n"));
            }
        }
    }
    if changes == 0 {
        out.push_str("no changes\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_names_what_comes_and_goes() {
        let object = |name: &str, text: &str| (("ENTITY", name.to_owned()), text.to_owned());
        let before =
            Definitions::from([object("a", "CREATE ENTITY a\nKEY (x BIGINT)"), object("b", "CREATE ENTITY b"), object("s", "same")]);
        let after =
            Definitions::from([object("a", "CREATE ENTITY a\nKEY (y BIGINT)"), object("c", "CREATE ENTITY c"), object("s", "same")]);
        let expected = "~ ENTITY a\n    - KEY (x BIGINT)\n    + KEY (y BIGINT)\n- ENTITY b\n    - CREATE ENTITY b\n+ ENTITY c\n    + CREATE ENTITY c\n";
        assert_eq!(difference(&before, &after), expected);
        assert_eq!(difference(&before, &before), "no changes\n");
    }

    #[test]
    fn errors_are_placed_in_the_file() {
        let report = Report::new(SqlState::SYNTAX_ERROR, "no").position(12);
        assert_eq!(in_file(report, Path::new("f.sql"), "SELECT 1;\n\nDROP").message, "f.sql:3:1: no");
    }

    #[test]
    fn only_definitions_are_applied() {
        let report = definitions_only("CREATE ENTITY a KEY (x BIGINT); COMMIT;").unwrap_err();
        assert_eq!((report.message.as_str(), report.position), ("\"COMMIT …\" is not a definition", Some(33)));
        assert!(definitions_only("DROP ENTITY IF EXISTS a; CREATE ENTITY a KEY (x BIGINT)").is_ok());
    }
}
