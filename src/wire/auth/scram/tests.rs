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

/// A certificate of which the channel can be bound.
fn bound() -> Exchange {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut server = ScramServerAuth::new();
    server.configure_certificate(key.cert.pem().as_bytes()).unwrap();
    Exchange { user: "ada".to_owned(), secret: mock("ada"), server }
}

#[test]
fn a_channel_that_is_not_the_one_that_was_bound() {
    let told = |report: Report| (report.sqlstate.code().to_owned(), report.message);
    let downgraded = bound().first(PLAIN, b"y,,n=ada,r=abcdefghijkl").map(drop).unwrap_err();
    assert_eq!(told(downgraded), ("28000".to_owned(), "SCRAM channel binding negotiation error".to_owned()));
    // The binding is that of another certificate: base64 of `p=tls-server-end-point,,` and no hash at all.
    for (mechanism, flag, code, message) in [
        (PLUS, "p=tls-server-end-point", "28000", "SCRAM channel binding check failed"),
        (PLAIN, "n", "08P01", "unexpected SCRAM channel-binding attribute in client-final-message"),
    ] {
        let (challenge, waiting) = bound().first(mechanism, format!("{flag},,n=ada,r=abcdefghijkl").as_bytes()).unwrap();
        let nonce = challenge.split(',').next().unwrap().to_owned();
        let last = format!("c=cD10bHMtc2VydmVyLWVuZC1wb2ludCws,{nonce},p=AAAA");
        assert_eq!(told(waiting.last(last.as_bytes()).unwrap_err()), (code.to_owned(), message.to_owned()));
    }
}
