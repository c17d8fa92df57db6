//! TLS for the double: certificates of every kind, and handshakes that are the same in every run.

mod certificates;
mod deterministic;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};

pub use certificates::{Authority, Identity, NAMES};
pub use deterministic::seed;

use crate::plan::Certificate;

/// How the double does TLS. Clones share everything that is costly to make.
#[derive(Clone, Debug)]
pub struct Tls {
    implicit: bool,
    configs: Arc<BTreeMap<Certificate, Arc<ServerConfig>>>,
    end_points: Arc<BTreeMap<Certificate, Vec<u8>>>,
}

impl Tls {
    /// STARTTLS is offered, with certificates of this authority.
    ///
    /// # Errors
    /// If a certificate can't be made.
    pub fn starttls(authority: &Authority) -> io::Result<Self> {
        let (configs, end_points) = configs(authority, false)?;
        Ok(Self {
            implicit: false,
            configs: Arc::new(configs),
            end_points: Arc::new(end_points),
        })
    }

    /// TLS from the first octet, with certificates of this authority.
    ///
    /// # Errors
    /// If a certificate can't be made.
    pub fn implicit(authority: &Authority) -> io::Result<Self> {
        Ok(Self::starttls(authority)?.with_implicit(true))
    }

    /// The same certificates in the other mode, or in the same.
    #[must_use]
    pub fn with_implicit(mut self, implicit: bool) -> Self {
        self.implicit = implicit;
        self
    }

    /// Clients must show a certificate of the same authority.
    ///
    /// # Errors
    /// If a certificate can't be made.
    pub fn require_client_certificate(mut self, authority: &Authority) -> io::Result<Self> {
        let (configs, end_points) = configs(authority, true)?;
        self.configs = Arc::new(configs);
        self.end_points = Arc::new(end_points);
        Ok(self)
    }

    pub(crate) const fn is_implicit(&self) -> bool {
        self.implicit
    }

    /// The channel binding `tls-server-end-point` of this certificate (RFC 5929 §4): none where it
    /// is signed with Ed25519, which an authority with fixed keys does.
    pub(crate) fn end_point(&self, certificate: Certificate) -> Option<Vec<u8>> {
        self.end_points.get(&certificate).cloned()
    }

    /// The configuration with this certificate.
    pub(crate) fn config(&self, certificate: Certificate, tiny: bool) -> Option<Arc<ServerConfig>> {
        let config = self.configs.get(&certificate)?;
        if !tiny {
            return Some(Arc::clone(config));
        }
        let mut config = ServerConfig::clone(config);
        // The least that a record may be limited to here.
        config.max_fragment_size = Some(32);
        Some(Arc::new(config))
    }
}

/// For each certificate the configuration with it, and what it can be bound to.
type Configs = (
    BTreeMap<Certificate, Arc<ServerConfig>>,
    BTreeMap<Certificate, Vec<u8>>,
);

fn configs(authority: &Authority, client_certificates: bool) -> io::Result<Configs> {
    let (provider, clock) = provider(authority);
    let mut end_points = BTreeMap::new();
    let configs = Certificate::ALL
        .into_iter()
        .map(|certificate| {
            let Identity { chain, key } = authority.issue(certificate)?;
            if let Some(leaf) = chain.first().filter(|_| !authority.is_fixed()) {
                // Every other authority signs with ECDSA and SHA-256.
                end_points.insert(certificate, Sha256::digest(leaf).to_vec());
            }
            let builder =
                ServerConfig::builder_with_details(Arc::clone(&provider), Arc::clone(&clock))
                    .with_safe_default_protocol_versions()
                    .map_err(io::Error::other)?;
            let builder = if client_certificates {
                let roots = Arc::new(roots(authority)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                        .build()
                        .map_err(io::Error::other)?;
                builder.with_client_cert_verifier(verifier)
            } else {
                builder.with_no_client_auth()
            };
            let mut config = builder
                .with_single_cert(chain, key)
                .map_err(io::Error::other)?;
            // Every handshake is a whole one.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            Ok((certificate, Arc::new(config)))
        })
        .collect::<io::Result<_>>()?;
    Ok((configs, end_points))
}

/// A server's configuration with this certificate, for a server of one's own.
///
/// # Errors
/// If the certificate can't be made.
pub fn server_config(
    authority: &Authority,
    certificate: Certificate,
) -> io::Result<Arc<ServerConfig>> {
    configs(authority, false)?
        .0
        .remove(&certificate)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A client's configuration that trusts `authority` and nobody else, and shows `identity` if there
/// is one. With [`Authority::fixed`] its handshakes are the same in every run, too.
///
/// # Errors
/// If the identity can't be used.
pub fn client_config(
    authority: &Authority,
    identity: Option<Identity>,
) -> io::Result<Arc<ClientConfig>> {
    let (provider, clock) = provider(authority);
    let builder = ClientConfig::builder_with_details(provider, clock)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots(authority)?);
    let mut config = match identity {
        Some(Identity { chain, key }) => builder
            .with_client_auth_cert(chain, key)
            .map_err(io::Error::other)?,
        None => builder.with_no_client_auth(),
    };
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn provider(authority: &Authority) -> (Arc<CryptoProvider>, Arc<dyn TimeProvider>) {
    if authority.is_fixed() {
        let clock: Arc<dyn TimeProvider> = Arc::new(deterministic::Clock);
        (Arc::new(deterministic::provider()), clock)
    } else {
        let provider = rustls::crypto::ring::default_provider();
        (Arc::new(provider), Arc::new(DefaultTimeProvider))
    }
}

fn roots(authority: &Authority) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.certificate())
        .map_err(io::Error::other)?;
    Ok(roots)
}
