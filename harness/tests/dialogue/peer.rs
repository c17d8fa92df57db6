//! The other end of a dialogue, as text.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use postbound::{Auth, Bounds, Client, ClientBuilder, Connection, Connector};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

/// A peer that plays `S: ` lines and expects `C: ` lines, to the octet. `C+ ` is a line that left
/// together with the one before it, and `EOF` is where the peer ends the connection.
#[derive(Clone)]
pub(crate) struct Peer {
    script: Arc<Vec<String>>,
    /// What did not go as it was written, and what is left of the script.
    astray: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub(crate) fn new(script: &str) -> Self {
        let script = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        Self {
            script: Arc::new(script.map(str::to_owned).collect()),
            astray: Arc::new(Mutex::new(vec![
                "the dialogue did not come to its end".into(),
            ])),
        }
    }

    pub(crate) fn builder(&self) -> ClientBuilder<Self> {
        Client::builder("mx.example", 25)
            .ehlo_name("me.example".parse().unwrap())
            .connector(self.clone())
    }

    pub(crate) fn client(&self, auth: Option<Auth>) -> Client<Self> {
        let mut builder = self.builder();
        if let Some(auth) = auth {
            builder = builder.auth(auth);
        }
        builder.build().unwrap()
    }

    pub(crate) async fn connected(&self) -> Connection<DuplexStream> {
        self.client(None).connect(Bounds::none()).await.unwrap()
    }

    /// Everything was said as it is written.
    pub(crate) fn holds(&self) {
        assert_eq!(*self.astray.lock().unwrap(), Vec::<String>::new());
    }
}

impl Connector for Peer {
    type Stream = DuplexStream;

    async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port)])
    }

    async fn connect(&self, _addr: SocketAddr) -> io::Result<DuplexStream> {
        let (ours, theirs) = duplex(64 * 1024);
        let Self { script, astray } = self.clone();
        tokio::spawn(async move {
            let (read, mut write) = tokio::io::split(theirs);
            let mut read = BufReader::new(read);
            let mut wrong = Vec::new();
            for line in script.iter() {
                if let Some(reply) = line.strip_prefix("S: ") {
                    write
                        .write_all(format!("{reply}\r\n").as_bytes())
                        .await
                        .unwrap();
                    continue;
                }
                if *line == "EOF" {
                    *astray.lock().unwrap() = wrong;
                    return;
                }
                let together = line.starts_with("C+ ");
                if together && read.buffer().is_empty() {
                    wrong.push(format!("{line:?} did not come with the line before it"));
                }
                let expected = line.get(3..).unwrap_or_default();
                let mut said = String::new();
                read.read_line(&mut said).await.unwrap();
                if said != format!("{expected}\r\n") {
                    wrong.push(format!("{said:?} instead of {expected:?}"));
                }
            }
            *astray.lock().unwrap() = wrong;
            // Open until the client leaves.
            let _ = read.read_line(&mut String::new()).await;
        });
        Ok(ours)
    }
}
