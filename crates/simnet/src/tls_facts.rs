//! What was agreed on with a client under TLS.

/// The TLS of a connection, as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The protocol's version: `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// The cipher suite by its registered name, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: String,
    /// The server's name that the client asked for (RFC 6066 §3). None where it asked for none, which
    /// a client that was given an address has to.
    pub server_name: Option<String>,
    /// The certificate that the client showed for itself, in DER.
    pub client_certificate: Option<Vec<u8>>,
}

#[cfg(feature = "tls")]
impl TlsFacts {
    pub(crate) fn of(connection: &rustls::ServerConnection) -> Self {
        use rustls::ProtocolVersion;
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
            other => format!("{other:?}"),
        };
        let suite = connection
            .negotiated_cipher_suite()
            .map(|suite| suite.suite());
        let suite = suite.and_then(|suite| suite.as_str()).unwrap_or("unknown");
        Self {
            version,
            // rustls tells the suites of TLS 1.3 apart by a prefix of its own.
            cipher_suite: suite.replacen("TLS13_", "TLS_", 1),
            server_name: connection.server_name().map(str::to_owned),
            client_certificate: connection
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|leaf| leaf.to_vec()),
        }
    }
}
