//! Credentials of the AWS profile: `~/.aws/credentials` and `~/.aws/config`, by `AWS_PROFILE` or `default`.
//!
//! Keys that stand in the files are read, again when a file has changed, so that a tool that renews them needs no restart of ours.
//! What would need a program (`credential_process`), a browser (`sso_…`) or another login first (`source_profile`) is refused by name:
//! falling through to the machine's own credentials would read the tables as somebody else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use ini::Ini;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use parking_lot::Mutex;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Profile keys that we cannot honour, and what they need.
const REFUSED: [(&str, &str); 5] = [
    ("credential_process", "runs a program"),
    ("sso_session", "needs a browser"),
    ("sso_start_url", "needs a browser"),
    ("source_profile", "needs another login first"),
    ("credential_source", "needs another login first"),
];

/// Where profiles are.
#[derive(Debug, Clone)]
pub(super) struct ProfileFiles {
    pub credentials: PathBuf,
    pub config: PathBuf,
    pub profile: String,
    /// Whether somebody asked for this profile.
    pub named: bool,
}

/// What a profile says.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    pub keys: Option<Arc<AwsCredential>>,
    pub region: Option<String>,
    pub endpoint: Option<String>,
    /// A token file and the role that it is good for.
    pub web_identity: Option<(String, String)>,
}

impl ProfileFiles {
    /// By `AWS_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE` and `HOME`; none without a place to look.
    pub(super) fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let home = variable("HOME").map(PathBuf::from);
        let file = |name: &str, default: &str| {
            variable(name).map(PathBuf::from).or_else(|| home.as_ref().map(|home| home.join(".aws").join(default)))
        };
        let named = variable("AWS_PROFILE").filter(|name| !name.is_empty());
        Some(Self {
            credentials: file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?,
            config: file("AWS_CONFIG_FILE", "config")?,
            named: named.is_some(),
            profile: named.unwrap_or_else(|| "default".to_owned()),
        })
    }

    /// Reads the profile; none if nobody asked for one and there is none.
    pub(super) fn read(&self) -> Result<Option<Profile>, String> {
        let credentials = load(&self.credentials)?;
        let config = load(&self.config)?;
        let section = if self.profile == "default" { self.profile.clone() } else { format!("profile {}", self.profile) };
        let of = |file: &Option<Ini>, name: &str| file.as_ref().and_then(|file| file.section(Some(name)).cloned());
        let sections = [of(&credentials, &self.profile), of(&config, &section)];
        if sections.iter().all(Option::is_none) {
            return match self.named {
                true => {
                    Err(format!("there is no profile \"{}\" in {} or {}", self.profile, self.credentials.display(), self.config.display()))
                }
                false => Ok(None),
            };
        }
        let get = |key: &str| sections.iter().flatten().find_map(|section| section.get(key)).map(|value| value.trim().to_owned());
        let keys = match (get("aws_access_key_id"), get("aws_secret_access_key")) {
            (Some(key_id), Some(secret_key)) => Some(Arc::new(AwsCredential { key_id, secret_key, token: get("aws_session_token") })),
            (None, None) => None,
            _ => return Err(format!("profile \"{}\" has one of aws_access_key_id and aws_secret_access_key", self.profile)),
        };
        if keys.is_none()
            && let Some((key, why)) = REFUSED.iter().find(|(key, _)| get(key).is_some())
        {
            return Err(format!("profile \"{}\" has {key}, which {why}: that is not supported", self.profile));
        }
        let web_identity = get("web_identity_token_file").zip(get("role_arn"));
        Ok(Some(Profile { keys, region: get("region"), endpoint: get("endpoint_url"), web_identity }))
    }

    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.credentials, &self.config].map(|path| std::fs::metadata(path).and_then(|file| file.modified()).ok())
    }
}

fn load(path: &Path) -> Result<Option<Ini>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            // Values are taken as they are: a secret may have any character in it. The parser's words would show the line.
            let options = ini::ParseOption { enabled_quote: false, enabled_escape: false, ..ini::ParseOption::default() };
            Ini::load_from_str_opt(&text, options)
                .map(Some)
                .map_err(|error| format!("{}: line {} cannot be read", path.display(), error.line))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The profile's keys, read again when its files change.
#[derive(Debug)]
pub(super) struct ProfileCredentials {
    files: ProfileFiles,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    keys: Arc<AwsCredential>,
    looked: Instant,
    changed: [Option<SystemTime>; 2],
}

impl ProfileCredentials {
    pub(super) fn new(files: ProfileFiles, keys: Arc<AwsCredential>) -> Self {
        let changed = files.changed();
        Self { files, state: Mutex::new(State { keys, looked: Instant::now(), changed }) }
    }
}

#[async_trait]
impl CredentialProvider for ProfileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut state = self.state.lock();
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            let changed = self.files.changed();
            // A file that is being written, or has lost the profile, leaves the keys as they were: S3 will say if they have ended.
            if changed != state.changed
                && let Ok(Some(Profile { keys: Some(keys), .. })) = self.files.read()
            {
                (state.keys, state.changed) = (keys, changed);
            }
        }
        Ok(Arc::clone(&state.keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(credentials: &str, config: &str, profile: Option<&str>) -> (tempfile::TempDir, ProfileFiles) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".aws")).unwrap();
        std::fs::write(folder.path().join(".aws/credentials"), credentials).unwrap();
        std::fs::write(folder.path().join(".aws/config"), config).unwrap();
        let home = folder.path().display().to_string();
        let files = ProfileFiles::of_environment(|name| match name {
            "HOME" => Some(home.clone()),
            "AWS_PROFILE" => profile.map(str::to_owned),
            _ => None,
        });
        (folder, files.unwrap())
    }

    #[test]
    fn keys_and_region_of_a_profile() {
        let credentials = "[default]\naws_access_key_id = A\naws_secret_access_key = s\\e/c#r;e=t\n[other]\naws_access_key_id=B\naws_secret_access_key=x\naws_session_token=t==\n";
        let config = "[default]\nregion = eu-west-1\n[profile other]\nregion=us-west-2\nendpoint_url = http://h\n";
        let (_folder, default) = files(credentials, config, None);
        let profile = default.read().unwrap().unwrap();
        let keys = profile.keys.unwrap();
        assert_eq!((keys.key_id.as_str(), keys.secret_key.as_str(), keys.token.as_deref()), ("A", "s\\e/c#r;e=t", None));
        assert_eq!(profile.region.as_deref(), Some("eu-west-1"));
        let (_folder, other) = files(credentials, config, Some("other"));
        let profile = other.read().unwrap().unwrap();
        assert_eq!(profile.keys.unwrap().token.as_deref(), Some("t=="));
        assert_eq!((profile.region.as_deref(), profile.endpoint.as_deref()), (Some("us-west-2"), Some("http://h")));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        assert!(files("", "", None).1.read().unwrap().is_none());
        assert!(files("", "", Some("gone")).1.read().unwrap_err().contains("\"gone\""));
        for (config, word) in [
            ("[default]\ncredential_process = /bin/secret-tool\n", "credential_process"),
            ("[default]\nsso_session = corp\n", "browser"),
            ("[default]\nrole_arn = arn\nsource_profile = base\n", "source_profile"),
            ("[default]\naws_access_key_id = A\n", "one of"),
        ] {
            let error = files("", config, None).1.read().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let (_folder, web) = files("", "[default]\nrole_arn = arn\nweb_identity_token_file = /t\n", None);
        assert_eq!(web.read().unwrap().unwrap().web_identity, Some(("/t".to_owned(), "arn".to_owned())));
    }

    #[tokio::test]
    async fn keys_are_read_again_when_the_file_changes() {
        let (folder, files) = files("[default]\naws_access_key_id = A\naws_secret_access_key = x\n", "", None);
        let keys = files.read().unwrap().unwrap().keys.unwrap();
        let provider = ProfileCredentials::new(files, keys);
        std::fs::write(folder.path().join(".aws/credentials"), "[default]\naws_access_key_id = B\naws_secret_access_key = x\n").unwrap();
        assert_eq!(provider.get_credential().await.unwrap().key_id, "A");
        provider.state.lock().looked = Instant::now().checked_sub(LOOK_EVERY).unwrap();
        provider.state.lock().changed = [None, None];
        assert_eq!(provider.get_credential().await.unwrap().key_id, "B");
    }
}
