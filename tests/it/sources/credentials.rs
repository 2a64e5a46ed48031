//! Where the credentials of S3 come from when the configuration names none: the environment, web identity, the profile, a container's agent,
//! the machine's metadata. Each by the real binary in an environment of its own, against an S3 that looks at whose requests come.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use parking_lot::Mutex;
use tokio_postgres::NoTls;

use crate::support::{FaultyS3, Serving, TestGateway, TlsFront, featgres, write_sample};

/// Tables on an S3, and a configuration that names no credentials.
struct Lake {
    s3: FaultyS3,
    config: PathBuf,
    folder: tempfile::TempDir,
}

impl Lake {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        TestGateway::write_to(folder.path(), write_sample);
        let s3 = FaultyS3::start(&folder.path().join("warehouse")).await;
        let sqlite = folder.path().join("far.sqlite");
        s3.catalog(&folder.path().join("catalog.sqlite"), &sqlite);
        let config = folder.path().join("featgres.toml");
        let text = format!(
            "project = \"p\"\nlisten = \"127.0.0.1:0\"\nregistry = \"{}/registry\"\n[catalogs.far]\ntype = \"sql\"\nuri = \"sqlite:///{}\"\n\
             catalog = \"iceberg\"\n[telemetry]\nformat = \"json\"\n",
            folder.path().display(),
            sqlite.display()
        );
        std::fs::write(&config, text).expect("a file");
        Self { s3, config, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What every one of these processes has: the store's address, and no home with somebody's profiles in it.
    fn environment(&self, more: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("AWS_ENDPOINT_URL_S3", self.s3.url.clone()),
            ("AWS_REGION", "eu-west-3".to_owned()),
            ("HOME", self.folder.path().display().to_string()),
        ];
        environment.extend(more.iter().cloned());
        environment
    }

    /// `featgres check`: whether a table could be read, and what was said.
    async fn check(&self, more: &[(&'static str, String)]) -> (bool, String) {
        let mut command = featgres();
        command.args(["check", "--config"]).arg(&self.config).envs(self.environment(more)).current_dir(self.folder.path());
        let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("it ends");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    }

    /// A check that must find a table, by requests of this key only.
    async fn read_as(&self, key: &str, more: &[(&'static str, String)]) {
        let (sound, said) = self.check(more).await;
        assert!(sound && said.contains("ok      table far.gold."), "{key}: {said}");
        assert_eq!(self.s3.keys(), [key], "{said}");
    }
}

/// An HTTP server of one closure; its address.
async fn server(answer: impl Fn(&Method, &str, &axum::http::HeaderMap) -> (StatusCode, String) + Send + Sync + 'static) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    let app = axum::Router::new().fallback(move |request: Request| {
        let answer = Arc::clone(&answer);
        async move { answer(request.method(), &request.uri().to_string(), request.headers()) }
    });
    tokio::spawn(async move { axum::serve(listener, app).await.expect("a server") });
    format!("http://{address}")
}

/// Credentials as agents and machines give them, good for so many seconds.
fn credentials(key: &str, seconds: i64) -> String {
    let end = chrono::Utc::now() + chrono::Duration::seconds(seconds);
    serde_json::json!({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": key, "SecretAccessKey": "s", "Token": "tok",
        "Expiration": end.format("%Y-%m-%dT%H:%M:%SZ").to_string()})
    .to_string()
}

/// The machine's metadata, version 2: a token first, then the role, then its credentials.
async fn machine(keys: Arc<Mutex<Vec<&'static str>>>, seconds: i64) -> String {
    server(move |method, path, headers| {
        let token = headers.get("x-aws-ec2-metadata-token").and_then(|token| token.to_str().ok());
        match (method, path) {
            (&Method::PUT, "/latest/api/token") => (StatusCode::OK, "v2".to_owned()),
            _ if token != Some("v2") => (StatusCode::UNAUTHORIZED, String::new()),
            (&Method::GET, "/latest/meta-data/iam/security-credentials/") => (StatusCode::OK, "feast".to_owned()),
            (&Method::GET, "/latest/meta-data/iam/security-credentials/feast") => {
                let mut keys = keys.lock();
                let key = if keys.len() > 1 { keys.remove(0) } else { keys[0] };
                (StatusCode::OK, credentials(key, seconds))
            }
            _ => (StatusCode::NOT_FOUND, String::new()),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_and_profile() {
    let lake = Lake::new().await;
    let keys = [("AWS_ACCESS_KEY_ID", "AKENV".to_owned()), ("AWS_SECRET_ACCESS_KEY", "s".to_owned())];
    lake.read_as("AKENV", &keys).await;
    let mut temporary = keys.to_vec();
    temporary.push(("AWS_SESSION_TOKEN", "tok".to_owned()));
    lake.read_as("AKENV+tok", &temporary).await;

    let profiles = lake.path("profiles");
    std::fs::write(
        &profiles,
        "[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = s\n[feast]\naws_access_key_id = AKFEAST\naws_secret_access_key = s\naws_session_token = tok\n",
    )
    .expect("a file");
    let file = ("AWS_SHARED_CREDENTIALS_FILE", profiles.display().to_string());
    lake.read_as("AKDEFAULT", std::slice::from_ref(&file)).await;
    lake.read_as("AKFEAST+tok", &[file.clone(), ("AWS_PROFILE", "feast".to_owned())]).await;
    let (sound, said) = lake.check(&[file, ("AWS_PROFILE", "nobody".to_owned())]).await;
    assert!(!sound && said.contains("there is no profile \"nobody\"") && said.contains("another AWS_PROFILE"), "{said}");

    // Nothing anywhere, and the machine may not be asked.
    let (sound, said) = lake.check(&[("AWS_EC2_METADATA_DISABLED", "true".to_owned())]).await;
    assert!(!sound && said.contains("AWS_EC2_METADATA_DISABLED") && said.contains("Set s3.access-key-id"), "{said}");
    assert!(lake.s3.keys().is_empty(), "nobody asks without credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machines_own() {
    let lake = Lake::new().await;
    let metadata = machine(Arc::new(Mutex::new(vec!["AKIMDS"])), 3600).await;
    lake.read_as("AKIMDS+tok", &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containers_agent() {
    let lake = Lake::new().await;
    let agent = server(|_, path, headers| {
        let token = headers.get("authorization").and_then(|token| token.to_str().ok()).unwrap_or("none");
        match path {
            "/v1/credentials" => (StatusCode::OK, credentials(&format!("AK{token}"), 3600)),
            "/forbidden" => (StatusCode::FORBIDDEN, "no".to_owned()),
            _ => (StatusCode::NOT_FOUND, String::new()),
        }
    })
    .await;
    let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{agent}/v1/credentials"));
    lake.read_as("AKnone+tok", std::slice::from_ref(&uri)).await;
    lake.read_as("AKgiven+tok", &[uri.clone(), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "given".to_owned())]).await;
    std::fs::write(lake.path("token"), "read").expect("a file");
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", lake.path("token").display().to_string());
    lake.read_as("AKread+tok", &[uri, file]).await;
    let (sound, said) = lake.check(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{agent}/forbidden"))]).await;
    assert!(!sound && said.contains("the container's agent gives no credentials") && said.contains("403"), "{said}");
    let (sound, said) = lake.check(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/v1".to_owned())]).await;
    assert!(!sound && said.contains("must be https://"), "{said}");
}

/// What a token is exchanged for by the token service.
fn exchanged(uri: &str) -> (StatusCode, String) {
    let asked = |part: &str| uri.contains(part);
    if !asked("Action=AssumeRoleWithWebIdentity") || !asked("WebIdentityToken=the-token") || !asked("role%2Ffeast") {
        let body = "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>no such token</Message></Error></ErrorResponse>";
        return (StatusCode::BAD_REQUEST, body.to_owned());
    }
    let end = (chrono::Utc::now() + chrono::Duration::hours(1)).format("%Y-%m-%dT%H:%M:%SZ");
    let body = format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKWEB</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>tok</SessionToken><Expiration>{end}</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    );
    (StatusCode::OK, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn web_identity() {
    let lake = Lake::new().await;
    let tokens = server(|_, uri, _| exchanged(uri)).await;
    let secure = TlsFront::start(&tokens).await;
    let token = lake.path("identity");
    std::fs::write(&token, "the-token").expect("a file");
    let by_environment = |token: &Path| {
        vec![
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/feast".to_owned()),
            ("AWS_ENDPOINT_URL_STS", secure.url()),
            ("AWS_CA_BUNDLE", secure.authority().display().to_string()),
        ]
    };
    lake.read_as("AKWEB+tok", &by_environment(&token)).await;
    // The same by a profile.
    let profile = format!("[profile feast]\nrole_arn = arn:aws:iam::1:role/feast\nweb_identity_token_file = {}\n", token.display());
    std::fs::write(lake.path("config"), profile).expect("a file");
    let mut by_profile = by_environment(&token).split_off(2);
    by_profile.push(("AWS_CONFIG_FILE", lake.path("config").display().to_string()));
    by_profile.push(("AWS_PROFILE", "feast".to_owned()));
    lake.read_as("AKWEB+tok", &by_profile).await;

    let (sound, said) = lake.check(&by_environment(&lake.path("gone"))).await;
    assert!(!sound && said.contains("token file") && said.contains("gone"), "{said}");
    std::fs::write(lake.path("bad"), "another-token").expect("a file");
    let (sound, said) = lake.check(&by_environment(&lake.path("bad"))).await;
    assert!(!sound && !said.contains("another-token"), "{said}");
    assert!(said.contains("InvalidIdentityToken") || said.contains("no such token"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_behind_a_private_authority() {
    let lake = Lake::new().await;
    let secure = TlsFront::start(&lake.s3.url).await;
    let environment = |bundle: Option<PathBuf>| {
        let mut environment =
            vec![("AWS_ENDPOINT_URL_S3", secure.url()), ("AWS_ACCESS_KEY_ID", "AK".to_owned()), ("AWS_SECRET_ACCESS_KEY", "s".to_owned())];
        environment.extend(bundle.map(|file| ("AWS_CA_BUNDLE", file.display().to_string())));
        environment
    };
    lake.read_as("AK", &environment(Some(secure.authority()))).await;
    for wrong in [None, Some(secure.stranger())] {
        let (sound, said) = lake.check(&environment(wrong)).await;
        assert!(!sound && said.contains("cannot be reached") && said.contains("AWS_CA_BUNDLE"), "{said}");
    }
    let (sound, said) = lake.check(&environment(Some(lake.path("nothing")))).await;
    assert!(!sound && said.contains("AWS_CA_BUNDLE") && said.contains("nothing"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_end_are_asked_for_again() {
    let lake = Lake::new().await;
    // So near their end, they are not trusted for the next request.
    let metadata = machine(Arc::new(Mutex::new(vec!["AK1", "AK2"])), 120).await;
    lake.s3.admit(&["AK1+tok"], "ExpiredToken");
    let environment = lake.environment(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)]);
    let mut serving = Serving::start_with(lake.folder.path(), &lake.config, &environment);
    let address = Serving::field(&serving.wait_for("ready for connections"), "address");
    let (host, port) = address.rsplit_once(':').expect("an address");
    let conninfo = format!("host={host} port={port} user=tester dbname=p");
    let (client, connection) = tokio_postgres::connect(&conninfo, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let question = "SELECT count(customer_id) FROM far.gold.labels";
    let mut counts: Vec<i64> = Vec::new();
    // The first key is given once; sooner or later (a tenth of a second) the machine is asked again, and S3 takes only the new one.
    lake.s3.admit(&["AK1+tok", "AK2+tok"], "ExpiredToken");
    while !lake.s3.keys().contains(&"AK2+tok".to_owned()) {
        counts.push(client.query_one(question, &[]).await.expect("a count").get(0));
    }
    lake.s3.admit(&["AK2+tok"], "ExpiredToken");
    let churned: i64 = client.query_one("SELECT count(churned) FROM far.gold.labels", &[]).await.expect("a count").get(0);
    assert!(counts.iter().all(|count| *count == 7) && churned == 8, "{counts:?} {churned}");
    lake.s3.admit(&["nobody"], "ExpiredToken");
    let error = client.query_one("SELECT count(event_timestamp) FROM far.gold.labels", &[]).await.expect_err("ended");
    assert_eq!(error.code().map(|code| code.code()), Some("58030"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_warehouses_of_different_owners_meet_in_one_query() {
    let (one, two) = (Lake::new().await, Lake::new().await);
    one.s3.admit(&["AKONE"], "InvalidAccessKeyId");
    two.s3.admit(&["AKTWO+tok"], "InvalidAccessKeyId");
    let section = |name: &str, lake: &Lake, properties: &str| {
        format!(
            "[catalogs.{name}]\ntype = \"sql\"\nuri = \"sqlite:///{}\"\ncatalog = \"iceberg\"\n\"s3.endpoint\" = \"{}\"\n{properties}\n",
            lake.path("far.sqlite").display(),
            lake.s3.url
        )
    };
    let text = format!(
        "project = \"p\"\nregistry = \"{}/registry\"\n{}{}",
        one.folder.path().display(),
        section("one", &one, "\"s3.access-key-id\" = \"AKONE\"\n\"s3.secret-access-key\" = \"s\""),
        section("two", &two, "\"s3.access-key-id\" = \"AKTWO\"\n\"s3.secret-access-key\" = \"s\"\n\"s3.session-token\" = \"tok\"")
    );
    std::fs::write(one.path("both.toml"), text).expect("a file");
    let overrides = featgres::config::Overrides { listen: Some("127.0.0.1:0".to_owned()), registry: None };
    // An environment that has credentials of its own: they are for catalogs that name none.
    let environment = [("AWS_ACCESS_KEY_ID", "AKELSE"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "else")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = featgres::config::Config::load(Some(&one.path("both.toml")), environment, &overrides).expect("a configuration");
    let gateway = TestGateway::serve(tempfile::tempdir().expect("a folder"), config).await.expect("it starts");
    let client = gateway.connect().await;
    let joined = "SELECT count(*) FROM one.gold.labels AS a JOIN two.gold.labels AS b ON a.customer_id = b.customer_id";
    let count: i64 = client.query_one(joined, &[]).await.expect("a count").get(0);
    assert!(count > 0);
    assert_eq!((one.s3.keys(), two.s3.keys()), (vec!["AKONE".to_owned()], vec!["AKTWO+tok".to_owned()]));
}
