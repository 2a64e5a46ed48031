//! Kinds of statements, and texts that may be logged.

use crate::sql::{without_constants, without_passwords};

#[test]
fn constants_become_parameters() {
    for (text, kind) in [
        ("SELECT 1", "SELECT $1"),
        ("SELECT  a,\n 'it''s' -- why\n FROM t WHERE b = 2.5 ; ", "SELECT a, $1 FROM t WHERE b = $2"),
        ("SELECT $1, 7, $2", "SELECT $1, $3, $2"),
        ("SELECT E'a\\'b', $$x$$, \"Q c\"", "SELECT $1, $2, \"Q c\""),
        ("CREATE ROLE r PASSWORD 'hunter2'", "CREATE ROLE r PASSWORD $1"),
        ("SELECT 'open", "SELECT …"),
        ("", ""),
    ] {
        assert_eq!(without_constants(text), kind, "{text}");
    }
}

#[test]
fn passwords_are_not_logged() {
    for (text, logged) in [
        ("CREATE ROLE r LOGIN PASSWORD 'hunter2' SUPERUSER", "CREATE ROLE r LOGIN PASSWORD '***' SUPERUSER"),
        ("alter role r with encrypted password $$hunter2$$", "alter role r with encrypted password '***'"),
        ("SET x.password = 'hunter2'", "SET x.password = '***'"),
        ("SELECT 'a', password, 'b'", "SELECT 'a', password, 'b'"),
        ("CREATE ROLE r PASSWORD 'hunter2", "CREATE ROLE r  …"),
    ] {
        assert_eq!(without_passwords(text), logged);
    }
}
