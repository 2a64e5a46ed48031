//! How files are dealt out to partitions: every byte of every file in exactly one range, the last of which has no end.

use super::*;

fn options(partitions: usize, cut_from: u64) -> ScanOptions {
    ScanOptions {
        partitions,
        cut_from,
        parquet: TableParquetOptions::default(),
        batch_size: None,
        limit: None,
        ordered: false,
        optimized: true,
        prune: None,
    }
}

/// A file's name and its range.
type Piece = (String, Option<(i64, i64)>);

fn ranges(sizes: &[u64], partitions: usize, cut_from: u64) -> Vec<Vec<Piece>> {
    let files = sizes.iter().enumerate().map(|(index, size)| PartitionedFile::new(index.to_string(), *size)).collect();
    let piece = |file: &PartitionedFile| (file.path().to_string(), file.range.as_ref().map(|range| (range.start, range.end)));
    cut(files, &options(partitions, cut_from)).iter().map(|group| group.iter().map(piece).collect()).collect()
}

#[test]
fn small_files_stay_whole() {
    let whole = |name: &str| (name.to_owned(), None);
    assert_eq!(ranges(&[1, 1, 1], 2, 100), [vec![whole("0"), whole("1")], vec![whole("2")]]);
    assert_eq!(ranges(&[1, 1, 1], 1, 0), [vec![whole("0"), whole("1"), whole("2")]]);
    assert_eq!(ranges(&[5], 8, 100), [vec![whole("0")]]);
}

#[test]
fn a_large_file_is_cut_and_its_end_is_open() {
    let piece = |start, end| ("0".to_owned(), Some((start, end)));
    assert_eq!(ranges(&[100], 4, 1), [vec![piece(0, 25)], vec![piece(25, 50)], vec![piece(50, 75)], vec![piece(75, i64::MAX)]]);
}

#[test]
fn every_byte_is_in_one_range_whatever_the_sizes() {
    for sizes in [vec![7, 0, 13, 100, 1], vec![0, 0], vec![1, 1, 1, 1, 1, 1, 1], vec![99, 1], vec![3]] {
        for partitions in 1..7 {
            let groups = ranges(&sizes, partitions, 1);
            assert!(groups.len() <= partitions, "{sizes:?} {partitions}");
            for index in 0..sizes.len() {
                let pieces: Vec<_> =
                    groups.iter().flatten().filter(|(name, _)| *name == index.to_string()).map(|(_, range)| *range).collect();
                match pieces.as_slice() {
                    [None] => {}
                    pieces => {
                        let mut at = 0;
                        for piece in pieces {
                            let (start, end) = piece.unwrap();
                            assert_eq!(start, at, "{sizes:?} {partitions}");
                            at = end;
                        }
                        assert_eq!(at, i64::MAX, "{sizes:?} {partitions}");
                    }
                }
            }
        }
    }
}
