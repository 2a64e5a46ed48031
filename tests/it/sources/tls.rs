//! Catalogs behind a certificate of a private authority: `ssl.cabundle` lets them in, and nothing else does.

use featgres::config::{CatalogConfig, CatalogKind, Config, Secret};
use tokio_postgres::Client;

use crate::support::{FakeCatalogs, FakeTrino, TestGateway, TlsFront, write_sample};

async fn count(client: &Client, catalog: &str) -> Result<i64, tokio_postgres::Error> {
    client.query_one(&format!("SELECT count(*) FROM {catalog}.gold.labels"), &[]).await.map(|row| row.get(0))
}

#[tokio::test(flavor = "multi_thread")]
async fn private_authorities_are_believed_where_they_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    TestGateway::write_to(folder.path(), write_sample);
    let sqlite = folder.path().join("catalog.sqlite");
    let (catalogs, trino) = (FakeCatalogs::start(&sqlite).await, FakeTrino::start().await);
    trino.show(&sqlite);
    let (before_catalogs, before_trino) = (TlsFront::start(&catalogs.url).await, TlsFront::start(&trino.url()).await);
    trino.reached_as(&before_trino.url());
    let mut sections = Vec::new();
    for (kind, front, path, login) in [
        (CatalogKind::Rest, &before_catalogs, "/rest", vec![("token", "t")]),
        (CatalogKind::Nessie, &before_catalogs, "/api/v2", vec![("token", "t")]),
        (CatalogKind::Trino, &before_trino, "", vec![("user", "u"), ("password", "p")]),
        (CatalogKind::Trino, &before_trino, "", vec![("jwt", "t")]),
    ] {
        for (how, bundle) in [("good", Some(front.authority())), ("wrong", Some(front.stranger())), ("none", None)] {
            let name = format!("{}_{}_{how}", kind.name(), login[0].0);
            let mut section = CatalogConfig::new(&name, kind, format!("{}{path}", front.url()));
            section.login.extend(login.iter().map(|(key, value)| ((*key).to_owned(), Secret::new(*value))));
            section.login.extend(bundle.map(|file| ("ssl.cabundle".to_owned(), Secret::new(file.display().to_string()))));
            sections.push((name, section));
        }
    }
    let names: Vec<String> = sections.iter().map(|(name, _)| name.clone()).collect();
    let gateway = TestGateway::with(|config: &mut Config| config.catalogs.extend(sections), write_sample).await;
    let client = gateway.connect().await;
    for name in names {
        match count(&client, &name).await {
            Ok(count) => assert!(name.ends_with("_good") && count == 8, "{name}: {count}"),
            Err(error) => {
                let error = error.as_db_error().expect("an error of the server");
                assert!(!name.ends_with("_good"), "{name}: {error:?}");
                assert_eq!(error.code().code(), "HV00N", "{name}: {error:?}");
                assert!(error.message().starts_with("no secure connection to catalog"), "{name}: {}", error.message());
                assert!(error.hint().is_some_and(|hint| hint.contains("ssl.cabundle")), "{name}");
            }
        }
    }
}
