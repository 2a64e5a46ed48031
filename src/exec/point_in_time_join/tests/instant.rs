//! Calendar arithmetic against chrono, and the carry of units at the edges of their ranges.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use chrono::{DateTime, Days, Months, TimeDelta};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

#[test]
fn windows_agree_with_chrono() {
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..20_000 {
        let seconds = random.random_range(-40_000_000_000_i64..40_000_000_000);
        let interval =
            IntervalMonthDayNano::new(random.random_range(0..40), random.random_range(0..400), random.random_range(0..200_000_000_000_000));
        let expected = DateTime::from_timestamp(seconds, 0)
            .and_then(|t| t.checked_sub_months(Months::new(interval.months as u32)))
            .and_then(|t| t.checked_sub_days(Days::new(interval.days as u64)))
            .and_then(|t| t.checked_sub_signed(TimeDelta::nanoseconds(interval.nanoseconds)))
            .unwrap();
        let nanos = i128::from(expected.timestamp()) * 1_000_000_000 + i128::from(expected.timestamp_subsec_nanos());
        assert_eq!(window_start(i128::from(seconds) * 1_000_000_000, interval), nanos, "{seconds} - {interval:?}");
    }
}

#[test]
fn a_month_before_the_31st_of_march_is_the_last_of_february() {
    let day = |text: &str| i128::from(text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp()) * 1_000_000_000;
    let month = IntervalMonthDayNano::new(1, 0, 0);
    assert_eq!(window_start(day("2024-03-31T12:00:00Z"), month), day("2024-02-29T12:00:00Z"));
    assert_eq!(window_start(day("2023-03-31T12:00:00Z"), month), day("2023-02-28T12:00:00Z"));
    assert_eq!(window_start(day("1900-03-30T00:00:00Z"), month), day("1900-02-28T00:00:00Z"));
}

#[test]
fn units_carry_exactly_and_never_overflow() {
    let unit = |u| Unit::of(&DataType::Timestamp(u, None)).unwrap();
    let (ns, us, s) = (unit(TimeUnit::Nanosecond), unit(TimeUnit::Microsecond), unit(TimeUnit::Second));
    let day = Unit::of(&DataType::Date32).unwrap();
    assert_eq!(ns.towards(us).first_instant_at_or_after(1_001), Some(2));
    assert_eq!(ns.towards(us).first_instant_at_or_after(1_000), Some(1));
    assert_eq!(ns.towards(us).first_instant_at_or_after(-1_001), Some(-1));
    assert_eq!(us.towards(day).first_instant_at_or_after(-1), Some(0));
    assert_eq!(day.towards(us).first_instant_at_or_after(1), Some(86_400_000_000));
    assert_eq!(s.towards(ns).first_instant_at_or_after(i64::MAX), None);
    assert_eq!(s.towards(ns).first_instant_at_or_after(i64::MIN), Some(i64::MIN));
    assert_eq!(us.towards(us).first_instant_at_or_after(i64::MIN), Some(i64::MIN));
    assert_eq!(day.floor(-1), -1);
    assert_eq!(s.nanos(i64::MAX), i128::from(i64::MAX) * 1_000_000_000);
}

#[test]
fn only_positive_intervals_are_windows() {
    assert!(is_positive(IntervalMonthDayNano::new(0, 0, 1)));
    assert!(is_positive(IntervalMonthDayNano::new(1, -29, 0)));
    assert!(!is_positive(IntervalMonthDayNano::new(1, -30, 0)));
    assert!(!is_positive(IntervalMonthDayNano::new(0, 0, 0)));
    assert!(!is_positive(IntervalMonthDayNano::new(0, -1, 0)));
}

#[test]
fn intervals_read_as_postgresql_writes_them() {
    assert_eq!(interval_words(IntervalMonthDayNano::new(14, 3, 3_723_500_000_000)), "1 year 2 mons 3 days 01:02:03.5");
    assert_eq!(interval_words(IntervalMonthDayNano::new(0, 30, 0)), "30 days");
}
