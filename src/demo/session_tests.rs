//! Where a statement ends.

use super::*;

#[test]
fn semicolons_in_quotes_and_comments_end_nothing() {
    let script = "-- one; two\nSELECT ';', \"a;b\";\n\nSELECT 'it''s'; -- after;\nSELECT 2;\n";
    assert_eq!(statements(script), ["-- one; two\nSELECT ';', \"a;b\";", "SELECT 'it''s';", "-- after;\nSELECT 2;"]);
    assert_eq!(without_leading_comments("-- one; two\n-- three\nSELECT 1;"), "SELECT 1;");
}
