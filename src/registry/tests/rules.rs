//! What a change may do to a snapshot, and in which words it is refused.

use super::*;

fn base() -> RegistrySnapshot {
    RegistrySnapshot::default().apply_all(&[create_entity("customer"), create_view(view("spend", &["customer"]))]).unwrap().0
}

#[test]
fn a_taken_name_is_refused_skipped_or_replaced() {
    let base = base();
    assert_eq!(
        seen(base.apply(&create_entity("customer")).unwrap_err()),
        ("42710".into(), "entity \"customer\" already exists".into(), None, None)
    );
    let again = RegistryChange::CreateEntity { entity: entity("customer", &[("x", "text")]), if_not_exists: true };
    assert_eq!(base.apply(&again).unwrap(), (base.clone(), vec!["entity \"customer\" already exists, skipping".into()]));

    let (code, message, ..) = seen(base.apply(&create_view(view("spend", &[]))).unwrap_err());
    assert_eq!((code.as_str(), message.as_str()), ("42P07", "feature view \"spend\" already exists"));
    let change = |or_replace, if_not_exists| RegistryChange::CreateFeatureView {
        view: Box::new(view("spend", &[])),
        new_entities: vec![entity("implied", &[("a", "bigint")])],
        or_replace,
        if_not_exists,
    };
    // Skipped wholly: the entity that it would imply is not made either.
    assert_eq!(base.apply(&change(false, true)).unwrap(), (base.clone(), vec!["feature view \"spend\" already exists, skipping".into()]));
    let (replaced, notices) = base.apply(&change(true, false)).unwrap();
    assert_eq!(replaced.feature_views["spend"], view("spend", &[]));
    assert_eq!(notices, ["CREATE FEATURE VIEW creates entity \"implied\" with key (a bigint)"]);
    assert_eq!(replaced.version, base.version);
}

#[test]
fn a_view_names_entities_that_are_there_with_their_keys() {
    let base = base();
    assert_eq!(
        seen(base.apply(&create_view(view("v", &["custome"]))).unwrap_err()),
        ("42704".into(), "entity \"custome\" does not exist".into(), None, Some("Perhaps you meant \"customer\".".into()))
    );
    let mut two = view("v", &["customer"]);
    two.entities[0].columns.push(column("region", 4));
    assert_eq!(
        seen(base.apply(&create_view(two)).unwrap_err()),
        ("42P10".into(), "entity \"customer\" has 1 key columns, but feature view \"v\" gives 2".into(), None, None)
    );
    let implied = RegistryChange::CreateFeatureView {
        view: Box::new(view("v", &["customer"])),
        new_entities: vec![entity("customer", &[("customer_id", "text")])],
        or_replace: false,
        if_not_exists: false,
    };
    assert_eq!(
        seen(base.apply(&implied).unwrap_err()),
        (
            "42804".into(),
            "entity \"customer\" has the key (customer_id bigint), but the source has (customer_id text)".into(),
            None,
            Some("CREATE ENTITY other KEY (customer_id text), and ENTITIES (other (customer_id)) here.".into())
        )
    );
}

#[test]
fn dropping_what_is_used_needs_cascade() {
    let (base, _) = base().apply_all(&[create_view(view("Risk", &["customer"])), create_entity("driver")]).unwrap();
    assert_eq!(
        seen(base.apply(&drop_entities(&["customer"], false, false)).unwrap_err()),
        (
            "2BP01".into(),
            "cannot drop entity customer because other objects depend on it".into(),
            Some("feature view \"Risk\" depends on entity customer\nfeature view spend depends on entity customer".into()),
            Some("Use DROP ... CASCADE to drop the dependent objects too.".into())
        )
    );
    let (dropped, notices) = base.apply(&drop_entities(&["customer", "customer"], false, true)).unwrap();
    assert_eq!(notices, ["drop cascades to feature view \"Risk\"", "drop cascades to feature view spend"]);
    assert!(dropped.feature_views.is_empty());
    assert_eq!(dropped.entities.keys().collect::<Vec<_>>(), ["driver"]);
}

#[test]
fn dropping_what_is_not_there() {
    let base = base();
    let (code, message, _, hint) = seen(base.apply(&drop_views(&["spent"], false)).unwrap_err());
    assert_eq!((code.as_str(), message.as_str()), ("42P01", "feature view \"spent\" does not exist"));
    assert_eq!(hint.as_deref(), Some("Perhaps you meant \"spend\"."));
    let (code, message, ..) = seen(base.apply(&drop_entities(&["x"], false, false)).unwrap_err());
    assert_eq!((code.as_str(), message.as_str()), ("42704", "entity \"x\" does not exist"));
    let (dropped, notices) = base.apply(&drop_views(&["x", "spend", "spend"], true)).unwrap();
    assert_eq!(notices, ["feature view \"x\" does not exist, skipping"]);
    assert!(dropped.feature_views.is_empty());
    assert_eq!(base.apply(&drop_entities(&["x"], true, false)).unwrap().1, ["entity \"x\" does not exist, skipping"]);
    assert!(base.apply(&drop_views(&["spend", "spend"], false)).unwrap().0.feature_views.is_empty());
}

#[test]
fn definitions_spell_everything_out() {
    let mut customer = entity("Customer", &[("customer_id", "bigint"), ("user", "text")]);
    customer.comment = Some("who's who".into());
    customer.tags.insert("team".into(), "growth".into());
    assert_eq!(
        entity_definition(&customer),
        "CREATE ENTITY \"Customer\" KEY (customer_id bigint, \"user\" text)\n    COMMENT 'who''s who'\n    TAGS (team = 'growth')"
    );
    let mut spend = view("spend", &["Customer"]);
    spend.features.push(Feature {
        name: "aov".into(),
        data_type: "double precision".into(),
        column: column("Avg", 5),
        comment: Some("average".into()),
    });
    spend.created = Some(column("ingested_at", 6));
    spend.valid_until = Some(column("valid_to", 7));
    spend.ttl = Some(TimeToLive { months: 1, days: 2, micros: 3_000_000 });
    spend.online = true;
    spend.owner = Some("ann".into());
    assert_eq!(
        feature_view_definition(&spend),
        "CREATE FEATURE VIEW spend (\n    total_orders bigint,\n    aov double precision FROM \"Avg\" COMMENT 'average'\n)\n    \
         ENTITIES (\"Customer\" (customer_id))\n    FROM iceberg.gold.customer_aggregates\n    TIMESTAMP updated_at\n    \
         CREATED TIMESTAMP ingested_at\n    VALID UNTIL valid_to\n    TTL INTERVAL '1 mon 2 days 00:00:03'\n    \
         WITH (online = true, owner = 'ann')"
    );
    spend.source = ViewSource::Query { sql: "SELECT *\nFROM x -- all".into() };
    assert!(feature_view_definition(&spend).ends_with("\n    AS SELECT *\nFROM x -- all"));
}
