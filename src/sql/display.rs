//! Our statements as text again: what is printed parses to the same statement, positions aside.

use std::fmt::{Display, Formatter, Result, Write};

use super::{
    CreateEntity, CreateFeatureView, Describe, Drop, EntityRef, FeatureDefinition, Ident, Interval, KeyDefinition, ObjectKind, PinClause,
    Show, SourceClause, SourceName, Statement, WithOption,
};
use crate::spelling::{interval, quote_ident, quote_literal};

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::CreateEntity(create) => create.fmt(f),
            Self::CreateFeatureView(create) => create.fmt(f),
            Self::Drop(drop) => drop.fmt(f),
            Self::Show(show) => show.fmt(f),
            Self::Describe(describe) => describe.fmt(f),
            Self::Refresh { view } => write!(f, "REFRESH FEATURE VIEW {view}"),
            Self::Cursor(cursor) => cursor.fmt(f),
            Self::Copy(copy) => copy.fmt(f),
            Self::Sql(statement) => statement.fmt(f),
            Self::NotSupported { name, .. } => f.write_str(name),
        }
    }
}

impl Display for Ident {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&quote_ident(&self.name))
    }
}

impl Display for ObjectKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Entity => "ENTITY",
            Self::FeatureView => "FEATURE VIEW",
            Self::FeatureService => "FEATURE SERVICE",
        })
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> Result {
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    Ok(())
}

fn comment(f: &mut Formatter<'_>, between: &str, comment: Option<&str>) -> Result {
    comment.map_or(Ok(()), |comment| write!(f, "{between}COMMENT {}", quote_literal(comment)))
}

fn settings<'a>(f: &mut Formatter<'_>, clause: &str, settings: impl Iterator<Item = (&'a Ident, &'a str)>) -> Result {
    let mut empty = true;
    for (name, value) in settings {
        write!(f, "{}{name} = {}", if empty { format!("\n    {clause} (") } else { ", ".to_owned() }, quote_literal(value))?;
        empty = false;
    }
    if empty { Ok(()) } else { f.write_char(')') }
}

impl Display for CreateEntity {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "CREATE ENTITY {}{} KEY (", if self.if_not_exists { "IF NOT EXISTS " } else { "" }, self.name)?;
        list(f, &self.keys)?;
        f.write_char(')')?;
        comment(f, "\n    ", self.comment.as_deref())?;
        settings(f, "TAGS", self.tags.iter().map(|(name, value)| (name, value.as_str())))
    }
}

impl Display for KeyDefinition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}", self.name, self.data_type)
    }
}

impl Display for CreateFeatureView {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let replace = if self.or_replace { "OR REPLACE " } else { "" };
        write!(f, "CREATE {replace}FEATURE VIEW {}{}", if self.if_not_exists { "IF NOT EXISTS " } else { "" }, self.name)?;
        if let Some(features) = &self.features {
            for (index, feature) in features.iter().enumerate() {
                write!(f, "{}\n    {feature}", if index == 0 { " (" } else { "," })?;
            }
            f.write_str("\n)")?;
        }
        f.write_str("\n    ENTITIES (")?;
        list(f, &self.entities)?;
        f.write_char(')')?;
        if let SourceClause::Table { table, pin } = &self.source {
            write!(f, "\n    FROM {table}")?;
            if let Some(pin) = pin {
                write!(f, " {pin}")?;
            }
        }
        write!(f, "\n    TIMESTAMP {}", self.timestamp)?;
        if let Some(created) = &self.created {
            write!(f, "\n    CREATED TIMESTAMP {created}")?;
        }
        if let Some(valid_until) = &self.valid_until {
            write!(f, "\n    VALID UNTIL {valid_until}")?;
        }
        if let Some(ttl) = &self.ttl {
            write!(f, "\n    TTL {ttl}")?;
        }
        comment(f, "\n    ", self.comment.as_deref())?;
        settings(f, "TAGS", self.tags.iter().map(|(name, value)| (name, value.as_str())))?;
        settings(f, "WITH", self.options.iter().map(|WithOption { name, value }| (name, value.as_str())))?;
        if let SourceClause::Query { text, .. } = &self.source {
            write!(f, "\n    AS {text}")?;
        }
        Ok(())
    }
}

impl Display for FeatureDefinition {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}", self.name, self.data_type)?;
        if let Some(column) = &self.column {
            write!(f, " FROM {column}")?;
        }
        comment(f, " ", self.comment.as_deref())
    }
}

impl Display for EntityRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.name.fmt(f)?;
        if let Some(columns) = &self.columns {
            f.write_str(" (")?;
            list(f, columns)?;
            f.write_char(')')?;
        }
        Ok(())
    }
}

impl Display for SourceName {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for (index, part) in self.parts.iter().enumerate() {
            write!(f, "{}{part}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl Display for PinClause {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Branch(branch) => write!(f, "AT BRANCH {}", quote_literal(branch)),
            Self::Tag(tag) => write!(f, "AT TAG {}", quote_literal(tag)),
            Self::Snapshot(id) => write!(f, "AT SNAPSHOT {id}"),
            Self::Timestamp(timestamp) => write!(f, "AT TIMESTAMP {}", quote_literal(timestamp)),
        }
    }
}

impl Display for Interval {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "INTERVAL '{}'", interval::text(self.months, self.days, self.micros))
    }
}

impl Display for Drop {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "DROP {} {}", self.kind, if self.if_exists { "IF EXISTS " } else { "" })?;
        list(f, &self.names)?;
        f.write_str(if self.cascade { " CASCADE" } else { "" })
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Objects(ObjectKind::Entity) => f.write_str("SHOW ENTITIES"),
            Self::Objects(kind) => write!(f, "SHOW {kind}S"),
            Self::Status => f.write_str("SHOW FEATURE STORE STATUS"),
            Self::Create(kind, name) => write!(f, "SHOW CREATE {kind} {name}"),
            Self::Catalogs => f.write_str("SHOW CATALOGS"),
            Self::Schemas { catalog } => write!(f, "SHOW SCHEMAS FROM {catalog}"),
            Self::Tables { schema } => write!(f, "SHOW TABLES FROM {schema}"),
        }
    }
}

impl Display for Describe {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::FeatureView(view) => write!(f, "DESCRIBE FEATURE VIEW {view}"),
            Self::Table(table) => write!(f, "DESCRIBE {table}"),
        }
    }
}
