//! A strict reader of mail data, independent of any client's encoder (RFC 5321 §4.5.2).

use memchr::memchr2;

/// What takes in mail data.
pub(super) trait Taker {
    /// Octets of mail data so far.
    fn taken(&self) -> u64;

    /// Takes octets up to the end. Says how many it took and whether that was it.
    fn take(&mut self, octets: &[u8]) -> (usize, bool);
}

impl Taker for MailData {
    fn taken(&self) -> u64 {
        self.taken
    }

    fn take(&mut self, octets: &[u8]) -> (usize, bool) {
        self.take(octets)
    }
}

/// Where the reader is in the mail data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    /// Behind a dot at the start of a line.
    Dot,
    /// Behind a dot and a CR at the start of a line.
    DotCr,
    Text,
    Cr,
}

/// Takes mail data apart: the message without transparency, and what was wrong with it.
#[derive(Debug)]
pub(super) struct MailData {
    at: At,
    /// No more than `most` octets of it.
    pub(super) message: Vec<u8>,
    most: usize,
    /// The octets as they came, if they are kept.
    pub(super) wire: Option<Vec<u8>>,
    /// Octets as they came.
    pub(super) taken: u64,
    pub(super) bare_cr: bool,
    pub(super) bare_lf: bool,
    /// A line began with a dot that no transparent encoder leaves alone.
    pub(super) unstuffed: bool,
}

impl MailData {
    /// Keeps `most` octets of the message; the rest is read and forgotten.
    pub(super) fn new(most: usize, wire: bool) -> Self {
        Self {
            at: At::LineStart,
            message: Vec::new(),
            most,
            wire: wire.then(Vec::new),
            taken: 0,
            bare_cr: false,
            bare_lf: false,
            unstuffed: false,
        }
    }

    /// Takes octets up to the end of mail data. Says how many it took and whether that was it.
    pub(super) fn take(&mut self, octets: &[u8]) -> (usize, bool) {
        self.message
            .reserve(octets.len().min(self.most - self.message.len()));
        let mut rest = octets;
        let mut ended = false;
        while let Some((&octet, behind)) = rest.split_first() {
            if self.at == At::Text || (self.at == At::LineStart && octet != b'.') {
                let (text, line_ending) = in_line(rest);
                if !text.is_empty() {
                    self.push(text);
                    self.at = At::Text;
                    rest = line_ending;
                    continue;
                }
            }
            rest = behind;
            if self.octet(octet) {
                ended = true;
                break;
            }
        }
        let taken = octets.len() - rest.len();
        self.taken += taken as u64;
        let full = self.message.len() >= self.most;
        if let Some(wire) = self.wire.as_mut().filter(|_| !full) {
            wire.extend_from_slice(octets.get(..taken).unwrap_or_default());
        }
        (taken, ended)
    }

    fn octet(&mut self, octet: u8) -> bool {
        self.at = match (self.at, octet) {
            (At::LineStart, b'.') => At::Dot,
            (At::Dot, b'\r') => At::DotCr,
            (At::DotCr, b'\n') => return true,
            (At::Dot, b'.') => {
                self.push(b".");
                At::Text
            }
            (At::Dot, _) => {
                self.unstuffed = true;
                self.text(octet)
            }
            (At::DotCr, _) => {
                self.unstuffed = true;
                self.bare_cr = true;
                self.push(b"\r");
                self.text(octet)
            }
            (At::Cr, b'\n') => {
                self.push(b"\n");
                At::LineStart
            }
            (At::Cr, _) => {
                self.bare_cr = true;
                self.text(octet)
            }
            (At::LineStart | At::Text, _) => self.text(octet),
        };
        false
    }

    fn push(&mut self, octets: &[u8]) {
        let room = self.most - self.message.len();
        let kept = octets.get(..room).unwrap_or(octets);
        self.message.extend_from_slice(kept);
    }

    fn text(&mut self, octet: u8) -> At {
        self.push(&[octet]);
        match octet {
            b'\r' => At::Cr,
            b'\n' => {
                self.bare_lf = true;
                At::Text
            }
            _ => At::Text,
        }
    }
}

/// The octets before the next CR or LF, and the rest.
fn in_line(octets: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr2(b'\r', b'\n', octets).unwrap_or(octets.len());
    octets.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::MailData;

    fn read(octets: &[u8]) -> (MailData, usize, bool) {
        let mut data = MailData::new(usize::MAX, true);
        let (taken, ended) = data.take(octets);
        (data, taken, ended)
    }

    #[test]
    fn stuffed_dots_are_taken_away_and_the_end_is_found() {
        let (data, taken, ended) = read(b"a\r\n..b\r\n.\r\nQUIT\r\n");
        assert_eq!(
            (data.message.as_slice(), taken, ended),
            (&b"a\r\n.b\r\n"[..], 11, true)
        );
        assert!(!data.bare_cr && !data.bare_lf && !data.unstuffed);
    }

    #[test]
    fn the_wire_is_kept_as_it_came_and_the_message_no_longer_than_allowed() {
        let (data, ..) = read(b"a\r\n..b\r\n.\r\nQUIT\r\n");
        assert_eq!(data.wire.as_deref(), Some(&b"a\r\n..b\r\n.\r\n"[..]));
        let mut data = MailData::new(4, false);
        assert_eq!(data.take(b"abcdefgh\r\n.\r\n"), (13, true));
        assert_eq!((data.message.as_slice(), data.wire), (&b"abcd"[..], None));
    }

    #[test]
    fn an_empty_message_ends_at_once() {
        let (data, taken, ended) = read(b".\r\n");
        assert_eq!((data.message.as_slice(), taken, ended), (&b""[..], 3, true));
    }

    #[test]
    fn only_crlf_dot_crlf_ends_it() {
        for sham in [
            &b"x\n.\n"[..],
            b"x\n.\r\n",
            b"x\r.\r",
            b"x\r\n.\n",
            b"x\r\n.\r",
            b"x\r\n\0.\r\n",
        ] {
            assert!(!read(sham).2, "{:?}", sham.escape_ascii().to_string());
        }
    }

    #[test]
    fn what_is_wrong_with_it_is_seen() {
        assert!(read(b"a\nb").0.bare_lf);
        assert!(read(b"a\rb").0.bare_cr);
        assert!(read(b"a\r\n.b").0.unstuffed);
        assert!(read(b"a\r\n.\rb").0.bare_cr);
    }
}
