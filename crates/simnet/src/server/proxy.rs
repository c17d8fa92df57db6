//! A proxy in front of the double: SOCKS5 or HTTP CONNECT, whichever the client speaks. Behind the
//! tunnel's opening its stream is the double's own.

use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::sasl::Secret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use crate::coverage::Fate;
use crate::plan::{Pace, Plan, ProxyFault, ProxyKind, ProxySay, ProxyStep, Rule, Then};

/// The longest request that it listens to.
const REQUEST: usize = 16 * 1024;
/// Octets of an answer without end at once.
const ENDLESS: usize = 1024;

/// A proxy in front of a double, and whom it serves.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Front {
    credentials: Option<(String, Secret)>,
}

impl Front {
    /// A proxy that serves everybody.
    #[must_use]
    pub fn open() -> Self {
        Self::default()
    }

    /// A proxy that serves only who knows these: RFC 1929, or Basic.
    #[must_use]
    pub fn with_credentials(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            credentials: Some((user.into(), password.into())),
        }
    }

    fn knows(&self, user: &[u8], password: &[u8]) -> bool {
        self.credentials
            .as_ref()
            .is_none_or(|(name, secret)| name.as_bytes() == user && secret.expose() == password)
    }
}

impl fmt::Debug for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.credentials.as_ref().map(|(user, _)| user);
        f.debug_struct("Front").field("user", &user).finish()
    }
}

/// What a tunnel was asked for.
pub(super) struct Tunnel {
    /// `host:port`.
    target: String,
    kind: ProxyKind,
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.kind, self.target)
    }
}

/// How the opening ended.
pub(super) enum Opening {
    /// The client and the double are connected.
    Tunnel(Tunnel),
    Ended(Then),
}

struct Proxy<'a, S> {
    front: &'a Front,
    plan: &'a Plan,
    fate: &'a mut Fate,
    stream: &'a mut S,
}

/// Opens the tunnel, as far as the plan lets it.
pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    front: &Front,
    plan: &Plan,
    fate: &mut Fate,
    stream: &mut S,
) -> io::Result<Opening> {
    let mut proxy = Proxy {
        front,
        plan,
        fate,
        stream,
    };
    let opened = match proxy.stream.read_u8().await? {
        5 => proxy.socks5().await?,
        first => proxy.http(first).await?,
    };
    Ok(match opened {
        Ok(tunnel) => Opening::Tunnel(tunnel),
        Err(then) => Opening::Ended(then),
    })
}

type Step<T> = io::Result<Result<T, Then>>;

/// The value, or the end as the result.
macro_rules! step {
    ($step:expr) => {
        match $step.await? {
            Ok(value) => value,
            Err(then) => return Ok(Err(then)),
        }
    };
}

impl<S: AsyncRead + AsyncWrite + Unpin> Proxy<'_, S> {
    async fn octets(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; count];
        self.stream.read_exact(&mut octets).await?;
        Ok(octets)
    }

    /// A number of octets in one, and so many.
    async fn counted(&mut self) -> io::Result<Vec<u8>> {
        let count = self.stream.read_u8().await?;
        self.octets(usize::from(count)).await
    }

    async fn socks5(&mut self) -> Step<Tunnel> {
        let offered = self.counted().await?;
        let method = match self.front.credentials {
            None if offered.contains(&0) => 0,
            Some(_) if offered.contains(&2) => 2,
            _ => 0xff,
        };
        step!(self.answer(ProxyStep::Method, &[5, method], |_| vec![5, 0xff]));
        if method == 0xff {
            return Ok(Err(Then::Close));
        }
        if method == 2 {
            let version = self.stream.read_u8().await?;
            let (user, password) = (self.counted().await?, self.counted().await?);
            let status = u8::from(version != 1 || !self.front.knows(&user, &password));
            let refuse = |code: u16| vec![1, u8::try_from(code).unwrap_or(u8::MAX)];
            step!(self.answer(ProxyStep::Auth, &[1, status], refuse));
            if status != 0 {
                return Ok(Err(Then::Close));
            }
        }
        let request = self.octets(4).await?;
        let host = match request.as_slice() {
            [5, 1, 0, 1] => {
                let [a, b, c, d] = self.octets(4).await?.try_into().unwrap_or_default();
                std::net::Ipv4Addr::new(a, b, c, d).to_string()
            }
            [5, 1, 0, 3] => String::from_utf8_lossy(&self.counted().await?).into_owned(),
            [5, 1, 0, 4] => {
                let ip: [u8; 16] = self.octets(16).await?.try_into().unwrap_or_default();
                format!("[{}]", std::net::Ipv6Addr::from(ip))
            }
            _ => {
                self.say(&[5, 7, 0, 1, 0, 0, 0, 0, 0, 0], Pace::AtOnce)
                    .await?;
                return Ok(Err(Then::Close));
            }
        };
        let port = self.stream.read_u16().await?;
        let reply = |code: u8| vec![5, code, 0, 1, 127, 0, 0, 1, 0x9c, 0x40];
        let refuse = |code: u16| reply(u8::try_from(code).unwrap_or(u8::MAX));
        step!(self.answer(ProxyStep::Request, &reply(0), refuse));
        Ok(Ok(Tunnel {
            target: format!("{host}:{port}"),
            kind: ProxyKind::Socks5,
        }))
    }

    async fn http(&mut self, first: u8) -> Step<Tunnel> {
        let mut request = vec![first];
        while !request.ends_with(b"\r\n\r\n") {
            if request.len() >= REQUEST {
                return Ok(Err(Then::Close));
            }
            request.push(self.stream.read_u8().await?);
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let mut lines = request.split("\r\n");
        let target = lines
            .next()
            .and_then(|line| line.strip_prefix("CONNECT ")?.strip_suffix(" HTTP/1.1"));
        let Some(target) = target else {
            self.say(b"HTTP/1.1 405 only CONNECT\r\n\r\n", Pace::AtOnce)
                .await?;
            return Ok(Err(Then::Close));
        };
        let named = lines
            .clone()
            .any(|line| line.strip_prefix("Host: ") == Some(target));
        let shown = lines.find_map(|line| line.strip_prefix("Proxy-Authorization: Basic "));
        let known = match (
            &self.front.credentials,
            shown.map(|text| STANDARD.decode(text)),
        ) {
            (None, _) => true,
            (Some(_), Some(Ok(shown))) => {
                let at = shown.iter().position(|octet| *octet == b':');
                let (user, password) = shown.split_at(at.unwrap_or(shown.len()));
                self.front
                    .knows(user, password.get(1..).unwrap_or_default())
            }
            _ => false,
        };
        let status = match (named, known) {
            (false, _) => 400,
            (true, false) => 407,
            (true, true) => 200,
        };
        // A refusal repeats what it was told, as careless ones do.
        let told = shown.unwrap_or("you");
        let answer = |code: u16| {
            let text = if code == 200 { "so it is" } else { told };
            format!("HTTP/1.1 {code} {text}\r\nVia: double\r\nContent-Length: 0\r\n\r\n")
                .into_bytes()
        };
        step!(self.answer(ProxyStep::Request, &answer(status), answer));
        if status != 200 {
            return Ok(Err(Then::Close));
        }
        Ok(Ok(Tunnel {
            target: target.to_owned(),
            kind: ProxyKind::Http,
        }))
    }

    /// Answers at a step, as it should or as the plan has it.
    async fn answer(
        &mut self,
        step: ProxyStep,
        normal: &[u8],
        refusal: impl Fn(u16) -> Vec<u8>,
    ) -> Step<()> {
        let fault = self.plan.rules.iter().find_map(|rule| match rule {
            Rule::Proxy(fault) if fault.step == step => {
                self.fate.strike(rule.label());
                Some(fault)
            }
            _ => None,
        });
        let Some(ProxyFault {
            say, pace, then, ..
        }) = fault
        else {
            self.say(normal, Pace::AtOnce).await?;
            return Ok(Ok(()));
        };
        let (octets, goes_on) = match say {
            ProxySay::Normal => (normal.to_vec(), true),
            ProxySay::Nothing => (Vec::new(), false),
            ProxySay::Half => (
                normal.get(..normal.len() / 2).unwrap_or_default().to_vec(),
                false,
            ),
            ProxySay::Refuse(code) => (refusal(*code), false),
            ProxySay::Garbage => (b"\x16\x03\0\xff garbage\0".to_vec(), false),
            ProxySay::Early(octets) => ([normal, octets].concat(), true),
            ProxySay::Oversized => {
                // A SOCKS5 answer's length is in it: the longest there is, and never all of it.
                let mut octets = match normal.first() {
                    Some(5) => vec![5, 0, 0, 3, u8::MAX],
                    _ => b"HTTP/1.1 200 so it is\r\nX: ".to_vec(),
                };
                loop {
                    self.say(&octets, *pace).await?;
                    octets = vec![b'x'; ENDLESS];
                    if normal.first() == Some(&5) {
                        octets.truncate(200);
                        self.say(&octets, *pace).await?;
                        return Ok(Err(Then::Stall));
                    }
                }
            }
        };
        self.say(&octets, *pace).await?;
        Ok(match (*then, goes_on) {
            (Then::Continue, true) => Ok(()),
            // What it said ends the opening, and it listens on.
            (Then::Continue, false) => Err(Then::Stall),
            (then, _) => Err(then),
        })
    }

    async fn say(&mut self, octets: &[u8], pace: Pace) -> io::Result<()> {
        match pace {
            Pace::Drip(every) => {
                for octet in octets {
                    sleep(every).await;
                    self.stream.write_all(&[*octet]).await?;
                    self.stream.flush().await?;
                }
            }
            // Nobody lets it go.
            Pace::Hold => std::future::pending().await,
            Pace::AtOnce => self.stream.write_all(octets).await?,
            Pace::After(delay) => {
                sleep(delay).await;
                self.stream.write_all(octets).await?;
            }
        }
        self.stream.flush().await
    }
}
