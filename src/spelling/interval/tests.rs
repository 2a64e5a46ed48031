//! Each expectation was checked against PostgreSQL 15. It is laxer in four places, where it guesses: `PT`, `P1`, words after
//! `ago`, and two fields of one unit in different spellings; and stricter where a fraction lacks its zero behind a sign (`+.5 s`).

use super::{IntervalTextError, Unit, parse, parse_with};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

#[test]
fn literals_are_read_as_postgresql_reads_them() {
    for (text, fields) in [
        ("30 days", (0, 30, 0)),
        ("1 month 2 days 03:04:05", (1, 2, 3 * HOUR + 245 * SECOND)),
        ("1 mon", (1, 0, 0)),
        ("2 mons", (2, 0, 0)),
        ("1-2", (14, 0, 0)),
        ("-1-2", (-14, 0, 0)),
        ("1-2 3 04:05:06", (14, 3, 4 * HOUR + 306 * SECOND)),
        ("P1D", (0, 1, 0)),
        ("P1Y2M3DT4H5M6.5S", (14, 3, 4 * HOUR + 306 * SECOND + 500_000)),
        ("P1W", (0, 7, 0)),
        ("PT36H", (0, 0, 36 * HOUR)),
        ("P0001-02-03T04:05:06", (14, 3, 4 * HOUR + 306 * SECOND)),
        ("1 year", (12, 0, 0)),
        ("1.5 years", (18, 0, 0)),
        ("0.15 years", (2, 0, 0)),
        ("0.375 years", (4, 0, 0)),
        ("-0.048049 y", (-1, 0, 0)),
        ("100.134 c", (120_161, 0, 0)),
        ("1 year 1-2", (26, 0, 0)),
        ("1 sec 100 ms", (0, 0, SECOND + 100_000)),
        ("0.0000005 s", (0, 0, 0)),
        ("0.0000015 s", (0, 0, 2)),
        ("1.5 months", (1, 15, 0)),
        ("1.5 days", (0, 1, 12 * HOUR)),
        ("1.5 weeks", (0, 10, 12 * HOUR)),
        ("1 week", (0, 7, 0)),
        ("1 decade 1 century 1 millennium", (13_320, 0, 0)),
        ("-3 days", (0, -3, 0)),
        ("1 day -2 hours", (0, 1, -2 * HOUR)),
        ("1 day 2 hours ago", (0, -1, -2 * HOUR)),
        ("@ 1 day", (0, 1, 0)),
        ("1d", (0, 1, 0)),
        ("90 minutes", (0, 0, 90 * 60 * SECOND)),
        ("10 secs", (0, 0, 10 * SECOND)),
        ("1.5", (0, 0, SECOND + 500_000)),
        ("0", (0, 0, 0)),
        ("100 ms", (0, 0, 100_000)),
        ("5 us", (0, 0, 5)),
        ("04:05", (0, 0, 4 * HOUR + 300 * SECOND)),
        ("-00:00:01.25", (0, 0, -1_250_000)),
        ("1 04:05:06", (0, 1, 4 * HOUR + 306 * SECOND)),
        ("  7 DAYS  ", (0, 7, 0)),
        ("100:00:00", (0, 0, 100 * HOUR)),
    ] {
        assert_eq!(parse(text), Ok(fields), "{text}");
    }
    assert_eq!(parse_with("30", Unit::Day), Ok((0, 30, 0)));
    assert_eq!(parse_with("30 hours", Unit::Day), Ok((0, 0, 30 * HOUR)));
}

#[test]
fn what_is_no_interval_is_refused() {
    for text in [
        "",
        " ",
        "abc",
        "1 fortnight",
        "1 day 2 days",
        "days",
        "ago",
        "1 day ago ago",
        "1 day ago 2 hours",
        "P",
        "PT",
        "P1",
        "1 day 1:2:3 4:5:6",
        "1 day2 hours",
        "1.5-2",
        "--1",
        "1..2 days",
        "@",
        "9 ö",
        "1 mon 1-2",
        "1:2 3 hours",
        "1 min 1:2",
        "1:2 100 ms",
        "1.5 sec 100 ms",
        "100 ms 1.5 sec",
        "p1d",
        "P1D1",
        "1e",
        "ö1 day",
    ] {
        assert_eq!(parse(text), Err(IntervalTextError::Malformed), "{text}");
    }
    for text in ["3000000000 days", "200000000 years", "9999999999999999999 days", "1:60:00", "1-13", "10000000000 hours"] {
        assert_eq!(parse(text), Err(IntervalTextError::OutOfRange), "{text}");
    }
    // Any text of any length ends in an answer.
    assert_eq!(parse(&"1 day ".repeat(10_000)), Err(IntervalTextError::Malformed));
}

#[test]
fn intervals_are_written_as_postgresql_writes_them() {
    for (months, days, micros, text) in [
        (0, 30, 0, "30 days"),
        (14, 3, 14_706_789_000, "1 year 2 mons 3 days 04:05:06.789"),
        (0, 0, 0, "00:00:00"),
        (-1, 1, 0, "-1 mons +1 day"),
        (0, -1, 3_600_000_000, "-1 days +01:00:00"),
        (0, 0, -1, "-00:00:00.000001"),
        (12, 0, 0, "1 year"),
    ] {
        assert_eq!(super::text(months, days, micros), text);
    }
}
