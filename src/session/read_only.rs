//! What a read-only transaction refuses, and which statements are queries.
//!
//! PostgreSQL lets such a transaction fill temporary tables, by INSERT and COPY, and do nothing else that writes: not even make or
//! empty one. Definitions are writes. The level of isolation and the right to write can be chosen until the first query.

use datafusion::sql::sqlparser::ast::{ObjectType, Statement as SqlStatement};

use crate::sql::{ObjectKind, Statement};

/// The command, if a read-only transaction refuses it.
pub(super) fn refused(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::CreateEntity(_) => Some("CREATE ENTITY"),
        Statement::CreateFeatureView(_) => Some("CREATE FEATURE VIEW"),
        Statement::Drop(drop) => Some(match drop.kind {
            ObjectKind::Entity => "DROP ENTITY",
            ObjectKind::FeatureView => "DROP FEATURE VIEW",
            ObjectKind::FeatureService => "DROP FEATURE SERVICE",
        }),
        Statement::Refresh { .. } => Some("REFRESH FEATURE VIEW"),
        Statement::Show(_) | Statement::Describe(_) | Statement::NotSupported { .. } | Statement::Cursor(_) | Statement::Copy(_) => None,
        Statement::Sql(sql) => match sql.as_ref() {
            SqlStatement::CreateTable(create) if create.query.is_some() => Some("CREATE TABLE AS"),
            SqlStatement::CreateTable(_) => Some("CREATE TABLE"),
            SqlStatement::Truncate(_) => Some("TRUNCATE TABLE"),
            SqlStatement::Drop { object_type: ObjectType::Table, .. } => Some("DROP TABLE"),
            _ => None,
        },
    }
}

/// Whether the statement sees data, so that its transaction's modes are fixed.
pub(super) fn is_query(statement: &Statement) -> bool {
    let Statement::Sql(sql) = statement else { return true };
    !matches!(
        sql.as_ref(),
        SqlStatement::Set(_)
            | SqlStatement::Reset(_)
            | SqlStatement::ShowVariable { .. }
            | SqlStatement::StartTransaction { .. }
            | SqlStatement::Commit { .. }
            | SqlStatement::Rollback { .. }
            | SqlStatement::Savepoint { .. }
            | SqlStatement::ReleaseSavepoint { .. }
    )
}
