//! SOCKS5 (RFC 1928) with nobody's or a user's name (RFC 1929).

use std::io;
use std::net::IpAddr;

use proto::sasl::Secret;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use zeroize::Zeroizing;

use super::{ProxyError, Target, hear, say};

const VERSION: u8 = 5;
/// Of the negotiation of RFC 1929, which has one of its own. Common servers answer with SOCKS' 5,
/// and no other client minds: what counts is the octet behind it.
const CREDENTIALS_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;
/// Methods of authentication.
const NONE: u8 = 0;
const PASSWORD: u8 = 2;

/// No answer of the proxy has more than 262 octets, by its form: nothing here can grow.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: Target<'_>,
    port: u16,
    credentials: Option<(&str, &Secret)>,
) -> io::Result<()> {
    let methods: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, NONE, PASSWORD],
        None => &[VERSION, 1, NONE],
    };
    say(stream, methods).await?;
    match (hear(stream).await?, credentials) {
        ([VERSION, NONE], _) => {}
        ([VERSION, PASSWORD], Some((user, password))) => {
            authenticate(stream, user, password).await?;
        }
        ([VERSION, 0xff], _) => return Err(ProxyError::Method.into()),
        _ => return Err(ProxyError::Protocol.into()),
    }

    let mut request = vec![VERSION, CONNECT, 0];
    match target {
        Target::Address(IpAddr::V4(ip)) => {
            request.push(IPV4);
            request.extend(ip.octets());
        }
        Target::Address(IpAddr::V6(ip)) => {
            request.push(IPV6);
            request.extend(ip.octets());
        }
        Target::Name(name) => {
            request.extend([DOMAIN, length(name.as_bytes())?]);
            request.extend(name.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    say(stream, &request).await?;

    // A proxy that refuses may say no more than this.
    let [version, reply] = hear(stream).await?;
    if version != VERSION {
        return Err(ProxyError::Protocol.into());
    }
    if reply != 0 {
        return Err(ProxyError::Reply(reply).into());
    }
    let [_, kind] = hear(stream).await?;
    // Where the tunnel begins, which is nobody's concern, and its port.
    let rest = match kind {
        IPV4 => 4,
        IPV6 => 16,
        DOMAIN => usize::from(stream.read_u8().await?),
        _ => return Err(ProxyError::Protocol.into()),
    } + 2;
    let mut bound = [0; u8::MAX as usize + 2];
    match bound.get_mut(..rest) {
        Some(bound) => stream.read_exact(bound).await.map(|_| ()),
        None => Err(ProxyError::Protocol.into()),
    }
}

async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: &str,
    password: &Secret,
) -> io::Result<()> {
    let (user, password) = (user.as_bytes(), password.expose());
    let mut request = Zeroizing::new(Vec::with_capacity(3 + user.len() + password.len()));
    request.extend([CREDENTIALS_VERSION, length(user)?]);
    request.extend(user);
    request.push(length(password)?);
    request.extend(password);
    say(stream, &request).await?;
    match hear(stream).await? {
        [CREDENTIALS_VERSION | VERSION, 0] => Ok(()),
        [CREDENTIALS_VERSION | VERSION, _] => Err(ProxyError::Credentials.into()),
        _ => Err(ProxyError::Protocol.into()),
    }
}

fn length(octets: &[u8]) -> io::Result<u8> {
    u8::try_from(octets.len()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "SOCKS5 takes 255 octets at most",
        )
    })
}
