//! A session's transaction: what it has changed and not yet committed, what it has seen, and how to take it all back.
//!
//! Registry changes are applied to a working copy, so that the transaction sees its own definitions, and committed as one
//! version. Settings and temporary tables are saved as they were at the begin and at each savepoint.

use std::sync::Arc;

use super::response::TransactionStatus;
use super::temp_tables::TempTables;
use super::vars::{SavedVars, SessionVars};
use crate::error::{Report, SqlState};
use crate::plan::PinnedSnapshots;
use crate::registry::{RegistryChange, RegistrySnapshot};

/// How far a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Every statement is its own.
    Autocommit,
    /// Several statements of one Query: commits at its end.
    Implicit,
    /// BEGIN … COMMIT.
    Block,
    /// A statement of a block failed.
    Failed,
}

/// Definitions as this transaction sees and changes them.
#[derive(Debug, Clone)]
pub struct RegistryWork {
    /// The version it began with.
    pub base: Arc<RegistrySnapshot>,
    /// The same with its own changes.
    pub working: Arc<RegistrySnapshot>,
    /// Those changes.
    pub changes: Vec<RegistryChange>,
    /// The statements that made them.
    pub statements: Vec<String>,
}

/// What ROLLBACK goes back to.
#[derive(Debug, Clone)]
pub struct Saved {
    vars: SavedVars,
    temp_tables: TempTables,
    registry: Option<RegistryWork>,
}

/// The transaction of one session.
#[derive(Debug)]
pub struct Transaction {
    phase: Phase,
    /// The registry, from the first statement that looked at it.
    pub registry: Option<RegistryWork>,
    /// Tables as first seen.
    pub pinned: PinnedSnapshots,
    begin: Option<Saved>,
    savepoints: Vec<(String, Saved)>,
}

impl Default for Transaction {
    fn default() -> Self {
        Self { phase: Phase::Autocommit, registry: None, pinned: PinnedSnapshots::default(), begin: None, savepoints: Vec::new() }
    }
}

/// Savepoints at one time.
const MAX_SAVEPOINTS: usize = 1000;

impl Transaction {
    /// ReadyForQuery's letter.
    pub fn status(&self) -> TransactionStatus {
        match self.phase {
            Phase::Autocommit | Phase::Implicit => TransactionStatus::Idle,
            Phase::Block => TransactionStatus::InTransaction,
            Phase::Failed => TransactionStatus::Failed,
        }
    }

    /// Whether statements belong together: their effects wait for the end.
    pub fn holds(&self) -> bool {
        self.phase != Phase::Autocommit
    }

    /// Whether BEGIN was said.
    pub fn is_block(&self) -> bool {
        matches!(self.phase, Phase::Block | Phase::Failed)
    }

    /// Whether only its end is accepted.
    pub fn is_failed(&self) -> bool {
        self.phase == Phase::Failed
    }

    /// A Query of several statements begins.
    pub fn begin_implicit(&mut self, vars: SavedVars, temp_tables: &TempTables) {
        if self.phase == Phase::Autocommit {
            self.phase = Phase::Implicit;
            self.begin = Some(self.save(vars, temp_tables));
        }
    }

    /// BEGIN.
    pub fn begin(&mut self, vars: SavedVars, temp_tables: &TempTables) {
        if self.phase == Phase::Autocommit {
            self.begin = Some(self.save(vars, temp_tables));
        }
        self.phase = Phase::Block;
    }

    /// A statement failed: a block waits for its end, an implicit transaction is to be rolled back by the caller.
    pub fn fail(&mut self) {
        if self.phase == Phase::Block {
            self.phase = Phase::Failed;
        }
    }

    /// The end, either way: nothing of it is left. Returns what ROLLBACK restores.
    pub fn end(&mut self) -> Option<Saved> {
        self.phase = Phase::Autocommit;
        self.registry = None;
        self.pinned.clear();
        self.savepoints.clear();
        self.begin.take()
    }

    /// SAVEPOINT.
    pub fn savepoint(&mut self, name: String, vars: SavedVars, temp_tables: &TempTables) -> Result<(), Report> {
        if self.savepoints.len() >= MAX_SAVEPOINTS {
            return Err(Report::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("a transaction holds at most {MAX_SAVEPOINTS} savepoints")));
        }
        let saved = self.save(vars, temp_tables);
        self.savepoints.push((name, saved));
        Ok(())
    }

    /// How many savepoints there are.
    pub fn savepoints(&self) -> usize {
        self.savepoints.len()
    }

    /// RELEASE. Returns the savepoint's number, from 0.
    pub fn release(&mut self, name: &str) -> Result<usize, Report> {
        let index = self.find(name)?;
        self.savepoints.truncate(index);
        Ok(index)
    }

    /// ROLLBACK TO: the savepoint stays. Returns its number, from 0, and what to restore.
    pub fn roll_back_to(&mut self, name: &str) -> Result<(usize, Saved), Report> {
        let index = self.find(name)?;
        self.savepoints.truncate(index + 1);
        let saved = self.savepoints[index].1.clone();
        self.registry = saved.registry.clone().or_else(|| self.registry.take().map(RegistryWork::without_changes));
        self.phase = Phase::Block;
        Ok((index, saved))
    }

    fn find(&self, name: &str) -> Result<usize, Report> {
        self.savepoints
            .iter()
            .rposition(|(known, _)| known == name)
            .ok_or_else(|| Report::new(SqlState::INVALID_SAVEPOINT, format!("savepoint \"{name}\" does not exist")))
    }

    /// Settings and temporary tables as they are now.
    pub fn save(&self, vars: SavedVars, temp_tables: &TempTables) -> Saved {
        Saved { vars, temp_tables: temp_tables.clone(), registry: self.registry.clone() }
    }
}

impl Saved {
    /// Puts settings and temporary tables back.
    pub fn restore(self, vars: &mut SessionVars, temp_tables: &mut TempTables) {
        vars.roll_back(self.vars);
        *temp_tables = self.temp_tables;
    }
}

impl RegistryWork {
    /// Begins with this version.
    pub fn new(base: Arc<RegistrySnapshot>) -> Self {
        Self { working: Arc::clone(&base), base, changes: Vec::new(), statements: Vec::new() }
    }

    /// The version as it was, for a savepoint made before the registry was looked at.
    fn without_changes(self) -> Self {
        Self::new(self.base)
    }
}
