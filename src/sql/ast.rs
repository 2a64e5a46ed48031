//! Statements as parsed. Each of our own has a `Display` that prints it back (SHOW CREATE, `registry dump`); positions are
//! characters of the whole text, counted from 1, so that an error found later can still point.

use datafusion::sql::sqlparser::ast as sqlparser_ast;

/// One statement of a text, with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct StatementText {
    /// What it says.
    pub statement: Statement,
    /// Its own text, without the semicolon, as written.
    pub text: String,
    /// Character of the whole text at which `text` begins, counted from 1.
    pub position: usize,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// `CREATE ENTITY`.
    CreateEntity(CreateEntity),
    /// `CREATE FEATURE VIEW`.
    CreateFeatureView(Box<CreateFeatureView>),
    /// `DROP { ENTITY | FEATURE VIEW | FEATURE SERVICE | … }`.
    Drop(Drop),
    /// Our own SHOWs (settings are sqlparser's).
    Show(Show),
    /// `DESCRIBE FEATURE VIEW v`, `DESCRIBE cat.schema.table`.
    Describe(Describe),
    /// `REFRESH FEATURE VIEW v`.
    Refresh {
        /// The view.
        view: Ident,
    },
    /// `DECLARE`, `FETCH`, `MOVE`, `CLOSE`.
    Cursor(super::CursorStatement),
    /// `COPY`.
    Copy(Box<super::CopyStatement>),
    /// PostgreSQL's statement, by sqlparser.
    Sql(Box<sqlparser_ast::Statement>),
    /// A statement that PostgreSQL has, or that a feature store may be asked for, and that is not carried out: its name, for 0A000.
    NotSupported {
        /// For example `CREATE FEATURE SERVICE`.
        name: &'static str,
        /// Where it begins.
        position: usize,
    },
}

/// An identifier, folded as PostgreSQL folds (lower case unless quoted), and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ident {
    /// The name, after folding.
    pub name: String,
    /// Character of the whole text, counted from 1.
    pub position: usize,
}

/// `CREATE ENTITY [IF NOT EXISTS] name KEY (…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateEntity {
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// The name.
    pub name: Ident,
    /// `KEY (…)`; never empty.
    pub keys: Vec<KeyDefinition>,
    /// `COMMENT`.
    pub comment: Option<String>,
    /// `TAGS`.
    pub tags: Vec<(Ident, String)>,
}

/// `customer_id BIGINT`.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyDefinition {
    /// The key's name.
    pub name: Ident,
    /// Its type as written.
    pub data_type: sqlparser_ast::DataType,
    /// Where the type stands.
    pub type_position: usize,
}

/// `CREATE [OR REPLACE] FEATURE VIEW [IF NOT EXISTS] name …`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateFeatureView {
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// The name.
    pub name: Ident,
    /// The feature list; `None` = every other column of the source.
    pub features: Option<Vec<FeatureDefinition>>,
    /// `ENTITIES (…)`; empty = entity-less.
    pub entities: Vec<EntityRef>,
    /// `FROM table` or `AS SELECT`.
    pub source: SourceClause,
    /// `TIMESTAMP column`.
    pub timestamp: Ident,
    /// `CREATED TIMESTAMP column`.
    pub created: Option<Ident>,
    /// `VALID UNTIL column`.
    pub valid_until: Option<Ident>,
    /// `TTL INTERVAL '…'`.
    pub ttl: Option<Interval>,
    /// `COMMENT`.
    pub comment: Option<String>,
    /// `TAGS`.
    pub tags: Vec<(Ident, String)>,
    /// `WITH (…)`.
    pub options: Vec<WithOption>,
}

/// `aov DOUBLE PRECISION FROM avg_order_value COMMENT '…'`.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureDefinition {
    /// The feature's name in the view.
    pub name: Ident,
    /// Its type as written.
    pub data_type: sqlparser_ast::DataType,
    /// Where the type stands.
    pub type_position: usize,
    /// `FROM column`: the source's name for it, where it differs.
    pub column: Option<Ident>,
    /// `COMMENT`.
    pub comment: Option<String>,
}

/// `customer` or `customer (source_column, …)` in ENTITIES.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityRef {
    /// The entity's name, or a column's.
    pub name: Ident,
    /// The source's columns for its keys, if given.
    pub columns: Option<Vec<Ident>>,
}

/// `FROM …` or `AS SELECT …`.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceClause {
    /// `FROM catalog.schema.table [AT …]`.
    Table {
        /// The table.
        table: SourceName,
        /// `AT …`.
        pin: Option<PinClause>,
    },
    /// `AS SELECT …`.
    Query {
        /// As written, without the `AS`.
        text: String,
        /// The same, parsed.
        query: Box<sqlparser_ast::Query>,
        /// Where it begins.
        position: usize,
    },
}

/// `catalog.schema.table`, or fewer parts where fewer are meaningful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceName {
    /// The parts; the parser lets any number from 1 to 3 pass, the planner says what is missing.
    pub parts: Vec<Ident>,
}

/// `AT BRANCH 'b' | AT TAG 't' | AT SNAPSHOT n | AT TIMESTAMP '…'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinClause {
    /// `AT BRANCH 'b'`.
    Branch(String),
    /// `AT TAG 't'`.
    Tag(String),
    /// `AT SNAPSHOT n`.
    Snapshot(i64),
    /// `AT TIMESTAMP '…'`.
    Timestamp(String),
}

/// `INTERVAL '30 days'`, read as PostgreSQL reads it (malformed is 22007 at parse time).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
    /// Where the literal stands.
    pub position: usize,
}

/// `name = value` in `WITH (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithOption {
    /// The option.
    pub name: Ident,
    /// Its value as text: `false`, `snapshot`.
    pub value: String,
}

/// Kinds of registered objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// `ENTITY`.
    Entity,
    /// `FEATURE VIEW`.
    FeatureView,
    /// `FEATURE SERVICE`.
    FeatureService,
}

/// `DROP kind [IF EXISTS] name [, …] [CASCADE | RESTRICT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    /// Of what.
    pub kind: ObjectKind,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// The names.
    pub names: Vec<Ident>,
    /// `CASCADE`.
    pub cascade: bool,
}

/// Our own SHOWs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// `SHOW FEATURE VIEWS | ENTITIES | FEATURE SERVICES`.
    Objects(ObjectKind),
    /// `SHOW FEATURE STORE STATUS`.
    Status,
    /// `SHOW CREATE ENTITY | FEATURE VIEW | FEATURE SERVICE name`.
    Create(ObjectKind, Ident),
    /// `SHOW CATALOGS`.
    Catalogs,
    /// `SHOW SCHEMAS FROM catalog`.
    Schemas {
        /// The catalog.
        catalog: Ident,
    },
    /// `SHOW TABLES FROM catalog.schema`.
    Tables {
        /// Two parts.
        schema: SourceName,
    },
}

/// `DESCRIBE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Describe {
    /// `DESCRIBE FEATURE VIEW v`.
    FeatureView(Ident),
    /// `DESCRIBE [TABLE] cat.schema.table`.
    Table(SourceName),
}
