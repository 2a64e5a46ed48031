//! The rules, one by one.

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::source::iceberg::{ColumnStatistics, ContentFile, Datum, FileFormat};

/// Spec 0 is unpartitioned, 1 by identity, 2 void only.
fn metadata() -> TableMetadata {
    let json = json!({
        "format-version": 2, "location": "s3://b/t", "current-schema-id": 0,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": false, "type": "int"}]}],
        "partition-specs": [
            {"spec-id": 0, "fields": []},
            {"spec-id": 1, "fields": [{"source-id": 1, "field-id": 1000, "name": "a", "transform": "identity"}]},
            {"spec-id": 2, "fields": [{"source-id": 1, "field-id": 1000, "name": "a", "transform": "void"}]}
        ]
    });
    TableMetadata::parse(json.to_string().as_bytes(), "m").unwrap()
}

fn file(path: &str, spec_id: i32, value: Option<i32>) -> ContentFile {
    let values = if spec_id == 0 { Vec::new() } else { vec![value.map(Datum::Int).into()] };
    ContentFile {
        path: path.to_owned(),
        format: FileFormat::Parquet,
        spec_id,
        partition: PartitionTuple { values },
        record_count: 1,
        file_size: 1,
        statistics: ColumnStatistics::default(),
        encrypted: false,
        split_offsets: Vec::new(),
        sort_order_id: None,
        equality_ids: vec![1],
        referenced_data_file: None,
        content_offset: None,
        content_size: None,
        first_row_id: None,
    }
}

fn data(path: &str, spec_id: i32, value: Option<i32>, sequence_number: i64) -> DataFile {
    DataFile { file: Arc::new(file(path, spec_id, value)), sequence_number, first_row_id: None }
}

fn delete(kind: DeleteKind, file: ContentFile, sequence_number: i64) -> Arc<DeleteFile> {
    Arc::new(DeleteFile { file: Arc::new(file), kind, sequence_number })
}

fn names(deletes: &[Arc<DeleteFile>]) -> Vec<&str> {
    deletes.iter().map(|delete| delete.path.as_str()).collect()
}

#[test]
fn sequence_numbers_decide() {
    let deletes = [
        delete(DeleteKind::Position, file("p5", 0, None), 5),
        delete(DeleteKind::Position, file("p3", 0, None), 3),
        delete(DeleteKind::Equality, file("e5", 0, None), 5),
        delete(DeleteKind::Equality, file("e4", 0, None), 4),
    ];
    let index = DeleteIndex::new(&deletes, &metadata()).unwrap();
    let of = |sequence| {
        let found = index.deletes_for(&data("d", 0, None, sequence));
        (names(&found.position).join(" "), names(&found.equality).join(" "))
    };
    assert_eq!(of(1), ("p3 p5".into(), "e4 e5".into()));
    assert_eq!(of(4), ("p5".into(), "e5".into()));
    assert_eq!(of(5), ("p5".into(), String::new()));
    assert_eq!(of(6), (String::new(), String::new()));
    assert_eq!(of(i64::MAX), (String::new(), String::new()));
}

#[test]
fn partitions_and_specs_decide() {
    let deletes = [
        delete(DeleteKind::Position, file("p-unpartitioned", 0, None), 9),
        delete(DeleteKind::Position, file("p-1", 1, Some(1)), 9),
        delete(DeleteKind::Position, file("p-null", 1, None), 9),
        delete(DeleteKind::Equality, file("e-global", 0, None), 9),
        delete(DeleteKind::Equality, file("e-void", 2, None), 9),
        delete(DeleteKind::Equality, file("e-1", 1, Some(1)), 9),
    ];
    let index = DeleteIndex::new(&deletes, &metadata()).unwrap();
    let of = |spec, value| {
        let found = index.deletes_for(&data("d", spec, value, 1));
        (names(&found.position).join(" "), names(&found.equality).join(" "))
    };
    assert_eq!(of(0, None), ("p-unpartitioned".into(), "e-global e-void".into()));
    assert_eq!(of(1, Some(1)), ("p-1".into(), "e-global e-void e-1".into()));
    assert_eq!(of(1, Some(2)), (String::new(), "e-global e-void".into()));
    assert_eq!(of(1, None), ("p-null".into(), "e-global e-void".into()));
}

#[test]
fn a_vector_replaces_position_deletes_of_its_file_only() {
    let mut vector = file("v.puffin", 0, None);
    vector.referenced_data_file = Some("d1".to_owned());
    let deletes = [delete(DeleteKind::Vector, vector.clone(), 5), delete(DeleteKind::Position, file("p", 0, None), 9)];
    let index = DeleteIndex::new(&deletes, &metadata()).unwrap();
    let with = index.deletes_for(&data("d1", 0, None, 5));
    assert_eq!((with.vector.unwrap().path.as_str(), with.position.len()), ("v.puffin", 0));
    let other = index.deletes_for(&data("d2", 0, None, 5));
    assert_eq!((other.vector.is_none(), names(&other.position)), (true, vec!["p"]));
    // A file that was written after the vector, under the same name.
    assert!(index.deletes_for(&data("d1", 0, None, 6)).vector.is_none());

    let twice = [delete(DeleteKind::Vector, vector.clone(), 5), delete(DeleteKind::Vector, vector, 6)];
    assert!(DeleteIndex::new(&twice, &metadata()).unwrap_err().to_string().contains("two deletion vectors"));
}

#[test]
fn path_bounds_leave_out_files_but_never_one_that_may_be_named() {
    let bounded = |name: &str, lower: &str, upper: &str| {
        let mut delete = file(name, 0, None);
        delete.statistics.lower_bounds = [(FILE_PATH, Bytes::copy_from_slice(lower.as_bytes()))].into_iter().collect();
        delete.statistics.upper_bounds = [(FILE_PATH, Bytes::copy_from_slice(upper.as_bytes()))].into_iter().collect();
        delete
    };
    let mut named = file("named", 0, None);
    named.referenced_data_file = Some("s3://b/d2".to_owned());
    let deletes = [
        delete(DeleteKind::Position, bounded("only-d1", "s3://b/d1", "s3://b/d1"), 9),
        delete(DeleteKind::Position, bounded("d2-to-d4", "s3://b/d2", "s3://b/d4"), 9),
        delete(DeleteKind::Position, bounded("cut", "s3://", "s3://b/d"), 9),
        delete(DeleteKind::Position, named, 9),
    ];
    let index = DeleteIndex::new(&deletes, &metadata()).unwrap();
    let of = |path: &str| {
        let found = index.deletes_for(&data(path, 0, None, 1));
        names(&found.position).join(" ")
    };
    assert_eq!(of("s3://b/d1"), "only-d1 cut");
    assert_eq!(of("s3://b/d2"), "named d2-to-d4 cut");
    assert_eq!(of("s3://b/d4"), "d2-to-d4 cut");
    assert_eq!(of("s3://b/d5"), "cut");
    assert_eq!(of("s3://c"), "");
}

#[test]
fn equal_bounds_that_were_cut_reach_the_files_of_their_partition() {
    let bounded = |spec: i32, value: Option<i32>, path: &str| {
        let mut file = file("p", spec, value);
        let bound = || [(FILE_PATH, Bytes::copy_from_slice(path.as_bytes()))].into_iter().collect();
        (file.statistics.lower_bounds, file.statistics.upper_bounds) = (bound(), bound());
        delete(DeleteKind::Position, file, 5)
    };
    let index = DeleteIndex::new(&[bounded(1, Some(7), "s3://b/t/da")], &metadata()).unwrap();
    assert_eq!(names(&index.deletes_for(&data("s3://b/t/data/a", 1, Some(7), 5)).position), ["p"]);
    assert!(index.deletes_for(&data("s3://b/t/data/a", 1, Some(8), 5)).is_empty());
    assert!(index.deletes_for(&data("s3://b/t/data/a", 1, Some(7), 6)).is_empty());
    assert!(index.deletes_for(&data("s3://b/other", 1, Some(7), 5)).is_empty());
    // A whole path is one file's, whatever its partition.
    let index = DeleteIndex::new(&[bounded(1, Some(7), "s3://b/t/data/a")], &metadata()).unwrap();
    assert_eq!(names(&index.deletes_for(&data("s3://b/t/data/a", 1, Some(8), 5)).position), ["p"]);
    assert!(index.deletes_for(&data("s3://b/t/data/b", 1, Some(7), 5)).is_empty());
}
