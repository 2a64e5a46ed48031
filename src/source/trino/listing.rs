//! Lists of schemas and tables, kept for some seconds.
//!
//! SHOW TABLES and every "Perhaps you meant" want one; Trino may have to ask a slow metastore for it. Of several statements
//! that want the same list one asks and the others wait. An answer that failed is not kept.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;

/// How old a list may be.
const LIFETIME: Duration = Duration::from_secs(10);

/// The most names that one list holds.
pub(super) const MOST_NAMES: usize = 100_000;

/// Schemas whose lists are kept at a time: names come from users.
const MOST_LISTS: usize = 64;

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    /// Its name.
    pub name: String,
    /// Whether it is a view.
    pub view: bool,
}

/// Rows of names and types; none if they are something else.
pub(super) fn relations(rows: Vec<Vec<Value>>) -> Option<Vec<Relation>> {
    let relation = |row: Vec<Value>| match row.as_slice() {
        [Value::String(name), Value::String(kind)] => Some(Relation { name: name.clone(), view: kind == "VIEW" }),
        _ => None,
    };
    rows.into_iter().map(relation).collect()
}

/// A list, and when it was asked for; the lock is held while asking.
type Slot<T> = Arc<AsyncMutex<Option<(Instant, Arc<Vec<T>>)>>>;

/// The lists of one catalog.
#[derive(Debug, Default)]
pub(super) struct Listings {
    schemas: Slot<String>,
    relations: Mutex<HashMap<String, Slot<Relation>>>,
}

impl Listings {
    /// The schemas, asked for if they are not known.
    pub async fn schemas<E>(&self, asked: impl Future<Output = Result<Vec<String>, E>>) -> Result<Arc<Vec<String>>, E> {
        filled(&self.schemas, asked).await
    }

    /// Tables and views of a schema, asked for if they are not known.
    pub async fn relations<E>(&self, schema: &str, asked: impl Future<Output = Result<Vec<Relation>, E>>) -> Result<Arc<Vec<Relation>>, E> {
        let slot = {
            let mut lists = self.relations.lock();
            if lists.len() >= MOST_LISTS && !lists.contains_key(schema) {
                lists.clear();
            }
            Arc::clone(lists.entry(schema.to_owned()).or_default())
        };
        filled(&slot, asked).await
    }
}

async fn filled<T, E>(slot: &Slot<T>, asked: impl Future<Output = Result<Vec<T>, E>>) -> Result<Arc<Vec<T>>, E> {
    let mut slot = slot.lock().await;
    if let Some((at, list)) = slot.as_ref()
        && at.elapsed() < LIFETIME
    {
        return Ok(Arc::clone(list));
    }
    let list = Arc::new(asked.await?);
    *slot = Some((Instant::now(), Arc::clone(&list)));
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_is_asked_for_once_and_failures_are_not_kept() {
        let listings = Listings::default();
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let answer = |list: Result<Vec<String>, &'static str>| {
            let asked = &asked;
            async move {
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                list
            }
        };
        assert_eq!(listings.schemas(answer(Err("down"))).await, Err("down"));
        assert_eq!(*listings.schemas(answer(Ok(vec!["gold".into()]))).await.unwrap(), ["gold"]);
        assert_eq!(*listings.schemas(answer(Err("down"))).await.unwrap(), ["gold"]);
        assert_eq!(asked.into_inner(), 2);
    }

    #[tokio::test]
    async fn names_of_users_do_not_pile_up() {
        let listings = Listings::default();
        for schema in 0..1000 {
            listings.relations(&schema.to_string(), async { Ok::<_, ()>(vec![]) }).await.unwrap();
        }
        assert!(listings.relations.lock().len() <= MOST_LISTS);
    }

    #[test]
    fn only_names_and_types_are_a_list() {
        let row = |name: &str, kind: &str| vec![Value::from(name), Value::from(kind)];
        let found = relations(vec![row("t", "BASE TABLE"), row("v", "VIEW")]).unwrap();
        assert_eq!(found, [Relation { name: "t".into(), view: false }, Relation { name: "v".into(), view: true }]);
        assert_eq!(relations(vec![vec![Value::Null, Value::Null]]), None);
    }
}
