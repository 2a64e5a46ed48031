//! Our own statements: every clause, every refusal, and the round trip through their text.

use datafusion::sql::sqlparser::ast as sqlparser_ast;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn one(text: &str) -> Statement {
    let mut statements = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(statements.len(), 1);
    statements.remove(0).statement
}

fn view(text: &str) -> CreateFeatureView {
    match one(text) {
        Statement::CreateFeatureView(view) => *view,
        other => panic!("{other:?}"),
    }
}

fn ident(name: &str, position: usize) -> Ident {
    Ident { name: name.to_owned(), position }
}

#[test]
fn an_entity() {
    let text = "create entity IF NOT EXISTS Customer TAGS (Team = 'growth', tier = 1) KEY (customer_id BIGINT, \"Region\" character varying(10)) \
                COMMENT 'it''s'";
    let Statement::CreateEntity(entity) = one(text) else { panic!() };
    assert!(entity.if_not_exists);
    assert_eq!(entity.name, ident("customer", 29));
    let keys: Vec<_> = entity.keys.iter().map(|key| (key.name.name.as_str(), key.data_type.to_string(), key.type_position)).collect();
    assert_eq!(keys, [("customer_id", "BIGINT".to_owned(), 88), ("Region", "CHARACTER VARYING(10)".to_owned(), 105)]);
    assert_eq!(entity.comment.as_deref(), Some("it's"));
    assert_eq!(entity.tags, [(ident("team", 44), "growth".to_owned()), (ident("tier", 61), "1".to_owned())]);
}

#[test]
fn a_feature_view_with_every_clause() {
    let view = view(
        "CREATE OR REPLACE FEATURE VIEW IF NOT EXISTS v (a BIGINT COMMENT 'x', b DOUBLE PRECISION FROM c)
         TTL INTERVAL '30 days' WITH (online = FALSE, scan = 'snapshot', n = -5)
         VALID UNTIL valid_to CREATED TIMESTAMP ingested_at TIMESTAMP updated_at
         FROM iceberg.\"a.b\".from_table AT SNAPSHOT 123 COMMENT $$hello$$ TAGS (x = 'y') ENTITIES (customer (cust_id, region), driver)",
    );
    assert!(view.or_replace && view.if_not_exists);
    let features = view.features.unwrap();
    assert_eq!((features[0].name.name.as_str(), features[0].comment.as_deref(), &features[0].column), ("a", Some("x"), &None));
    assert_eq!((features[1].data_type.to_string().as_str(), features[1].column.as_ref().unwrap().name.as_str()), ("DOUBLE PRECISION", "c"));
    assert_eq!(view.ttl.map(|ttl| (ttl.months, ttl.days, ttl.micros)), Some((0, 30, 0)));
    let options: Vec<_> = view.options.iter().map(|option| (option.name.name.as_str(), option.value.as_str())).collect();
    assert_eq!(options, [("online", "false"), ("scan", "snapshot"), ("n", "-5")]);
    assert_eq!((view.timestamp.name.as_str(), view.created.unwrap().name.as_str()), ("updated_at", "ingested_at"));
    assert_eq!((view.valid_until.unwrap().name.as_str(), view.comment.as_deref()), ("valid_to", Some("hello")));
    let SourceClause::Table { table, pin } = view.source else { panic!() };
    assert_eq!(table.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["iceberg", "a.b", "from_table"]);
    assert_eq!(pin, Some(PinClause::Snapshot(123)));
    let entities: Vec<_> = view
        .entities
        .iter()
        .map(|entity| {
            (
                entity.name.name.as_str(),
                entity.columns.as_ref().map(|columns| columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>()),
            )
        })
        .collect();
    assert_eq!(entities, [("customer", Some(vec!["cust_id", "region"])), ("driver", None)]);
}

#[test]
fn a_query_is_kept_as_written() {
    let view = view(
        "CREATE FEATURE VIEW v ENTITIES () TIMESTAMP ts AS  SELECT ds + 1 AS ts, -- next day\n  'ä;' x FROM a.b.c FOR VERSION AS OF 'q3'  ; ",
    );
    let SourceClause::Query { text, query, position } = view.source else { panic!() };
    assert_eq!(text, "SELECT ds + 1 AS ts, -- next day\n  'ä;' x FROM a.b.c FOR VERSION AS OF 'q3'");
    assert_eq!(position, 52);
    assert_eq!(query.to_string(), "SELECT ds + 1 AS ts, 'ä;' AS x FROM a.b.c VERSION AS OF 'q3'");
    assert_eq!((view.features, view.entities), (None, vec![]));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let minimal = "CREATE FEATURE VIEW v ENTITIES (c) FROM a.b.t TIMESTAMP ts ";
    for (text, code, message, position) in [
        (format!("{minimal}TIMESTAMP x"), "42601", "clause TIMESTAMP is given twice", Some(60)),
        (format!("{minimal}FROM a.b.c"), "42601", "clause FROM is given twice", Some(60)),
        (format!("{minimal}AS SELECT 1"), "42601", "clause FROM or AS is given twice", Some(60)),
        (format!("{minimal}TTL INTERVAL '1 day' TTL INTERVAL '1 day'"), "42601", "clause TTL is given twice", Some(81)),
        (format!("{minimal}TAGS (a = 'x', a = 'y')"), "42601", "TAGS names \"a\" twice", Some(75)),
        (format!("{minimal}WITH (a = 1, a = 2)"), "42601", "WITH names \"a\" twice", Some(73)),
        (format!("{minimal}TTL INTERVAL '30 dayz'"), "22007", "invalid input syntax for type interval: \"30 dayz\"", Some(73)),
        (format!("{minimal}TTL INTERVAL '3000000000 days'"), "22008", "interval field value out of range: \"3000000000 days\"", Some(73)),
        (format!("{minimal}TTL '30 days'"), "42601", "syntax error at or near \"'30 days'\"", Some(64)),
        (format!("{minimal}BOGUS"), "42601", "syntax error at or near \"BOGUS\"", Some(60)),
        (format!("{minimal}WITH (a)"), "42601", "syntax error at or near \")\"", Some(67)),
        ("CREATE FEATURE VIEW v FROM a.b.t TIMESTAMP ts".into(), "42601", "CREATE FEATURE VIEW needs ENTITIES (entity)", Some(46)),
        ("CREATE FEATURE VIEW v ENTITIES () FROM a.b.t".into(), "42601", "CREATE FEATURE VIEW needs TIMESTAMP column", Some(45)),
        ("CREATE FEATURE VIEW v ENTITIES () TIMESTAMP t;".into(), "42601", "CREATE FEATURE VIEW needs FROM catalog.schema.table", Some(46)),
        ("CREATE FEATURE VIEW v () ENTITIES ()".into(), "42601", "syntax error at or near \")\"", Some(24)),
        ("CREATE FEATURE VIEW select ENTITIES ()".into(), "42601", "syntax error at or near \"select\"", Some(21)),
        ("CREATE FEATURE VIEW".into(), "42601", "syntax error at end of input", Some(20)),
        ("CREATE FEATURE VIEW;".into(), "42601", "syntax error at or near \";\"", Some(20)),
        ("CREATE FEATURE TABLE x".into(), "42601", "syntax error at or near \"TABLE\"", Some(16)),
        ("CREATE FEATURE VIEW v ENTITIES () TIMESTAMP t FROM a.b.c AT NOON".into(), "42601", "syntax error at or near \"NOON\"", Some(61)),
        (
            "CREATE FEATURE VIEW v ENTITIES () TIMESTAMP t FROM a.b.c AT SNAPSHOT 99999999999999999999".into(),
            "22003",
            "value \"99999999999999999999\" is out of range for type bigint",
            Some(70),
        ),
        ("CREATE FEATURE VIEW v ENTITIES () TIMESTAMP t AS SELECT 1 FROM".into(), "42601", "syntax error at end of input", Some(63)),
        ("CREATE FEATURE VIEW v ENTITIES () TIMESTAMP t AS SELECT 1 TTL x y".into(), "42601", "syntax error at or near \"x\"", Some(63)),
        ("CREATE ENTITY e".into(), "42601", "CREATE ENTITY needs KEY (name type)", Some(16)),
        ("CREATE ENTITY e KEY ()".into(), "42601", "syntax error at or near \")\"", Some(22)),
        ("CREATE ENTITY e KEY (a)".into(), "42601", "syntax error at or near \")\"", Some(23)),
        ("CREATE ENTITY e KEY (a bigint) KEY (b bigint)".into(), "42601", "clause KEY is given twice", Some(32)),
        ("DROP ENTITY".into(), "42601", "syntax error at end of input", Some(12)),
        ("DROP FEATURE VIEW a, b CASCADE RESTRICT".into(), "42601", "syntax error at or near \"RESTRICT\"", Some(32)),
        ("SHOW TABLES".into(), "42601", "syntax error at end of input", Some(12)),
        ("SHOW FEATURE".into(), "42601", "syntax error at end of input", Some(13)),
        ("DESCRIBE a.b.c.d".into(), "42601", "syntax error at or near \".\"", Some(15)),
    ] {
        let error = parse(&text).unwrap_err();
        assert_eq!((error.sqlstate().code(), error.to_string().as_str(), error.position()), (code, message, position), "{text}");
    }
    let error = parse("SHOW TABLES").unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("Write SHOW TABLES FROM catalog.schema."));
}

#[test]
fn the_smaller_statements() {
    for (text, statement) in [
        (
            "DROP FEATURE VIEW IF EXISTS A, \"B\" CASCADE",
            Statement::Drop(Drop {
                kind: ObjectKind::FeatureView,
                if_exists: true,
                names: vec![ident("a", 29), ident("B", 32)],
                cascade: true,
            }),
        ),
        (
            "drop entity x restrict",
            Statement::Drop(Drop { kind: ObjectKind::Entity, if_exists: false, names: vec![ident("x", 13)], cascade: false }),
        ),
        ("SHOW FEATURE VIEWS", Statement::Show(Show::Objects(ObjectKind::FeatureView))),
        ("SHOW ENTITIES;", Statement::Show(Show::Objects(ObjectKind::Entity))),
        ("SHOW FEATURE SERVICES", Statement::Show(Show::Objects(ObjectKind::FeatureService))),
        ("SHOW FEATURE STORE STATUS", Statement::Show(Show::Status)),
        ("SHOW CREATE FEATURE VIEW v", Statement::Show(Show::Create(ObjectKind::FeatureView, ident("v", 26)))),
        ("SHOW CREATE ENTITY v", Statement::Show(Show::Create(ObjectKind::Entity, ident("v", 20)))),
        ("SHOW CATALOGS", Statement::Show(Show::Catalogs)),
        ("SHOW SCHEMAS FROM c", Statement::Show(Show::Schemas { catalog: ident("c", 19) })),
        ("SHOW TABLES IN c.s", Statement::Show(Show::Tables { schema: SourceName { parts: vec![ident("c", 16), ident("s", 18)] } })),
        ("DESCRIBE FEATURE VIEW v", Statement::Describe(Describe::FeatureView(ident("v", 23)))),
        (
            "DESC TABLE a.b.table",
            Statement::Describe(Describe::Table(SourceName { parts: vec![ident("a", 12), ident("b", 14), ident("table", 16)] })),
        ),
        ("REFRESH FEATURE VIEW v", Statement::Refresh { view: ident("v", 22) }),
    ] {
        assert_eq!(one(text), statement, "{text}");
    }
}

/// Random statements of ours.
struct Random(StdRng);

impl Random {
    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())].clone()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.0.random_bool(0.5).then(|| make(self))
    }

    fn several<T>(&mut self, at_least: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.0.random_range(at_least..at_least + 3)).map(|_| make(self)).collect()
    }

    fn name(&mut self) -> Ident {
        ident(
            self.pick(&[
                "a",
                "customer_id",
                "Mixed",
                "two words",
                "quo\"te",
                "select",
                "timestamp",
                "at",
                "ttl",
                "größe",
                "1st",
                "a;b",
                "--",
                "'",
            ]),
            0,
        )
    }

    fn text(&mut self) -> String {
        self.pick(&["", "plain", "it's", "a\nb", "; -- /*", "back\\slash", "\"", "$$", "größe"]).to_owned()
    }

    fn data_type(&mut self) -> sqlparser_ast::DataType {
        let text = self.pick(&[
            "bigint",
            "text",
            "double precision",
            "numeric(10,2)",
            "timestamp with time zone",
            "timestamp",
            "varchar(5)",
            "boolean",
            "uuid",
            "date",
            "bytea",
            "text[]",
            "real",
            "smallint",
        ]);
        let Statement::CreateEntity(entity) = one(&format!("CREATE ENTITY e KEY (k {text})")) else { panic!() };
        entity.keys[0].data_type.clone()
    }

    fn pairs(&mut self) -> Vec<(Ident, String)> {
        let mut pairs = self.several(0, |random| (random.name(), random.text()));
        pairs.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        pairs.dedup_by(|a, b| a.0.name == b.0.name);
        pairs
    }

    fn source_name(&mut self, parts: usize) -> SourceName {
        SourceName { parts: (0..parts).map(|_| self.name()).collect() }
    }

    fn interval(&mut self) -> Interval {
        let sign = |random: &mut Self| if random.0.random_bool(0.3) { -1 } else { 1 };
        Interval {
            months: self.0.random_range(0..40) * sign(self),
            days: self.0.random_range(0..400) * sign(self),
            micros: self.0.random_range(0..100_000_000_000) * i64::from(sign(self)),
            position: 0,
        }
    }

    fn view(&mut self) -> CreateFeatureView {
        let queries = ["SELECT * FROM a.b.c", "SELECT ds + 1 AS ts, -- x\n  v FROM a.b.c WHERE x = 'y;'", "(TABLE t) UNION ALL VALUES (1)"];
        let source = if self.0.random_bool(0.5) {
            let pins = [
                PinClause::Snapshot(self.0.random_range(-5..i64::MAX)),
                PinClause::Branch(self.text()),
                PinClause::Tag(self.text()),
                PinClause::Timestamp(self.text()),
            ];
            let pin = self.maybe(|random| random.pick(&pins));
            SourceClause::Table { table: self.source_name(3), pin }
        } else {
            let text = self.pick(&queries).to_owned();
            SourceClause::Query { query: parse_entity_query(&text).unwrap(), text, position: 0 }
        };
        CreateFeatureView {
            or_replace: self.0.random_bool(0.5),
            if_not_exists: self.0.random_bool(0.5),
            name: self.name(),
            features: self.maybe(|random| {
                random.several(1, |random| FeatureDefinition {
                    name: random.name(),
                    data_type: random.data_type(),
                    type_position: 0,
                    column: random.maybe(Self::name),
                    comment: random.maybe(Self::text),
                })
            }),
            entities: self
                .several(0, |random| EntityRef { name: random.name(), columns: random.maybe(|random| random.several(1, Self::name)) }),
            source,
            timestamp: self.name(),
            created: self.maybe(Self::name),
            valid_until: self.maybe(Self::name),
            ttl: self.maybe(Self::interval),
            comment: self.maybe(Self::text),
            tags: self.pairs(),
            options: self.pairs().into_iter().map(|(name, value)| WithOption { name, value }).collect(),
        }
    }

    fn statement(&mut self) -> Statement {
        let kind = self.pick(&[ObjectKind::Entity, ObjectKind::FeatureView, ObjectKind::FeatureService]);
        match self.0.random_range(0..12) {
            0..=4 => Statement::CreateFeatureView(Box::new(self.view())),
            5..=6 => Statement::CreateEntity(CreateEntity {
                if_not_exists: self.0.random_bool(0.5),
                name: self.name(),
                keys: self.several(1, |random| KeyDefinition { name: random.name(), data_type: random.data_type(), type_position: 0 }),
                comment: self.maybe(Self::text),
                tags: self.pairs(),
            }),
            7 => Statement::Drop(Drop {
                kind,
                if_exists: self.0.random_bool(0.5),
                names: self.several(1, Self::name),
                cascade: self.0.random_bool(0.5),
            }),
            8 => Statement::Show(Show::Create(kind, self.name())),
            9 => Statement::Show(Show::Tables { schema: self.source_name(2) }),
            10 => Statement::Describe(Describe::Table(self.source_name(3))),
            _ => Statement::Refresh { view: self.name() },
        }
    }
}

#[test]
fn what_is_printed_parses_to_the_same() {
    let seed = 7;
    let mut random = Random(StdRng::seed_from_u64(seed));
    for round in 0..3_000 {
        let statement = random.statement();
        let text = statement.to_string();
        let again = parse(&text).unwrap_or_else(|error| panic!("seed {seed} round {round}: {error}\n{text}")).remove(0).statement;
        assert_eq!(again.to_string(), text, "seed {seed} round {round}");
        assert_eq!(without_positions(again), without_positions(statement), "seed {seed} round {round}\n{text}");
    }
}

/// A statement's debug text without its positions and spans.
fn without_positions(statement: Statement) -> String {
    let mut text = format!("{statement:?}");
    for field in ["position: ", "type_position: "] {
        let mut parts = text.split(field);
        let mut cleaned = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            cleaned.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
        }
        text = cleaned;
    }
    let mut cleaned = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("Location(") {
        cleaned.push_str(&rest[..at]);
        rest = &rest[at + rest[at..].find(')').unwrap()..];
    }
    cleaned + rest
}

/// What the registry prints, read back.
#[test]
fn the_registrys_own_text_parses() {
    let view = view(
        "CREATE FEATURE VIEW spend (\n    aov double precision FROM \"Avg\" COMMENT 'average'\n)\n    ENTITIES (\"Customer\" (customer_id))\n    FROM iceberg.gold.t AT TAG 'q3'\n    TIMESTAMP updated_at\n    TTL INTERVAL '-1 mons +2 days -00:00:03'\n    WITH (online = true, owner = 'ann')",
    );
    assert_eq!(view.ttl.map(|ttl| (ttl.months, ttl.days, ttl.micros)), Some((-1, 2, -3_000_000)));
}
