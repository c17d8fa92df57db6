//! The one thing that is read in a server's certificate here: by which hash it was signed.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// The field of RSASSA-PSS-params with the hash (RFC 4055 §3.1).
const PSS_HASH: u8 = 0xa0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// The channel binding `tls-server-end-point`: the hash of this certificate in DER, by the hash of its
/// signature, or by SHA-256 where that is MD5 or SHA-1 (RFC 5929 §4.1). `None` where the signature
/// has no hash of its own, such as Ed25519's: RFC 5929 defines no binding then.
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match hash_of(certificate)? {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

/// RFC 5280 §4.1: what is signed, the signature's algorithm, the signature.
fn hash_of(certificate: &[u8]) -> Option<Hash> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (identifier, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    match identifier {
        // PKCS #1 (RFC 4055, RFC 3279).
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last] => match last {
            4 | 5 | 11 => Some(Hash::Sha256),
            12 => Some(Hash::Sha384),
            13 => Some(Hash::Sha512),
            14 => Some(Hash::Sha224),
            10 => pss(parameters),
            _ => None,
        },
        // ECDSA (RFC 5758).
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => Some(Hash::Sha256),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, last] => match last {
            1 => Some(Hash::Sha224),
            2 => Some(Hash::Sha256),
            3 => Some(Hash::Sha384),
            4 => Some(Hash::Sha512),
            _ => None,
        },
        _ => None,
    }
}

fn pss(parameters: &[u8]) -> Option<Hash> {
    let (parameters, _) = element(parameters, SEQUENCE)?;
    let Some((hash, _)) = element(parameters, PSS_HASH) else {
        // SHA-1 is the default.
        return Some(Hash::Sha256);
    };
    let (hash, _) = element(hash, SEQUENCE)?;
    match element(hash, OBJECT_IDENTIFIER)?.0 {
        [0x2b, 0x0e, 3, 2, 0x1a] => Some(Hash::Sha256),
        [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, last] => match last {
            1 => Some(Hash::Sha256),
            2 => Some(Hash::Sha384),
            3 => Some(Hash::Sha512),
            4 => Some(Hash::Sha224),
            _ => None,
        },
        _ => None,
    }
}

/// The content of the element of DER that comes first, if it has this tag, and what follows it.
fn element(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = octets.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = length
                .iter()
                .fold(0, |sum, octet| sum << 8 | u32::from(*octet));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, &content].concat()
    }

    fn certificate(identifier: &[u8], parameters: &[u8]) -> Vec<u8> {
        let signed = der(SEQUENCE, &[&[0; 300]]);
        let identifier = der(OBJECT_IDENTIFIER, &[identifier]);
        let algorithm = der(SEQUENCE, &[&identifier, parameters]);
        der(SEQUENCE, &[&signed, &algorithm, &der(3, &[&[0; 65]])])
    }

    #[test]
    fn the_binding_is_by_the_signatures_hash_and_by_sha_256_at_least() {
        let rsa = |last| [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1][..], &[last]].concat();
        let ecdsa = |last| [&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3][..], &[last]].concat();
        for (identifier, octets) in [
            (rsa(4), Some(32)),
            (rsa(5), Some(32)),
            (rsa(11), Some(32)),
            (rsa(12), Some(48)),
            (rsa(13), Some(64)),
            (rsa(14), Some(28)),
            (rsa(2), None),
            (ecdsa(1), Some(28)),
            (ecdsa(2), Some(32)),
            (ecdsa(3), Some(48)),
            (ecdsa(4), Some(64)),
            (ecdsa(9), None),
            (vec![0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], Some(32)),
            // Ed25519 and Ed448.
            (vec![0x2b, 0x65, 0x70], None),
            (vec![0x2b, 0x65, 0x71], None),
        ] {
            let certificate = certificate(&identifier, &[5, 0]);
            let binding = end_point(&certificate);
            assert_eq!(binding.as_ref().map(Vec::len), octets, "{identifier:x?}");
        }
        let one = certificate(&ecdsa(2), &[]);
        assert_eq!(end_point(&one).unwrap(), Sha256::digest(&one).to_vec());
    }

    #[test]
    fn the_hash_of_rsassa_pss_is_among_its_parameters() {
        let pss = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
        let named = |hash: &[u8]| {
            let hash = der(SEQUENCE, &[&der(OBJECT_IDENTIFIER, &[hash])]);
            certificate(&pss, &der(SEQUENCE, &[&der(PSS_HASH, &[&hash])]))
        };
        let sha2 = |last| [&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2][..], &[last]].concat();
        for (certificate, octets) in [
            (certificate(&pss, &der(SEQUENCE, &[])), Some(32)),
            (named(&[0x2b, 0x0e, 3, 2, 0x1a]), Some(32)),
            (named(&sha2(1)), Some(32)),
            (named(&sha2(2)), Some(48)),
            (named(&sha2(3)), Some(64)),
            (named(&sha2(9)), None),
            (certificate(&pss, &[]), None),
        ] {
            assert_eq!(end_point(&certificate).map(|b| b.len()), octets);
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_binding() {
        let whole = certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2], &[]);
        // Without all of what is signed and of the algorithm there is nothing to go by.
        for octets in 0..whole.len() {
            assert_eq!(end_point(&whole[..octets]), None, "{octets}");
        }
        assert_eq!(end_point(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(end_point(&[0x30, 0x80, 0, 0]), None);
    }
}
