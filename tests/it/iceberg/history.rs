//! A table and what it must hold: every operation changes both, and neither looks at the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::values::{Field, Kind, Predicate, Row, Val, same_key};
use super::writer::{self, Entry, Folder, LOCATION, Manifest, PartitionField, Shape, Transform};

/// A row that was written, and what became of it.
#[derive(Debug, Clone)]
pub struct Written {
    pub values: Row,
    pub alive: bool,
    /// Deleted by position or vector, rather than by key.
    pub by_position: bool,
    pub row_id: Option<i64>,
    /// As the file stores it.
    pub last_updated: Option<i64>,
}

/// A data file of a snapshot.
#[derive(Debug, Clone)]
pub struct File {
    pub path: String,
    pub spec: usize,
    pub partition: Vec<Val>,
    pub sequence: i64,
    pub rows: Vec<Written>,
}

/// What a snapshot holds.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub files: Vec<Arc<File>>,
    pub manifests: Vec<Arc<Manifest>>,
}

/// A commit.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub id: i64,
    pub schema: usize,
    pub state: State,
    json: Value,
}

/// A table in the making.
pub struct Table {
    pub random: StdRng,
    pub folder: Folder,
    pub version: i64,
    pub schemas: Vec<Vec<Field>>,
    pub specs: Vec<Vec<PartitionField>>,
    pub snapshots: Vec<Snapshot>,
    /// Snapshot and whether it is a tag; `main` among them.
    pub references: BTreeMap<String, (i64, bool)>,
    log: Vec<Value>,
    sequence: i64,
    next_row_id: i64,
    next_field: i32,
    next_partition: i32,
    clock: i64,
    /// Every field that ever was, as it was last.
    known: BTreeMap<i32, Field>,
}

impl Snapshot {
    pub fn manifest_list(&self) -> &str {
        self.json["manifest-list"].as_str().unwrap()
    }
}

impl Table {
    pub fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let nested = vec![Field::new(7, "x", Kind::Int), Field::new(8, "y", Kind::Text)];
        let element = Field::new(10, "element", Kind::Struct(vec![Field::new(11, "f", Kind::Float)]));
        let fields = vec![
            Field::new(1, "id", Kind::Int),
            Field::new(2, "name", Kind::Text),
            Field::new(3, "score", Kind::Float),
            Field::new(4, "at", Kind::Timestamp),
            Field::new(5, "flag", Kind::Bool),
            Field::new(6, "s", Kind::Struct(nested)),
            Field::new(9, "l", Kind::List(Box::new(element))),
        ];
        let mut table = Self {
            version: random.random_range(1..=2),
            random,
            folder: Folder::new(),
            schemas: Vec::new(),
            specs: vec![Vec::new()],
            snapshots: Vec::new(),
            references: BTreeMap::new(),
            log: Vec::new(),
            sequence: 0,
            next_row_id: 0,
            next_field: 12,
            next_partition: 1000,
            clock: 1_700_000_000_000,
            known: BTreeMap::new(),
        };
        table.evolve(fields);
        table
    }

    pub fn schema(&self) -> &[Field] {
        self.schemas.last().unwrap()
    }

    pub fn snapshot(&self, id: i64) -> &Snapshot {
        self.snapshots.iter().find(|snapshot| snapshot.id == id).unwrap()
    }

    fn state(&self, branch: &str) -> State {
        let head = self.references.get(branch).or_else(|| self.references.get("main"));
        head.map(|(id, _)| self.snapshot(*id).state.clone()).unwrap_or_default()
    }

    fn evolve(&mut self, fields: Vec<Field>) {
        fn note(known: &mut BTreeMap<i32, Field>, field: &Field) {
            known.insert(field.id, field.clone());
            match &field.kind {
                Kind::Struct(fields) => fields.iter().for_each(|field| note(known, field)),
                Kind::List(element) => note(known, element),
                _ => {}
            }
        }
        fields.iter().for_each(|field| note(&mut self.known, field));
        self.schemas.push(fields);
    }

    fn value(&mut self, kind: &Kind) -> Val {
        let random = &mut self.random;
        if random.random_bool(0.15) {
            return Val::Null;
        }
        match kind {
            Kind::Bool => Val::Bool(random.random()),
            Kind::Int => Val::Int(random.random_range(-12..12)),
            Kind::Long if random.random_bool(0.2) => Val::Int(random.random_range(-3..3) << 40),
            Kind::Long => Val::Int(random.random_range(-12..12)),
            Kind::Float | Kind::Double => Val::Float(match random.random_range(0..8) {
                0 => f64::NAN,
                1 => -0.0,
                2 => 0.0,
                3 => f64::NEG_INFINITY,
                _ => f64::from(random.random_range(-20..20)) / 4.0,
            }),
            Kind::Text => {
                let words = ["", "a", "ab", "abc", "abcd", "é€", "é€z", "zz", "😀😀", "😀x", "Zebra", "abz"];
                Val::Text(words[random.random_range(0..words.len())].to_owned())
            }
            Kind::Timestamp => Val::Time(random.random_range(-4..4) * 86_400_000_000 + random.random_range(-2..2)),
            Kind::Struct(fields) => Val::Struct(fields.iter().map(|field| (field.id, self.value(&field.kind))).collect()),
            Kind::List(element) => Val::List((0..random.random_range(0..3)).map(|_| self.value(&element.kind)).collect()),
        }
    }

    fn row(&mut self) -> Row {
        let fields = self.schema().to_vec();
        fields.iter().map(|field| (field.id, self.value(&field.kind))).collect()
    }

    fn partition(&self, spec: usize, row: &Row) -> Vec<Val> {
        self.specs[spec].iter().map(|field| field.apply(row.get(&field.source).unwrap_or(&Val::Null))).collect()
    }

    fn is_global(&self, spec: usize) -> bool {
        self.specs[spec].iter().all(|field| field.transform == Transform::Void)
    }

    /// Writes rows into files by the newest spec, at most a few rows each.
    async fn write(&mut self, rows: Vec<Written>, lineage: bool) -> Vec<(Entry, File)> {
        let spec = self.specs.len() - 1;
        let mut groups: Vec<(Vec<Val>, Vec<Written>)> = Vec::new();
        for row in rows {
            let partition = self.partition(spec, &row.values);
            match groups.iter_mut().find(|(known, _)| *known == partition) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((partition, vec![row])),
            }
        }
        let mut files = Vec::new();
        for (partition, rows) in groups {
            let schema = self.schema().to_vec();
            let values: Vec<Row> = rows.iter().map(|row| row.values.clone()).collect();
            let stored = lineage.then(|| (rows.iter().map(|row| row.row_id).collect(), rows.iter().map(|row| row.last_updated).collect()));
            // The columns' order in a file means nothing.
            let mut shuffled = schema.clone();
            shuffled.shuffle(&mut self.random);
            let path = self.folder.url("data", "data", ".parquet");
            let batch = writer::batch(&shuffled, &values, stored);
            let size = self.folder.parquet(&path, &batch, &mut self.random).await;
            let entry = Entry {
                statistics: writer::statistics(&schema, &values, &mut self.random),
                ..entry(0, &path, spec, partition.clone(), rows.len() as i64, size)
            };
            files.push((entry, File { path, spec, partition, sequence: 0, rows }));
        }
        files
    }

    /// A snapshot on a branch: entries that it adds and takes away, and the files that it leaves.
    async fn commit(&mut self, branch: &str, mut state: State, added: Vec<Entry>, removed: &BTreeSet<(String, Option<i64>)>, merge: bool) {
        let id = self.random.random_range(1..i64::MAX);
        self.sequence += 1;
        let sequence = if self.version == 1 { 0 } else { self.sequence };
        let mut manifests: Vec<Manifest> = Vec::new();
        let mut pending: BTreeMap<(i64, usize, usize), Vec<Entry>> = BTreeMap::new();
        for (index, entry) in added.into_iter().enumerate() {
            let entry = Entry { snapshot: id, ..entry };
            let own = if self.random.random_bool(0.3) { index + 1 } else { 0 };
            pending.entry((entry.content.min(1), entry.spec, own)).or_default().push(entry);
        }
        let mut rewritten: Vec<(i64, usize, Vec<Entry>)> = Vec::new();
        let mut kept = Vec::new();
        for manifest in std::mem::take(&mut state.manifests) {
            let touched = manifest.entries.iter().any(|entry| removed.contains(&entry.key()));
            if !touched && !merge {
                kept.push(manifest);
                continue;
            }
            let entries = manifest.entries.iter().filter(|entry| entry.status != 2).map(|entry| {
                let gone = removed.contains(&entry.key());
                Entry { status: if gone { 2 } else { 0 }, snapshot: if gone { id } else { entry.snapshot }, ..entry.clone() }
            });
            let entries: Vec<Entry> = entries.collect();
            match rewritten.iter_mut().find(|(content, spec, _)| merge && (*content, *spec) == (manifest.content, manifest.spec)) {
                Some((_, _, known)) => known.extend(entries),
                None => rewritten.push((manifest.content, manifest.spec, entries)),
            }
        }
        for ((content, spec, _), entries) in pending {
            manifests.push(self.manifest(id, sequence, content, spec, entries).await);
        }
        for (content, spec, entries) in rewritten {
            manifests.push(self.manifest(id, sequence, content, spec, entries).await);
        }
        // What was inherited is known from here on.
        let mut files: BTreeMap<String, File> = state.files.iter().map(|file| (file.path.clone(), file.as_ref().clone())).collect();
        for manifest in &mut manifests {
            for entry in &mut manifest.entries {
                entry.sequence.get_or_insert(sequence);
                if entry.content == 0
                    && let Some(file) = files.get_mut(&entry.path)
                {
                    file.sequence = entry.sequence.unwrap();
                }
            }
        }
        manifests.extend(kept.into_iter().map(|manifest| manifest.as_ref().clone()));
        let first_row_id = self.next_row_id;
        if self.version >= 3 {
            for manifest in manifests.iter_mut().filter(|manifest| manifest.content == 0 && manifest.first_row_id.is_none()) {
                manifest.first_row_id = Some(self.next_row_id);
                for entry in manifest.entries.iter_mut().filter(|entry| entry.status != 2 && entry.first_row_id.is_none()) {
                    entry.first_row_id = Some(self.next_row_id);
                    self.next_row_id += entry.count;
                }
                for entry in manifest.entries.iter().filter(|entry| entry.status != 2) {
                    let Some(file) = files.get_mut(&entry.path) else { continue };
                    for (place, row) in file.rows.iter_mut().enumerate() {
                        row.row_id.get_or_insert(entry.first_row_id.unwrap() + place as i64);
                    }
                }
            }
        }
        state.files = state.files.iter().map(|file| Arc::new(files.remove(&file.path).unwrap())).collect();
        let list = self.folder.url("metadata", "snap", ".avro");
        self.folder.put(&list, writer::manifest_list(self.version, &manifests)).await;
        state.manifests = manifests.into_iter().map(Arc::new).collect();
        self.clock += 1000;
        let mut json = json!({"snapshot-id": id, "timestamp-ms": self.clock, "manifest-list": list, "summary": {"operation": "append"},
            "schema-id": self.schemas.len() - 1});
        if self.version > 1 {
            json["sequence-number"] = json!(sequence);
        }
        if self.version > 2 {
            json["first-row-id"] = json!(first_row_id);
            json["added-rows"] = json!(self.next_row_id - first_row_id);
        }
        self.snapshots.push(Snapshot { id, schema: self.schemas.len() - 1, state, json });
        self.point(branch, id);
    }

    async fn manifest(&mut self, snapshot: i64, sequence: i64, content: i64, spec: usize, entries: Vec<Entry>) -> Manifest {
        let fields = self.specs[spec].clone();
        let sources: Vec<Field> = fields.iter().map(|field| self.known[&field.source].clone()).collect();
        let shape = Shape { version: self.version, spec: &fields, sources: &sources };
        let path = self.folder.url("metadata", "manifest", ".avro");
        let bytes = writer::manifest(&shape, spec, content, &entries, &mut self.random);
        let length = self.folder.put(&path, bytes).await;
        let results = fields.iter().zip(sources).map(|(field, source)| match field.transform {
            Transform::Bucket(_) | Transform::Day => Field::new(0, "", Kind::Int),
            _ => source,
        });
        Manifest { path, length, content, spec, sequence, snapshot, first_row_id: None, entries, results: results.collect() }
    }

    fn point(&mut self, reference: &str, id: i64) {
        self.references.insert(reference.to_owned(), (id, false));
        if reference == "main" {
            self.log.push(json!({"timestamp-ms": self.clock, "snapshot-id": id}));
        }
    }

    /// The table's metadata now.
    pub fn metadata(&self) -> Vec<u8> {
        let schema = |(id, fields): (usize, &Vec<Field>)| json!({"type": "struct", "schema-id": id, "fields": fields.iter().map(Field::json).collect::<Vec<_>>()});
        let spec = |(id, fields): (usize, &Vec<PartitionField>)| {
            let fields = fields.iter().map(PartitionField::json).collect::<Vec<_>>();
            json!({"spec-id": id, "fields": fields})
        };
        let references = self
            .references
            .iter()
            .map(|(name, (id, tag))| (name.clone(), json!({"snapshot-id": id, "type": if *tag { "tag" } else { "branch" }})));
        let metadata = json!({
            "format-version": self.version, "table-uuid": "7f3d9a1e-0000-4000-8000-000000000001", "location": LOCATION,
            "last-sequence-number": self.sequence, "last-updated-ms": self.clock, "last-column-id": self.next_field, "next-row-id": self.next_row_id,
            "current-schema-id": self.schemas.len() - 1, "schemas": self.schemas.iter().enumerate().map(schema).collect::<Vec<_>>(),
            "schema": schema((self.schemas.len() - 1, self.schemas.last().unwrap())),
            "default-spec-id": self.specs.len() - 1, "partition-specs": self.specs.iter().enumerate().map(spec).collect::<Vec<_>>(),
            "current-snapshot-id": self.references.get("main").map_or(-1, |(id, _)| *id),
            "refs": references.collect::<serde_json::Map<_, _>>(),
            "snapshots": self.snapshots.iter().map(|snapshot| snapshot.json.clone()).collect::<Vec<_>>(), "snapshot-log": self.log,
        });
        metadata.to_string().into_bytes()
    }

    /// The metadata of a table that has one snapshot, with this manifest list.
    pub fn metadata_of(&mut self, version: i64, id: i64, list: &str) -> Vec<u8> {
        self.version = version;
        let json = json!({"snapshot-id": id, "timestamp-ms": self.clock, "manifest-list": list, "sequence-number": 1, "schema-id": 0});
        self.snapshots = vec![Snapshot { id, schema: 0, state: State::default(), json }];
        self.point("main", id);
        self.metadata()
    }

    /// One random step; its name is for failures.
    pub async fn step(&mut self) -> &'static str {
        let branch = match self.random.random_range(0..6) {
            0 => "audit",
            _ => "main",
        };
        let branch = if self.references.contains_key(branch) { branch } else { "main" };
        let choice = self.random.random_range(0..100);
        if self.references.is_empty() || choice < 28 {
            let count = self.random.random_range(1..25);
            self.append(branch, count).await;
            return "append";
        }
        match choice {
            28..52 if self.version == 1 => {
                self.version = 2;
                "upgrade to 2"
            }
            28..38 => self.delete_positions(branch).await,
            38..48 => self.delete_keys(branch).await,
            48..52 => self.upsert(branch).await,
            52..60 => self.compact(branch).await,
            60..64 => self.drop_files(branch).await,
            64..76 => self.change_schema(),
            76..82 => self.change_spec(),
            82..86 => self.roll_back(),
            86..90 => {
                let main = self.references["main"].0;
                let name = if self.random.random_bool(0.5) { "audit".to_owned() } else { format!("tag{}", self.snapshots.len() % 4) };
                self.references.insert(name.clone(), (main, name != "audit"));
                "reference"
            }
            90..93 if self.version == 2 => {
                self.version = 3;
                "upgrade to 3"
            }
            90..97 => {
                let state = self.state(branch);
                self.commit(branch, state, Vec::new(), &BTreeSet::new(), true).await;
                "merge manifests"
            }
            _ => self.expire(),
        }
    }

    pub async fn append(&mut self, branch: &str, count: usize) {
        let mut rows = Vec::new();
        for _ in 0..count {
            rows.push(Written { values: self.row(), alive: true, by_position: false, row_id: None, last_updated: None });
        }
        let written = self.write(rows, false).await;
        let mut state = self.state(branch);
        let (entries, files): (Vec<_>, Vec<_>) = written.into_iter().unzip();
        state.files.extend(files.into_iter().map(Arc::new));
        self.commit(branch, state, entries, &BTreeSet::new(), false).await;
    }

    async fn delete_positions(&mut self, branch: &str) -> &'static str {
        let mut state = self.state(branch);
        let mut chosen: Vec<usize> = (0..state.files.len()).collect();
        chosen.shuffle(&mut self.random);
        chosen.truncate(self.random.random_range(1..4));
        let mut places: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
        for index in chosen {
            let file = Arc::make_mut(&mut state.files[index]);
            let share = [0.1, 0.5, 1.0][self.random.random_range(0..3)];
            for (place, row) in file.rows.iter_mut().enumerate() {
                if self.random.random_bool(share) {
                    (row.alive, row.by_position) = (false, true);
                    places.entry(index).or_default().insert(place as u64);
                }
            }
        }
        if places.is_empty() {
            return "no positions";
        }
        if self.version >= 3 {
            self.vectors(branch, state, places.into_keys().collect()).await;
            return "deletion vectors";
        }
        // One file for each, or one for all of a partition.
        let mut groups: Vec<Vec<(usize, BTreeSet<u64>)>> = Vec::new();
        let together = self.random.random_bool(0.5);
        for (index, places) in places {
            let file = &state.files[index];
            let group = groups.iter_mut().find(|group| {
                let first = &state.files[group[0].0];
                together && (first.spec, &first.partition) == (file.spec, &file.partition)
            });
            match group {
                Some(group) => group.push((index, places)),
                None => groups.push(vec![(index, places)]),
            }
        }
        let mut entries = Vec::new();
        for group in groups {
            let mut pairs: Vec<(String, i64)> = Vec::new();
            for (index, places) in &group {
                pairs.extend(places.iter().map(|place| (state.files[*index].path.clone(), *place as i64)));
            }
            let first = &state.files[group[0].0];
            // Past the end, twice, and of a file that never was.
            pairs.push((first.path.clone(), first.rows.len() as i64 + 5));
            pairs.push(pairs[0].clone());
            if group.len() > 1 {
                pairs.push((format!("{LOCATION}/data/never.parquet"), 0));
            }
            if self.random.random_bool(0.7) {
                pairs.sort()
            } else {
                pairs.shuffle(&mut self.random)
            }
            let path = self.folder.url("data", "positions", ".parquet");
            let size = self.folder.parquet(&path, &writer::positions(&pairs), &mut self.random).await;
            let paths: Vec<&str> = pairs.iter().map(|(path, _)| path.as_str()).collect();
            entries.push(Entry {
                statistics: writer::path_statistics(&paths, &mut self.random),
                referenced: (group.len() == 1 && self.random.random_bool(0.5)).then(|| first.path.clone()),
                ..entry(1, &path, first.spec, first.partition.clone(), pairs.len() as i64, size)
            });
        }
        self.commit(branch, state, entries, &BTreeSet::new(), false).await;
        "position deletes"
    }

    /// A vector for each of these files, in one Puffin file; it takes the place of the one before.
    async fn vectors(&mut self, branch: &str, state: State, files: Vec<usize>) {
        let path = self.folder.url("data", "vectors", ".puffin");
        let mut puffin = b"PFA1".to_vec();
        let (mut entries, mut removed) = (Vec::new(), BTreeSet::new());
        for index in files {
            let file = &state.files[index];
            let dead = file.rows.iter().enumerate().filter(|(_, row)| row.by_position).map(|(place, _)| place as u64);
            let dead: BTreeSet<u64> = dead.collect();
            let blob = writer::vector(&dead);
            entries.push(Entry {
                format: "PUFFIN",
                referenced: Some(file.path.clone()),
                blob: Some((puffin.len() as i64, blob.len() as i64)),
                ..entry(1, &path, file.spec, file.partition.clone(), dead.len() as i64, 0)
            });
            puffin.extend(blob);
            for old in state.manifests.iter().flat_map(|manifest| &manifest.entries) {
                if old.status != 2 && old.format == "PUFFIN" && old.referenced.as_ref() == Some(&file.path) {
                    removed.insert(old.key());
                }
            }
        }
        let size = self.folder.put(&path, puffin).await;
        entries.iter_mut().for_each(|entry| entry.size = size);
        self.commit(branch, state, entries, &removed, false).await;
    }

    /// Deletes by some rows' keys, and marks what goes.
    async fn key_entries(&mut self, state: &mut State) -> Vec<Entry> {
        let keys: Vec<Field> = self.schema().iter().filter(|field| field.is_primitive()).cloned().collect();
        let mut chosen = keys.clone();
        chosen.shuffle(&mut self.random);
        chosen.truncate(self.random.random_range(1..3));
        if chosen.is_empty() {
            return Vec::new();
        }
        let spec = self.random.random_range(0..self.specs.len());
        let partition = match state.files.iter().find(|file| file.spec == spec) {
            Some(file) => file.partition.clone(),
            None if self.is_global(spec) => vec![Val::Null; self.specs[spec].len()],
            None => return Vec::new(),
        };
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..self.random.random_range(1..4) {
            let existing: Vec<&Written> = state.files.iter().flat_map(|file| &file.rows).filter(|row| row.alive).collect();
            let taken = (!existing.is_empty() && self.random.random_bool(0.8))
                .then(|| existing[self.random.random_range(0..existing.len())].values.clone());
            let row = match taken {
                Some(row) => keys.iter().map(|field| (field.id, field.read(row.get(&field.id)))).collect(),
                None => self.row(),
            };
            rows.push(row);
        }
        let whole = self.random.random_bool(0.3);
        let path = self.folder.url("data", "keys", ".parquet");
        let size = self.folder.parquet(&path, &writer::batch(if whole { &keys } else { &chosen }, &rows, None), &mut self.random).await;
        let global = self.is_global(spec);
        for file in &mut state.files {
            if !global && (file.spec, &file.partition) != (spec, &partition) {
                continue;
            }
            for row in &mut Arc::make_mut(file).rows {
                let dead =
                    rows.iter().any(|key| chosen.iter().all(|field| same_key(&field.read(row.values.get(&field.id)), &key[&field.id])));
                row.alive &= !dead;
            }
        }
        let mut equality_ids: Vec<i32> = chosen.iter().map(|field| field.id).collect();
        equality_ids.shuffle(&mut self.random);
        vec![Entry { equality_ids, ..entry(2, &path, spec, partition, rows.len() as i64, size) }]
    }

    async fn delete_keys(&mut self, branch: &str) -> &'static str {
        let mut state = self.state(branch);
        let entries = self.key_entries(&mut state).await;
        self.commit(branch, state, entries, &BTreeSet::new(), false).await;
        "equality deletes"
    }

    /// Deletes by key and rows that come with them: those stay.
    async fn upsert(&mut self, branch: &str) -> &'static str {
        let mut state = self.state(branch);
        let mut entries = self.key_entries(&mut state).await;
        let mut rows = Vec::new();
        for _ in 0..self.random.random_range(1..6) {
            rows.push(Written { values: self.row(), alive: true, by_position: false, row_id: None, last_updated: None });
        }
        for (entry, file) in self.write(rows, false).await {
            entries.push(entry);
            state.files.push(Arc::new(file));
        }
        self.commit(branch, state, entries, &BTreeSet::new(), false).await;
        "upsert"
    }

    /// Rewrites some files into new ones, perhaps as old as the newest of them.
    async fn compact(&mut self, branch: &str) -> &'static str {
        let mut state = self.state(branch);
        let mut order: Vec<usize> = (0..state.files.len()).collect();
        order.shuffle(&mut self.random);
        order.truncate(self.random.random_range(1..6));
        let (mut rows, mut removed, mut newest) = (Vec::new(), BTreeSet::new(), 0);
        let schema = self.schema().to_vec();
        for index in &order {
            let file = &state.files[*index];
            removed.insert((file.path.clone(), None));
            newest = newest.max(file.sequence);
            for row in file.rows.iter().filter(|row| row.alive) {
                let values = schema.iter().map(|field| (field.id, field.read(row.values.get(&field.id)))).collect();
                let last_updated = (self.version >= 3).then(|| row.last_updated.unwrap_or(file.sequence));
                rows.push(Written { values, last_updated, row_id: row.row_id.filter(|_| self.version >= 3), ..row.clone() });
            }
        }
        state.files.retain(|file| !removed.contains(&(file.path.clone(), None)));
        // A key that was dropped would read as NULL in the new file, and deletes of NULL that are older than it would reach it.
        let all_columns = self.schemas.iter().flatten().all(|field| schema.iter().any(|now| now.id == field.id));
        let keep = self.version > 1 && all_columns && self.random.random_bool(0.5);
        let mut entries = Vec::new();
        for (mut entry, file) in self.write(rows, self.version >= 3).await {
            entry.sequence = keep.then_some(newest);
            entries.push(entry);
            state.files.push(Arc::new(file));
        }
        self.commit(branch, state, entries, &removed, false).await;
        "compaction"
    }

    async fn drop_files(&mut self, branch: &str) -> &'static str {
        let mut state = self.state(branch);
        let mut removed = BTreeSet::new();
        for _ in 0..self.random.random_range(1..4) {
            if !state.files.is_empty() {
                let file = state.files.remove(self.random.random_range(0..state.files.len()));
                removed.insert((file.path.clone(), None));
            }
        }
        self.commit(branch, state, Vec::new(), &removed, false).await;
        "dropped files"
    }

    fn change_schema(&mut self) -> &'static str {
        let mut fields = self.schema().to_vec();
        let index = self.random.random_range(0..fields.len());
        let step = match self.random.random_range(0..6) {
            0 | 1 => {
                let kinds = [Kind::Int, Kind::Text, Kind::Float, Kind::Bool, Kind::Timestamp];
                let id = self.next_field;
                self.next_field += 1;
                // The name may be one that was dropped.
                let name = ["name", "score", "extra", "more"][self.random.random_range(0..4)];
                let name = if fields.iter().any(|field| field.name == name) { format!("c{id}") } else { name.to_owned() };
                let mut field = Field::new(id, &name, kinds[self.random.random_range(0..kinds.len())].clone());
                if self.version >= 3 && self.random.random_bool(0.5) {
                    field.default = match field.kind {
                        Kind::Int => Some(Val::Int(7)),
                        Kind::Text => Some(Val::Text("abc".to_owned())),
                        _ => None,
                    };
                }
                fields.insert(self.random.random_range(0..=fields.len()), field);
                "column added"
            }
            2 => {
                let name = format!("r{}", self.schemas.len());
                fields[index].name = name;
                "column renamed"
            }
            3 if fields.len() > 3 && fields[index].id != 1 => {
                fields.remove(index);
                "column dropped"
            }
            4 => {
                for field in &mut fields {
                    promote(&mut field.kind, &mut self.random);
                }
                "columns promoted"
            }
            _ => {
                if let Some(Field { kind: Kind::Struct(children), .. }) =
                    fields.iter_mut().find(|field| matches!(field.kind, Kind::Struct(_)))
                {
                    children.reverse();
                    children[0].name = format!("n{}", self.schemas.len());
                    if self.random.random_bool(0.5) {
                        children.push(Field::new(self.next_field, &format!("m{}", self.next_field), Kind::Text));
                        self.next_field += 1;
                    } else if children.len() > 2 {
                        children.pop();
                    }
                }
                fields.swap(0, index);
                "struct changed"
            }
        };
        self.evolve(fields);
        step
    }

    fn change_spec(&mut self) -> &'static str {
        let mut spec = Vec::new();
        for _ in 0..self.random.random_range(0..3) {
            let columns: Vec<Field> = self.schema().iter().filter(|field| field.is_primitive() && !field.is_float()).cloned().collect();
            let source = &columns[self.random.random_range(0..columns.len())];
            let transform = match (&source.kind, self.random.random_range(0..4)) {
                (_, 0) => Transform::Identity,
                (Kind::Int | Kind::Long | Kind::Text | Kind::Timestamp, 1) => Transform::Bucket(3),
                (Kind::Int | Kind::Long, 2) => Transform::Truncate(5),
                (Kind::Text, 2) => Transform::Truncate(2),
                (Kind::Timestamp, 2) => Transform::Day,
                (_, 3) => Transform::Void,
                _ => Transform::Identity,
            };
            spec.push(PartitionField { source: source.id, id: self.next_partition, transform });
            self.next_partition += 1;
        }
        self.specs.push(spec);
        "spec changed"
    }

    fn roll_back(&mut self) -> &'static str {
        let target = self.snapshots[self.random.random_range(0..self.snapshots.len())].id;
        self.clock += 1000;
        self.point("main", target);
        "rolled back"
    }

    /// Old snapshots that no reference needs are forgotten; their files stay.
    fn expire(&mut self) -> &'static str {
        let needed: BTreeSet<i64> = self.references.values().map(|(id, _)| *id).collect();
        let recent = self.snapshots.len().saturating_sub(20);
        let mut index = 0;
        self.snapshots.retain(|snapshot| {
            index += 1;
            index > recent || needed.contains(&snapshot.id)
        });
        "expired"
    }

    /// A condition that some rows may meet.
    pub fn predicate(&mut self, schema: &[Field]) -> Predicate {
        let columns: Vec<&Field> = schema.iter().filter(|field| field.is_primitive()).collect();
        let field = columns[self.random.random_range(0..columns.len())].clone();
        let one = if self.random.random_bool(0.2) {
            Predicate::IsNull(field, self.random.random())
        } else {
            let operators = ["=", "<>", "<", "<=", ">", ">="];
            let operator = operators[self.random.random_range(0..operators.len())];
            let literal = loop {
                match self.value(&field.kind) {
                    Val::Null => {}
                    Val::Float(value) if value.is_nan() => {}
                    value => break value,
                }
            };
            Predicate::Compare(field, operator, literal)
        };
        if self.random.random_bool(0.3) { Predicate::Both(Box::new(one), Box::new(self.predicate(schema))) } else { one }
    }
}

impl PartitionField {
    fn json(&self) -> Value {
        json!({"source-id": self.source, "field-id": self.id, "name": self.name(), "transform": self.transform_name()})
    }
}

fn promote(kind: &mut Kind, random: &mut StdRng) {
    match kind {
        Kind::Int if random.random_bool(0.5) => *kind = Kind::Long,
        Kind::Float if random.random_bool(0.5) => *kind = Kind::Double,
        Kind::Struct(fields) => fields.iter_mut().for_each(|field| promote(&mut field.kind, random)),
        Kind::List(element) => promote(&mut element.kind, random),
        _ => {}
    }
}

pub fn entry(content: i64, path: &str, spec: usize, partition: Vec<Val>, count: i64, size: i64) -> Entry {
    Entry {
        content,
        path: path.to_owned(),
        format: "PARQUET",
        spec,
        partition,
        count,
        size,
        statistics: None,
        equality_ids: Vec::new(),
        referenced: None,
        blob: None,
        sequence: None,
        status: 1,
        snapshot: 0,
        first_row_id: None,
    }
}
