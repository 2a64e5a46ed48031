//! Functions of the system that stand in FROM and take no arguments: `pg_get_keywords()`, which pgjdbc asks for, and
//! `pg_available_extensions()` and `pg_timezone_names()`, which psql does. Each is a query in its place.

use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// PostgreSQL's words: each with its category, and whether it can be a label without AS.
const KEYWORDS: &str = include_str!("pg_keywords.txt");

/// The query that a function is.
pub(super) fn of(function: &str) -> Option<Box<Query>> {
    let sql = match function {
        "pg_get_keywords" => keywords(),
        "pg_available_extensions" => "SELECT name, default_version, comment FROM pg_catalog.pg_available_extensions".to_owned(),
        "pg_timezone_names" => "SELECT name, abbrev, utc_offset, is_dst FROM pg_catalog.pg_timezone_names".to_owned(),
        _ => return None,
    };
    Parser::new(&PostgreSqlDialect {}).try_with_sql(&sql).ok()?.parse_query().ok()
}

fn keywords() -> String {
    let rows: Vec<String> = KEYWORDS
        .lines()
        .filter_map(|line| {
            let (word, rest) = line.split_once(' ')?;
            let (category, bare) = rest.split_once(' ')?;
            Some(format!("('{word}', '{category}', {})", bare == "t"))
        })
        .collect();
    format!(
        "SELECT word, catcode, barelabel,
            CASE catcode WHEN 'U' THEN 'unreserved' WHEN 'C' THEN 'unreserved (cannot be function or type name)'
                WHEN 'T' THEN 'reserved (can be function or type name)' ELSE 'reserved' END AS catdesc,
            CASE WHEN barelabel THEN 'can be bare label' ELSE 'requires AS' END AS baredesc
         FROM (VALUES {}) AS words (word, catcode, barelabel)",
        rows.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_a_query() {
        let query = of("pg_get_keywords").expect("a query").to_string();
        assert!(query.contains("('select', 'R', true)"), "{query}");
        assert!(of("now").is_none());
    }
}
