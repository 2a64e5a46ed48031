//! Verifiers: PostgreSQL's own are read, ours have its form.

use super::*;

/// From PostgreSQL 15: `CREATE ROLE … PASSWORD 'pencil'`.
const VERIFIER: &str =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

#[test]
fn verifiers_are_read() {
    let secret = parse_verifier(VERIFIER);
    assert!(matches!(secret, Ok(ScramSecret::Verifier { iterations: 4096, ref salt, .. }) if salt.len() == 16));
    let ours = hash_password("secret");
    assert!(parse_verifier(&ours).is_ok());
    assert_ne!(ours, hash_password("secret"));
    for wrong in ["", "secret", "md5abc", "SCRAM-SHA-256$0:AAAA$AAAA:AAAA", "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA", &VERIFIER[..100]] {
        assert_eq!(parse_verifier(wrong).err(), Some(VerifierError), "{wrong}");
    }
}

#[test]
fn an_unknown_user_gets_the_same_salt_again() {
    let salt = |user: &str| match mock(user) {
        ScramSecret::Verifier { salt, .. } => salt,
        ScramSecret::SaltedPassword { .. } => Vec::new(),
    };
    assert_eq!(salt("nobody"), salt("nobody"));
    assert_ne!(salt("nobody"), salt("somebody"));
}
