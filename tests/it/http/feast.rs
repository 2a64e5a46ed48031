//! The calls of the service that featgres replaces: the same as in SQL, in its JSON.

use std::time::Duration;

use featgres::config::{AuthMethod, Secret};
use serde_json::{Value, json};

use super::{gateway, get_json, post};
use crate::support::TestGateway;

fn customer_features() -> Value {
    json!({
        "name": "customer_features",
        "entities": ["customer_id"],
        "features": [{"name": "total_orders", "dtype": "int64"}, {"name": "avg_order_value", "dtype": "float64"}],
        "source": {"catalog": "iceberg", "schema": "gold", "table_name": "customer_aggregates", "timestamp_field": "updated_at",
                   "created_timestamp_column": "ingested_at"},
        "online": false
    })
}

async fn with_customer_features() -> TestGateway {
    let gateway = gateway(|_| {}).await;
    let (status, body) = post(&gateway, "/feast/features", &customer_features()).await;
    assert_eq!(status, 201, "{body}");
    gateway
}

fn error(body: &Value) -> (&str, &str) {
    (body["error"]["sqlstate"].as_str().unwrap_or_default(), body["error"]["message"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_created_as_by_sql() {
    let gateway = gateway(|_| {}).await;
    let (status, body) = post(&gateway, "/feast/features", &customer_features()).await;
    assert_eq!(status, 201, "{body}");
    assert_eq!((&body["name"], &body["source_table"]), (&json!("customer_features"), &json!("iceberg.gold.customer_aggregates")));
    assert_eq!((&body["entities"], &body["features"]), (&json!(["customer_id"]), &json!(["total_orders", "avg_order_value"])));
    assert_eq!((&body["online_enabled"], &body["status"]), (&json!(false), &json!("registered")));
    assert!(body["path"].as_str().unwrap().ends_with("/data/*.parquet"));

    let client = gateway.connect().await;
    let by_http: String = client.query_one("SHOW CREATE FEATURE VIEW customer_features", &[]).await.unwrap().get(0);
    client.batch_execute("DROP FEATURE VIEW customer_features; DROP ENTITY customer_id").await.unwrap();
    client
        .batch_execute(
            "CREATE FEATURE VIEW customer_features (total_orders BIGINT, avg_order_value DOUBLE PRECISION) ENTITIES (customer_id)
             FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at",
        )
        .await
        .unwrap();
    let by_sql: String = client.query_one("SHOW CREATE FEATURE VIEW customer_features", &[]).await.unwrap().get(0);
    assert_eq!(by_http, by_sql);
    let row = client.query_one("SELECT role, statement FROM feature_store.registry_history WHERE version = 1", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "anonymous");
    assert!(row.get::<_, &str>(1).starts_with("CREATE FEATURE VIEW customer_features"));

    let (status, body) = post(&gateway, "/feast/features", &customer_features()).await;
    assert_eq!((status, error(&body)), (409, ("42P07", "feature view \"customer_features\" already exists")));
    let (status, body) = get_json(&gateway, "/feast/status").await;
    assert_eq!(status, 200);
    assert_eq!((&body["registry_type"], &body["online_store_type"]), (&json!("file"), &json!("disabled")));
    assert_eq!((&body["num_feature_views"], &body["feature_views"]), (&json!(1), &json!(["customer_features"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_gives_one_object_per_row_in_order() {
    let gateway = with_customer_features().await;
    let question = json!({
        "feature_views": ["customer_features"],
        "entities": [{"customer_id": 2, "label": "b"}, {"customer_id": 123}, {"customer_id": 1}, {"customer_id": null}, {"customer_id": 2}, {"customer_id": 1.0}]
    });
    let (status, body) = post(&gateway, "/feast/predictions/batch", &question).await;
    assert_eq!(status, 200, "{body}");
    let row = |id: Value, label: Value, orders: Value, value: Value| json!({"customer_id": id, "label": label, "total_orders": orders, "avg_order_value": value});
    let two = |label: Value| row(json!(2), label, json!(21), json!(2.5));
    let none = |id: Value| row(id, Value::Null, Value::Null, Value::Null);
    let one = row(json!(1), Value::Null, json!(15), json!(13.5));
    assert_eq!(body, json!([two(json!("b")), none(json!(123)), one.clone(), none(Value::Null), two(Value::Null), one]));
    // The keys of each object stand in the order of the columns.
    let text =
        reqwest::Client::new().post(gateway.url("/feast/predictions/batch")).json(&question).send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with(r#"[{"customer_id":2,"label":"b","total_orders":21,"avg_order_value":2.5},"#), "{text}");
    let (status, body) = post(&gateway, "/feast/predictions/batch", &json!({"feature_views": ["customer_features"], "entities": []})).await;
    assert_eq!((status, error(&body).0), (400, "42703"), "no row, no key: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_keep_their_order() {
    let gateway = with_customer_features().await;
    let entities: Vec<Value> = (0..20_000).map(|number| json!({"customer_id": number % 5, "n": number})).collect();
    let (status, body) =
        post(&gateway, "/feast/predictions/batch", &json!({"feature_views": ["customer_features"], "entities": entities})).await;
    assert_eq!(status, 200);
    let rows = body.as_array().unwrap();
    assert_eq!(rows.len(), 20_000);
    for (number, row) in rows.iter().enumerate() {
        let orders = [Value::Null, json!(15), json!(21), json!(30), Value::Null][number % 5].clone();
        assert_eq!((&row["n"], &row["total_orders"]), (&json!(number), &orders));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_stand_twice_are_told_apart() {
    let gateway = with_customer_features().await;
    let mut other = customer_features();
    other["name"] = json!("other");
    other["features"] = json!([{"name": "total_orders", "dtype": "INT64"}, {"name": "favourite", "dtype": "STRING"}]);
    let (status, body) = post(&gateway, "/feast/features", &other).await;
    assert_eq!(status, 201, "{body}");
    let mut question = json!({"feature_views": ["customer_features", "other"], "entities": [{"customer_id": 1}]});
    let (status, body) = post(&gateway, "/feast/predictions/batch", &question).await;
    assert_eq!(status, 200, "{body}");
    let expected = json!([{"customer_id": 1, "customer_features__total_orders": 15, "avg_order_value": 13.5, "other__total_orders": 15, "favourite": "coffee"}]);
    assert_eq!(body, expected);
    question["full_feature_names"] = json!(true);
    let (_, body) = post(&gateway, "/feast/predictions/batch", &question).await;
    assert_eq!(body[0]["other__favourite"], "coffee");
    question["full_feature_names"] = json!(false);
    let (status, body) = post(&gateway, "/feast/predictions/batch", &question).await;
    assert_eq!((status, error(&body).0), (400, "42701"));
    // An entity row's own column of a feature's name.
    let question = json!({"feature_views": ["other"], "entities": [{"customer_id": 1, "favourite": "me"}]});
    let (_, body) = post(&gateway, "/feast/predictions/batch", &question).await;
    assert_eq!(body, json!([{"customer_id": 1, "favourite": "me", "total_orders": 15, "other__favourite": "coffee"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_codes_of_sql() {
    let gateway = with_customer_features().await;
    let view = |change: &dyn Fn(&mut Value)| {
        let mut body = customer_features();
        body["name"] = json!("fresh");
        change(&mut body);
        body
    };
    for (body, status, sqlstate, words) in [
        (view(&|body| body["source"]["table_name"] = json!("customer_agregates")), 404, "42P01", "customer_agregates"),
        (view(&|body| body["source"]["catalog"] = json!("nessie")), 404, "3F000", "nessie"),
        (view(&|body| body["source"]["schema"] = json!("silver")), 404, "3F000", "silver"),
        (view(&|body| body["source"]["timestamp_field"] = json!("favourite")), 400, "42804", "favourite"),
        (view(&|body| body["features"][0]["dtype"] = json!("float64")), 400, "42804", "total_orders"),
        (view(&|body| body["features"][0]["dtype"] = json!("int65")), 400, "42704", "int65"),
        (view(&|body| body["features"][0]["name"] = json!("nothing")), 400, "42703", "nothing"),
        (view(&|body| body["entities"][0] = json!("customer")), 400, "42703", "customer"),
        (view(&|body| body["ttl_seconds"] = json!(0)), 400, "22023", "TTL"),
        (view(&|body| body["mode"] = json!("x")), 400, "22023", "mode"),
        (json!([]), 400, "22023", "must be an object"),
    ] {
        let (found, answer) = post(&gateway, "/feast/features", &body).await;
        assert_eq!((found, error(&answer).0), (status, sqlstate), "{answer}");
        assert!(error(&answer).1.contains(words), "{answer}");
    }
    for (body, status, sqlstate, words) in [
        (json!({"feature_views": ["customer_featurs"], "entities": [{"customer_id": 1}]}), 404, "42P01", "customer_featurs"),
        (json!({"feature_views": [], "entities": [{"customer_id": 1}]}), 400, "22023", "feature_views"),
        (json!({"feature_views": ["customer_features"], "entities": [{"customer_id": "1"}]}), 400, "42804", "customer_id"),
        (json!({"feature_views": ["customer_features"], "entities": [{"customer_id": 1}, {"customer_id": 1.5}]}), 400, "42804", "row 2"),
        (json!({"feature_views": ["customer_features"], "entities": [{"customer_id": 18446744073709551615_u64}]}), 400, "22003", "row 1"),
        (json!({"feature_views": ["customer_features"], "entities": [{"id": 1}]}), 400, "42703", "customer_id"),
        (json!({"feature_views": ["customer_features"], "entities": [{"customer_id": 1, "x": [1]}]}), 400, "22023", "\"x\""),
        (json!({"feature_view": ["customer_features"], "entities": []}), 400, "22023", "feature_view"),
    ] {
        let (found, answer) = post(&gateway, "/feast/predictions/batch", &body).await;
        assert_eq!((found, error(&answer).0), (status, sqlstate), "{answer}");
        assert!(error(&answer).1.contains(words), "{answer}");
    }
    let client = gateway.connect().await;
    let views: i64 = client.query_one("SELECT count(*) FROM feature_store.feature_views", &[]).await.unwrap().get(0);
    assert_eq!(views, 1, "nothing was written by what was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_rows_are_bounded() {
    let gateway = gateway(|config| {
        config.http.max_body_size = 1000;
        config.http.max_entity_rows = 2;
    })
    .await;
    let (status, body) = post(&gateway, "/feast/features", &json!({"name": "x".repeat(2000)})).await;
    assert_eq!((status, error(&body).0), (413, "54000"));
    let question = json!({"feature_views": ["v"], "entities": [{}, {}, {}]});
    let (status, body) = post(&gateway, "/feast/predictions/batch", &question).await;
    assert_eq!((status, error(&body)), (400, ("54000", "3 entity rows are more than 2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn online_is_answered_with_a_clear_word() {
    let gateway = gateway(|_| {}).await;
    let mut view = customer_features();
    view["online"] = json!(true);
    let (status, body) = post(&gateway, "/feast/features", &view).await;
    assert_eq!((status, &body["online_enabled"]), (201, &json!(false)));
    assert!(body["message"].as_str().unwrap().contains("online serving is disabled"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_show_a_password_where_clients_do() {
    let gateway = gateway(|config| {
        config.auth.method = AuthMethod::ScramSha256;
        config.auth.users.insert("alice".to_owned(), Secret::new(featgres::verifier::Verifier::of("p:w ü", 4096).text()));
    })
    .await;
    let client = reqwest::Client::new();
    let ask = |user: Option<(&'static str, &'static str)>| {
        let request = client.get(gateway.url("/feast/status"));
        match user {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        }
        .send()
    };
    for (user, sqlstate) in [(None, "28000"), (Some(("alice", "wrong")), "28P01"), (Some(("bob", "p:w ü")), "28P01")] {
        let answer = ask(user).await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
        let body: Value = answer.json().await.unwrap();
        assert_eq!(error(&body).0, sqlstate);
    }
    assert_eq!(ask(Some(("alice", "p:w ü"))).await.unwrap().status().as_u16(), 200);
    // Metrics and health ask nobody.
    assert_eq!(client.get(gateway.url("/metrics")).send().await.unwrap().status().as_u16(), 200);
    // Users can change while it runs.
    let mut auth = gateway.gateway.config.auth.clone();
    auth.users.clear();
    auth.users.insert("bob".to_owned(), Secret::new(featgres::verifier::Verifier::of("new", 4096).text()));
    gateway.gateway.set_auth(auth);
    assert_eq!(ask(Some(("alice", "p:w ü"))).await.unwrap().status().as_u16(), 401);
    assert_eq!(ask(Some(("bob", "new"))).await.unwrap().status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_have_deadlines() {
    let gateway = gateway(|config| config.limits.statement_timeout = Some(Duration::from_millis(1))).await;
    let (status, body) = post(&gateway, "/feast/features", &customer_features()).await;
    assert_eq!((status, error(&body).0), (503, "57014"), "{body}");
}
