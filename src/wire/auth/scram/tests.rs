//! Who is not known is not told from who is.

use super::*;

#[test]
fn an_unknown_user_gets_the_same_salt_again() {
    let salt = |user: &str| match mock(user) {
        ScramSecret::Verifier { salt, .. } => salt,
        ScramSecret::SaltedPassword { .. } => Vec::new(),
    };
    assert_eq!(salt("nobody"), salt("nobody"));
    assert_ne!(salt("nobody"), salt("somebody"));
}
