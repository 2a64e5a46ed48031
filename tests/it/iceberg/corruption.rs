//! Damaged files: whatever is cut off, flipped or made huge in any file of a table, a query gives rows, or an error that says
//! what is wrong, soon and without a panic.
//!
//! Two ways in. Whole tables: a random history's files, one of them damaged, read by a query. And parsers alone, on files by
//! other writers in `tests/corpus/iceberg` (compressed Avro among them), where thousands of mutations cost nothing. Seeded;
//! `FEATGRES_FUZZ_SECONDS` goes on for longer, with other seeds each time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use featgres::error::ReportError;
use featgres::source::iceberg::{
    DeleteKind, DeletionVector, FormatError, Manifest, ManifestContent, ManifestFile, ManifestList, NameMapping, TableMetadata,
};
use featgres::source::{SnapshotRef, Sources};
use featgres::storage::Storage;
use featgres::table::{SnapshotTable, TableOptions};
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::history::Table;
use super::one_table::{OneTable, ident};
use super::session;

/// Damage is XX001; a flipped version or codec may be a feature that is not there, a flipped path a file that is gone or cannot
/// be named, a flipped count more than the limits allow.
const ALLOWED: &[&str] = &["XX001", "0A000", "72000", "58030", "53200", "54000"];

/// No damage may keep a reader of these small files busy for as long as this.
const PATIENCE: Duration = Duration::from_secs(20);

/// Damages the bytes, somehow.
pub fn mutate(bytes: &mut Vec<u8>, random: &mut StdRng) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    let at = random.random_range(0..bytes.len());
    match random.random_range(0..7) {
        0 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        1 | 2 => {
            let bit = random.random_range(0..8);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at}")
        }
        3 => {
            let huge: &[u8] = [
                &[0xff; 4][..],
                &[0xff; 8],
                &[0xff, 0xff, 0xff, 0x7f],
                &[0; 8],
                &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                &[0xff, 0xff, 0xff, 0xff, 0x0f],
            ][random.random_range(0..6)];
            for (place, byte) in bytes[at..].iter_mut().zip(huge) {
                *place = *byte;
            }
            format!("{huge:02x?} over {at}")
        }
        4 => {
            let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
            bytes.splice(at..at, huge);
            format!("a huge number into {at}")
        }
        5 => {
            let end = (at + random.random_range(1..64)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            let to = random.random_range(0..bytes.len());
            bytes.splice(to..to, part);
            format!("{at}..{end} again at {to}")
        }
        _ => {
            let end = (at + random.random_range(1..64)).min(bytes.len());
            bytes.drain(at..end);
            format!("{at}..{end} taken out")
        }
    }
}

/// Goes on until the time is up, at least `least` times.
fn rounds(least: usize) -> impl Iterator<Item = u64> {
    let seconds = std::env::var("FEATGRES_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let first = if seconds > 0 { rand::rng().random::<u32>() } else { 0 };
    let until = Instant::now() + Duration::from_secs(seconds);
    (0..).take_while(move |round: &usize| *round < least || Instant::now() < until).map(move |round| u64::from(first) + round as u64)
}

fn code(error: &datafusion::common::DataFusionError) -> String {
    featgres::plan::without_position(error).sqlstate.code().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_of_a_table_are_an_error_or_harmless() {
    let sessions = [session(false, 1, 8192), session(true, 2, 3)];
    let (mut failed, mut harmless) = (0, 0);
    let mut table = Table::new(0);
    for (number, round) in rounds(150).enumerate() {
        let mut random = StdRng::seed_from_u64(round);
        if number % 25 == 0 {
            table = Table::new(round);
            for _ in 0..30 {
                table.step().await;
            }
        }
        let location = "s3://b/t/metadata/now.metadata.json";
        table.folder.put(location, table.metadata()).await;
        let objects: Vec<_> = table.folder.store.list(None).try_collect().await.unwrap();
        let copy = Arc::new(InMemory::new());
        let current: Vec<String> = current_files(&table);
        let victim = current[random.random_range(0..current.len())].clone();
        let mut what = String::new();
        for object in &objects {
            let mut bytes = table.folder.store.get(&object.location).await.unwrap().bytes().await.unwrap().to_vec();
            if format!("s3://b/{}", object.location) == victim {
                what = format!("round {round}, {victim}: {}", mutate(&mut bytes, &mut random));
            }
            copy.put(&object.location, PutPayload::from(bytes)).await.unwrap();
        }
        let storage = Storage::with_store("s3://b", copy);
        let sources = OneTable::at(&storage, location).sources();
        let session = &sessions[random.random_range(0..sessions.len())];
        let began = Instant::now();
        let outcome = tokio::time::timeout(PATIENCE, read(session, &sources)).await;
        match outcome.unwrap_or_else(|_| panic!("{what}: not done after {:?}", began.elapsed())) {
            Ok(()) => harmless += 1,
            Err(code) => {
                failed += 1;
                assert!(ALLOWED.contains(&code.as_str()), "{what}: {code}");
            }
        }
    }
    println!("{failed} failed as they should, {harmless} were harmless");
    assert!(failed > harmless / 4, "{failed} failed, {harmless} were harmless");
}

/// All files that the current snapshot is made of, its metadata among them.
fn current_files(table: &Table) -> Vec<String> {
    let snapshot = table.snapshot(table.references["main"].0);
    let mut files = vec!["s3://b/t/metadata/now.metadata.json".to_owned(), snapshot.manifest_list().to_owned()];
    for manifest in &snapshot.state.manifests {
        files.push(manifest.path.clone());
        files.extend(manifest.entries.iter().filter(|entry| entry.status != 2).map(|entry| entry.path.clone()));
    }
    files
}

async fn read(session: &datafusion::prelude::SessionContext, sources: &Sources) -> Result<(), String> {
    let snapshot = sources.snapshot(&ident(), &SnapshotRef::Current).await.map_err(|error| error.sqlstate().code().to_owned())?;
    let provider =
        SnapshotTable::new(snapshot, TableOptions { metadata_columns: true }).map_err(|error| error.sqlstate().code().to_owned())?;
    let _ = session.deregister_table("t");
    session.register_table("t", Arc::new(provider)).map_err(|error| code(&error))?;
    let query = session.sql("SELECT * FROM t").await.map_err(|error| code(&error))?;
    query.collect().await.map(|_| ()).map_err(|error| code(&error))
}

fn corpus(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/iceberg").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files of `small`, by their keys.
fn small_table() -> Vec<(String, Vec<u8>)> {
    let below = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/iceberg/small");
    let mut files = Vec::new();
    for folder in ["data", "metadata"] {
        for file in std::fs::read_dir(below.join(folder)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            files.push((format!("corpus/small/{folder}/{name}"), std::fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

/// Parses by what the file is.
fn parse(name: &str, bytes: &[u8], metadata: &TableMetadata) -> Result<(), FormatError> {
    if name.ends_with(".metadata.json") {
        let parsed = TableMetadata::parse(bytes, name)?;
        if let Some(Err(reason)) = parsed.name_mapping() {
            assert!(reason.starts_with("name mapping: "), "{reason}");
        }
    } else if name.contains("list") {
        ManifestList::parse(bytes, name)?;
    } else if name.contains("manifest") {
        let content = if name.contains("delete") { ManifestContent::Deletes } else { ManifestContent::Data };
        let listed = listed(name, content);
        let manifest = Manifest::parse(bytes, &listed, metadata)?;
        match content {
            ManifestContent::Data => manifest.data_files(&listed).map(|_| ())?,
            ManifestContent::Deletes => manifest.delete_files(&listed).map(|_| ())?,
        }
    } else if name.ends_with(".mapping.json") {
        let text = String::from_utf8_lossy(bytes);
        let _ = NameMapping::parse(&text);
    } else {
        panic!("what is {name}?");
    }
    Ok(())
}

fn listed(name: &str, content: ManifestContent) -> ManifestFile {
    ManifestFile {
        path: name.to_owned(),
        length: 0,
        partition_spec_id: Some(0),
        content,
        sequence_number: 9,
        min_sequence_number: 0,
        added_snapshot_id: Some(1),
        added_files_count: None,
        existing_files_count: None,
        partitions: None,
        encrypted: false,
        first_row_id: Some(0),
    }
}

#[test]
fn damaged_metadata_is_an_error_or_harmless() {
    let metadata = TableMetadata::parse(&corpus("partitioned.metadata.json"), "m").unwrap();
    let names = [
        "partitioned.metadata.json",
        "v1.metadata.json",
        "v3.metadata.json",
        "zipped.gz.metadata.json",
        "list.avro",
        "list-v1.avro",
        "manifest.avro",
        "manifest-deletes.avro",
        "nested.mapping.json",
    ];
    for name in names {
        let whole = corpus(name);
        parse(name, &whole, &metadata).unwrap();
        for round in rounds(1500 / (1 + whole.len() / 4096)) {
            let mut random = StdRng::seed_from_u64(round);
            let mut bytes = whole.clone();
            let mut what = mutate(&mut bytes, &mut random);
            if random.random_bool(0.3) {
                what = format!("{what}, {}", mutate(&mut bytes, &mut random));
            }
            let began = Instant::now();
            if let Err(error) = parse(name, &bytes, &metadata) {
                let code = error.sqlstate().code();
                assert!(["XX001", "0A000"].contains(&code), "{name}, round {round}, {what}: {code} {error}");
            }
            assert!(began.elapsed() < PATIENCE, "{name}, round {round}, {what}: {:?}", began.elapsed());
        }
    }
}

#[test]
fn damaged_deletion_vectors_are_an_error() {
    let metadata = TableMetadata::parse(&corpus("partitioned.metadata.json"), "m").unwrap();
    let manifest_file = listed("manifest-vectors.avro", ManifestContent::Deletes);
    let manifest = Manifest::parse(&corpus("manifest-vectors.avro"), &manifest_file, &metadata).unwrap();
    let deletes = manifest.delete_files(&manifest_file).unwrap();
    let vector = deletes.iter().find(|delete| delete.kind == DeleteKind::Vector).unwrap();
    let puffin = corpus("vectors.puffin");
    let (from, length) = (vector.content_offset.unwrap() as usize, vector.content_size.unwrap() as usize);
    let whole = puffin[from..from + length].to_vec();
    let positions = DeletionVector::parse(&whole, vector).unwrap();
    for round in rounds(5000) {
        let mut random = StdRng::seed_from_u64(round);
        let mut bytes = whole.clone();
        let what = mutate(&mut bytes, &mut random);
        // The checksum catches what the structure does not; a mutation that changes nothing is no damage.
        match DeletionVector::parse(&bytes, vector) {
            Ok(parsed) => assert!(bytes == whole && parsed == positions, "round {round}, {what}: taken"),
            Err(error) => assert_eq!(error.sqlstate().code(), "XX001", "round {round}, {what}"),
        }
        // With a checksum that fits, the bitmap itself must hold.
        if bytes.len() > 12 {
            let end = bytes.len() - 4;
            let length = (end - 4) as u32;
            bytes[..4].copy_from_slice(&length.to_be_bytes());
            let crc = crc32fast::hash(&bytes[4..end]);
            bytes[end..].copy_from_slice(&crc.to_be_bytes());
            let began = Instant::now();
            let _ = DeletionVector::parse(&bytes, vector);
            assert!(began.elapsed() < PATIENCE, "round {round}, {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_parquet_by_other_writers_is_an_error_or_harmless() {
    // A table of one data file, one position delete file and one equality delete file, by another writer.
    let files = small_table();
    let victims: Vec<&String> = files.iter().map(|(path, _)| path).filter(|path| path.ends_with(".parquet")).collect();
    let session = session(true, 1, 8192);
    let (mut failed, mut harmless) = (0, 0);
    for round in rounds(300) {
        let mut random = StdRng::seed_from_u64(round);
        let store = Arc::new(InMemory::new());
        let victim = victims[random.random_range(0..victims.len())];
        let mut what = String::new();
        for (name, bytes) in &files {
            let mut bytes = bytes.clone();
            if name == victim {
                what = format!("round {round}, {name}: {}", mutate(&mut bytes, &mut random));
            }
            store.put(&Path::parse(name).unwrap(), PutPayload::from(bytes)).await.unwrap();
        }
        let storage = Storage::with_store("s3://fixtures", store);
        let sources = OneTable::at(&storage, "s3://fixtures/corpus/small/metadata/now.metadata.json").sources();
        let outcome = tokio::time::timeout(PATIENCE, read(&session, &sources)).await;
        match outcome.unwrap_or_else(|_| panic!("{what}: not done")) {
            Ok(()) => harmless += 1,
            Err(code) => {
                failed += 1;
                assert!(ALLOWED.contains(&code.as_str()), "{what}: {code}");
            }
        }
    }
    println!("{failed} failed as they should, {harmless} were harmless");
    assert!(failed > 50, "{failed} failed, {harmless} were harmless");
}
