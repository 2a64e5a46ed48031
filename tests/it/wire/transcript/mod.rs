//! Wire transcripts: what a client sends and what a server answers, message by message, in files that people can read.
//!
//! A file of `tests/wire` is a list of cases, each on a connection of its own:
//!
//! ```text
//! == a parameter is described before it is bound
//! # a comment
//! > Parse s [] SELECT $1::int + 1 AS next
//! > Describe S s
//! > Sync
//! < ParseComplete
//! < ParameterDescription int4
//! < RowDescription next:int4
//! < ReadyForQuery I
//! ```
//!
//! `>` is sent, `<` must come back, in this order and with nothing between or after. `*` in an expected line stands for any text. Lines that only one
//! server is held to begin `featgres<` or `postgresql<`, one that may be missing begins `<?`, a case that only one has says `@featgres why` or `@postgresql why`; so
//! every difference between the two servers is written down where it is. The start-up is done by the runner, unless the first thing that is
//! sent is a start-up packet.
//!
//! The files are written by PostgreSQL: with `FEATGRES_WIRE_REWRITE=1` the answers of a real server replace the `<` lines (up to as many messages of
//! the kind that a block ends with as the block has), except in blocks that name a server.
//! Only the standard library is used, so that nothing the gateway uses can hide its own mistakes.

mod answer;
mod client;
mod script;

pub use client::Target;
use client::Wire;
use script::{Case, Line, Step, unescape_stars};

/// Runs a file's cases against a server; what differed, a paragraph per case, and how many cases ran.
pub fn run(name: &str, text: &str, target: &Target) -> (Vec<String>, usize) {
    let cases = match script::parse(text) {
        Ok(cases) => cases,
        Err(wrong) => return (vec![format!("{name}: {wrong}")], 0),
    };
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in cases.iter().filter(|case| case.is_for(target.name)) {
        ran += 1;
        if let Err(wrong) = play(case, target) {
            failures.push(format!("{name}: {}: {wrong}", case.title));
        }
    }
    (failures, ran)
}

fn play(case: &Case, target: &Target) -> Result<(), String> {
    let mut wire = Wire::connect(target, case.starts_itself())?;
    for step in &case.steps {
        match step {
            Step::Send(line) => wire.send(&line.text).map_err(|wrong| format!("line {}: {wrong}", line.number))?,
            Step::Expect(lines) => {
                let mut statuses = false;
                for line in lines.iter().filter(|line| line.is_for(target.name)) {
                    if line.text == "ParameterStatus *" {
                        statuses = true;
                        continue;
                    }
                    let found = wire.next(std::mem::take(&mut statuses), &line.text)?;
                    if !answer::matches(&line.text, &found) {
                        if line.is_optional() {
                            wire.put_back(found);
                            continue;
                        }
                        let after = wire.drain();
                        return Err(format!(
                            "line {}\n    expected {}\n    found    {found}{}",
                            line.number,
                            line.text,
                            after.iter().map(|each| format!("\n    then     {each}")).collect::<String>()
                        ));
                    }
                }
            }
        }
    }
    wire.end()
}

/// The file with the answers that this server gives.
pub fn rewrite(text: &str, target: &Target) -> Result<String, String> {
    let mut out: Vec<String> = text.lines().map(str::to_owned).collect();
    for case in script::parse(text)?.iter().rev().filter(|case| case.is_for(target.name)) {
        let mut wire = Wire::connect(target, case.starts_itself())?;
        let mut blocks: Vec<(&[Line], Vec<String>)> = Vec::new();
        for step in &case.steps {
            match step {
                Step::Send(line) => wire.send(&line.text).map_err(|wrong| format!("{}: line {}: {wrong}", case.title, line.number))?,
                Step::Expect(lines) => {
                    let fixed = lines.iter().any(|line| line.only.is_some());
                    let found = listen(&mut wire, lines, target).map_err(|wrong| format!("{}: {wrong}", case.title))?;
                    if !fixed {
                        blocks.push((lines, found));
                    }
                }
            }
        }
        wire.end().map_err(|wrong| format!("{}: {wrong}", case.title))?;
        for (lines, found) in blocks.into_iter().rev() {
            // A line that still holds keeps its wildcards.
            let kept = found.into_iter().enumerate().map(|(index, new)| match lines.get(index) {
                Some(old) if answer::matches(&old.text, &new) => format!("< {}", old.text),
                _ => format!("< {}", unescape_stars(&new)),
            });
            out.splice(lines[0].number - 1..lines[lines.len() - 1].number, kept);
        }
    }
    Ok(out.join("\n") + "\n")
}

/// Reads until as many messages of the block's last kind came as the block has.
fn listen(wire: &mut Wire, lines: &[Line], target: &Target) -> Result<Vec<String>, String> {
    let kind = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let lines: Vec<&Line> = lines.iter().filter(|line| line.is_for(target.name)).collect();
    let Some(last) = lines.last().map(|line| kind(&line.text)) else { return Ok(Vec::new()) };
    let statuses = lines.iter().any(|line| line.text == "ParameterStatus *");
    let wanted = lines.iter().filter(|line| kind(&line.text) == last).count();
    let mut found: Vec<String> = Vec::new();
    while found.iter().filter(|text| kind(text) == last).count() < wanted {
        let text = wire.next(false, &last).map_err(|wrong| format!("{wrong}, after {found:?}"))?;
        if text == "Closed" && last != "Closed" {
            return Err(format!("closed where {last} is expected, after {found:?}"));
        }
        match statuses && text.starts_with("ParameterStatus ") {
            true if found.last().is_some_and(|text| text == "ParameterStatus *") => {}
            true => found.push("ParameterStatus *".to_owned()),
            false => found.push(text),
        }
    }
    Ok(found)
}
