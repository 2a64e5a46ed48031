//! `featgres check`: each line says what failed and how to fix it, and the exit status is 1 if any did. `apply`: all or nothing, and said so.

use std::path::Path;
use std::process::Output;

use crate::support::{FakeCatalogs, FakeTrino, FaultyS3, TestGateway, featgres, write_sample};

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = featgres();
    command.args(arguments).current_dir(folder).env("HOME", folder).env("AWS_EC2_METADATA_DISABLED", "true");
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_catalog_is_tried_and_every_failure_has_its_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    TestGateway::write_to(folder.path(), write_sample);
    let sqlite = folder.path().join("catalog.sqlite");
    let (catalogs, trino) = (FakeCatalogs::start(&sqlite).await, FakeTrino::start().await);
    trino.show(&sqlite);
    let s3 = FaultyS3::start(&folder.path().join("warehouse")).await;
    let far = folder.path().join("far.sqlite");
    s3.catalog(&sqlite, &far);
    s3.admit(&["good"], "InvalidAccessKeyId");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let sound = format!(
        "project = \"p\"\nlisten = \"127.0.0.1:0\"\nregistry = \"{0}/registry\"\n\
         [catalogs.trino]\ntype = \"trino\"\nuri = \"{1}\"\n\
         [catalogs.nessie]\ntype = \"nessie\"\nuri = \"{2}\"\n\
         [catalogs.rest]\ntype = \"rest\"\nuri = \"{3}\"\n\
         [catalogs.sql]\ntype = \"sql\"\nuri = \"sqlite:///{4}\"\ncatalog = \"iceberg\"\n\"s3.endpoint\" = \"{5}\"\n\
         \"s3.access-key-id\" = \"good\"\n\"s3.secret-access-key\" = \"hush\"\n",
        folder.path().display(),
        trino.url(),
        catalogs.uri("nessie"),
        catalogs.uri("rest"),
        far.display(),
        s3.url
    );
    let file = folder.path().join("featgres.toml");
    let config = file.display().to_string();
    std::fs::write(&file, &sound).expect("a file");
    let checked = run(folder.path(), &["check", "--config", &config]).await;
    let said = text(&checked);
    assert!(checked.status.success(), "{said}");
    for name in ["trino", "nessie", "rest", "sql"] {
        assert!(said.contains(&format!("ok      catalog \"{name}\" ({name})")), "{said}");
        assert!(said.contains(&format!("ok      table {name}.gold.customer_aggregates: metadata can be read, snapshot")), "{said}");
    }
    let cases = [
        (trino.url(), format!("http://{closed}"), "catalog \"trino\"", "refused", "catalogs.trino.uri"),
        (catalogs.uri("nessie"), format!("http://{closed}/api/v2"), "catalog \"nessie\"", "refused", "catalogs.nessie.uri"),
        (catalogs.uri("rest"), format!("{}/nothing", catalogs.url), "catalog \"rest\"", "/nothing/v1/config", "catalogs.rest"),
        ("\"good\"".to_owned(), "\"bad\"".to_owned(), "table sql.gold.customer_aggregates", "InvalidAccessKeyId", "s3.secret-access-key"),
        (s3.url.clone(), format!("http://{closed}"), "table sql.gold.customer_aggregates", "cannot be reached", "s3.endpoint"),
        ("far.sqlite".to_owned(), "gone.sqlite".to_owned(), "catalog \"sql\"", "gone.sqlite", "catalogs.sql.uri"),
        (
            format!("{}/registry", folder.path().display()),
            "/proc/nowhere".to_owned(),
            "registry file:///proc/nowhere",
            "",
            "Set registry to",
        ),
    ];
    for (good, bad, what, words, remedy) in cases {
        std::fs::write(&file, sound.replace(&good, &bad)).expect("a file");
        let checked = run(folder.path(), &["check", "--config", &config]).await;
        let said = text(&checked);
        assert_eq!(checked.status.code(), Some(1), "{said}");
        let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("FAILED")).collect();
        assert!(failed.len() == 1 && failed[0].contains(what) && failed[0].contains(words), "{said}");
        let below = said.lines().skip_while(|line| !line.starts_with("FAILED")).nth(1).unwrap_or_default();
        assert!(below.starts_with("        ") && below.contains(remedy), "{said}");
        assert!(!said.contains("hush") && !said.contains("INFO"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_applied_whole_or_said_to_be_wrong_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    TestGateway::write_to(folder.path(), write_sample);
    let config = folder.path().join("featgres.toml");
    let toml = format!(
        "project = \"p\"\nregistry = \"{0}/registry\"\n[catalogs.iceberg]\ntype = \"sql\"\nuri = \"sqlite:///{0}/catalog.sqlite\"\n",
        folder.path().display()
    );
    std::fs::write(&config, toml).expect("a file");
    let config = config.display().to_string();
    let good = "CREATE ENTITY shop KEY (shop_id TEXT);\nCREATE FEATURE VIEW v (total_orders BIGINT) ENTITIES (customer_id)\n    \
        FROM iceberg.gold.customer_aggregates TIMESTAMP updated_at;\n";
    std::fs::write(folder.path().join("bad.sql"), format!("{good}DROP FEATURE VIEW nothing;\n")).expect("a file");
    std::fs::write(folder.path().join("good.sql"), good).expect("a file");
    let refused = run(folder.path(), &["apply", "bad.sql", "--config", &config]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("bad.sql:4:1: feature view \"nothing\" does not exist"), "{}", text(&refused));
    assert_eq!(String::from_utf8_lossy(&refused.stdout), "", "nothing was done, so nothing is said to be");
    let planned = run(folder.path(), &["apply", "good.sql", "--dry-run", "--config", &config]).await;
    assert!(planned.status.success() && text(&planned).contains("+ FEATURE VIEW v\n"), "{}", text(&planned));
    let applied = run(folder.path(), &["apply", "good.sql", "--config", &config]).await;
    assert_eq!(String::from_utf8_lossy(&applied.stdout), "CREATE ENTITY\nCREATE FEATURE VIEW\n", "{}", text(&applied));
    // What is dumped makes the same again, elsewhere.
    let dumped = run(folder.path(), &["registry", "dump", "--config", &config]).await;
    std::fs::write(folder.path().join("dump.sql"), &dumped.stdout).expect("a file");
    let elsewhere = ["--registry", "elsewhere", "--config", &config];
    let again = run(folder.path(), &[&["apply", "dump.sql"], elsewhere.as_slice()].concat()).await;
    assert!(again.status.success(), "{}", text(&again));
    assert_eq!(run(folder.path(), &[&["registry", "dump"], elsewhere.as_slice()].concat()).await.stdout, dumped.stdout);
    let verified = run(folder.path(), &[&["registry", "verify"], elsewhere.as_slice()].concat()).await;
    assert!(verified.status.success() && text(&verified).contains("is whole: version 1, 1 commits"), "{}", text(&verified));
}
