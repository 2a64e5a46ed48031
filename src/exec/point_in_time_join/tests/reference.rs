//! The semantics, written down a second time: for every entity row look at every feature row. No index, no streams, no Arrow: plain values
//! and `i128` nanoseconds.

use std::cmp::Ordering;

use arrow::datatypes::IntervalMonthDayNano;
use chrono::{DateTime, Datelike, Days, Months, TimeDelta, Utc};

/// A row of the entity side: key parts and time.
#[derive(Debug, Clone)]
pub struct Entity {
    pub keys: Vec<Option<u8>>,
    pub time: Option<i128>,
}

/// A row of the feature side.
#[derive(Debug, Clone)]
pub struct Feature {
    pub keys: Vec<Option<u8>>,
    pub timestamp: Option<i128>,
    pub created: Option<i128>,
    pub valid_until: Option<i128>,
    pub commit: i64,
    pub number: Option<f64>,
    pub list: Option<Vec<Option<f64>>>,
    pub text: Option<String>,
}

/// What a lookup asks, apart from where its columns are.
#[derive(Debug, Clone)]
pub struct Question {
    pub ttl: Option<IntervalMonthDayNano>,
    pub has_created: bool,
    pub has_commit: bool,
    pub has_valid_until: bool,
    pub filter_by_created: bool,
    /// The order of the feature columns: a permutation of 0 (number), 1 (list), 2 (text).
    pub ties: Vec<usize>,
}

/// The winner, and whether commit order or content decided. The winner is given even if its validity has ended, with `false` as the last.
pub fn winner<'a>(entity: &Entity, features: &'a [Feature], question: &Question) -> (Option<&'a Feature>, bool) {
    let Some(time) = entity.time else { return (None, false) };
    if entity.keys.iter().any(Option::is_none) {
        return (None, false);
    }
    let start = question.ttl.map(|ttl| minus(time, ttl));
    let mut best: Option<&Feature> = None;
    let seen: Vec<&Feature> = features.iter().filter(|feature| is_candidate(feature, entity, time, question)).collect();
    for feature in &seen {
        if best.is_none_or(|best| order(feature, best, question) == Ordering::Greater) {
            best = Some(feature);
        }
    }
    let Some(best) = best else { return (None, false) };
    if start.is_some_and(|start| best.timestamp.unwrap() < start) {
        return (None, false);
    }
    let contested = seen.iter().any(|other| {
        other.timestamp == best.timestamp
            && (!question.has_created || other.created == best.created)
            && order(other, best, question) != Ordering::Equal
    });
    let ended = question.has_valid_until && best.valid_until.is_some_and(|end| end <= time);
    ((!ended).then_some(best), contested)
}

fn is_candidate(feature: &Feature, entity: &Entity, time: i128, question: &Question) -> bool {
    feature.keys == entity.keys
        && feature.timestamp.is_some_and(|timestamp| timestamp <= time)
        && !(question.filter_by_created && question.has_created && feature.created.is_none_or(|created| created > time))
}

fn order(a: &Feature, b: &Feature, question: &Question) -> Ordering {
    let mut order = a.timestamp.cmp(&b.timestamp);
    if question.has_created {
        order = order.then(a.created.cmp(&b.created));
    }
    if question.has_commit {
        order = order.then(a.commit.cmp(&b.commit));
    }
    for column in &question.ties {
        order = order.then_with(|| match column {
            0 => float(a.number, b.number),
            1 => match (&a.list, &b.list) {
                (Some(a), Some(b)) => {
                    let different = a.iter().zip(b).map(|(a, b)| float(*a, *b)).find(|order| *order != Ordering::Equal);
                    different.unwrap_or(a.len().cmp(&b.len()))
                }
                (a, b) => a.is_some().cmp(&b.is_some()),
            },
            _ => a.text.cmp(&b.text),
        });
    }
    if question.has_valid_until {
        // NULL highest.
        let end = |feature: &Feature| (feature.valid_until.is_none(), feature.valid_until);
        order = order.then(end(a).cmp(&end(b)));
    }
    order
}

/// NULL lowest, every NaN the same and highest, zeros by sign.
fn float(a: Option<f64>, b: Option<f64>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if a.is_nan() || b.is_nan() => a.is_nan().cmp(&b.is_nan()),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// `time - interval` in UTC: months, then days, then the rest.
fn minus(time: i128, interval: IntervalMonthDayNano) -> i128 {
    let seconds = time.div_euclid(1_000_000_000);
    let date: DateTime<Utc> = DateTime::from_timestamp(seconds as i64, time.rem_euclid(1_000_000_000) as u32).unwrap();
    let date = date.checked_sub_months(Months::new(interval.months as u32)).unwrap();
    let date = date.checked_sub_days(Days::new(interval.days as u64)).unwrap();
    let date = date.checked_sub_signed(TimeDelta::nanoseconds(interval.nanoseconds)).unwrap();
    assert!(date.year() > 0);
    i128::from(date.timestamp()) * 1_000_000_000 + i128::from(date.timestamp_subsec_nanos())
}
