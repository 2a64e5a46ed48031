//! What S3 means when it says no.
//!
//! object_store keeps the answer as text; the `Code` of S3's XML in it says what to do, so it is looked for there. What is
//! not known stays an I/O error in the store's own words, cut to a line.

use object_store::Error;

use super::StorageError;
use crate::error::Report;

/// Why S3 refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The key is known, and may not do this.
    AccessDenied,
    /// The key or its secret is wrong.
    UnknownKey,
    /// The credentials have ended.
    Expired,
    /// This machine's clock is wrong.
    ClockSkew,
    /// The bucket is in another region.
    WrongRegion,
    /// There is no such bucket.
    NoSuchBucket,
    /// No credentials were found anywhere.
    NoCredentials,
}

impl Refusal {
    /// What to do about it.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::AccessDenied => {
                "The credentials need s3:GetObject on the table's files (and s3:ListBucket, or missing files are denied, too)."
            }
            Self::UnknownKey => {
                "Check s3.access-key-id and s3.secret-access-key of the catalog, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            }
            Self::Expired => "Temporary credentials (s3.session-token, AWS_SESSION_TOKEN) have to be renewed by whoever gave them.",
            Self::ClockSkew => "Set this machine's clock: S3 accepts signatures of the last 15 minutes only.",
            Self::WrongRegion => "Set s3.region of the catalog, or AWS_REGION, to the bucket's region.",
            Self::NoSuchBucket => "Check the bucket's name, and s3.endpoint: another endpoint has other buckets.",
            Self::NoCredentials => {
                "Set s3.access-key-id and s3.secret-access-key of the catalog, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
            }
        }
    }

    /// What S3's codes mean.
    fn of(code: &str) -> Option<Self> {
        Some(match code {
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" => Self::AccessDenied,
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidClientTokenId" => Self::UnknownKey,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => Self::Expired,
            "RequestTimeTooSkewed" => Self::ClockSkew,
            "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" | "TemporaryRedirect" => {
                Self::WrongRegion
            }
            "NoSuchBucket" => Self::NoSuchBucket,
            _ => return None,
        })
    }
}

impl StorageError {
    /// The store's error in our words.
    pub fn of(url: &str, error: Error) -> Self {
        if let Some(report) = report_within(&error) {
            return Self::Credentials { url: url.to_owned(), report: Box::new(report.clone()) };
        }
        if let Some((refusal, reason)) = refusal(&error) {
            return Self::Refused { url: url.to_owned(), refusal, reason };
        }
        match error {
            Error::NotFound { .. } => Self::NotFound { url: url.to_owned() },
            Error::AlreadyExists { .. } => Self::AlreadyExists { url: url.to_owned() },
            source => match unreached(&source) {
                Some((endpoint, reason)) => Self::Unreachable { url: url.to_owned(), endpoint, reason },
                None => Self::Io { url: url.to_owned(), source },
            },
        }
    }
}

/// Whether the store says that the credentials have ended.
pub(super) fn is_expired(error: &Error) -> bool {
    matches!(refusal(error), Some((Refusal::Expired, _)))
}

fn refusal(error: &Error) -> Option<(Refusal, String)> {
    // Most errors that are looked at here are missing objects of local stores: no text is made for them.
    if matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotModified { .. }) {
        return None;
    }
    let text = chain(error);
    if let Some(code) = tag(&text, "Code")
        && let Some(refusal) = Refusal::of(code)
    {
        let words = tag(&text, "Message").filter(|words| !words.is_empty());
        return Some((refusal, words.map_or_else(|| code.to_owned(), |words| format!("{code}: {words}"))));
    }
    if text.contains("incorrectly configured region") {
        return Some((Refusal::WrongRegion, "it redirects without saying where to".to_owned()));
    }
    if ["169.254.169.254", "169.254.170.2", "/latest/api/token"].iter().any(|place| text.contains(place)) {
        return Some((
            Refusal::NoCredentials,
            "neither the configuration nor the environment has any, and this machine has none of its own".to_owned(),
        ));
    }
    if text.contains("the container's agent gives no") || text.contains("token file '") {
        return Some((Refusal::NoCredentials, brief(error)));
    }
    match error {
        Error::PermissionDenied { .. } => Some((Refusal::AccessDenied, "403 Forbidden".to_owned())),
        Error::Unauthenticated { .. } => Some((Refusal::UnknownKey, "401 Unauthorized".to_owned())),
        _ => None,
    }
}

/// The address that no connection could be made to, and why; none if that is not what went wrong.
fn unreached(error: &Error) -> Option<(String, String)> {
    let text = chain(error);
    if !text.contains("client error (Connect)") {
        return None;
    }
    let endpoint = text.split_whitespace().find_map(|word| url::Url::parse(word).ok().filter(|url| url.has_host()))?;
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some((endpoint.origin().ascii_serialization(), cause.to_string()))
}

/// The store's words as one line: S3's own where it has some.
pub(super) fn brief(error: &Error) -> String {
    let text = chain(error);
    if let Some(code) = tag(&text, "Code") {
        return match tag(&text, "Message") {
            Some(words) if !words.is_empty() => format!("{code}: {words}"),
            _ => code.to_owned(),
        };
    }
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(400) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// All messages of the chain, each once.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        let words = error.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = error.source();
    }
    text
}

/// The text of an XML element without children.
fn tag<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let rest = &text[text.find(&open)? + open.len()..];
    Some(&rest[..rest.find(&close)?])
}

fn report_within<'a>(error: &'a Error) -> Option<&'a Report> {
    let mut next: Option<&'a (dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(report) = error.downcast_ref::<Report>() {
            return Some(report);
        }
        next = error.source();
    }
    None
}
