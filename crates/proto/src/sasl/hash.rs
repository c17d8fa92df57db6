//! Keyed hashes, by name instead of by type.

use core::ops::Deref;

use hmac::digest::{Digest as _, Key};
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Md5,
    Sha1,
    Sha256,
}

/// A hash value, at most SHA-256's.
#[derive(Clone)]
pub(super) struct Digest {
    octets: Zeroizing<[u8; 32]>,
    length: usize,
}

impl Digest {
    fn new(octets: &[u8]) -> Self {
        let mut digest = Self {
            octets: Zeroizing::new([0; 32]),
            length: octets.len().min(32),
        };
        for (to, from) in digest.octets.iter_mut().zip(octets) {
            *to = *from;
        }
        digest
    }

    pub(super) fn xor(&mut self, other: &[u8]) {
        for (to, from) in self.octets.iter_mut().zip(other) {
            *to ^= from;
        }
    }

    /// Compares without telling by its duration where a difference is.
    pub(super) fn is(&self, other: &[u8]) -> bool {
        let different = self.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
        other.len() == self.length && different == 0
    }
}

impl Deref for Digest {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl Hash {
    pub(super) fn digest(self, octets: &[u8]) -> Digest {
        match self {
            Self::Md5 => Digest::new(&Md5::digest(octets)),
            Self::Sha1 => Digest::new(&Sha1::digest(octets)),
            Self::Sha256 => Digest::new(&Sha256::digest(octets)),
        }
    }
}

/// HMAC (RFC 2104) with its key taken in, to be used again and again.
#[derive(Clone)]
pub(super) enum Keyed {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

impl Keyed {
    pub(super) fn new(hash: Hash, key: &[u8]) -> Self {
        // RFC 2104 §2: a key of up to 64 octets is filled up with zeros, a longer one is hashed.
        let hashed = (key.len() > 64).then(|| hash.digest(key));
        let key = hashed.as_deref().unwrap_or(key);
        let mut block = Zeroizing::new([0; 64]);
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        match hash {
            Hash::Md5 => Self::Md5(Hmac::new(&Key::<Hmac<Md5>>::from(*block))),
            Hash::Sha1 => Self::Sha1(Hmac::new(&Key::<Hmac<Sha1>>::from(*block))),
            Hash::Sha256 => Self::Sha256(Hmac::new(&Key::<Hmac<Sha256>>::from(*block))),
        }
    }

    pub(super) fn sign(&self, parts: &[&[u8]]) -> Digest {
        macro_rules! sign {
            ($mac:expr) => {{
                let mut mac = $mac.clone();
                for part in parts {
                    mac.update(part);
                }
                Digest::new(&mac.finalize().into_bytes())
            }};
        }
        match self {
            Self::Md5(mac) => sign!(mac),
            Self::Sha1(mac) => sign!(mac),
            Self::Sha256(mac) => sign!(mac),
        }
    }
}

/// PBKDF2 with one block of output (RFC 5802's `Hi`), in slices: a server chooses how many
/// iterations there are, and nobody should wait for them in one go.
pub(super) struct Derivation {
    keyed: Keyed,
    last: Digest,
    sum: Digest,
    left: u32,
}

impl Derivation {
    pub(super) fn new(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let keyed = Keyed::new(hash, password);
        let first = keyed.sign(&[salt, &1_u32.to_be_bytes()]);
        Self {
            keyed,
            sum: first.clone(),
            last: first,
            left: iterations.saturating_sub(1),
        }
    }

    /// Goes on for at most so many iterations; the key, once it is there.
    pub(super) fn go_on(&mut self, iterations: u32) -> Option<Digest> {
        let now = iterations.min(self.left);
        for _ in 0..now {
            self.last = self.keyed.sign(&[&self.last]);
            self.sum.xor(&self.last);
        }
        self.left -= now;
        (self.left == 0).then(|| self.sum.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{Derivation, Hash, Keyed};

    #[test]
    fn slices_of_any_size_make_the_key_that_the_pbkdf2_crate_makes() {
        for (password, salt, iterations) in [
            (&b"pencil"[..], &b"A%\xc2G\xe4:\xb1\xe9<m\xffv"[..], 4096),
            (&[0xff; 100], b"x", 1),
            (b"", b"", 777),
        ] {
            let mut sha1 = [0; 20];
            let mut sha256 = [0; 32];
            pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, salt, iterations, &mut sha1);
            pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, salt, iterations, &mut sha256);
            for slice in [1, 7, 1000, u32::MAX] {
                for (hash, expected) in [(Hash::Sha1, &sha1[..]), (Hash::Sha256, &sha256[..])] {
                    let mut derivation = Derivation::new(hash, password, salt, iterations);
                    let mut steps = 0;
                    let key = loop {
                        steps += 1;
                        if let Some(key) = derivation.go_on(slice) {
                            break key;
                        }
                    };
                    assert_eq!(&*key, expected);
                    assert!(key.is(expected) && !key.is(&expected[1..]));
                    assert!(steps <= iterations / slice + 1);
                }
            }
        }
    }

    #[test]
    fn keyed_hashes_are_those_of_rfc_2202() {
        let hex = |digest: &[u8]| -> String { digest.iter().map(|o| format!("{o:02x}")).collect() };
        let jefe =
            |hash| hex(&Keyed::new(hash, b"Jefe").sign(&[b"what do ya want ", b"for nothing?"]));
        assert_eq!(jefe(Hash::Md5), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(jefe(Hash::Sha1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        // RFC 2202's sixth case: a key longer than a block.
        let long = Keyed::new(Hash::Sha1, &[0xaa; 80]);
        assert_eq!(
            hex(&long.sign(&[b"Test Using Larger Than Block-Size Key - Hash Key First"])),
            "aa4ae5e15272d00e95705637ce8a3b55ed402112"
        );
    }
}
