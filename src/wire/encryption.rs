//! How a connection is encrypted, in the words of `pg_stat_ssl`: those of OpenSSL, which rustls spells otherwise.

use rustls::{CipherSuite, ProtocolVersion, ServerConnection};
use x509_certificate::rfc3280::Name;

use crate::session::Encryption;

/// What a handshake has led to.
pub(super) fn encryption_of(connection: &ServerConnection) -> Option<Encryption> {
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let (cipher, bits) = cipher(connection.negotiated_cipher_suite()?.suite());
    let shown = connection.peer_certificates().and_then(|chain| chain.first());
    let certificate = shown.and_then(|der| x509_certificate::X509Certificate::from_der(der.as_ref()).ok());
    Some(Encryption {
        version,
        cipher,
        bits,
        client_name: certificate.as_ref().map(|certificate| distinguished(certificate.subject_name())),
        issuer_name: certificate.as_ref().map(|certificate| distinguished(certificate.issuer_name())),
    })
}

/// OpenSSL's name of a cipher and the bits of its key: `TLS13_AES_256_GCM_SHA384` is `TLS_AES_256_GCM_SHA384`, and
/// `TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384` is `ECDHE-RSA-AES256-GCM-SHA384`.
fn cipher(suite: CipherSuite) -> (String, i32) {
    let name = format!("{suite:?}");
    let bits = if name.contains("AES_128") { 128 } else { 256 };
    let shown = match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}"),
        None => {
            let old = name.trim_start_matches("TLS_").replace("_WITH_", "_").replace("AES_", "AES").replace('_', "-");
            old.strip_suffix("POLY1305-SHA256").map(|start| format!("{start}POLY1305")).unwrap_or(old)
        }
    };
    (shown, bits)
}

/// `/C=GB/O=Looking Glass/CN=alice`, in the certificate's order; what has no short name goes by its number.
fn distinguished(name: &Name) -> String {
    let mut text = String::new();
    for attribute in name.iter_attributes() {
        let number = attribute.typ.to_string();
        let short = match number.as_str() {
            "2.5.4.3" => "CN",
            "2.5.4.6" => "C",
            "2.5.4.7" => "L",
            "2.5.4.8" => "ST",
            "2.5.4.10" => "O",
            "2.5.4.11" => "OU",
            other => other,
        };
        text.push_str(&format!("/{short}={}", attribute.to_string().unwrap_or_default()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_are_called_as_openssl_calls_them() {
        for (suite, name, bits) in [
            (CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384", 256),
            (CipherSuite::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256", 128),
            (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256", 256),
            (CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", 256),
            (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", 128),
            (CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", 256),
        ] {
            assert_eq!(cipher(suite), (name.to_owned(), bits));
        }
    }
}
