//! Hostile texts end in a named error, quickly, and without the stack running out, on a thread of [`STACK_SIZE`] (and this
//! is a debug build, whose frames are the largest).

use std::time::Instant;

use super::*;

/// The code of a text, on such a stack; what it parses to is cloned and dropped there too.
fn code_of(text: String) -> Option<&'static str> {
    std::thread::Builder::new()
        .stack_size(STACK_SIZE)
        .spawn(move || match parse(&text) {
            Ok(statements) => {
                drop(statements.clone());
                drop(statements);
                None
            }
            Err(error) => Some(error.sqlstate().code()),
        })
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn depth_is_bounded() {
    for (name, text) in [
        ("brackets", format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000))),
        ("open brackets", format!("SELECT {}", "(".repeat(100_000))),
        ("calls", format!("SELECT {}1{}", "f(".repeat(50_000), ")".repeat(50_000))),
        ("subqueries", format!("{}1{}", "SELECT (".repeat(10_000), ")".repeat(10_000))),
        ("sums", format!("SELECT 1{}", "+1".repeat(100_000))),
        ("minus", format!("SELECT {}1", "- ".repeat(100_000))),
        ("not", format!("SELECT {}true", "NOT ".repeat(100_000))),
        ("casts", format!("SELECT 1{}", "::int".repeat(100_000))),
        ("conjunctions", format!("SELECT 1 WHERE true{}", " AND true".repeat(100_000))),
        ("unions", format!("SELECT 1{}", " UNION SELECT 1".repeat(50_000))),
        ("arrays", format!("SELECT {}1{}", "[".repeat(50_000), "]".repeat(50_000))),
        ("array types", format!("SELECT CAST(1 AS {}int{})", "ARRAY<".repeat(50_000), ">".repeat(50_000))),
        ("cases", format!("SELECT {}1", "CASE ".repeat(50_000))),
        ("is null", format!("SELECT 1{}", " IS NULL".repeat(50_000))),
        ("from brackets", format!("SELECT * FROM {}t{}", "(".repeat(50_000), ")".repeat(50_000))),
        ("explains", format!("{}SELECT 1", "EXPLAIN ".repeat(50_000))),
        ("sums in brackets", format!("SELECT {}1{}", format!("({}", "1+".repeat(60)).repeat(60), ")".repeat(60))),
        ("views", format!("CREATE FEATURE VIEW v ENTITIES () TIMESTAMP t AS SELECT {}1", "(".repeat(50_000))),
    ] {
        let began = Instant::now();
        assert_eq!(code_of(text), Some("54001"), "{name}");
        assert!(began.elapsed().as_secs() < 20, "{name} took {:?}", began.elapsed());
    }
}

#[test]
fn what_honest_clients_send_is_not_too_deep() {
    for (name, text) in [
        ("brackets", format!("SELECT {}1{}", "(".repeat(60), ")".repeat(60))),
        ("conjunctions", format!("SELECT 1 WHERE a = 1{}", " OR a = 1".repeat(700))),
        ("unions", format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(180))),
        ("in", format!("SELECT 1 WHERE a IN (0{})", ", -1".repeat(50_000))),
        ("values", format!("INSERT INTO t VALUES (0, 'x'){}", ", (-1, 'it''s')".repeat(20_000))),
        ("columns", format!("SELECT a{}", ", a.b::text || 'x' AS c".repeat(1_000))),
    ] {
        let code = code_of(text);
        assert_eq!(code, None, "{name}");
    }
}

#[test]
fn backtracking_is_bounded() {
    for (name, text) in [
        ("casts", format!("SELECT {}", "CAST(".repeat(90))),
        ("cases", format!("SELECT {} 1", "CASE WHEN ".repeat(90))),
        ("calls of arguments", format!("SELECT {}x y{}", "f(a => ".repeat(90), ")".repeat(90))),
        ("from brackets", format!("SELECT * FROM {}t x y{}", "(".repeat(90), ")".repeat(90))),
        ("from subqueries", format!("SELECT * FROM {}SELECT 1 x y{}", "(".repeat(90), ")".repeat(90))),
        ("intervals", format!("SELECT {}", "INTERVAL (".repeat(90))),
        ("exists", format!("SELECT {}", "EXISTS (SELECT ".repeat(45))),
        ("extract", format!("SELECT {}", "EXTRACT(YEAR FROM ".repeat(90))),
        ("if", format!("SELECT {}", "POSITION(".repeat(90))),
        ("not", format!("SELECT {}", "NOT (".repeat(90))),
        ("in", format!("SELECT 1 {}", "IN (1 ".repeat(90))),
        ("array", format!("SELECT {}", "ARRAY[".repeat(90))),
    ] {
        let began = Instant::now();
        let code = code_of(text);
        assert!(matches!(code, Some("42601" | "54001")), "{name}: {code:?}");
        assert!(began.elapsed().as_secs() < 20, "{name} took {:?}", began.elapsed());
    }
}

#[test]
fn a_text_has_only_so_many_tokens() {
    let error = parse(&"SELECT 1;".repeat(1_000_000)).unwrap_err();
    assert_eq!((error.sqlstate().code(), error.to_string().as_str()), ("54000", "statement is too long"));
    // One huge string is one token.
    let text = format!("SELECT '{}'", "a, ".repeat(2_000_000));
    assert_eq!(code_of(text), None);
}

#[test]
fn any_bytes_end_in_an_answer() {
    use rand::{RngExt, SeedableRng};
    let seed = 42;
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let words = [
        "SELECT",
        "FROM",
        "TABLE",
        "(",
        ")",
        ",",
        ";",
        "'",
        "\"",
        "$$",
        "$1",
        "/*",
        "--",
        "\n",
        "ä",
        "FOR",
        "VERSION",
        "AS",
        "OF",
        "CREATE",
        "FEATURE",
        "VIEW",
        "ENTITY",
        "KEY",
        "TTL",
        "INTERVAL",
        "'1 day'",
        "AT",
        "TAG",
        "WITH",
        "=",
        "1",
        "a",
        ".",
        "COPY",
        "FETCH",
        "-",
        "SHOW",
        "DROP",
        "E'\\",
        "U&'",
        "\\",
        "BEGIN",
        "DEFERRABLE",
        "INSERT",
        "ENTITIES",
        "TIMESTAMP",
        "::",
        "[",
        "]",
        "CASE",
        "HEADER",
    ];
    for round in 0..5_000 {
        let text: String = (0..random.random_range(1..20))
            .map(|_| format!("{}{}", words[random.random_range(0..words.len())], if random.random_bool(0.8) { " " } else { "" }))
            .collect();
        if let Err(error) = parse(&text)
            && let Some(position) = error.position()
        {
            assert!((1..=text.chars().count() + 1).contains(&position), "seed {seed} round {round}: {text:?}: {error:?}");
        }
    }
}
