//! Letter by letter what psql 15 prints.

use super::*;

fn column(name: &str, type_oid: u32) -> ResultColumn {
    ResultColumn { name: name.to_owned(), type_oid }
}

fn row(cells: &[Option<&str>]) -> Vec<Option<String>> {
    cells.iter().map(|cell| cell.map(str::to_owned)).collect()
}

#[test]
fn numbers_right_text_left_null_empty() {
    let columns = [column("id", 20), column("name", 25), column("x", 701)];
    let rows = [row(&[Some("1"), Some("Zoë"), Some("0.5")]), row(&[Some("10"), None, None])];
    let expected = " id | name |  x  \n----+------+-----\n  1 | Zoë  | 0.5\n 10 |      |    \n(2 rows)\n\n";
    assert_eq!(table(&columns, &rows), expected);
}

#[test]
fn text_at_the_end_is_not_padded_and_lines_are_continued() {
    let expected = " a |  b   \n---+------\n 1 | x   +\n   | long\n 2 | y\n(2 rows)\n\n";
    let rows = [row(&[Some("1"), Some("x\nlong")]), row(&[Some("2"), Some("y")])];
    assert_eq!(table(&[column("a", 23), column("b", 25)], &rows), expected);
}

#[test]
fn nothing_is_a_table_too() {
    assert_eq!(table(&[column("name", 25)], &[]), " name \n------\n(0 rows)\n\n");
    assert_eq!(table(&[column("n", 20)], &[row(&[Some("7")])]), " n \n---\n 7\n(1 row)\n\n");
}

#[test]
fn errors_point_at_their_place() {
    let error = ServerMessage {
        severity: "ERROR".to_owned(),
        code: "42P01".to_owned(),
        message: "relation \"t\" does not exist".to_owned(),
        hint: Some("Perhaps you meant \"u\".".to_owned()),
        position: Some(15),
        ..ServerMessage::default()
    };
    let expected = "ERROR:  relation \"t\" does not exist\nLINE 2: FROM t\n             ^\nHINT:  Perhaps you meant \"u\".\n";
    assert_eq!(message(&error, "SELECT 1\nFROM t"), expected);
}
