//! What thousands of connections at rest hold, in clear and under TLS, and how a dial is made up.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use harness::case::client_config;
use postbound::{
    Auth, Bounds, Chunking, Client, ClientBuilder, Connection, Connector, Envelope, Security, Tls,
};
use proto::sasl::Credentials;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::contest::{message, runtime};
use crate::count::{Meter, measured};
use crate::ours::envelope;
use crate::sink::Sink;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The sink under the name that its certificate has.
#[derive(Clone, Copy, Debug)]
struct Named;

impl Connector for Named {
    type Stream = TcpStream;

    async fn resolve(&self, _host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))])
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

fn client(port: u16, security: Security) -> ClientBuilder<Named> {
    Client::builder("double.example", port)
        .security(security)
        .tls(Tls::from_config(client_config()))
        .connector(Named)
}

/// Octets of heap for each of so many connections at rest that have sent a message before, without
/// the operating system's own.
///
/// # Errors
/// If a connection can't be had.
pub fn heap(
    meter: Meter,
    sink: &Sink,
    security: Security,
    connections: usize,
) -> Result<f64, Failure> {
    let runtime = runtime()?;
    let client = client(sink.port(), security).build()?;
    let (envelope, message) = (envelope(1)?, message(1024));
    let mut held: Vec<Connection<TcpStream>> = Vec::with_capacity(connections + 1);
    // What is made once is made before.
    held.push(runtime.block_on(client.connect(Bounds::none()))?);
    let (result, counted) = measured(meter, || {
        runtime.block_on(async {
            for _ in 0..connections {
                let mut connection = client.connect(Bounds::none()).await?;
                let _ = connection
                    .transaction(&envelope)?
                    .send(&message, Bounds::none())
                    .await?;
                held.push(connection);
            }
            Ok::<_, Failure>(())
        })
    });
    result?;
    runtime.block_on(async { drop(held) });
    Ok(counted.left as f64 / connections as f64)
}

/// A client that dials, sends one message and closes.
#[derive(Debug)]
pub struct Dial {
    runtime: Runtime,
    client: Client<Named>,
    envelope: Envelope,
    message: Vec<u8>,
    chunking: Chunking,
}

impl Dial {
    /// To the sink on this port, with PLAIN where `auth` says so.
    ///
    /// # Errors
    /// If there is no such client.
    pub fn new(port: u16, security: Security, auth: bool) -> Result<Self, Failure> {
        let builder = client(port, security);
        let client = match auth {
            true => builder.auth(Auth::new(Credentials::password("user", "secret"))),
            false => builder,
        };
        Ok(Self {
            runtime: runtime()?,
            client: client.build()?,
            envelope: envelope(1)?,
            message: message(1024),
            chunking: Chunking::Never,
        })
    }

    /// With the message ahead of the replies to its MAIL and RCPT.
    #[must_use]
    pub fn ahead(mut self) -> Self {
        self.chunking = Chunking::AHEAD;
        self
    }

    /// From the look-up to the first acceptance.
    ///
    /// # Errors
    /// If it does not come to that.
    pub fn once(&self) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let mut connection = self.client.connect(Bounds::none()).await?;
            let _ = connection
                .transaction(&self.envelope)?
                .chunking(self.chunking)
                .send(&self.message, Bounds::none())
                .await?;
            Ok(())
        })
    }
}

/// Round trips of a dial: those that the sink counts, and two for the connection and the greeting.
///
/// # Errors
/// If it does not come to its acceptance.
pub fn dial_turns(sink: &Sink, dial: &Dial) -> Result<f64, Failure> {
    let mut turns = Vec::new();
    for _ in 0..9 {
        let before = sink.turns()?;
        dial.once()?;
        // One of them is the question itself.
        turns.push((sink.turns()? - before) as f64 - 1.0 + 2.0);
    }
    Ok(crate::contest::median(&mut turns))
}
