//! What a statement answers, as texts. One that fails fails the test, with its text.

use tokio_postgres::{Client, SimpleQueryMessage};

/// The cells of its rows.
pub async fn answer(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

/// The same with NULL as Trino's tools write it: `null`.
pub async fn cells(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let shown = |cell: Option<String>| cell.unwrap_or_else(|| "null".to_owned());
    answer(client, sql).await.into_iter().map(|row| row.into_iter().map(shown).collect()).collect()
}

/// A line for each row: `1|coffee|NULL`.
pub async fn lines(client: &Client, sql: &str) -> Vec<String> {
    let line = |row: &Vec<Option<String>>| row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|");
    answer(client, sql).await.iter().map(line).collect()
}
