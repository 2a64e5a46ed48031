//! The grammar of our own statements: recursive descent over sqlparser's cursor, so that types and queries are read by
//! the same parser as everywhere else.
//!
//! Clauses of CREATE stand in any order, each at most once; `AS SELECT …` ends the statement and is kept as written.

use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::dialect::FeatgresDialect;
use super::parser::{error_of, finish, reached};
use super::rewrite::is_word;
use super::tokens::StatementTokens;
use super::{
    CreateEntity, CreateFeatureView, Describe, Drop, EntityRef, FeatureDefinition, Ident, Interval, KeyDefinition, ObjectKind, PinClause,
    Show, SourceClause, SourceName, SqlError, Statement, WithOption,
};
use crate::spelling::interval::{self, IntervalTextError, Unit};
use crate::spelling::is_reserved;

type Result<T> = std::result::Result<T, SqlError>;

/// sqlparser's cursor, with errors in our words.
pub(super) struct Cursor<'a> {
    pub(super) parser: Parser<'a>,
    pub(super) statement: StatementTokens<'a>,
    pub(super) dialect: &'a FeatgresDialect,
}

/// Reads one of our statements; `None`, with nothing consumed, if it is none.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Option<Statement>> {
    if cursor.at(&["CREATE", "ENTITY"]) {
        return create_entity(cursor).map(Some);
    }
    for (words, or_replace) in [(&["CREATE", "FEATURE", "VIEW"][..], false), (&["CREATE", "OR", "REPLACE", "FEATURE", "VIEW"][..], true)] {
        if cursor.take(words) {
            return create_feature_view(cursor, or_replace).map(Some);
        }
    }
    for (words, kind) in [
        (&["DROP", "ENTITY"][..], ObjectKind::Entity),
        (&["DROP", "FEATURE", "VIEW"][..], ObjectKind::FeatureView),
        (&["DROP", "FEATURE", "SERVICE"][..], ObjectKind::FeatureService),
    ] {
        if cursor.take(words) {
            return drop_objects(cursor, kind).map(Some);
        }
    }
    if cursor.at(&["SHOW"]) {
        return show(cursor);
    }
    if cursor.take(&["DESCRIBE"]) || cursor.take(&["DESC"]) {
        if cursor.take(&["FEATURE", "VIEW"]) {
            return Ok(Some(Statement::Describe(Describe::FeatureView(cursor.name()?))));
        }
        cursor.take(&["TABLE"]);
        return Ok(Some(Statement::Describe(Describe::Table(cursor.source_name()?))));
    }
    if cursor.take(&["REFRESH", "FEATURE", "VIEW"]) {
        return Ok(Some(Statement::Refresh { view: cursor.name()? }));
    }
    // What begins with our words and goes on otherwise: say what could follow.
    for words in [&["CREATE", "FEATURE"][..], &["CREATE", "OR", "REPLACE", "FEATURE"][..], &["DROP", "FEATURE"][..], &["REFRESH"][..]] {
        if cursor.take(words) {
            return Err(cursor.unexpected());
        }
    }
    Ok(None)
}

fn create_entity(cursor: &mut Cursor<'_>) -> Result<Statement> {
    cursor.take(&["CREATE", "ENTITY"]);
    let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name()?;
    let (mut keys, mut comment, mut tags) = (None, None, None);
    loop {
        let position = cursor.position();
        if cursor.take(&["KEY"]) {
            let list = cursor.parenthesised(|cursor| {
                let name = cursor.name()?;
                let (data_type, type_position) = cursor.data_type()?;
                Ok(KeyDefinition { name, data_type, type_position })
            })?;
            once(&mut keys, list, "KEY", position)?;
        } else if cursor.take(&["COMMENT"]) {
            once(&mut comment, cursor.string()?, "COMMENT", position)?;
        } else if cursor.take(&["TAGS"]) {
            once(&mut tags, cursor.tags()?, "TAGS", position)?;
        } else {
            break;
        }
    }
    cursor.expect_end()?;
    let keys =
        keys.ok_or(SqlError::MissingClause { statement: "CREATE ENTITY", clause: "KEY (name type)", position: cursor.statement.end })?;
    Ok(Statement::CreateEntity(CreateEntity { if_not_exists, name, keys, comment, tags: tags.unwrap_or_default() }))
}

fn create_feature_view(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<Statement> {
    let if_not_exists = cursor.take(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name()?;
    let features = if cursor.parser.peek_token_ref().token == Token::LParen { Some(cursor.parenthesised(feature)?) } else { None };
    let (mut entities, mut source, mut timestamp, mut created, mut valid_until) = (None, None, None, None, None);
    let (mut ttl, mut comment, mut tags, mut options) = (None, None, None, None);
    loop {
        let position = cursor.position();
        if cursor.take(&["ENTITIES"]) {
            once(&mut entities, cursor.list_or_nothing(entity_ref)?, "ENTITIES", position)?;
        } else if cursor.take(&["FROM"]) {
            let table = cursor.source_name()?;
            let pin = if cursor.take(&["AT"]) { Some(pin(cursor)?) } else { None };
            once(&mut source, SourceClause::Table { table, pin }, "FROM", position)?;
        } else if cursor.take(&["TIMESTAMP"]) {
            once(&mut timestamp, cursor.name()?, "TIMESTAMP", position)?;
        } else if cursor.take(&["CREATED", "TIMESTAMP"]) {
            once(&mut created, cursor.name()?, "CREATED TIMESTAMP", position)?;
        } else if cursor.take(&["VALID", "UNTIL"]) {
            once(&mut valid_until, cursor.name()?, "VALID UNTIL", position)?;
        } else if cursor.take(&["TTL"]) {
            once(&mut ttl, interval_literal(cursor)?, "TTL", position)?;
        } else if cursor.take(&["COMMENT"]) {
            once(&mut comment, cursor.string()?, "COMMENT", position)?;
        } else if cursor.take(&["TAGS"]) {
            once(&mut tags, cursor.tags()?, "TAGS", position)?;
        } else if cursor.take(&["WITH"]) {
            once(&mut options, cursor.options()?, "WITH", position)?;
        } else if cursor.take(&["AS"]) {
            if source.is_some() {
                return Err(SqlError::RepeatedClause { clause: "FROM or AS", position });
            }
            let position = cursor.position();
            let mut query = cursor.parse_with(Parser::parse_query)?;
            finish(cursor, &mut query)?;
            let text = cursor.statement.text_from(position).to_owned();
            source = Some(SourceClause::Query { text, query, position });
            break;
        } else {
            break;
        }
    }
    cursor.expect_end()?;
    let missing = |clause| SqlError::MissingClause { statement: "CREATE FEATURE VIEW", clause, position: cursor.statement.end };
    Ok(Statement::CreateFeatureView(Box::new(CreateFeatureView {
        or_replace,
        if_not_exists,
        name,
        features,
        entities: entities.ok_or_else(|| missing("ENTITIES (entity)"))?,
        source: source.ok_or_else(|| missing("FROM catalog.schema.table"))?,
        timestamp: timestamp.ok_or_else(|| missing("TIMESTAMP column"))?,
        created,
        valid_until,
        ttl,
        comment,
        tags: tags.unwrap_or_default(),
        options: options.unwrap_or_default(),
    })))
}

fn once<T>(slot: &mut Option<T>, value: T, clause: &'static str, position: usize) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(SqlError::RepeatedClause { clause, position }),
    }
}

fn feature(cursor: &mut Cursor<'_>) -> Result<FeatureDefinition> {
    let name = cursor.name()?;
    let (data_type, type_position) = cursor.data_type()?;
    let (mut column, mut comment) = (None, None);
    loop {
        let position = cursor.position();
        if cursor.take(&["FROM"]) {
            once(&mut column, cursor.name()?, "FROM", position)?;
        } else if cursor.take(&["COMMENT"]) {
            once(&mut comment, cursor.string()?, "COMMENT", position)?;
        } else {
            return Ok(FeatureDefinition { name, data_type, type_position, column, comment });
        }
    }
}

fn entity_ref(cursor: &mut Cursor<'_>) -> Result<EntityRef> {
    let name = cursor.name()?;
    let columns = if cursor.parser.peek_token_ref().token == Token::LParen { Some(cursor.parenthesised(Cursor::name)?) } else { None };
    Ok(EntityRef { name, columns })
}

fn pin(cursor: &mut Cursor<'_>) -> Result<PinClause> {
    if cursor.take(&["BRANCH"]) {
        Ok(PinClause::Branch(cursor.string()?))
    } else if cursor.take(&["TAG"]) {
        Ok(PinClause::Tag(cursor.string()?))
    } else if cursor.take(&["TIMESTAMP"]) {
        Ok(PinClause::Timestamp(cursor.string()?))
    } else if cursor.take(&["SNAPSHOT"]) {
        let position = cursor.position();
        let negative = cursor.parser.consume_token(&Token::Minus);
        let Token::Number(digits, _) = &cursor.parser.peek_token_ref().token else { return Err(cursor.unexpected()) };
        let value = if negative { format!("-{digits}") } else { digits.clone() };
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(cursor.unexpected());
        }
        cursor.parser.next_token();
        value.parse().map(PinClause::Snapshot).map_err(|_| SqlError::NumberOutOfRange { value, data_type: "bigint", position })
    } else {
        Err(cursor.unexpected().with_hint("AT is followed by BRANCH 'b', TAG 't', SNAPSHOT n or TIMESTAMP '…'."))
    }
}

/// `INTERVAL '30 days'` or `INTERVAL '30' DAY`.
fn interval_literal(cursor: &mut Cursor<'_>) -> Result<Interval> {
    if !cursor.take(&["INTERVAL"]) {
        return Err(cursor.unexpected().with_hint("TTL is followed by an interval, for example INTERVAL '30 days'."));
    }
    let position = cursor.position();
    let text = cursor.string()?;
    let fields = ["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"];
    let unit = fields.into_iter().find(|field| cursor.take(&[field])).and_then(Unit::of).unwrap_or(Unit::Second);
    match interval::parse_with(&text, unit) {
        Ok((months, days, micros)) => Ok(Interval { months, days, micros, position }),
        Err(IntervalTextError::Malformed) => Err(SqlError::MalformedInterval { text, position }),
        Err(IntervalTextError::OutOfRange) => Err(SqlError::IntervalOutOfRange { text, position }),
    }
}

fn drop_objects(cursor: &mut Cursor<'_>, kind: ObjectKind) -> Result<Statement> {
    let if_exists = cursor.take(&["IF", "EXISTS"]);
    let mut names = vec![cursor.name()?];
    while cursor.parser.consume_token(&Token::Comma) {
        names.push(cursor.name()?);
    }
    let cascade = cursor.take(&["CASCADE"]);
    if !cascade {
        cursor.take(&["RESTRICT"]);
    }
    Ok(Statement::Drop(Drop { kind, if_exists, names, cascade }))
}

fn show(cursor: &mut Cursor<'_>) -> Result<Option<Statement>> {
    for (words, show) in [
        (&["SHOW", "FEATURE", "VIEWS"][..], Show::Objects(ObjectKind::FeatureView)),
        (&["SHOW", "FEATURE", "SERVICES"][..], Show::Objects(ObjectKind::FeatureService)),
        (&["SHOW", "ENTITIES"][..], Show::Objects(ObjectKind::Entity)),
        (&["SHOW", "FEATURE", "STORE", "STATUS"][..], Show::Status),
        (&["SHOW", "CATALOGS"][..], Show::Catalogs),
    ] {
        if cursor.take(words) {
            return Ok(Some(Statement::Show(show)));
        }
    }
    for (words, kind) in [
        (&["SHOW", "CREATE", "FEATURE", "VIEW"][..], ObjectKind::FeatureView),
        (&["SHOW", "CREATE", "FEATURE", "SERVICE"][..], ObjectKind::FeatureService),
        (&["SHOW", "CREATE", "ENTITY"][..], ObjectKind::Entity),
    ] {
        if cursor.take(words) {
            return Ok(Some(Statement::Show(Show::Create(kind, cursor.name()?))));
        }
    }
    if cursor.take(&["SHOW", "SCHEMAS"]) {
        cursor.from("SHOW SCHEMAS FROM catalog")?;
        return Ok(Some(Statement::Show(Show::Schemas { catalog: cursor.name()? })));
    }
    if cursor.take(&["SHOW", "TABLES"]) {
        cursor.from("SHOW TABLES FROM catalog.schema")?;
        return Ok(Some(Statement::Show(Show::Tables { schema: cursor.source_name()? })));
    }
    for words in [&["SHOW", "FEATURE"][..], &["SHOW", "CREATE"][..]] {
        if cursor.take(words) {
            return Err(cursor.unexpected());
        }
    }
    Ok(None)
}

impl<'a> Cursor<'a> {
    /// Runs one of sqlparser's own rules.
    pub(super) fn parse_with<T>(&mut self, rule: impl FnOnce(&mut Parser<'a>) -> std::result::Result<T, ParserError>) -> Result<T> {
        rule(&mut self.parser).map_err(|error| error_of(&error, &self.parser, self.dialect, &self.statement))
    }

    /// The next token must be the statement's end.
    pub(super) fn expect_end(&self) -> Result<()> {
        if self.parser.peek_token_ref().token == Token::EOF { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The syntax error of the next token.
    pub(super) fn unexpected(&self) -> SqlError {
        self.statement.syntax_error_at(self.position().max(reached(&self.parser, self.dialect)))
    }

    /// Where the next token stands.
    pub(super) fn position(&self) -> usize {
        let next = self.parser.peek_token_ref();
        if next.token == Token::EOF { self.statement.end } else { next.span.start.column as usize }
    }

    /// Whether these unquoted words come next.
    fn at(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, wanted)| is_word(Some(self.parser.peek_nth_token_ref(ahead)), wanted))
    }

    /// Consumes these unquoted words, all or none.
    pub(super) fn take(&mut self, words: &[&str]) -> bool {
        let found = self.at(words);
        if found {
            for _ in words {
                self.parser.advance_token();
            }
        }
        found
    }

    fn from(&mut self, usage: &str) -> Result<()> {
        if self.take(&["FROM"]) || self.take(&["IN"]) { Ok(()) } else { Err(self.unexpected().with_hint(format!("Write {usage}."))) }
    }

    pub(super) fn expect(&mut self, token: &Token) -> Result<()> {
        if self.parser.consume_token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// A name: quoted, or any word that is not reserved.
    pub(super) fn name(&mut self) -> Result<Ident> {
        self.word(|word| !is_reserved(word))
    }

    /// A name where every word may be one.
    pub(super) fn label(&mut self) -> Result<Ident> {
        self.word(|_| true)
    }

    fn word(&mut self, allowed: impl FnOnce(&str) -> bool) -> Result<Ident> {
        let TokenWithSpan { token, span } = self.parser.peek_token_ref();
        let position = span.start.column as usize;
        let name = match token {
            Token::Word(word) if word.quote_style.is_some() => Some(word.value.clone()),
            // PostgreSQL folds ASCII letters only.
            Token::Word(word) => Some(word.value.to_ascii_lowercase()).filter(|name| allowed(name)),
            _ => None,
        };
        let Some(name) = name else { return Err(self.unexpected()) };
        self.parser.advance_token();
        Ok(Ident { name, position })
    }

    fn source_name(&mut self) -> Result<SourceName> {
        let mut parts = vec![self.name()?];
        while parts.len() < 3 && self.parser.consume_token(&Token::Period) {
            // After a dot any word is a name.
            parts.push(self.label()?);
        }
        Ok(SourceName { parts })
    }

    fn data_type(&mut self) -> Result<(datafusion::sql::sqlparser::ast::DataType, usize)> {
        let position = self.position();
        if !matches!(self.parser.peek_token_ref().token, Token::Word(_)) {
            return Err(self.unexpected());
        }
        Ok((self.parse_with(Parser::parse_data_type)?, position))
    }

    pub(super) fn string(&mut self) -> Result<String> {
        let text = match &self.parser.peek_token_ref().token {
            Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) | Token::UnicodeStringLiteral(text) => text.clone(),
            Token::DollarQuotedString(text) => text.value.clone(),
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        Ok(text)
    }

    /// `(item, …)`, at least one.
    pub(super) fn parenthesised<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect(&Token::LParen)?;
        let mut items = vec![item(self)?];
        while self.parser.consume_token(&Token::Comma) {
            items.push(item(self)?);
        }
        self.expect(&Token::RParen)?;
        Ok(items)
    }

    /// `(item, …)` or `()`.
    fn list_or_nothing<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        if self.parser.peek_nth_token_ref(0).token == Token::LParen && self.parser.peek_nth_token_ref(1).token == Token::RParen {
            self.parser.advance_token();
            self.parser.advance_token();
            return Ok(Vec::new());
        }
        self.parenthesised(item)
    }

    fn tags(&mut self) -> Result<Vec<(Ident, String)>> {
        let pairs = self.parenthesised(Self::setting)?;
        unique(&pairs, "TAGS")?;
        Ok(pairs)
    }

    fn options(&mut self) -> Result<Vec<WithOption>> {
        let pairs = self.parenthesised(Self::setting)?;
        unique(&pairs, "WITH")?;
        Ok(pairs.into_iter().map(|(name, value)| WithOption { name, value }).collect())
    }

    /// `name = value`; a value is a string, a number, or a word in lower case.
    fn setting(&mut self) -> Result<(Ident, String)> {
        let name = self.label()?;
        self.expect(&Token::Eq)?;
        let negative = self.parser.consume_token(&Token::Minus);
        let value = match &self.parser.peek_token_ref().token {
            Token::Number(digits, _) => format!("{}{digits}", if negative { "-" } else { "" }),
            Token::Word(word) if !negative && word.quote_style.is_none() => word.value.to_ascii_lowercase(),
            _ if !negative => return Ok((name, self.string()?)),
            _ => return Err(self.unexpected()),
        };
        self.parser.advance_token();
        Ok((name, value))
    }
}

fn unique(pairs: &[(Ident, String)], clause: &'static str) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    match pairs.iter().find(|(name, _)| !seen.insert(name.name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err(SqlError::RepeatedName { clause, name: name.name.clone(), position: name.position }),
    }
}
