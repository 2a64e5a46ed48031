//! Records are those of the data, however it is cut; values are PostgreSQL's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field};

use super::*;
use crate::session::CopyHeader;

fn columns(types: &[DataType]) -> Vec<Column> {
    let column = |(index, data_type): (usize, &DataType)| {
        let name = format!("c{index}");
        Column { field: Arc::new(Field::new(&name, data_type.clone(), true)), name, table_oid: 0, attribute: 0 }
    };
    types.iter().enumerate().map(column).collect()
}

fn options(format: CopyFormat) -> CopyOptions {
    CopyOptions::of(format)
}

/// What is read of two columns of text that come in these pieces.
fn texts(options: &CopyOptions, pieces: &[&[u8]]) -> Result<Vec<[Option<String>; 2]>, String> {
    let mut reader = CopyReader::new("t", &columns(&[DataType::Utf8, DataType::Utf8]), options.clone(), Zone::UTC.into());
    let mut rows = Vec::new();
    let mut take = |reader: &mut CopyReader, last: bool| -> Result<(), Report> {
        while let Some(batch) = reader.next_batch(last)? {
            let value = |column: usize, row: usize| {
                let column = batch.column(column).as_string::<i32>();
                column.is_valid(row).then(|| column.value(row).to_owned())
            };
            rows.extend((0..batch.num_rows()).map(|row| [value(0, row), value(1, row)]));
        }
        Ok(())
    };
    let mut all = || {
        for piece in pieces {
            reader.push(piece)?;
            take(&mut reader, false)?;
        }
        take(&mut reader, true)
    };
    all().map_err(|report: Report| format!("{} {}", report.sqlstate, report.message))?;
    Ok(rows)
}

/// The same rows whether the data comes whole, in two pieces cut anywhere, or byte by byte.
fn same_however_cut(options: &CopyOptions, data: &[u8], wanted: &[[Option<&str>; 2]]) {
    let wanted: Vec<[Option<String>; 2]> = wanted.iter().map(|row| row.map(|value| value.map(str::to_owned))).collect();
    assert_eq!(texts(options, &[data]), Ok(wanted.clone()));
    for at in 0..=data.len() {
        assert_eq!(texts(options, &[&data[..at], &data[at..]]), Ok(wanted.clone()), "cut at {at}");
    }
    assert_eq!(texts(options, &data.chunks(1).collect::<Vec<_>>()), Ok(wanted));
}

#[test]
fn text_has_backslashes() {
    let data = b"a\\tb\\\\\\n\t\\N\n\\101\\x4a\\x4\\q\t\n\\\n\tline\\r\nlast\t\\\\N\n\\.\nignored\n";
    let wanted = [[Some("a\tb\\\n"), None], [Some("AJ\u{4}q"), Some("")], [Some("\n"), Some("line\r")], [Some("last"), Some("\\N")]];
    same_however_cut(&options(CopyFormat::Text), data, &wanted);
}

#[test]
fn csv_has_quotes() {
    let data = b"1,\"a\"\"b\nc, d\"\n\"\",\nx\"y\"z,\"\\.\"\nlast,one";
    let wanted = [[Some("1"), Some("a\"b\nc, d")], [Some(""), None], [Some("xyz"), Some("\\.")], [Some("last"), Some("one")]];
    same_however_cut(&options(CopyFormat::Csv), data, &wanted);
    let other = CopyOptions {
        delimiter: b';',
        quote: b'\'',
        escape: b'\\',
        null: "NULL".into(),
        header: CopyHeader::Line,
        ..options(CopyFormat::Csv)
    };
    let data = b"a;b\nNULL;'NULL'\n'it\\'s';'\\\\\\x'\n";
    same_however_cut(&other, data, &[[None, Some("NULL")], [Some("it's"), Some("\\\\x")]]);
}

/// A binary COPY of these rows.
fn binary(rows: &[[Option<&[u8]>; 2]], trailer: bool) -> Vec<u8> {
    let mut data = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\x03xyz".to_vec();
    for row in rows {
        data.extend(2_i16.to_be_bytes());
        for value in row {
            data.extend(value.map_or(-1, |value| value.len() as i32).to_be_bytes());
            data.extend(value.unwrap_or_default());
        }
    }
    if trailer {
        data.extend((-1_i16).to_be_bytes());
    }
    data
}

#[test]
fn binary_has_lengths() {
    let rows: [[Option<&[u8]>; 2]; 3] = [[Some(b"a\tb"), None], [Some(b""), Some(b"\n")], [None, None]];
    let wanted = [[Some("a\tb"), None], [Some(""), Some("\n")], [None, None]];
    for trailer in [true, false] {
        same_however_cut(&options(CopyFormat::Binary), &binary(&rows, trailer), &wanted);
    }
    let cut = binary(&rows[..1], false);
    assert_eq!(texts(&options(CopyFormat::Binary), &[&cut[..cut.len() - 1]]), Err("22P04 unexpected EOF in COPY data".to_owned()));
}

#[test]
fn a_large_record_in_many_pieces_is_not_copied_for_each() {
    // 16 MiB in a first field, then 16,000 pieces of a second one: copied for each piece, it would be 250 GiB.
    let first = vec![b'x'; 16 << 20];
    let second = vec![b'y'; 16_000];
    let data = binary(&[[Some(&first), Some(&second)]], true);
    let (whole, rest) = data.split_at(data.len() - second.len() - 2);
    let mut pieces = vec![whole];
    pieces.extend(rest.chunks(1));
    let began = Instant::now();
    let rows = texts(&options(CopyFormat::Binary), &pieces).unwrap();
    assert_eq!(rows[0].each_ref().map(|value| value.as_ref().map(String::len)), [Some(16 << 20), Some(16_000)]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn all_lines_end_alike() {
    let wanted = [[Some("1"), Some("a")], [Some("2"), Some("b")]];
    for end in ["\n", "\r", "\r\n"] {
        let lines = |delimiter: &str, mark: &str| format!("1{delimiter}a{end}2{delimiter}b{end}{mark}");
        same_however_cut(&options(CopyFormat::Text), lines("\t", "").as_bytes(), &wanted);
        same_however_cut(&options(CopyFormat::Csv), lines(",", "").as_bytes(), &wanted);
        same_however_cut(&options(CopyFormat::Text), lines("\t", &format!("\\.{end}3")).as_bytes(), &wanted);
        same_however_cut(&options(CopyFormat::Csv), lines(",", &format!("\\.{end}3")).as_bytes(), &wanted);
        same_however_cut(&options(CopyFormat::Text), format!("1\ta{end}2\tb\\.{end}3").as_bytes(), &wanted);
    }
    let refused = |format: CopyFormat, data: &[u8]| {
        let whole = texts(&options(format), &[data]);
        assert_eq!(whole, texts(&options(format), &data.chunks(1).collect::<Vec<_>>()));
        whole.unwrap_err()
    };
    for (data, what) in [
        ("1\ta\n2\tb\r\n", "carriage return"),
        ("1\ta\r2\tb\n", "newline"),
        ("1\ta\r\n2\tb\n", "newline"),
        ("1\ta\r\n2\tb\r3\tc", "carriage return"),
    ] {
        assert_eq!(refused(CopyFormat::Text, data.as_bytes()), format!("22P04 literal {what} found in data"));
        assert_eq!(refused(CopyFormat::Csv, data.replace('\t', ",").as_bytes()), format!("22P04 unquoted {what} found in data"));
    }
    for data in ["1\ta\n\\.x", "1\ta\n\\.", "1\ta\r\n\\.x"] {
        assert_eq!(refused(CopyFormat::Text, data.as_bytes()), "22P04 end-of-copy marker corrupt");
    }
    for (format, data) in [
        (CopyFormat::Text, "1\ta\n\\.\r\n"),
        (CopyFormat::Text, "1\ta\r\\.\n"),
        (CopyFormat::Text, "1\ta\r\n\\.\n"),
        (CopyFormat::Csv, "1,a\n\\.\r\n"),
    ] {
        assert_eq!(refused(format, data.as_bytes()), "22P04 end-of-copy marker does not match previous newline style");
    }
}
