//! [`At`]: the text of `at =>`, and which snapshot of one table it means.
//!
//! | text | each table of the call is read at |
//! |---|---|
//! | digits | the snapshot of that number; a table that lacks it is 72000 |
//! | any other word | its tag or branch of that name; else, if the text is a timestamp (UTC where it names no zone), what was current then |
//! | `c.s.t=7, …` | the snapshot named for it; a table that is not named is 22023, since following it would not be reproducible |
//!
//! The list may name more tables than a call reads: one text serves several queries. It is what `last_query()` writes, and so
//! has additions that people rarely need: `c.s.t@"tag:x"=7` is for reads whose own pin is that tag (a view `AT TAG 'x'` next to one
//! that follows the table), `c.s.t=7/2` reads with schema 2 instead of the snapshot's own, `c.s.t=7@hash` finds the table by that
//! commit of a Nessie catalog, and snapshot -1 is a table without rows yet.

use crate::error::{Report, SqlState};
use crate::plan::resolve::timestamp;
use crate::source::{SnapshotRef, TableIdent};
use crate::spelling::quote_ident;

/// A call's `at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    text: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Snapshot(i64),
    Reference(String),
    Tables(Vec<TablePin>),
}

/// One pair of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TablePin {
    ident: TableIdent,
    own: Option<String>,
    snapshot: SnapshotRef,
}

impl At {
    /// Reads the text; 22023 if it is none of the forms.
    pub fn parse(text: &str) -> Result<Self, Report> {
        let trimmed = text.trim();
        let form = if trimmed.is_empty() {
            return Err(malformed(text));
        } else if trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
            Form::Snapshot(trimmed.parse().map_err(|_| {
                Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("snapshot id \"{trimmed}\" is out of range for type bigint"))
            })?)
        } else if trimmed.contains('=') {
            Form::Tables(Pairs { text, rest: text }.all()?)
        } else {
            Form::Reference(trimmed.to_owned())
        };
        Ok(Self { text: text.to_owned(), form })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The snapshot of a table that would otherwise be read at `own`.
    pub fn of(&self, ident: &TableIdent, own: &SnapshotRef) -> Result<SnapshotRef, Report> {
        match &self.form {
            Form::Snapshot(id) => Ok(SnapshotRef::Snapshot(*id)),
            Form::Reference(name) => Ok(match timestamp(name) {
                Ok(micros) => SnapshotRef::ReferenceOrTimestamp { name: name.clone(), micros },
                Err(_) => SnapshotRef::TagOrBranch(name.clone()),
            }),
            Form::Tables(pins) => {
                let own = own_name(own);
                let of_table = || pins.iter().filter(|pin| pin.ident == *ident);
                let exact = of_table().find(|pin| pin.own.is_some() && pin.own == own);
                exact.or_else(|| of_table().find(|pin| pin.own.is_none())).map(|pin| pin.snapshot.clone()).ok_or_else(|| {
                    Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("argument \"at\" names no snapshot of table \"{ident}\""))
                        .hint(format!("A list names every table that the call reads: add {}=snapshot_id.", table_name(ident)))
                })
            }
        }
    }

    /// What to add to the report of a table that lacks the snapshot.
    pub fn hint_for(&self, report: Report) -> Report {
        if matches!(self.form, Form::Snapshot(_)) && report.sqlstate == SqlState::SNAPSHOT_EXPIRED {
            return report
                .hint("A snapshot id is one table's own. For a call that reads several tables write at => 'catalog.schema.table=id, …'.");
        }
        report
    }
}

fn malformed(text: &str) -> Report {
    Report::new(SqlState::INVALID_PARAMETER_VALUE, format!("malformed value of argument \"at\": \"{text}\""))
        .hint("Write a snapshot id, a tag or branch, a timestamp, or 'catalog.schema.table=snapshot_id, …'.")
}

/// How the list spells a table.
pub(super) fn table_name(ident: &TableIdent) -> String {
    format!("{}.{}.{}", quote_ident(&ident.catalog), quote_ident(&ident.schema), quote_ident(&ident.table))
}

/// How the list names a read's own pin; none for a table that is followed.
pub(super) fn own_name(own: &SnapshotRef) -> Option<String> {
    match own {
        SnapshotRef::Current => None,
        SnapshotRef::Snapshot(id) => Some(format!("snapshot:{id}")),
        SnapshotRef::Branch(name) => Some(format!("branch:{name}")),
        SnapshotRef::Tag(name) => Some(format!("tag:{name}")),
        SnapshotRef::TagOrBranch(name) => Some(format!("version:{name}")),
        SnapshotRef::Timestamp(micros) => Some(format!("timestamp:{micros}")),
        // Only `at` itself makes these.
        SnapshotRef::ReferenceOrTimestamp { .. } | SnapshotRef::Recorded { .. } => None,
    }
}

/// Reads the list from left to right.
struct Pairs<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Pairs<'_> {
    fn all(mut self) -> Result<Vec<TablePin>, Report> {
        let mut pins: Vec<TablePin> = Vec::new();
        loop {
            let pin = self.pair()?;
            if let Some(other) = pins.iter().find(|known| known.ident == pin.ident && known.own == pin.own)
                && other.snapshot != pin.snapshot
            {
                return Err(Report::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("argument \"at\" names two snapshots of table \"{}\"", pin.ident),
                ));
            }
            pins.push(pin);
            self.skip_space();
            if self.rest.is_empty() {
                return Ok(pins);
            }
            self.expect(',')?;
        }
    }

    fn pair(&mut self) -> Result<TablePin, Report> {
        let catalog = self.name()?;
        self.expect('.')?;
        let schema = self.name()?;
        self.expect('.')?;
        let table = self.name()?;
        let own = if self.accept('@') { Some(self.name()?) } else { None };
        self.expect('=')?;
        let id = self.number()?;
        let schema_id = if self.accept('/') { Some(i32::try_from(self.number()?).map_err(|_| malformed(self.text))?) } else { None };
        let commit = if self.accept('@') { Some(self.name()?) } else { None };
        let snapshot = match (id, schema_id, &commit) {
            (id, None, None) if id != -1 => SnapshotRef::Snapshot(id),
            (id, schema_id, _) => SnapshotRef::Recorded { snapshot_id: (id != -1).then_some(id), schema_id, commit },
        };
        Ok(TablePin { ident: TableIdent { catalog, schema, table }, own, snapshot })
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn accept(&mut self, character: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, character: char) -> Result<(), Report> {
        if self.accept(character) { Ok(()) } else { Err(malformed(self.text)) }
    }

    /// A name by SQL's rules: folded unless quoted.
    fn name(&mut self) -> Result<String, Report> {
        self.skip_space();
        let Some(mut rest) = self.rest.strip_prefix('"') else {
            let end = self
                .rest
                .find(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | '$' | '-')))
                .unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            return if name.is_empty() { Err(malformed(self.text)) } else { Ok(name.to_lowercase()) };
        };
        let mut name = String::new();
        loop {
            let end = rest.find('"').ok_or_else(|| malformed(self.text))?;
            name.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None => {
                    self.rest = rest;
                    return Ok(name);
                }
            }
        }
    }

    fn number(&mut self) -> Result<i64, Report> {
        self.skip_space();
        let sign = usize::from(self.rest.starts_with('-'));
        let digits = self.rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(sign + digits);
        self.rest = rest;
        number.parse().map_err(|_| malformed(self.text))
    }
}
