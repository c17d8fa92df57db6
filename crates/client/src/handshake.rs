//! The TLS handshake, under the one wait, and what it found out.

use std::fmt;
use std::io;
use std::time::Duration;

use proto::sasl::{BindingKind, ChannelBinding};
use proto::{
    Bounds, CertificateProblem, Failure, FailureKind, Limits, Outcome, Phase, ProtocolError,
    Security, Timeouts, TlsProblem,
};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, ClientConnection, ProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::certificate;
use crate::clock;
use crate::guard::Guard;
use crate::step::{Due, step};
use crate::tls::Prepared;
use crate::transport::{Foul, Metered, Transport};

/// What is known of a connection's TLS.
#[derive(Clone, Copy)]
pub struct TlsFacts<'a> {
    connection: &'a ClientConnection,
    verified: bool,
}

impl<'a> TlsFacts<'a> {
    pub(crate) const fn new(connection: &'a ClientConnection, verified: bool) -> Self {
        Self {
            connection,
            verified,
        }
    }

    /// RFC 9266's `tls-exporter`. With TLS 1.2 it is not bound to everything that it should be.
    fn exporter(self) -> Option<[u8; 32]> {
        match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_3 => self
                .connection
                .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
                .ok(),
            _ => None,
        }
    }

    /// What an authentication can be bound to, the stronger one first.
    pub(crate) fn bindings(self) -> impl Iterator<Item = ChannelBinding> {
        let exporter = self
            .exporter()
            .map(|octets| ChannelBinding::new(BindingKind::TlsExporter, octets));
        let end_point = || {
            let octets = certificate::end_point(self.chain().first()?)?;
            Some(ChannelBinding::new(BindingKind::TlsServerEndPoint, octets))
        };
        exporter.into_iter().chain(end_point())
    }

    /// The version: `TLS 1.3` or `TLS 1.2`.
    #[must_use]
    pub fn version(&self) -> &'a str {
        match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS",
        }
    }

    /// The cipher suite's registered name.
    #[must_use]
    pub fn suite(&self) -> &'a str {
        self.connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("unknown")
    }

    /// The application protocol that was agreed on (RFC 7301).
    #[must_use]
    pub fn alpn(&self) -> Option<&'a [u8]> {
        self.connection.alpn_protocol()
    }

    /// The server's certificates in DER, its own first.
    #[must_use]
    pub fn chain(&self) -> &'a [CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }

    /// Whether the certificate was verified: not under [`Security::StartTlsIfOfferedInsecure`]. With a
    /// configuration of the caller's own, it decided.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.verified
    }
}

impl fmt::Debug for TlsFacts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alpn = self.alpn().map(|name| name.escape_ascii().to_string());
        f.debug_struct("TlsFacts")
            .field("version", &self.version())
            .field("suite", &self.suite())
            .field("alpn", &alpn)
            .field("certificates", &self.chain().len())
            .field("verified", &self.verified)
            .finish()
    }
}

/// A handshake that failed: the failure, and what caused it.
pub(crate) type HandshakeError = (Box<Failure>, Option<io::Error>);

/// What a handshake needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Handshake<'a> {
    pub(crate) tls: Option<&'a Prepared>,
    pub(crate) security: Security,
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) limits: &'a Limits,
    pub(crate) bounds: Bounds,
}

impl Handshake<'_> {
    /// Negotiates TLS over `stream`. Ends within [`Phase::TlsHandshake`]'s limit, whose duration it
    /// says in any case.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        guard: &mut Guard<'_>,
        stream: S,
    ) -> (Duration, Result<Transport<S>, HandshakeError>) {
        let started = clock::now();
        let result = self.negotiate(guard, stream).await;
        (clock::now().saturating_duration_since(started), result)
    }

    async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        guard: &mut Guard<'_>,
        stream: S,
    ) -> Result<Transport<S>, HandshakeError> {
        let Some(tls) = self.tls else {
            return Err(failed(Phase::TlsHandshake, FailureKind::NotIdle, None));
        };
        let metered = Metered::new(stream, self.limits.tls_handshake_octets);
        let connect = tls
            .connector
            .connect(tls.name.clone(), metered)
            .into_fallible();
        let due = Due::of(
            self.timeouts.of(Phase::TlsHandshake),
            self.bounds,
            clock::now(),
        );
        match step(guard, connect, due).await {
            Err(kind) => Err(failed(Phase::TlsHandshake, kind, None)),
            Ok(Ok(mut stream)) => {
                stream.get_mut().0.lift_cap();
                Ok(Transport::encrypted(stream, tls.verified))
            }
            Ok(Err((error, metered))) => {
                let problem = match metered.foul {
                    None => return Err(failed(Phase::TlsHandshake, failure(&error), Some(error))),
                    Some(Foul::Early) if self.security.is_starttls() => {
                        let kind = FailureKind::Protocol(ProtocolError::Injected);
                        return Err(failed(Phase::StartTls, kind, None));
                    }
                    Some(Foul::Early | Foul::Plaintext) => TlsProblem::Plaintext,
                    Some(Foul::TooLarge) => TlsProblem::TooLarge(self.limits.tls_handshake_octets),
                };
                Err(failed(Phase::TlsHandshake, FailureKind::Tls(problem), None))
            }
        }
    }
}

fn failed(phase: Phase, kind: FailureKind, cause: Option<io::Error>) -> HandshakeError {
    (
        Box::new(Failure::new(phase, kind, Outcome::NotAccepted)),
        cause,
    )
}

/// What an error of a TLS stream means. An end without close_notify is an end.
pub(crate) fn failure(error: &io::Error) -> FailureKind {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(error) => FailureKind::Tls(problem(error)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => FailureKind::Closed,
        // rustls' own caps on what it holds have no error of their own.
        None if error.kind() == io::ErrorKind::InvalidData => {
            FailureKind::Tls(TlsProblem::Protocol)
        }
        None => FailureKind::Broken,
    }
}

fn problem(error: &rustls::Error) -> TlsProblem {
    match error {
        rustls::Error::InvalidCertificate(error) => TlsProblem::Certificate(distrusted(error)),
        rustls::Error::NoCertificatesPresented => {
            TlsProblem::Certificate(CertificateProblem::Invalid)
        }
        rustls::Error::AlertReceived(_) => TlsProblem::Alert,
        _ => TlsProblem::Protocol,
    }
}

fn distrusted(error: &CertificateError) -> CertificateProblem {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateProblem::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateProblem::NotYetValid
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::WrongName
        }
        CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        CertificateError::Revoked => CertificateProblem::Revoked,
        // Such as an authority's certificate in a server's place.
        CertificateError::InvalidPurpose
        | CertificateError::InvalidPurposeContext { .. }
        | CertificateError::Other(_) => CertificateProblem::WrongPurpose,
        _ => CertificateProblem::Invalid,
    }
}
