//! The system catalog as clients read it: psql's backslash commands, introspection of drivers, and all statements of recorded sessions.

mod corpus;
mod psql;
mod relations;

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::support::TestGateway;

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
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column).unwrap_or("")).collect::<Vec<_>>().join("|")),
            _ => None,
        })
        .collect()
}
