//! [`Pointers`]: what catalogs said lately of where a table's metadata is.
//!
//! A pointer is the only thing of a table that goes stale, so it is the only thing with a lifetime: that of its catalog
//! ([`SourceCatalog::pointer_lifetime`]), counted from when the catalog was asked, not from when it answered. A lifetime of
//! zero means that every question reaches the catalog, and that no two share an answer: a statement that begins after a commit
//! must see it. With a lifetime, questions for one table share one flight. Errors are not kept; those who waited for the
//! same answer share the error too, so that a catalog that is down is not asked by one client after the other.
//!
//! The number of tables kept is bounded; an entry is a few hundred bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;

use super::{SourceCatalog, SourceError, TableIdent, TablePointer};

/// The most tables that are kept.
const MOST_TABLES: usize = 1_000;

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// As old as the catalog's lifetime allows.
    Kept,
    /// Of a question that is asked now.
    Fresh,
}

type Answer = Shared<BoxFuture<'static, Result<TablePointer, Arc<SourceError>>>>;

struct Slot {
    asked: Instant,
    lifetime: Duration,
    answer: Answer,
}

impl Slot {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.asked) < self.lifetime && !matches!(self.answer.peek(), Some(Err(_)))
    }
}

/// The pointers of all catalogs.
#[derive(Default)]
pub(super) struct Pointers {
    slots: Mutex<HashMap<TableIdent, Slot>>,
}

impl std::fmt::Debug for Pointers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pointers").field("tables", &self.slots.lock().len()).finish_non_exhaustive()
    }
}

impl Pointers {
    /// The table's pointer, and whether it is one that was kept.
    pub(super) async fn get(
        &self,
        catalog: &Arc<dyn SourceCatalog>,
        ident: &TableIdent,
        age: Age,
    ) -> Result<(TablePointer, bool), SourceError> {
        let lifetime = catalog.pointer_lifetime();
        if lifetime.is_zero() {
            return Ok((catalog.pointer(ident).await?, false));
        }
        let (answer, kept) = self.answer(catalog, ident, age, lifetime, Instant::now());
        answer.await.map(|pointer| (pointer, kept)).map_err(SourceError::Shared)
    }

    /// The answer of a live slot, or of a question that is asked with this call.
    fn answer(&self, catalog: &Arc<dyn SourceCatalog>, ident: &TableIdent, age: Age, lifetime: Duration, now: Instant) -> (Answer, bool) {
        let mut slots = self.slots.lock();
        if age == Age::Kept
            && let Some(slot) = slots.get(ident)
            && slot.is_alive(now)
        {
            return (slot.answer.clone(), true);
        }
        if slots.len() >= MOST_TABLES {
            slots.retain(|_, slot| slot.is_alive(now));
            if slots.len() >= MOST_TABLES {
                slots.clear();
            }
        }
        let (catalog, asked) = (Arc::clone(catalog), ident.clone());
        let answer = async move { catalog.pointer(&asked).await.map_err(Arc::new) }.boxed().shared();
        slots.insert(ident.clone(), Slot { asked: now, lifetime, answer: answer.clone() });
        (answer, false)
    }
}

#[cfg(test)]
mod tests;
