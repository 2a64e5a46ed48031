//! The order of rows within a slot, and what counts as a contest.

use super::*;

fn row(timestamp: i64, created: i64, commit: i64, locator: u64) -> Row {
    Row { timestamp, created, commit, locator }
}

#[test]
fn later_event_then_later_created_then_later_commit() {
    let mut winners = Winners::new(1);
    assert_eq!(winners.offer(0, row(5, 1, 1, 10)), Outcome::Won);
    assert_eq!(winners.offer(0, row(4, 9, 9, 11)), Outcome::Lost);
    assert_eq!(winners.offer(0, row(5, 2, 0, 12)), Outcome::Won);
    assert_eq!(winners.contested(0), 0);
    assert_eq!(winners.offer(0, row(5, 2, 3, 13)), Outcome::Won);
    assert_eq!(winners.contested(0), BY_COMMIT);
    assert_eq!(winners.offer(0, row(5, 2, 3, 14)), Outcome::Tied);
    assert_eq!(winners.ties().len(), 1);
    assert_eq!(winners.offer(0, row(6, i64::MIN, 0, 15)), Outcome::Won);
    assert_eq!(winners.contested(0), 0);
    assert!(winners.take_ties().is_empty(), "the tied row has been beaten");
    assert_eq!(winners.filled(), 1);
}

#[test]
fn an_unknown_created_timestamp_loses_its_tie_only() {
    assert!(nullable_rank(None) < nullable_rank(Some(i64::MIN)));
    assert_eq!(nullable_rank(Some(0)), 0);
}

#[tokio::test]
async fn merging_is_offering() {
    let mut left = Winners::new(3);
    left.offer(0, row(1, 0, 0, 1));
    left.offer(1, row(7, 0, 2, 2));
    let mut right = Winners::new(3);
    right.offer(0, row(1, 0, 0, 3));
    right.offer(1, row(7, 0, 1, 4));
    right.offer(1, row(7, 0, 0, 5));
    right.offer(2, row(9, 0, 0, 6));
    left.merge(right, &mut Pace::new()).await;
    assert_eq!(left.best()[1].locator, 2);
    assert_eq!(left.best()[2].locator, 6);
    assert_eq!((left.contested(0), left.contested(1), left.contested(2)), (0, BY_COMMIT, 0));
    assert_eq!(left.take_ties().len(), 1);
    assert_eq!(left.filled(), 3);
}
