//! `docker-compose.yml` and what it names, without a Docker engine: that it says what Compose understands, that everything it points
//! to is there, and that the gateway's environment is a configuration. The same services and seed run for real in the tests of
//! sources (`sources::compose`), where they can be had.

use std::collections::{BTreeMap, BTreeSet};

use featgres::config::{CatalogKind, Config, Overrides};
use serde_yaml_ng::Value;

use crate::support::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compose() -> Value {
    serde_yaml_ng::from_str(&read("docker-compose.yml")).expect("YAML")
}

/// Keys of a mapping; a list of texts gives its texts.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Mapping(mapping) => mapping.keys().map(|key| key.as_str().expect("a name").to_owned()).collect(),
        Value::Sequence(list) => list.iter().map(|item| item.as_str().expect("a text").to_owned()).collect(),
        Value::Null => Vec::new(),
        other => panic!("{other:?} is neither a mapping nor a list"),
    }
}

fn environment(files: &[&str]) -> BTreeMap<String, String> {
    let texts = files.iter().map(|file| read(file)).collect::<Vec<_>>();
    let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('=').expect("NAME=value")).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What the Compose specification has, of what is used here.
const TOP: [&str; 3] = ["name", "services", "volumes"];
const SERVICE: [&str; 13] = [
    "build",
    "command",
    "depends_on",
    "entrypoint",
    "env_file",
    "environment",
    "healthcheck",
    "image",
    "ports",
    "restart",
    "stop_grace_period",
    "user",
    "volumes",
];
const HEALTHCHECK: [&str; 5] = ["test", "interval", "timeout", "retries", "start_period"];

#[test]
fn it_is_what_compose_understands() {
    let compose = compose();
    assert!(names(&compose).iter().all(|key| TOP.contains(&key.as_str())));
    let services = compose["services"].as_mapping().expect("services");
    let volumes: BTreeSet<String> = names(&compose["volumes"]).into_iter().collect();
    let mut ports = BTreeSet::new();
    for (name, service) in services {
        let name = name.as_str().unwrap();
        for key in names(service) {
            assert!(SERVICE.contains(&key.as_str()), "{name}.{key}");
        }
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{name}: {image} has no version"));
        assert!(tag != "latest" && tag.starts_with(|c: char| c.is_ascii_digit()), "{name}: {image}");
        for port in service.get("ports").map(names).unwrap_or_default() {
            let parts: Vec<&str> = port.split(':').collect();
            let [address, published, target] = parts.as_slice() else { panic!("{name}: port {port}") };
            assert_eq!(*address, "127.0.0.1", "{name}: {port} is published beyond this machine");
            assert!(published.parse::<u16>().is_ok() && target.parse::<u16>().is_ok(), "{name}: {port}");
            assert!(ports.insert((*published).to_owned()), "{published} is published twice");
        }
        for volume in service.get("volumes").map(names).unwrap_or_default() {
            let parts: Vec<&str> = volume.split(':').collect();
            assert!(parts.len() >= 2 && parts[1].starts_with('/') && parts.get(2).is_none_or(|mode| *mode == "ro"), "{name}: {volume}");
            if parts[0].starts_with('.') {
                assert!(root().join(parts[0]).exists(), "{name}: {volume} is not there");
            } else {
                assert!(volumes.contains(parts[0]), "{name}: volume {} is not declared", parts[0]);
            }
        }
        for file in service.get("env_file").map(names).unwrap_or_default() {
            assert!(!environment(&[&file]).is_empty(), "{name}: {file}");
        }
        for (dependency, how) in service.get("depends_on").and_then(Value::as_mapping).into_iter().flatten() {
            let dependency = dependency.as_str().unwrap();
            let other = services.get(dependency).unwrap_or_else(|| panic!("{name} depends on {dependency}, which is none"));
            match how["condition"].as_str().unwrap() {
                "service_healthy" => assert!(other.get("healthcheck").is_some(), "{dependency} has no healthcheck"),
                "service_completed_successfully" => assert!(other.get("ports").is_none(), "{dependency} is no job"),
                "service_started" => {}
                condition => panic!("{name}: {condition}"),
            }
        }
        if let Some(check) = service.get("healthcheck") {
            assert!(names(check).iter().all(|key| HEALTHCHECK.contains(&key.as_str())), "{name}");
            let test = names(&check["test"]);
            assert!(["CMD", "CMD-SHELL"].contains(&test[0].as_str()) && test.len() > 1, "{name}");
        }
    }
    for service in ["featgres", "trino", "nessie", "s3", "seed"] {
        assert!(services.contains_key(service), "{service}");
    }
}

#[test]
fn the_gateways_environment_is_a_configuration() {
    let compose = compose();
    let service = &compose["services"]["featgres"];
    let files = names(&service["env_file"]);
    let environment = environment(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let config = Config::load(None, environment.clone(), &Overrides::default()).expect("a configuration");
    assert_eq!(config.project, "asgard_features");
    let catalog = &config.catalogs["iceberg"];
    assert_eq!((catalog.kind, catalog.uri.as_str()), (CatalogKind::Trino, "http://trino:8080"));
    assert_eq!(catalog.warehouse.as_deref(), Some("s3://airbytedestination1/iceberg/"));
    let storage = catalog.storage_properties();
    assert_eq!((storage["s3.endpoint"].as_str(), storage["s3.region"].as_str()), ("http://s3:8333", "us-east-1"));
    assert!(config.http.feast_api);
    // It listens where its ports are published.
    let targets: Vec<String> = names(&service["ports"]).iter().map(|port| port.rsplit(':').next().unwrap().to_owned()).collect();
    assert_eq!(targets, [config.listen.port().to_string(), config.http.listen.unwrap().port().to_string()]);
    // The services that it names are there, and Trino and S3 know the same credentials and bucket.
    for host in ["trino", "s3"] {
        assert!(compose["services"].get(host).is_some());
    }
    let identities: serde_json::Value = serde_json::from_str(&read("docker/s3/s3.json")).unwrap();
    let known = &identities["identities"][0]["credentials"][0];
    assert_eq!(known["accessKey"], environment["AWS_ACCESS_KEY_ID"].as_str());
    assert_eq!(known["secretKey"], environment["AWS_SECRET_ACCESS_KEY"].as_str());
    let trino = read("docker/trino/catalog/iceberg.properties");
    assert!(trino.contains("default-warehouse-dir=s3://airbytedestination1/iceberg\n") && trino.contains("http://nessie:19120/api/v2"));
    for name in trino.split("${ENV:").skip(1).map(|rest| rest.split('}').next().unwrap()) {
        assert!(environment.contains_key(name), "{name}");
    }
}

#[test]
fn the_image_is_built_from_what_is_there_and_runs_without_root() {
    let dockerfile = read("Dockerfile");
    let ignored = read(".dockerignore");
    for line in dockerfile.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        for source in &words[..words.len() - 1] {
            assert!(root().join(source).exists(), "{source}");
            assert!(ignored.lines().any(|kept| kept == format!("!{source}")), ".dockerignore keeps {source} out");
        }
    }
    let stages: Vec<&str> = dockerfile.lines().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(stages.len(), 2);
    let user = dockerfile.lines().find(|line| line.starts_with("USER ")).expect("a user");
    assert_ne!(user, "USER root");
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.split('"').nth(1).expect("a version");
    let image = version.rsplitn(2, '.').last().unwrap_or(version);
    assert!(stages[0].contains(&format!("rust:{image}")), "{} builds with {version}", stages[0]);
}
