//! A server that does nothing but answer: what is left when the client costs nothing.
//!
//! It runs in a process of its own, so that neither its time nor its instructions are taken for the
//! client's, and counts turns: how often it answered something that it had read. That is what a
//! round trip costs on a link of any length.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const EXTENSIONS: &[u8] = b"250-sink.example\r\n250-PIPELINING\r\n250-SIZE 1073741824\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-AUTH PLAIN LOGIN\r\n250-ENHANCEDSTATUSCODES\r\n";
const READ: usize = 256 * 1024;

/// A sink in a child process. Dropping it ends the process.
#[derive(Debug)]
pub struct Sink {
    child: Child,
    port: u16,
    tls_port: u16,
}

impl Sink {
    /// Starts this program once more, as a sink.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start() -> io::Result<Self> {
        Self::start_from(std::env::current_exe()?)
    }

    /// Starts the program at this path as a sink.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn start_from(program: impl AsRef<OsStr>) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg("sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.as_mut() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let mut ports = line.split_ascii_whitespace().map(str::parse);
        let mut port = || match ports.next() {
            Some(port) => port.map_err(io::Error::other),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        Ok(Self {
            child,
            port: port()?,
            tls_port: port()?,
        })
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens for TLS from the first octet.
    #[must_use]
    pub const fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// How often it has answered something so far.
    ///
    /// # Errors
    /// If it can't be asked.
    pub fn turns(&self) -> io::Result<u64> {
        self.ask("VRFY turns\r\n")
    }

    /// Processor time that its threads have used so far, in nanoseconds.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn cpu(&self) -> io::Result<u64> {
        let mut nanos = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat =
                std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            let word = stat.split(' ').next().unwrap_or_default();
            nanos += word.parse::<u64>().unwrap_or_default();
        }
        Ok(nanos)
    }

    fn ask(&self, question: &str) -> io::Result<u64> {
        let mut stream = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?);
        let mut line = String::new();
        stream.read_line(&mut line)?;
        stream.get_mut().write_all(question.as_bytes())?;
        line.clear();
        stream.read_line(&mut line)?;
        line.get(4..)
            .unwrap_or_default()
            .trim()
            .parse()
            .map_err(io::Error::other)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until standard input ends: so no sink outlives who started it.
///
/// # Errors
/// If there is no port to be had.
pub fn run(tls: Arc<ServerConfig>) -> io::Result<()> {
    let clear = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let encrypted = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (port, tls_port) = (clear.local_addr()?.port(), encrypted.local_addr()?.port());
    writeln!(io::stdout(), "{port} {tls_port}")?;
    let turns = Arc::new(AtomicU64::new(0));
    for (listener, implicit) in [(clear, false), (encrypted, true)] {
        let (tls, turns) = (Arc::clone(&tls), Arc::clone(&turns));
        std::thread::spawn(move || listen(&listener, implicit, &tls, &turns));
    }
    io::copy(&mut io::stdin(), &mut io::sink()).map(|_| ())
}

fn listen(listener: &TcpListener, implicit: bool, tls: &Arc<ServerConfig>, turns: &Arc<AtomicU64>) {
    for stream in listener.incoming().flatten() {
        let (tls, turns) = (Arc::clone(tls), Arc::clone(turns));
        let spawned = std::thread::Builder::new()
            .stack_size(64 * 1024)
            .spawn(move || serve(stream, implicit, &tls, &turns));
        if spawned.is_err() {
            return;
        }
    }
}

/// A connection whose turns are counted.
struct Counted<'a> {
    stream: TcpStream,
    has_read: bool,
    turns: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.has_read = true;
        self.stream.read(buffer)
    }
}

impl Write for Counted<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.has_read) {
            self.turns.fetch_add(1, Ordering::Relaxed);
        }
        self.stream.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn serve(
    stream: TcpStream,
    implicit: bool,
    tls: &Arc<ServerConfig>,
    turns: &AtomicU64,
) -> io::Result<()> {
    const GREETING: &[u8] = b"220 sink.example\r\n";
    stream.set_nodelay(true)?;
    let mut stream = Counted {
        stream,
        has_read: false,
        turns,
    };
    if !implicit {
        stream.write_all(GREETING)?;
        if !Dialogue::new(turns, false).drive(&mut stream)? {
            return Ok(());
        }
    }
    let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    if implicit {
        stream.write_all(GREETING)?;
    }
    Dialogue::new(turns, true).drive(&mut stream)?;
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Await {
    Command,
    MailData,
    /// So many octets more, and whether they are the last.
    Chunk(usize, bool),
}

/// A server's side of a dialogue: octets in, replies out.
#[derive(Debug)]
pub(crate) struct Dialogue<'a> {
    turns: &'a AtomicU64,
    encrypted: bool,
    awaits: Await,
    /// Mail data has just begun: its first line may be its end.
    begins: bool,
    upgrade: bool,
    pub(crate) out: Vec<u8>,
}

impl<'a> Dialogue<'a> {
    pub(crate) const fn new(turns: &'a AtomicU64, encrypted: bool) -> Self {
        Self {
            turns,
            encrypted,
            awaits: Await::Command,
            begins: false,
            upgrade: false,
            out: Vec::new(),
        }
    }

    /// Answers to the end of the connection, or to STARTTLS and says so.
    fn drive<S: Read + Write>(&mut self, stream: &mut S) -> io::Result<bool> {
        // Small until something large comes, so that 10,000 idle connections are no load.
        let mut buffer = vec![0; 2048];
        let mut held = 0;
        loop {
            let room = buffer.get_mut(held..).unwrap_or_default();
            let (room_octets, read) = (room.len(), stream.read(room)?);
            if read == 0 {
                return Ok(false);
            }
            held += read;
            let taken = self.take(buffer.get(..held).unwrap_or_default());
            buffer.copy_within(taken..held, 0);
            held -= taken;
            if read == room_octets && buffer.len() < READ {
                buffer.resize(READ, 0);
            }
            if !self.out.is_empty() {
                stream.write_all(&self.out)?;
                stream.flush()?;
                self.out.clear();
            }
            if self.upgrade {
                return Ok(true);
            }
        }
    }

    /// Takes in what it can of these octets, and says how many that were.
    pub(crate) fn take(&mut self, octets: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = octets.get(taken..).filter(|rest| !rest.is_empty()) {
            match self.awaits {
                Await::Command => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        break;
                    };
                    self.answer(rest.get(..=end).unwrap_or_default());
                    taken += end + 1;
                }
                Await::MailData if self.begins && rest.starts_with(b".\r\n") => {
                    self.accept();
                    taken += 3;
                }
                Await::MailData => {
                    self.begins = false;
                    let Some(end) = memmem::find(rest, b"\r\n.\r\n") else {
                        taken += rest.len().saturating_sub(4);
                        break;
                    };
                    self.accept();
                    taken += end + 5;
                }
                Await::Chunk(left, last) => {
                    let now = left.min(rest.len());
                    taken += now;
                    self.chunk(left - now, last);
                }
            }
        }
        taken
    }

    fn accept(&mut self) {
        self.awaits = Await::Command;
        self.out.extend_from_slice(b"250 2.0.0 OK\r\n");
    }

    fn chunk(&mut self, left: usize, last: bool) {
        if left == 0 {
            self.accept();
        } else {
            self.awaits = Await::Chunk(left, last);
        }
    }

    fn answer(&mut self, line: &[u8]) {
        let mut verb: [u8; 4] = line.first_chunk().copied().unwrap_or_default();
        verb.make_ascii_uppercase();
        let reply: &[u8] = match &verb {
            b"EHLO" => {
                self.out.extend_from_slice(EXTENSIONS);
                if self.encrypted {
                    b"250 HELP\r\n"
                } else {
                    b"250 STARTTLS\r\n"
                }
            }
            b"STAR" => {
                self.upgrade = true;
                b"220 2.0.0 go ahead\r\n"
            }
            b"AUTH" => b"235 2.7.0 OK\r\n",
            b"DATA" => {
                self.awaits = Await::MailData;
                self.begins = true;
                b"354 go ahead\r\n"
            }
            b"BDAT" => {
                let words = String::from_utf8_lossy(line);
                let mut words = words.split_ascii_whitespace().skip(1);
                let octets = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
                self.chunk(octets, words.next().is_some());
                return;
            }
            b"VRFY" => {
                let turns = self.turns.load(Ordering::Relaxed);
                self.out
                    .extend_from_slice(format!("250 {turns}\r\n").as_bytes());
                return;
            }
            b"QUIT" => b"221 2.0.0 bye\r\n",
            _ => b"250 2.1.0 OK\r\n",
        };
        self.out.extend_from_slice(reply);
    }
}
