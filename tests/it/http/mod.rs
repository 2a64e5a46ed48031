//! The HTTP listener through a real client: metrics, health, and the original deployment's calls beside the same in SQL.

mod feast;
mod operating;

use featgres::config::Config;
use serde_json::Value;

use crate::support::TestGateway;

/// Sample tables, an HTTP listener with the calls, and whatever else the test wants.
async fn gateway(configure: impl FnOnce(&mut Config)) -> TestGateway {
    let configure = |config: &mut Config| {
        config.http.listen = Some("127.0.0.1:0".parse().expect("an address"));
        config.http.feast_api = true;
        configure(config);
    };
    TestGateway::with(configure, crate::support::write_sample).await
}

/// An answer: its status and its body.
async fn get(gateway: &TestGateway, path: &str) -> (u16, String) {
    let answer = reqwest::get(gateway.url(path)).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

async fn get_json(gateway: &TestGateway, path: &str) -> (u16, Value) {
    let (status, body) = get(gateway, path).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}")))
}

async fn post(gateway: &TestGateway, path: &str, body: &Value) -> (u16, Value) {
    let answer = reqwest::Client::new().post(gateway.url(path)).json(body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}
