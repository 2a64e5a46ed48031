//! Who calls: HTTP Basic with a role's name and password.
//!
//! The header's value is never logged and never part of a message. A header that is there but no Basic is 401 like a wrong password.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Shared;
use crate::error::{Report, SqlState};

/// The caller's role, or why there is none.
pub(super) async fn role(shared: &Shared, headers: &HeaderMap) -> Result<String, Report> {
    let credentials = credentials(headers)?;
    // Closed never: it lives as long as its owner.
    let _permit = shared.passwords.acquire().await;
    let outcome = shared.gateway.role_of(credentials).await;
    if let Err(report) = &outcome {
        shared.gateway.0.counters.error(report.sqlstate);
    }
    outcome
}

/// Name and password of the header, if there is one.
fn credentials(headers: &HeaderMap) -> Result<Option<(String, String)>, Report> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let malformed = || {
        Report::new(SqlState::INVALID_AUTHORIZATION, "the Authorization header is not HTTP Basic with a name and a password")
            .hint("Send Authorization: Basic with base64 of name:password, as curl -u name:password does.")
    };
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let decoded = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (user, password) = decoded.split_once(':').ok_or_else(malformed)?;
    Ok(Some((user.to_owned(), password.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Option<(String, String)>, Report> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        credentials(&headers)
    }

    #[test]
    fn basic_is_read_and_nothing_else() {
        assert_eq!(credentials(&HeaderMap::new()).unwrap(), None);
        let alice = STANDARD.encode("alice:p:w");
        for scheme in ["Basic", "basic"] {
            assert_eq!(read(&format!("{scheme} {alice}")).unwrap(), Some(("alice".to_owned(), "p:w".to_owned())));
        }
        for bad in ["Bearer abc".to_owned(), "Basic".to_owned(), "Basic ???".to_owned(), format!("Basic {}", STANDARD.encode("alice"))] {
            let report = read(&bad).unwrap_err();
            assert_eq!(report.sqlstate, SqlState::INVALID_AUTHORIZATION, "{bad}");
            assert!(!report.message.contains("alice"));
        }
    }
}
