//! Names as Trino's SQL spells them, and the few questions that are asked.
//!
//! Names come from users. Each is one quoted identifier or one quoted text, with its quotes doubled; what Trino would read as
//! something else (a `$` makes a table a metadata table) or cannot be a name at all is unknown before anything is sent.

use super::SourceError;
use crate::source::TableIdent;

/// The longest name that is sent.
const LONGEST: usize = 1024;

/// Whose tables are asked for.
#[derive(Debug)]
pub(super) struct Names {
    /// The `[catalogs.NAME]`, for errors.
    pub section: String,
    /// Trino's name for the catalog.
    pub catalog: String,
}

impl Names {
    /// Metadata files of a table, the current one last.
    pub fn metadata_log(&self, ident: &TableIdent) -> Result<String, SourceError> {
        Ok(format!("SELECT file FROM {}", self.table(ident, "$metadata_log_entries")?))
    }

    /// Some data file of a table.
    pub fn path(&self, ident: &TableIdent) -> Result<String, SourceError> {
        Ok(format!("SELECT \"$path\" FROM {} LIMIT 1", self.table(ident, "")?))
    }

    /// The catalog's schemas.
    pub fn schemas(&self) -> String {
        let catalog = identifier(&self.catalog);
        format!(
            "SELECT schema_name FROM {catalog}.information_schema.schemata WHERE schema_name NOT IN ('information_schema', 'system') ORDER BY 1"
        )
    }

    /// Names and types of a schema's tables and views.
    pub fn relations(&self, schema: &str) -> Result<String, SourceError> {
        if !is_name(schema) {
            return Err(self.unknown_schema(schema));
        }
        let (catalog, schema) = (identifier(&self.catalog), text(schema));
        Ok(format!("SELECT table_name, table_type FROM {catalog}.information_schema.tables WHERE table_schema = {schema} ORDER BY 1"))
    }

    /// The connector behind the catalog.
    pub fn connector(&self) -> String {
        format!("SELECT connector_name FROM system.metadata.catalogs WHERE catalog_name = {}", text(&self.catalog))
    }

    fn table(&self, ident: &TableIdent, suffix: &str) -> Result<String, SourceError> {
        if !is_name(&ident.schema) {
            return Err(self.unknown_schema(&ident.schema));
        }
        if !is_name(&ident.table) || ident.table.contains('$') {
            return Err(SourceError::UnknownTable { ident: ident.clone(), known: Vec::new() });
        }
        let table = identifier(&format!("{}{suffix}", ident.table));
        Ok(format!("{}.{}.{table}", identifier(&self.catalog), identifier(&ident.schema)))
    }

    fn unknown_schema(&self, schema: &str) -> SourceError {
        SourceError::UnknownSchema { catalog: self.section.clone(), schema: schema.to_owned(), known: Vec::new() }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST && !name.chars().any(char::is_control)
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names { section: "lake".into(), catalog: "ice\"berg".into() }
    }

    fn ident(schema: &str, table: &str) -> TableIdent {
        TableIdent { catalog: "lake".into(), schema: schema.into(), table: table.into() }
    }

    #[test]
    fn names_are_quoted_whatever_is_in_them() {
        assert_eq!(
            names().metadata_log(&ident("a.b", "t\"; DROP TABLE x; --")).unwrap(),
            "SELECT file FROM \"ice\"\"berg\".\"a.b\".\"t\"\"; DROP TABLE x; --$metadata_log_entries\""
        );
        assert_eq!(names().path(&ident("s", "t")).unwrap(), "SELECT \"$path\" FROM \"ice\"\"berg\".\"s\".\"t\" LIMIT 1");
        assert!(names().relations("o'neil").unwrap().contains("table_schema = 'o''neil'"));
    }

    #[test]
    fn what_is_no_name_is_unknown() {
        for table in ["", "t$files", "t\0", "t\n"] {
            assert!(matches!(names().metadata_log(&ident("s", table)), Err(SourceError::UnknownTable { .. })), "{table:?}");
        }
        assert!(matches!(names().path(&ident("", "t")), Err(SourceError::UnknownSchema { .. })));
        assert!(matches!(names().relations(&"x".repeat(5000)), Err(SourceError::UnknownSchema { .. })));
    }
}
