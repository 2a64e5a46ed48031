//! Each source, each refusal with its words, and that secrets stay in.

use super::*;
use crate::error::Report;

/// Of the password "pencil".
const VERIFIER: &str =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn load(text: &str) -> Result<Config, Report> {
    load_with(text, &[])
}

fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, Report> {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(file.path()), environment, &Overrides::default()).map_err(|error| {
        let mut report = Report::from(error);
        report.message = report.message.replace(&file.path().display().to_string(), "f.toml");
        report
    })
}

fn refused(text: &str) -> (String, String) {
    let report = load(text).unwrap_err();
    assert_eq!(report.sqlstate.code(), "F0000");
    (report.message, report.hint.unwrap_or_default())
}

const SQL: &str = "[catalogs.lake]\ntype = \"sql\"\nuri = \"sqlite:////lake/catalog.db\"\n";

#[test]
fn nothing_at_all_is_the_embedded_warehouse() {
    let config = Config::load(None, [], &Overrides::default()).unwrap();
    let directory = config.embedded.unwrap();
    assert!(directory.is_absolute() && directory.ends_with("featgres-data"));
    assert_eq!(config.catalogs["iceberg"].uri, format!("sqlite:///{}/catalog.sqlite", directory.display()));
    assert!(config.registry.starts_with("file:///") && config.registry.ends_with("featgres-data/registry"));
    assert_eq!(config.listen.to_string(), "127.0.0.1:5433");
}

#[test]
fn a_file_with_catalogs_is_not_embedded() {
    let config = load(&format!("project = \"asgard\"\nregistry = \"s3://bucket/registry\"\n{SQL}")).unwrap();
    assert_eq!(config.embedded, None);
    assert_eq!((config.project.as_str(), config.registry.as_str()), ("asgard", "s3://bucket/registry"));
    assert_eq!(config.catalogs["lake"].catalog, "lake");
}

#[test]
fn environment_beats_file_and_flags_beat_both() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "listen = \"127.0.0.1:1\"\n[limits]\nmax_connections = 7\n").unwrap();
    let environment =
        [("FEATGRES_LISTEN", "127.0.0.1:2"), ("FEATGRES_LIMITS__MAX_CONNECTIONS", "8")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    let overrides = Overrides { listen: Some("127.0.0.1:3".to_owned()), registry: None };
    let config = Config::load(Some(file.path()), environment, &overrides).unwrap();
    assert_eq!((config.listen.port(), config.limits.max_connections), (3, 8));
}

#[test]
fn the_original_deployments_variables_fill_what_is_open() {
    let environment = [
        ("S3_BUCKET", "lake"),
        ("S3_ICEBERG_BASE_PATH", "iceberg/"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("AWS_REGION", "eu-1"),
    ];
    let own = "[catalogs.own]\ntype = \"sql\"\nuri = \"sqlite:////o.db\"\nwarehouse = \"s3://own/\"\n\"s3.access-key-id\" = \"mine\"\ns3.region = \"us-1\"\n";
    let config = load_with(&format!("{SQL}{own}"), &environment).unwrap();
    assert_eq!(config.catalogs["lake"].warehouse.as_deref(), Some("s3://lake/iceberg/"));
    let lake = config.catalogs["lake"].storage_properties();
    assert_eq!(
        lake.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
        ["s3.access-key-id=id", "s3.region=eu-1", "s3.secret-access-key=key"]
    );
    // A key of its own never meets the environment's secret.
    let own = config.catalogs["own"].storage_properties();
    assert_eq!(own.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["s3.access-key-id=mine", "s3.region=us-1"]);
    assert_eq!(config.catalogs["own"].warehouse.as_deref(), Some("s3://own/"));
    assert_eq!(config.registry_properties()["s3.region"], "eu-1");
}

#[test]
fn properties_of_catalogs_come_from_the_environment_too() {
    let config =
        load_with(SQL, &[("FEATGRES_CATALOGS__LAKE__S3__ACCESS_KEY_ID", "id"), ("FEATGRES_CATALOGS__LAKE__CATALOG", "other")]).unwrap();
    assert_eq!(config.catalogs["lake"].storage_properties()["s3.access-key-id"], "id");
    assert_eq!(config.catalogs["lake"].catalog, "other");
}

#[test]
fn folders_can_stand_for_buckets_and_booleans_may_be_booleans() {
    let config = load(&format!("{SQL}mount.lake = \"/copy\"\ns3.path-style-access = true\n")).unwrap();
    let properties = config.catalogs["lake"].storage_properties();
    assert_eq!((properties["mount.lake"].as_str(), properties["s3.path-style-access"].as_str()), ("/copy", "true"));
    assert!(refused(&format!("{SQL}\"s3.anonymous\" = \"maybe\"\n")).0.ends_with("it must be true or false"));
}

#[test]
fn unknown_keys_are_named_with_their_place_and_a_suggestion() {
    let (message, hint) = refused("project = \"a\"\n\n[limits]\n  max_conections = 5\n");
    assert_eq!(message, "f.toml:4:3: unknown setting \"limits.max_conections\"");
    assert_eq!(hint, "Perhaps you meant \"limits.max_connections\".");
    let (message, hint) = refused("[limts]\nmemory = \"1GiB\"\n");
    assert_eq!((message.as_str(), hint.as_str()), ("f.toml:2:1: unknown setting \"limts.memory\"", "Perhaps you meant \"limits\"."));
    let (message, hint) = refused("[catalogs.a]\ntype = \"sql\"\nurl = \"sqlite:////a\"\n");
    assert_eq!(
        (message.as_str(), hint.as_str()),
        ("f.toml:3:1: unknown setting \"catalogs.a.url\"", "Perhaps you meant \"catalogs.a.uri\".")
    );
    let report = load_with("", &[("FEATGRES_LISTN", "x")]).unwrap_err();
    assert_eq!(report.message, "environment variable FEATGRES_LISTN: unknown setting \"listn\"");
    assert_eq!(report.hint.as_deref(), Some("Perhaps you meant \"listen\"."));
    let (_, hint) = refused("zzz = 1\n");
    assert_eq!(hint, "\"featgres print-config --defaults\" prints every setting there is.");
}

#[test]
fn each_type_of_catalog_has_its_keys() {
    let text = "[catalogs.a]\npointer_lifetime = \"5s\"\nuser = \"feast\"\npassword = \"hunter2\"\ntype = \"trino\"\nuri = \"https://trino:8443/\"\n";
    let config = load(text).unwrap();
    let trino = &config.catalogs["a"];
    assert_eq!((trino.kind, trino.uri.as_str(), trino.pointer_lifetime.as_secs()), (CatalogKind::Trino, "https://trino:8443", 5));
    assert_eq!((trino.login("user"), trino.login("password"), trino.login("jwt")), (Some("feast"), Some("hunter2"), None));
    for (text, lifetime) in [
        ("type = \"trino\"\nuri = \"http://t\"", 1),
        ("type = \"nessie\"\nuri = \"http://n/api/v2\"\nref = \"dev\"", 0),
        ("type = \"rest\"\nuri = \"http://r\"\ncredential = \"id:hunter2\"\nwarehouse = \"lake\"", 0),
    ] {
        let config = load(&format!("[catalogs.a]\n{text}\n")).unwrap();
        assert_eq!(config.catalogs["a"].pointer_lifetime.as_secs(), lifetime);
        assert!(!config.to_toml().contains("hunter2") && !format!("{config:?}").contains("hunter2"));
        assert_eq!(load(&config.to_toml()).unwrap().to_toml(), config.to_toml());
    }
    let environment = [("FEATGRES_CATALOGS__A__OAUTH2_SERVER_URI", "http://o"), ("FEATGRES_CATALOGS__A__SSL__CABUNDLE", "/ca.pem")];
    let config = load_with("[catalogs.a]\ntype = \"rest\"\nuri = \"http://r\"\n", &environment).unwrap();
    assert_eq!(
        (config.catalogs["a"].login("oauth2-server-uri"), config.catalogs["a"].login("ssl.cabundle")),
        (Some("http://o"), Some("/ca.pem"))
    );
}

#[test]
fn passwords_leave_the_uri() {
    for uri in ["postgresql://fe:hunt%20er2@h:5432/d", "postgresql+psycopg2://fe:hunt%20er2@h:5432/d"] {
        let config = load(&format!("[catalogs.a]\ntype = \"sql\"\nuri = \"{uri}\"\n")).unwrap();
        let catalog = &config.catalogs["a"];
        assert_eq!(catalog.uri, "postgresql://h:5432/d");
        assert_eq!((catalog.login("user"), catalog.login("password")), (Some("fe"), Some("hunt er2")));
        assert!(!format!("{config:?}{}", config.to_toml()).contains("er2"));
    }
}

#[test]
fn bad_values_say_what_they_must_be() {
    for (text, message) in [
        ("listen = 5433\n", "f.toml:1:1: invalid value for \"listen\": it must be a string, not an integer"),
        ("listen = \"5433\"\n", "f.toml:1:1: invalid value for \"listen\": it must be an address and a port, such as 127.0.0.1:5433"),
        ("registry_refresh = 5\n", "f.toml:1:1: invalid value for \"registry_refresh\": it needs a unit: ms, s, min, h or d"),
        (
            "[limits]\nmemory = \"lots\"\n",
            "f.toml:2:1: invalid value for \"limits.memory\": it must be a whole number with a unit, such as 512MiB",
        ),
        ("[limits]\nmemory = \"0\"\n", "f.toml:2:1: invalid value for \"limits.memory\": it must be more than zero"),
        ("[limits]\nmax_connections = 0\n", "f.toml:2:1: invalid value for \"limits.max_connections\": it must be more than zero"),
        (
            "[limits]\nmax_message_size = \"3GiB\"\n",
            "f.toml:2:1: invalid value for \"limits.max_message_size\": the protocol has no messages over 2GiB",
        ),
        (
            "[limits]\nmax_parameters = 65536\n",
            "f.toml:2:1: invalid value for \"limits.max_parameters\": the protocol counts parameters up to 65535",
        ),
        ("[limits]\nstartup_timeout = \"0\"\n", "f.toml:2:1: invalid value for \"limits.startup_timeout\": it must be more than zero"),
        ("[tls]\n", "[tls] has no \"cert\""),
        ("[tls]\ncert = \"c.pem\"\n", "[tls] has no \"key\""),
        ("[tls]\ncertificate = \"c.pem\"\n", "f.toml:2:1: unknown setting \"tls.certificate\""),
        ("[auth]\nmethod = \"cert\"\n", "authentication method \"cert\" needs \"tls.client_ca\""),
        ("[auth]\nmethod = \"cert\"\n[tls]\ncert = \"c\"\nkey = \"k\"\n", "authentication method \"cert\" needs \"tls.client_ca\""),
        (
            "[telemetry]\nlevel = \"loud\"\n",
            "f.toml:2:1: invalid value for \"telemetry.level\": the levels are off, error, warn, info, debug and trace",
        ),
        (
            "[auth.users]\nalice = \"hunter2\"\n",
            "f.toml:2:1: invalid value for \"auth.users.alice\": it must be a verifier as \"featgres hash-password\" prints it, SCRAM-SHA-256$4096:…$…:…",
        ),
        (
            "[auth.users]\nalice = \"SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy\"\n",
            "f.toml:2:1: invalid value for \"auth.users.alice\": it must be a verifier as \"featgres hash-password\" prints it, SCRAM-SHA-256$4096:…$…:…",
        ),
        ("[catalogs.a]\n", "catalog \"a\" has no \"type\""),
        ("[catalogs.a]\nuri = \"sqlite:////a\"\n", "catalog \"a\" has no \"type\""),
        ("[catalogs.a]\ntype = \"sql\"\n", "catalog \"a\" has no \"uri\""),
        ("[catalogs.a]\ntype = \"hive\"\n", "f.toml:2:1: invalid value for \"catalogs.a.type\": the types are sql, trino, nessie and rest"),
        (
            "[catalogs.a]\ntype = \"sql\"\nuri = \"sqlite:////a\"\npointer_lifetime = \"1s\"\n",
            "invalid value for \"catalogs.a.pointer_lifetime\": a catalog of type \"sql\" is asked for every statement: leave it out",
        ),
        (
            "[catalogs.a]\ntype = \"sql\"\nuri = \"sqlite:////a\"\njwt = \"x\"\n",
            "invalid value for \"catalogs.a.jwt\": a catalog of type \"sql\" does not take it",
        ),
        (
            "[catalogs.a]\ntype = \"trino\"\nuri = \"trino:8080\"\n",
            "invalid value for \"catalogs.a.uri\": it must be an http:// or https:// URL",
        ),
        (
            "[catalogs.a]\ntype = \"rest\"\nuri = \"https://u:hunter2@h\"\n",
            "invalid value for \"catalogs.a.uri\": a user and a password have no place in it; use token or credential",
        ),
    ] {
        assert_eq!(refused(text).0, message);
    }
    let (message, _) = refused("project = \"a\nlisten = 1");
    assert!(message.starts_with("f.toml:1:"), "{message}");
}

#[test]
fn trust_stays_on_loopback() {
    let (message, hint) = refused("listen = \"0.0.0.0:5433\"\n");
    assert_eq!(message, "authentication method \"trust\" is refused on 0.0.0.0:5433, which is not a loopback address");
    assert!(hint.contains("allow_insecure = true"));
    assert!(load("listen = \"0.0.0.0:5433\"\n[auth]\nallow_insecure = true\n").is_ok());
    assert!(load("listen = \"[::1]:5433\"\n").is_ok());
    assert_eq!(refused("[auth]\nmethod = \"scram-sha-256\"\n").0, "authentication method \"scram-sha-256\" has no users");
}

#[test]
fn tls_is_required_beyond_loopback_unless_said_otherwise() {
    let tls = "[tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\nclient_ca = \"ca.pem\"\n";
    for (listen, required, expected) in [
        ("127.0.0.1:1", "", false),
        ("0.0.0.0:1", "", true),
        ("127.0.0.1:1", "required = true\n", true),
        ("[::]:1", "required = false\n", false),
    ] {
        let config = load(&format!("listen = \"{listen}\"\n[auth]\nmethod = \"cert\"\n{tls}{required}")).unwrap();
        assert_eq!(config.tls.as_ref().unwrap().is_required(config.listen), expected, "{listen} {required}");
        assert!(
            config
                .to_toml()
                .contains(&format!("[tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\nclient_ca = \"ca.pem\"\nrequired = {expected}\n"))
        );
    }
}

#[test]
fn a_catalog_is_not_named_like_the_project_or_a_schema() {
    assert_eq!(refused(&format!("project = \"lake\"\n{SQL}")).0, "catalog \"lake\" has the name of the project");
    assert_eq!(refused(&SQL.replace("lake]", "public]")).0, "catalog name \"public\" is reserved");
}

#[test]
fn secrets_do_not_get_out() {
    let text = format!(
        "[auth]\nmethod = \"scram-sha-256\"\n[auth.users]\n\"a.b\" = \"{VERIFIER}\"\n{SQL}\"s3.secret-access-key\" = \"hunter2\"\n\"s3.endpoint\" = \"http://h\"\n"
    );
    let config = load(&text).unwrap();
    assert_eq!(config.auth.users["a.b"].expose(), VERIFIER);
    let printed = config.to_toml();
    assert!(!printed.contains("hunter2") && !printed.contains("W22Za"), "{printed}");
    assert!(
        printed.contains("\"s3.secret-access-key\" = \"***\"") && printed.contains("\"a.b\" = \"***\"") && printed.contains("http://h"),
        "{printed}"
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn what_is_printed_loads_again_to_the_same() {
    let text = format!(
        "project = \"p\"\nregistry = \"s3://b/r\"\n[limits]\nmemory = \"512MiB\"\nstatement_timeout = \"90s\"\n[telemetry]\nformat = \"json\"\n{SQL}"
    );
    let printed = load(&text).unwrap().to_toml();
    assert!(printed.contains("memory = \"512MiB\"") && printed.contains("statement_timeout = \"90s\""), "{printed}");
    assert_eq!(load(&printed).unwrap().to_toml(), printed);
}

#[test]
fn sizes_and_times() {
    for (text, bytes) in [("512MiB", 512 << 20), ("64 KiB", 64 << 10), ("1024", 1024), ("2GB", 2_000_000_000), ("0", 0)] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "MiB", "-1", "1.5GiB", "99999999999TiB", "5 parsecs"] {
        assert!(parse_size(text).is_err(), "{text}");
    }
    for (text, millis) in [("30s", 30_000), ("1500ms", 1500), ("5min", 300_000), ("2h", 7_200_000), ("1d", 86_400_000), ("0", 0)] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "30", "s", "-1s", "1.5s", "400d", "5 fortnights"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    assert_eq!((format_size(1536), format_size(1 << 30), format_size(0)), ("1536B".to_owned(), "1GiB".to_owned(), "0".to_owned()));
    assert_eq!(
        (format_duration(Duration::from_millis(1500)), format_duration(Duration::from_secs(60))),
        ("1500ms".to_owned(), "1min".to_owned())
    );
}

fn load_yaml(text: &str, environment: &[(&str, &str)]) -> Result<(Config, tempfile::TempDir), Report> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feature_store.yaml");
    std::fs::write(&file, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(&file), environment, &Overrides::default()).map(|config| (config, folder)).map_err(Report::from)
}

#[test]
fn feasts_file_is_understood() {
    let text = "project: asgard_features\nregistry: data/registry.db\nprovider: local\noffline_store:\n    type: file\nentity_key_serialization_version: 2\n";
    let (config, folder) = load_yaml(text, &[]).unwrap();
    assert_eq!(config.project, "asgard_features");
    assert_eq!(config.registry, format!("file://{}/data/featgres-registry", folder.path().display()));
    assert!(config.embedded.is_some());
    let text = "project: p\nregistry:\n  registry_type: file\n  path: s3://bucket/feast/registry.pb\nonline_store: {type: sqlite}\noffline_store:\n  type: feast.infra.offline_stores.contrib.trino_offline_store.trino.TrinoOfflineStore\n  host: trino.internal\n  port: 8443\n  http-scheme: https\n  catalog: lake\n  user: feast\n  auth:\n    type: basic\n    config: {username: fe, password: \"${TRINO_PASSWORD}\"}\n";
    let (config, _) = load_yaml(text, &[("TRINO_PASSWORD", "hunter2")]).unwrap();
    assert_eq!(config.registry, "s3://bucket/feast/featgres-registry");
    let lake = &config.catalogs["lake"];
    assert_eq!((lake.kind, lake.uri.as_str(), lake.catalog.as_str()), (CatalogKind::Trino, "https://trino.internal:8443", "lake"));
    assert_eq!((lake.login("user"), lake.login("password")), (Some("fe"), Some("hunter2")));
    assert!(!config.to_toml().contains("hunter2"));
    let (config, folder) = load_yaml("project: p\nregistry:\n  registry_type: sql\n  path: postgresql://u:hunter2@h/d\n", &[]).unwrap();
    assert_eq!(config.registry, format!("file://{}/featgres-registry", folder.path().display()));
}

#[test]
fn what_featgres_cannot_take_over_from_feast_is_named() {
    for (text, words) in [
        ("project: p\noffline_store:\n  type: bigquery\n", "the offline store \"bigquery\""),
        ("project: p\nregistry: gs://b/registry.db\n", "a registry on gs://"),
        ("project: p\nauth:\n  type: oidc\n", "Feast's authentication"),
        ("project: p\nregistri: x\n", "unknown setting \"registri\""),
        ("- p\n", "a feature_store.yaml is a mapping"),
        ("project: [\n", "feature_store.yaml:"),
        ("project: p\noffline_store:\n  type: trino\n", "it has no host"),
    ] {
        let report = load_yaml(text, &[]).err().unwrap();
        assert!(report.message.contains(words), "{}", report.message);
    }
    let report = load_yaml("project: p\n\nregistri: x\n", &[]).err().unwrap();
    assert!(report.message.contains("feature_store.yaml:3:1"), "{}", report.message);
}

#[test]
fn the_http_listener_needs_to_be_safe() {
    let config = load("[http]\nlisten = \"0.0.0.0:9464\"\n").unwrap();
    assert_eq!((config.http.listen.unwrap().port(), config.http.feast_api, config.http.max_body_size), (9464, false, 16 << 20));
    assert!(load("[http]\nlisten = \"127.0.0.1:0\"\nfeast_api = true\n").is_ok());
    assert!(refused("[http]\nlisten = \"0.0.0.0:1\"\nfeast_api = true\n").0.contains("\"trust\" is refused on 0.0.0.0:1"));
    let scram = &format!("[auth]\nmethod = \"scram-sha-256\"\n[auth.users]\na = \"{VERIFIER}\"\n");
    let open = format!("{scram}[http]\nlisten = \"0.0.0.0:1\"\nfeast_api = true\n");
    assert!(refused(&open).0.contains("would send passwords in the clear"));
    assert!(load(&open.replace("[auth]\n", "[auth]\nallow_insecure = true\n")).is_ok());
    let tls = format!("{}tls = true\n[tls]\ncert = \"c\"\nkey = \"k\"\n", open);
    assert!(load(&tls).unwrap().http.tls);
    assert_eq!(refused("[http]\nlisten = \"127.0.0.1:0\"\ntls = true\n").0, "http.tls is set, but there is no [tls]");
    assert_eq!(refused("[http]\nfeast_api = true\n").0, "http.feast_api is set, but http.listen is not");
    let (message, hint) = refused("[http]\nport = 1\n");
    assert_eq!(message, "f.toml:2:1: unknown setting \"http.port\"");
    assert!(!hint.is_empty());
}
