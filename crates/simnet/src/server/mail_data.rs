//! A strict reader of mail data, independent of any client's encoder (RFC 5321 §4.5.2).

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
    pub(super) message: Vec<u8>,
    /// Octets as they came.
    pub(super) taken: u64,
    pub(super) bare_cr: bool,
    pub(super) bare_lf: bool,
    /// A line began with a dot that no transparent encoder leaves alone.
    pub(super) unstuffed: bool,
}

impl MailData {
    pub(super) fn new() -> Self {
        Self {
            at: At::LineStart,
            message: Vec::new(),
            taken: 0,
            bare_cr: false,
            bare_lf: false,
            unstuffed: false,
        }
    }

    /// Takes octets up to the end of mail data. Says how many it took and whether that was it.
    pub(super) fn take(&mut self, octets: &[u8]) -> (usize, bool) {
        for (i, &octet) in octets.iter().enumerate() {
            self.taken += 1;
            if self.octet(octet) {
                return (i + 1, true);
            }
        }
        (octets.len(), false)
    }

    fn octet(&mut self, octet: u8) -> bool {
        self.at = match (self.at, octet) {
            (At::LineStart, b'.') => At::Dot,
            (At::Dot, b'\r') => At::DotCr,
            (At::DotCr, b'\n') => return true,
            (At::Dot, b'.') => {
                self.message.push(b'.');
                At::Text
            }
            (At::Dot, _) => {
                self.unstuffed = true;
                self.text(octet)
            }
            (At::DotCr, _) => {
                self.unstuffed = true;
                self.bare_cr = true;
                self.message.push(b'\r');
                self.text(octet)
            }
            (At::Cr, b'\n') => {
                self.message.push(b'\n');
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

    fn text(&mut self, octet: u8) -> At {
        self.message.push(octet);
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

#[cfg(test)]
mod tests {
    use super::MailData;

    fn read(octets: &[u8]) -> (MailData, usize, bool) {
        let mut data = MailData::new();
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
