//! As much of the DNS's messages as a server of MX records and addresses needs (RFC 1035 §4).

use std::net::IpAddr;

use super::Found;

/// A query: what an answer repeats of it.
#[derive(Debug)]
pub(super) struct Query<'a> {
    id: [u8; 2],
    /// The question as it came.
    question: &'a [u8],
    /// The name asked for, with dots.
    pub(super) name: String,
    pub(super) asks: Asks,
}

/// Which records are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Mx,
    /// Addresses of one family.
    V4,
    V6,
    /// Others, of which there are none.
    Other,
}

/// A record's type and data.
type Record = ([u8; 2], Vec<u8>);

const HEADER: usize = 12;
const MX: [u8; 2] = [0, 15];
const A: [u8; 2] = [0, 1];
const AAAA: [u8; 2] = [0, 28];
const CNAME: [u8; 2] = [0, 5];
const IN: [u8; 2] = [0, 1];
/// The name at the beginning of the question (RFC 1035 §4.1.4).
const SAME_NAME: [u8; 2] = [0xc0, HEADER as u8];

impl<'a> Query<'a> {
    /// Reads a standard query with one question. Nothing else is answered, and no response: two servers
    /// would answer each other for ever.
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let [high, low, flags, _, 0, 1, ..] = *message else {
            return None;
        };
        // QR and the opcode (RFC 1035 §4.1.1).
        if flags & 0xf8 != 0 {
            return None;
        }
        let id = [high, low];
        let mut at = HEADER;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*message.get(at)?);
            at += 1;
            match length {
                0 => break,
                1..=63 => {
                    let label = message.get(at..at + length)?;
                    labels.push(String::from_utf8_lossy(label).into_owned());
                    at += length;
                }
                _ => return None,
            }
        }
        let kind: [u8; 2] = *message.get(at..)?.first_chunk()?;
        Some(Self {
            id,
            question: message.get(HEADER..at + 4)?,
            name: labels.join("."),
            asks: match kind {
                MX => Asks::Mx,
                A => Asks::V4,
                AAAA => Asks::V6,
                _ => Asks::Other,
            },
        })
    }

    /// The answer, cut to nothing but the mark of it if it is longer than `most`.
    pub(super) fn answer(&self, found: &Found, most: usize) -> Vec<u8> {
        let (code, records): (u8, Vec<Record>) = match found {
            Found::Records(records) => (0, records.iter().map(mx).collect()),
            Found::Alias(name) => (0, vec![(CNAME, labels(name))]),
            Found::NoSuchDomain => (3, Vec::new()),
            Found::ServFail => (2, Vec::new()),
        };
        self.whole_or_cut(code, &records, most)
    }

    /// The same with the addresses that are asked for.
    pub(super) fn answer_addresses(&self, addresses: &[IpAddr], most: usize) -> Vec<u8> {
        let records = addresses.iter().filter_map(|ip| match (ip, self.asks) {
            (IpAddr::V4(ip), Asks::V4) => Some((A, ip.octets().to_vec())),
            (IpAddr::V6(ip), Asks::V6) => Some((AAAA, ip.octets().to_vec())),
            _ => None,
        });
        self.whole_or_cut(0, &records.collect::<Vec<_>>(), most)
    }

    fn whole_or_cut(&self, code: u8, records: &[Record], most: usize) -> Vec<u8> {
        let whole = self.message(code, records, false);
        if whole.len() > most {
            return self.message(code, &[], true);
        }
        whole
    }

    fn message(&self, code: u8, records: &[Record], truncated: bool) -> Vec<u8> {
        let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
        let [high, low] = count.to_be_bytes();
        let mut message = self.id.to_vec();
        // A response, authoritative, recursion desired and available.
        message.extend([0x85 | if truncated { 2 } else { 0 }, 0x80 | code]);
        message.extend([0, 1, high, low, 0, 0, 0, 0]);
        message.extend(self.question);
        for (kind, data) in records.iter().take(usize::from(count)) {
            message.extend(SAME_NAME);
            message.extend(kind);
            message.extend(IN);
            // One minute.
            message.extend([0, 0, 0, 60]);
            message.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
            message.extend(data);
        }
        message
    }
}

/// An MX record.
fn mx((preference, host): &(u16, String)) -> Record {
    let mut data = preference.to_be_bytes().to_vec();
    data.extend(labels(host));
    (MX, data)
}

/// A name as a message has it.
fn labels(name: &str) -> Vec<u8> {
    let mut data = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        data.push(u8::try_from(label.len()).unwrap_or(63).min(63));
        data.extend(label.bytes().take(63));
    }
    data.push(0);
    data
}
