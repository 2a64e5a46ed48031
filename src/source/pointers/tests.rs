//! Pointers live as long as their catalog says, and are asked for once at a time.

use tokio::sync::Notify;

use super::*;
use crate::source::one_table_tests::{OneTable, ident};
use crate::storage::Storage;

/// A catalog that numbers its answers.
fn counting(lifetime: Duration, gate: Option<Notify>) -> Arc<OneTable> {
    let mut catalog = OneTable::at(&Storage::local(), "");
    catalog.gate = gate;
    *catalog.lifetime.lock() = lifetime;
    catalog.answers(numbered);
    Arc::new(catalog)
}

fn numbered(ident: &TableIdent, number: u64) -> Result<TablePointer, SourceError> {
    Ok(TablePointer::at(format!("s3://b/{}/{number}", ident.table)))
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn without_a_lifetime_every_question_reaches_the_catalog() {
    let counted = counting(Duration::ZERO, None);
    let catalog: Arc<dyn SourceCatalog> = Arc::clone(&counted) as _;
    let pointers = Pointers::default();
    for number in 0..3 {
        let (pointer, kept) = pointers.get(&catalog, &ident("t"), Age::Kept).await.unwrap();
        assert_eq!((pointer.metadata_location, kept), (format!("s3://b/t/{number}"), false));
    }
    assert_eq!(counted.asked(), 3);
}

#[tokio::test]
async fn a_pointer_lives_as_long_as_its_catalog_says_and_freshness_is_asked_for() {
    let catalog = counting(HOUR, None);
    let (pointers, catalog): (_, Arc<dyn SourceCatalog>) = (Pointers::default(), catalog);
    let now = Instant::now();
    let at = |later: Duration, age: Age| pointers.answer(&catalog, &ident("t"), age, HOUR, now + later);
    let told = |(answer, kept): (Answer, bool)| (answer.now_or_never().unwrap().unwrap().metadata_location, kept);
    assert_eq!(told(at(Duration::ZERO, Age::Kept)), ("s3://b/t/0".into(), false));
    assert_eq!(told(at(HOUR - Duration::from_nanos(1), Age::Kept)), ("s3://b/t/0".into(), true));
    assert_eq!(told(at(HOUR, Age::Kept)), ("s3://b/t/1".into(), false));
    assert_eq!(told(at(HOUR, Age::Fresh)), ("s3://b/t/2".into(), false));
    // What was asked for by force is what the next statement finds.
    assert_eq!(told(at(HOUR, Age::Kept)), ("s3://b/t/2".into(), true));
    // Another table has its own.
    assert_eq!(told(pointers.answer(&catalog, &ident("u"), Age::Kept, HOUR, now)), ("s3://b/u/3".into(), false));
}

#[tokio::test]
async fn questions_at_one_time_share_a_flight() {
    let counted = counting(HOUR, Some(Notify::new()));
    let catalog: Arc<dyn SourceCatalog> = Arc::clone(&counted) as _;
    let pointers = Pointers::default();
    let table = ident("t");
    let asked = futures::future::join_all((0..50).map(|_| pointers.get(&catalog, &table, Age::Kept)));
    let open = async { counted.gate.as_ref().unwrap().notify_one() };
    let (answers, ()) = futures::join!(asked, open);
    assert!(answers.into_iter().all(|answer| answer.unwrap().0.metadata_location == "s3://b/t/0"));
    assert_eq!(counted.asked(), 1);
}

#[tokio::test]
async fn one_who_gives_up_does_not_take_the_answer_along() {
    let counted = counting(HOUR, Some(Notify::new()));
    let catalog: Arc<dyn SourceCatalog> = Arc::clone(&counted) as _;
    let pointers = Pointers::default();
    let table = ident("t");
    let mut first = Box::pin(pointers.get(&catalog, &table, Age::Kept));
    assert!(futures::poll!(&mut first).is_pending());
    drop(first);
    counted.gate.as_ref().unwrap().notify_one();
    assert_eq!(pointers.get(&catalog, &table, Age::Kept).await.unwrap().0.metadata_location, "s3://b/t/0");
}

#[tokio::test]
async fn errors_are_not_kept() {
    let counted = counting(HOUR, None);
    let catalog: Arc<dyn SourceCatalog> = Arc::clone(&counted) as _;
    let pointers = Pointers::default();
    counted.answers(|_, _| Err(SourceError::CatalogUnreachable { catalog: "lake".into(), reason: "no route".into() }));
    let error = pointers.get(&catalog, &ident("t"), Age::Kept).await.unwrap_err();
    assert_eq!(error.to_string(), "catalog \"lake\" cannot be reached: no route");
    assert_eq!(crate::error::ReportError::sqlstate(&error), crate::error::SqlState::FDW_UNABLE_TO_ESTABLISH_CONNECTION);
    counted.answers(numbered);
    assert_eq!(pointers.get(&catalog, &ident("t"), Age::Kept).await.unwrap().0.metadata_location, "s3://b/t/1");
}

#[tokio::test]
async fn the_number_of_tables_is_bounded() {
    let catalog: Arc<dyn SourceCatalog> = counting(HOUR, None);
    let pointers = Pointers::default();
    for number in 0..=MOST_TABLES {
        pointers.get(&catalog, &ident(&number.to_string()), Age::Kept).await.unwrap();
    }
    assert!(pointers.slots.lock().len() <= MOST_TABLES);
}
