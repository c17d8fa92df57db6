//! The same handshake in every run: seeded randomness, a key exchange that draws from it, and a
//! clock that stands still. Together with Ed25519 certificates, whose signatures have one length and
//! no randomness, every octet is the same, and an octet's offset means the same thing each time.
//!
//! None of it is secure, and none of it is meant to be.

use std::cell::Cell;
use std::time::Duration;

use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup,
};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

thread_local! {
    /// One sequence a thread, as a simulation is.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Begins the thread's sequence of random octets anew.
pub fn seed(seed: u64) {
    STATE.set(seed);
}

/// SplitMix64.
fn draw() -> u64 {
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn fill(octets: &mut [u8]) {
    for part in octets.chunks_mut(8) {
        for (to, from) in part.iter_mut().zip(draw().to_le_bytes()) {
            *to = from;
        }
    }
}

#[derive(Debug)]
struct Seeded;

impl SecureRandom for Seeded {
    fn fill(&self, octets: &mut [u8]) -> Result<(), GetRandomFailed> {
        fill(octets);
        Ok(())
    }
}

#[derive(Debug)]
struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = [0; 32];
        fill(&mut secret);
        Ok(Box::new(Exchange {
            secret,
            public: x25519(secret, X25519_BASEPOINT_BYTES),
        }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    secret: [u8; 32],
    public: [u8; 32],
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let invalid = || Error::from(PeerMisbehaved::InvalidKeyShare);
        let peer: [u8; 32] = peer.try_into().map_err(|_| invalid())?;
        let shared = x25519(self.secret, peer);
        if shared == [0; 32] {
            return Err(invalid());
        }
        Ok(SharedSecret::from(shared.as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        secure_random: &Seeded,
        kx_groups: vec![&X25519],
        ..rustls::crypto::ring::default_provider()
    }
}

/// Always the same moment: the first of January 2026.
#[derive(Debug)]
pub(super) struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            1_767_225_600,
        )))
    }
}
