//! An authority, and the certificates that it and others issue.

use std::fmt;
use std::io;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::plan::Certificate;

/// The names that the double's certificate is for.
pub const NAMES: [&str; 4] = ["double.example", "localhost", "127.0.0.1", "::1"];

/// How many certificates a huge chain has: together more than TLS lets into one message.
const HUGE: u8 = 220;

/// An authority with its key.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    fixed: bool,
}

/// What a server or a client shows.
#[non_exhaustive]
pub struct Identity {
    /// Its certificates, its own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    /// The same authority in every run and for everybody: Ed25519 keys that stand in this source.
    /// For simulations; trust it nowhere else.
    ///
    /// # Errors
    /// If its certificate can't be made.
    pub fn fixed() -> io::Result<Self> {
        Self::new(true, 0)
    }

    /// An authority that nobody else can have: P-256 keys of its own, which every client knows.
    ///
    /// # Errors
    /// If there is no randomness to be had.
    pub fn fresh() -> io::Result<Self> {
        Self::new(false, 0)
    }

    fn new(fixed: bool, number: u8) -> io::Result<Self> {
        let params = authority_params(&format!("postbound double authority {number}"))?;
        let key = key(fixed, [0xa0, number])?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;
        Ok(Self { issuer, fixed })
    }

    pub(super) const fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// Its own certificate, for a client to trust.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Its own certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a server, good or with something wrong with it.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn issue(&self, certificate: Certificate) -> io::Result<Identity> {
        let key = key(self.fixed, [0x5e, certificate as u8])?;
        let names = match certificate {
            Certificate::WrongName => vec!["elsewhere.example".to_owned()],
            _ => NAMES.map(str::to_owned).to_vec(),
        };
        let mut params = params(names, "postbound double")?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match certificate {
            Certificate::Expired => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2021, 1, 1);
            }
            Certificate::NotYetValid => {
                params.not_before = date_time_ymd(2048, 1, 1);
                params.not_after = date_time_ymd(2049, 1, 1);
            }
            Certificate::AuthorityItself => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
            _ => {}
        }
        let chain = match certificate {
            Certificate::SelfSigned => {
                vec![
                    params
                        .self_signed(&key)
                        .map_err(io::Error::other)?
                        .der()
                        .clone(),
                ]
            }
            Certificate::UnknownAuthority => {
                let other = Self::new(self.fixed, 1)?;
                other.chain(&params, &key)?
            }
            Certificate::HugeChain => {
                let mut chain = self.chain(&params, &key)?;
                for number in 2..HUGE {
                    chain.push(Self::new(self.fixed, number)?.certificate());
                }
                chain
            }
            _ => self.chain(&params, &key)?,
        };
        Ok(Identity {
            chain,
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        })
    }

    /// A certificate for a client.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn issue_client(&self) -> io::Result<Identity> {
        let key = key(self.fixed, [0xc1, 0])?;
        let mut params = params(vec!["client.example".to_owned()], "postbound client")?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(Identity {
            chain: self.chain(&params, &key)?,
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        })
    }

    fn chain(
        &self,
        params: &CertificateParams,
        key: &KeyPair,
    ) -> io::Result<Vec<CertificateDer<'static>>> {
        let leaf = params
            .signed_by(key, &self.issuer)
            .map_err(io::Error::other)?;
        Ok(vec![leaf.der().clone(), self.certificate()])
    }
}

fn params(names: Vec<String>, common_name: &str) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2047, 1, 1);
    Ok(params)
}

fn authority_params(common_name: &str) -> io::Result<CertificateParams> {
    let mut params = params(Vec::new(), common_name)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A key pair: the one with this number, or a new one.
fn key(fixed: bool, number: [u8; 2]) -> io::Result<KeyPair> {
    if !fixed {
        return KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other);
    }
    // RFC 8410 §7: the frame of a private key of Ed25519, and the 32 octets that it is.
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    der.extend(number.into_iter().cycle().take(32));
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &PKCS_ED25519)
        .map_err(io::Error::other)
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("fixed", &self.fixed)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}
