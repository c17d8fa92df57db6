//! HTTP CONNECT (RFC 9110 §9.3.6, RFC 9112 §3.2.3) with nobody's or Basic credentials (RFC 7617).

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::sasl::Secret;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::{HTTP_ANSWER, ProxyError, Target, hear, say};

pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    target: Target<'_>,
    port: u16,
    credentials: Option<(&str, &Secret)>,
) -> io::Result<()> {
    let mut request = Zeroizing::new(format!(
        "CONNECT {target}:{port} HTTP/1.1\r\nHost: {target}:{port}\r\n"
    ));
    if let Some((user, password)) = credentials {
        let mut plain =
            Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.expose().len()));
        plain.extend(user.as_bytes());
        plain.push(b':');
        plain.extend(password.expose());
        let encoded = Zeroizing::new(STANDARD.encode(&*plain));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&encoded);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    say(stream, request.as_bytes()).await?;

    let mut answer = Answer::default();
    loop {
        match answer.status(stream).await? {
            // Interim answers announce another one.
            100..=199 => {}
            200..=299 => return Ok(()),
            status => return Err(ProxyError::Status(status).into()),
        }
    }
}

/// What is left of the cap on all that the proxy may say.
struct Answer {
    left: usize,
}

impl Default for Answer {
    fn default() -> Self {
        Self { left: HTTP_ANSWER }
    }
}

impl Answer {
    /// The status code of one answer, whose header section is read to its end and not looked at.
    ///
    /// It is read octet by octet: what stands behind its end is the server's word already, and SMTP
    /// servers speak first.
    async fn status<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<u16> {
        let mut line = Vec::new();
        let mut status = None;
        loop {
            self.left = match self.left.checked_sub(1) {
                Some(left) => left,
                None => return Err(ProxyError::TooLarge(HTTP_ANSWER).into()),
            };
            let [octet] = hear(stream).await?;
            if octet != b'\n' {
                line.push(octet);
                // Nothing else begins so: another protocol's first words are not waited out.
                if status.is_none() && !b"HTTP/1.".starts_with(line.get(..7).unwrap_or(&line)) {
                    return Err(ProxyError::Protocol.into());
                }
                continue;
            }
            // RFC 9112 §2.2 lets a lone LF end a line, too.
            let ended = line.strip_suffix(b"\r").unwrap_or(&line);
            match status {
                None => status = Some(status_of(ended).ok_or(ProxyError::Protocol)?),
                Some(status) if ended.is_empty() => return Ok(status),
                Some(_) => {}
            }
            line.clear();
        }
    }
}

/// `HTTP/1.1 200 text`: RFC 9112 §4.
fn status_of(line: &[u8]) -> Option<u16> {
    let (version, rest) = line.split_at_checked(8)?;
    let minor = version.strip_prefix(b"HTTP/1.")?;
    let (code, text) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
    let digits = minor.iter().chain(code).all(u8::is_ascii_digit);
    if !digits || !matches!(text.first(), None | Some(b' ')) {
        return None;
    }
    let code: u16 = std::str::from_utf8(code).ok()?.parse().ok()?;
    (100..600).contains(&code).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_of_http_1_or_none() {
        for (line, status) in [
            ("HTTP/1.1 200 Connection established", Some(200)),
            ("HTTP/1.0 200", Some(200)),
            ("HTTP/1.1 407 ", Some(407)),
            ("HTTP/1.1 2000", None),
            ("HTTP/1.1 20", None),
            ("HTTP/1.1 -20 x", None),
            ("HTTP/1.1 999 x", None),
            ("HTTP/2 200 OK", None),
            ("HTTP/1.1200 OK", None),
            ("220 mx.example ESMTP", None),
            ("", None),
        ] {
            assert_eq!(status_of(line.as_bytes()), status, "{line}");
        }
    }
}
