//! The system catalog as clients read it: psql's backslash commands, introspection of drivers, and all statements of recorded sessions.

mod corpus;
mod psql;
mod relations;

use tokio_postgres::Client;

use crate::support::{TestGateway, answer};

/// A gateway with one commented feature view.
async fn gateway() -> (TestGateway, Client) {
    let gateway = TestGateway::start().await;
    let client = gateway.connect().await;
    client
        .batch_execute(
            "CREATE ENTITY customer KEY (customer_id BIGINT);
             CREATE FEATURE VIEW customer_features
                 (total_orders BIGINT COMMENT 'orders so far', avg_order_value DOUBLE PRECISION, favourite TEXT)
                 ENTITIES (customer) FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at CREATED TIMESTAMP ingested_at
                 COMMENT 'what a customer buys';",
        )
        .await
        .expect("the definitions");
    (gateway, client)
}

/// Rows of a simple query, cells joined by bars as `psql -At` prints them.
async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let line = |row: &Vec<Option<String>>| row.iter().map(|cell| cell.as_deref().unwrap_or("")).collect::<Vec<_>>().join("|");
    answer(client, sql).await.iter().map(line).collect()
}
