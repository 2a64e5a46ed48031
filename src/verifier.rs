//! [`Verifier`]: what is kept of a password, in PostgreSQL's form, `SCRAM-SHA-256$4096:salt$stored key:server key` in base64. It is
//! enough to check a password, and not enough to log in with.
//!
//! One place for the configuration, which takes no text that is none, for SCRAM on the wire, for HTTP Basic, and for
//! `featgres hash-password`. Making or checking one costs its rounds of SHA-256: some milliseconds for 4096.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::{SCRAM_ITERATIONS, ScramSecret, gen_salted_password};

/// Rounds that are made unless somebody says otherwise, as many as PostgreSQL's.
pub const DEFAULT_ROUNDS: usize = SCRAM_ITERATIONS;
/// Rounds that a verifier may demand of every client: more would be an attack by configuration.
const MAX_ROUNDS: usize = 1_000_000;
/// Bytes of a SHA-256.
const KEY_BYTES: usize = 32;
const PREFIX: &str = "SCRAM-SHA-256$";

/// A password's verifier.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    salt: Vec<u8>,
    rounds: usize,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

/// A text that is no verifier. It is not shown: it might be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SCRAM-SHA-256 verifier (`SCRAM-SHA-256$iterations:salt$stored key:server key`)")]
pub struct VerifierError;

impl Verifier {
    /// Of this password, with a new salt.
    pub fn of(password: &str, rounds: usize) -> Self {
        Self::with_salt(password, uuid::Uuid::new_v4().into_bytes().to_vec(), rounds)
    }

    fn with_salt(password: &str, salt: Vec<u8>, rounds: usize) -> Self {
        let salted = gen_salted_password(password, &salt, rounds);
        match ScramSecret::verifier_from_salted_password(salt, salted, rounds) {
            ScramSecret::Verifier { salt, iterations, stored_key, server_key } => Self { salt, rounds: iterations, stored_key, server_key },
            // That function makes nothing else; without keys nobody is verified.
            ScramSecret::SaltedPassword { salt, .. } => Self { salt, rounds, stored_key: Vec::new(), server_key: Vec::new() },
        }
    }

    /// Whether it is of this password; takes as long whatever differs.
    pub fn matches(&self, password: &str) -> bool {
        let other = Self::with_salt(password, self.salt.clone(), self.rounds);
        let differing = self.stored_key.iter().zip(&other.stored_key).fold(0, |differing, (a, b)| differing | (a ^ b));
        self.stored_key.len() == KEY_BYTES && other.stored_key.len() == KEY_BYTES && differing == 0
    }

    /// As it is kept. Not `Display`: it is to be written where somebody means to, and nowhere else.
    pub fn text(&self) -> String {
        let encode = |bytes: &[u8]| STANDARD.encode(bytes);
        let (salt, stored, server) = (encode(&self.salt), encode(&self.stored_key), encode(&self.server_key));
        format!("{PREFIX}{}:{salt}${stored}:{server}", self.rounds)
    }

    /// The same as SCRAM's exchange takes it.
    pub fn into_secret(self) -> ScramSecret {
        let Self { salt, rounds: iterations, stored_key, server_key } = self;
        ScramSecret::Verifier { salt, iterations, stored_key, server_key }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for Verifier {
    type Err = VerifierError;

    fn from_str(text: &str) -> Result<Self, VerifierError> {
        let (head, keys) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('$')).ok_or(VerifierError)?;
        let (rounds, salt) = head.split_once(':').ok_or(VerifierError)?;
        let (stored, server) = keys.split_once(':').ok_or(VerifierError)?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| VerifierError);
        let rounds = rounds.parse().ok().filter(|count| (1..=MAX_ROUNDS).contains(count)).ok_or(VerifierError)?;
        let verifier = Self { salt: decode(salt)?, rounds, stored_key: decode(stored)?, server_key: decode(server)? };
        let sound = !verifier.salt.is_empty() && verifier.stored_key.len() == KEY_BYTES && verifier.server_key.len() == KEY_BYTES;
        if sound { Ok(verifier) } else { Err(VerifierError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From PostgreSQL 15: `CREATE ROLE … PASSWORD 'pencil'`, with the salt of RFC 7677's example.
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn a_verifier_is_postgresqls() {
        let read: Verifier = PENCIL.parse().unwrap();
        assert_eq!((read.text().as_str(), format!("{read:?}").as_str()), (PENCIL, "***"));
        assert_eq!(Verifier::with_salt("pencil", read.salt.clone(), 4096), read);
        assert!(read.matches("pencil") && !read.matches("Pencil") && !read.matches(""));
        let made = Verifier::of("pencil", DEFAULT_ROUNDS);
        assert!(made.text().parse::<Verifier>().unwrap().matches("pencil"));
        assert_ne!(made, Verifier::of("pencil", DEFAULT_ROUNDS));
    }

    #[test]
    fn other_texts_are_none() {
        let rounds = |count: &str| PENCIL.replace("4096", count);
        for wrong in
            ["", "secret", "md5abc", "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA", &PENCIL[..100], &rounds("0"), &rounds("1000001"), &rounds("x")]
        {
            assert_eq!(wrong.parse::<Verifier>(), Err(VerifierError), "{wrong}");
        }
    }
}
