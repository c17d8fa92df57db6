//! How TLS is done: whom to trust, and as whom.

use std::fmt;
use std::sync::Arc;

use proto::Security;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;

use crate::client::ClientError;

/// Whom to trust, and as whom, once [`Security`] says that there is TLS.
///
/// By default the operating system's trust decides, TLS 1.2 and 1.3 are spoken with rustls' choice
/// of suites, and the server's certificate must be for the client's host.
///
/// The cryptography is that of the provider which the process has installed
/// ([`CryptoProvider::install_default`]), else ring's (feature `ring`, on by default), else AWS-LC's
/// (feature `aws-lc-rs` without `ring`).
///
/// ```
/// use postbound::{Client, Tls};
/// # fn f(authority: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::submission("smtp.example.org")
///     .tls(Tls::new().only_roots_pem(authority)?)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Tls {
    config: Option<Arc<ClientConfig>>,
    roots: Vec<CertificateDer<'static>>,
    only: bool,
    identity: Option<Arc<Identity>>,
    server_name: Option<String>,
    alpn: Vec<Vec<u8>>,
}

/// A client certificate. The key's own `Debug` leaves it out.
#[derive(Debug)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Tls {
    /// The operating system's trust, no client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// A configuration of the caller's own, used as it is: its trust, its suites, its certificates.
    /// Of the other settings only [`server_name`](Self::server_name) and [`alpn`](Self::alpn) go
    /// together with it.
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        Self {
            config: Some(config),
            ..Self::default()
        }
    }

    /// Trusts these authorities besides those of the operating system.
    pub fn roots(mut self, roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.roots.extend(roots);
        self
    }

    /// Trusts these authorities and no other.
    pub fn only_roots(mut self, roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.only = true;
        self.roots(roots)
    }

    /// Trusts the authorities in this PEM text and no other.
    ///
    /// # Errors
    /// If it is malformed, or has no certificate in it.
    pub fn only_roots_pem(self, pem: &[u8]) -> Result<Self, ClientError> {
        Ok(self.only_roots(certificates(pem)?))
    }

    /// Shows this certificate to a server that asks for one: its chain, the client's own first, and
    /// its private key.
    pub fn client_certificate(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.identity = Some(Arc::new(Identity { chain, key }));
        self
    }

    /// Shows the certificate and the private key in these PEM texts to a server that asks for one.
    ///
    /// # Errors
    /// If one is malformed, or has nothing of the kind in it.
    pub fn client_certificate_pem(self, chain: &[u8], key: &[u8]) -> Result<Self, ClientError> {
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| ClientError::Tls(format!("the private key can't be read: {error}")))?;
        Ok(self.client_certificate(certificates(chain)?, key))
    }

    /// The name that the server's certificate must be for. Default: the client's host.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The application protocols to offer (RFC 7301). Default: none, as SMTP has none registered.
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.alpn = protocols.into_iter().collect();
        self
    }

    /// What a client with this mode and host needs.
    pub(crate) fn prepare(&self, security: Security, host: &str) -> Result<Prepared, ClientError> {
        let tls = |error: rustls::Error| ClientError::Tls(error.to_string());
        let name = self.server_name.as_deref().unwrap_or(host);
        let name = server_name(name)?;
        let insecure = security == Security::StartTlsIfOfferedInsecure;
        let mut config = match &self.config {
            Some(_) if !self.roots.is_empty() || self.only || self.identity.is_some() => {
                return Err(ClientError::Tls(
                    "a configuration of one's own goes with neither roots nor a client certificate; put them into it"
                        .to_owned(),
                ));
            }
            Some(config) => Arc::clone(config),
            None => Arc::new(self.config(insecure).map_err(tls)?),
        };
        if !self.alpn.is_empty() {
            Arc::make_mut(&mut config).alpn_protocols = self.alpn.clone();
        }
        Ok(Prepared {
            connector: TlsConnector::from(config),
            name,
            fixed: self.server_name.is_some(),
            verified: !insecure || self.config.is_some(),
        })
    }

    fn config(&self, insecure: bool) -> Result<ClientConfig, rustls::Error> {
        let provider = provider()?;
        let verifier: Arc<dyn ServerCertVerifier> = if insecure {
            Arc::new(Unverified(Arc::clone(&provider)))
        } else if self.only {
            let mut roots = RootCertStore::empty();
            for root in &self.roots {
                roots.add(root.clone())?;
            }
            rustls::client::WebPkiServerVerifier::builder_with_provider(
                Arc::new(roots),
                Arc::clone(&provider),
            )
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
        } else {
            let verifier =
                Verifier::new_with_extra_roots(self.roots.iter().cloned(), Arc::clone(&provider))?;
            Arc::new(verifier)
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        match &self.identity {
            Some(identity) => {
                builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            }
            None => Ok(builder.with_no_client_auth()),
        }
    }
}

/// The process's provider, or the one that the features chose: of both, ring, so that a dependency's
/// wish for the other changes nothing.
fn provider() -> Result<Arc<CryptoProvider>, rustls::Error> {
    if let Some(provider) = CryptoProvider::get_default() {
        return Ok(Arc::clone(provider));
    }
    #[cfg(feature = "ring")]
    return Ok(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Ok(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    Err(rustls::Error::General(
        "there is no crypto provider: enable the feature ring or aws-lc-rs, or install one in the process"
            .to_owned(),
    ))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ClientError::Tls(format!("a certificate can't be read: {error}")))?;
    if certificates.is_empty() {
        return Err(ClientError::Tls(
            "there is no certificate in the PEM text".to_owned(),
        ));
    }
    Ok(certificates)
}

/// TLS, ready to be negotiated.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) connector: TlsConnector,
    pub(crate) name: ServerName<'static>,
    /// The name is the caller's, whatever the host.
    fixed: bool,
    pub(crate) verified: bool,
}

impl Prepared {
    /// The same for another host.
    pub(crate) fn named(&self, host: &str) -> Result<Self, ClientError> {
        let mut other = self.clone();
        if !self.fixed {
            other.name = server_name(host)?;
        }
        Ok(other)
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, ClientError> {
    ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
        .map_err(|_| ClientError::Tls(format!("{name:?} is no name of a server")))
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("name", &self.name)
            .field("verified", &self.verified)
            .finish_non_exhaustive()
    }
}

/// Takes any certificate: for a mode that an active attacker can switch off anyway, where a refusal
/// would only be answered by plaintext. That the server has the certificate's key is still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests {
    #[test]
    fn the_provider_is_the_one_that_the_features_say_and_of_both_it_is_ring() {
        let provider = super::provider().unwrap();
        let expected = match cfg!(feature = "ring") {
            true => "Ring",
            false => "AwsLcRs",
        };
        assert_eq!(format!("{:?}", provider.secure_random), expected);
    }
}
