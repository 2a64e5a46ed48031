//! The walls of the house: who may import whom, a module document in every file, files that can be read in one sitting, no way to
//! die outside tests, no drawer for odds and ends.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules and the modules of ours that each may import. What is not listed is forbidden; `*` is everything.
const WALLS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("spelling", &[]),
    ("clock", &[]),
    ("civil", &[]),
    ("verifier", &[]),
    ("pg_type", &[]),
    ("pg_format", &["error", "civil", "pg_type"]),
    ("config", &["error", "verifier"]),
    ("telemetry", &["error", "config"]),
    ("storage", &["error", "config"]),
    ("sql", &["error"]),
    ("registry", &["error", "clock", "storage"]),
    ("source", &["error", "config", "clock", "civil", "storage"]),
    ("exec", &["error", "civil"]),
    ("table", &["error", "civil", "source", "storage", "exec"]),
    ("catalog", &["error", "civil", "pg_type", "pg_format", "registry"]),
    ("plan", &["error", "clock", "pg_type", "pg_format", "sql", "registry", "source", "table", "exec", "catalog"]),
    (
        "session",
        &[
            "error",
            "config",
            "clock",
            "pg_type",
            "pg_format",
            "storage",
            "sql",
            "registry",
            "source",
            "exec",
            "table",
            "catalog",
            "plan",
            "verifier",
        ],
    ),
    ("wire", &["error", "config", "pg_type", "pg_format", "verifier", "session"]),
    ("http", &["error", "config", "pg_type", "session"]),
    ("demo", &["error", "clock"]),
    ("server", &["*"]),
    ("cli", &["*"]),
    ("main", &["*"]),
];

/// Below everything: any module may log, count and spell names.
const EVERYWHERE: &[&str] = &["telemetry", "spelling"];

const LONGEST_FILE: usize = 800;

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    found.sort();
    found.into_iter().map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap())).collect()
}

/// `src/plan/functions/x.rs` and `src/plan.rs` are `plan`'s.
fn module_of(path: &Path) -> String {
    let second = path.components().nth(1).unwrap().as_os_str().to_string_lossy().into_owned();
    second.trim_end_matches(".rs").to_owned()
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    name == "tests.rs"
        || name.ends_with("_tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str().to_string_lossy().ends_with("_tests"))
}

/// The file without comments, without what stands between its quotes, and without its `#[cfg(test)]` modules.
fn code(text: &str) -> String {
    let text = match text.find("#[cfg(test)]\nmod tests {") {
        Some(at) => &text[..at],
        None => text,
    };
    let mut code = String::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let mut inside = false;
        let mut last = ' ';
        for c in line.chars() {
            match c {
                '"' if last != '\\' && last != '\'' => {
                    inside = !inside;
                    code.push(c);
                }
                _ if inside => {}
                _ => code.push(c),
            }
            last = if last == '\\' { ' ' } else { c };
        }
        code.push('\n');
    }
    code
}

/// Modules of ours that a file names: `crate::x` and the `x` of `use crate::{x::…, y}`.
fn imports(code: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => {
                found.insert(name(rest));
            }
            Some(group) => {
                let (mut depth, mut start) = (0, true);
                for (offset, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.insert(name(&group[offset..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found.remove("");
    found
}

fn report(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn modules_import_only_what_they_may() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let Some((_, allowed)) = WALLS.iter().find(|(name, _)| *name == module) else {
            faults.push(format!("{}: module \"{module}\" is not in the table of walls", path.display()));
            continue;
        };
        if allowed.contains(&"*") {
            continue;
        }
        // A test may build what it tests from anywhere.
        if is_test_file(&path) {
            continue;
        }
        for import in imports(&code(&text)) {
            let known = WALLS.iter().any(|(name, _)| *name == import);
            if known && import != module && !allowed.contains(&import.as_str()) && !EVERYWHERE.contains(&import.as_str()) {
                faults.push(format!("{}: {module} must not import crate::{import}", path.display()));
            }
        }
    }
    report(&faults);
}

#[test]
fn some_crates_stay_where_they_belong() {
    // Behind these walls nobody needs to know the engine or the parser.
    let forbidden = [
        ("wire", "datafusion"),
        ("http", "datafusion"),
        ("http", "sqlparser"),
        ("wire", "sqlparser"),
        ("registry", "datafusion"),
        ("source", "datafusion"),
        ("storage", "datafusion"),
        ("config", "datafusion"),
    ];
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let (module, code) = (module_of(&path), code(&text));
        for (wall, name) in forbidden {
            if module == wall && !is_test_file(&path) && code.contains(&format!("{name}::")) {
                faults.push(format!("{}: {wall} must not know {name}", path.display()));
            }
        }
    }
    report(&faults);
}

#[test]
fn every_file_says_what_it_is() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| format!("{}: no //! at the top", path.display()))
        .collect();
    report(&faults);
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let faults: Vec<String> = sources()
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| format!("{}: {lines} lines, more than {LONGEST_FILE}", path.display()))
        .collect();
    report(&faults);
}

#[test]
fn nothing_dies_outside_tests() {
    let deadly = [".unwrap()", ".expect(\"", ".expect(&format", "panic!(", "todo!(", "unimplemented!(", "unreachable!(", "dbg!("];
    let mut faults = Vec::new();
    for (path, text) in sources() {
        if is_test_file(&path) {
            continue;
        }
        for (number, line) in code(&text).lines().enumerate() {
            for word in deadly.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    report(&faults);
}

#[test]
fn nothing_is_left_for_later() {
    let faults: Vec<String> = sources()
        .iter()
        .flat_map(|(path, text)| {
            let marks = ["TODO", "FIXME", "XXX:", "HACK"];
            text.lines()
                .enumerate()
                .filter(move |(_, line)| marks.iter().any(|mark| line.contains(mark)))
                .map(move |(number, line)| format!("{}:{}: {}", path.display(), number + 1, line.trim()))
        })
        .collect();
    report(&faults);
}

#[test]
fn there_is_no_drawer_for_odds_and_ends() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| {
            path.components().any(|part| {
                let name = part.as_os_str().to_string_lossy();
                ["utils", "util", "common", "helpers", "helper", "manager", "misc"].contains(&name.trim_end_matches(".rs"))
            })
        })
        .map(|(path, _)| format!("{}: name it for what it does", path.display()))
        .collect();
    report(&faults);
}

#[test]
fn the_reading_of_imports_is_right() {
    let text = "use crate::{\n    error::{Report, SqlState},\n    config::Config,\n};\nfn f() { crate::sql::parse() } // crate::wire\nlet s = \"crate::plan\";";
    assert_eq!(imports(&code(text)).into_iter().collect::<Vec<_>>(), ["config", "error", "sql"]);
}
