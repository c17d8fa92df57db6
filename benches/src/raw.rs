//! The practical limit: the same dialogue by hand on a blocking socket, without a library, a limit
//! or a check beyond the first digit of each reply.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

/// A connection that has said EHLO.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
    group: Vec<u8>,
    recipients: usize,
}

const FROM: &str = "sender@client.example";

/// The n-th recipient of every message, counted from one.
#[must_use]
pub fn recipient(n: usize) -> String {
    format!("recipient{n}@sink.example")
}

/// MAIL and every RCPT.
pub(crate) fn group(recipients: usize, octets: usize) -> Vec<u8> {
    let mut group = format!("MAIL FROM:<{FROM}> SIZE={octets}\r\n");
    for n in 1..=recipients {
        group.push_str(&format!("RCPT TO:<{}>\r\n", recipient(n)));
    }
    group.into_bytes()
}

impl Raw {
    /// Connects and says EHLO; messages will go to so many recipients.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn connect(port: u16, recipients: usize, octets: usize) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        let mut raw = Self {
            stream,
            buffer: vec![0; 16 * 1024],
            group: group(recipients, octets),
            recipients,
        };
        raw.replies(1)?;
        raw.stream.write_all(b"EHLO client.example\r\n")?;
        raw.replies(1)?;
        Ok(raw)
    }

    /// Waits until so many replies have come.
    fn replies(&mut self, mut count: usize) -> io::Result<()> {
        let mut held = 0;
        while count > 0 {
            let read = self.stream.read(&mut self.buffer[held..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            held += read;
            let mut begin = 0;
            while let Some(end) = memchr::memchr(b'\n', &self.buffer[begin..held]) {
                let line = &self.buffer[begin..begin + end];
                if !matches!(line.first(), Some(b'2' | b'3')) {
                    return Err(io::Error::other("a refusal"));
                }
                count -= usize::from(line.get(3) != Some(&b'-'));
                begin += end + 1;
            }
            self.buffer.copy_within(begin..held, 0);
            held -= begin;
        }
        Ok(())
    }

    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let mut slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut slices = slices.as_mut_slice();
        while !slices.is_empty() {
            let written = self.stream.write_vectored(slices)?;
            IoSlice::advance_slices(&mut slices, written);
        }
        Ok(())
    }

    /// Two round trips a message: a group that ends in DATA, then the mail data. `message` has its
    /// transparency and ends with CRLF.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn pipelined(&mut self, messages: usize, message: &[u8]) -> io::Result<()> {
        let group = [self.group.as_slice(), b"DATA\r\n"].concat();
        for _ in 0..messages {
            self.write(&[&group])?;
            self.replies(self.recipients + 2)?;
            self.write(&[message, b".\r\n"])?;
            self.replies(1)?;
        }
        Ok(())
    }

    /// One round trip a message: the mail data and the next message's group leave in one write.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn across(&mut self, messages: usize, message: &[u8]) -> io::Result<()> {
        let group = [self.group.as_slice(), b"DATA\r\n"].concat();
        self.write(&[&group])?;
        self.replies(self.recipients + 2)?;
        for _ in 1..messages {
            self.write(&[message, b".\r\n", &group])?;
            self.replies(self.recipients + 3)?;
        }
        self.write(&[message, b".\r\n"])?;
        self.replies(1)
    }

    /// BDAT with so many messages under way at once (RFC 3030, RFC 2920).
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn chunked(&mut self, messages: usize, message: &[u8], window: usize) -> io::Result<()> {
        let head = format!("BDAT {} LAST\r\n", message.len());
        let one = [self.group.as_slice(), head.as_bytes(), message].concat();
        let mut sent = 0;
        while sent < messages {
            let now = window.min(messages - sent);
            let parts = vec![one.as_slice(); now];
            self.write(&parts)?;
            self.replies((self.recipients + 2) * now)?;
            sent += now;
        }
        Ok(())
    }
}
