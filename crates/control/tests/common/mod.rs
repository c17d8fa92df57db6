//! A running control interface, a client of a few lines for HTTP and one for SMTP.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::net::SocketAddr;

use postbound_control::Control;
use serde_json::Value;
use simnet::double::Caps;
use simnet::net::loopback::Loopback;
use simnet::tls::{Authority, Tls};
use simnet::{Double, Plan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) smtp: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

pub(crate) async fn start() -> Running {
    let double = Double::new(Plan::healthy()).capped(Caps::default());
    let main = Loopback::bind(double, 0).await.unwrap();
    let smtp = main.local_addr().unwrap();
    let authority = Authority::fresh().unwrap();
    let tls = Tls::starttls(&authority).unwrap();
    let control = Control::new(main)
        .with_tls(tls, &authority.pem(), "none")
        .allowing_host("double.test");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Running {
        address,
        smtp,
        serving: tokio::spawn(control.serve(listener)),
    }
}

impl Running {
    /// A request with these lines in its head, besides the first.
    pub(crate) async fn request(&self, method: &str, path: &str, head: &str, body: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).await.unwrap();
        let text = String::from_utf8_lossy(&octets).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// As a well-behaved program asks.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/json\r\n"
        };
        let head = format!("Host: {}\r\n{kind}", self.address);
        self.request(method, path, &head, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.ask("GET", path, "").await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.json()
    }
}

/// Sends a message and gives every reply code.
pub(crate) async fn send(smtp: SocketAddr, to: &str, text: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(smtp).await.unwrap();
    let mut codes = vec![reply(&mut stream).await];
    let lines = [
        "EHLO client.example".to_owned(),
        "MAIL FROM:<a@example.org>".to_owned(),
        format!("RCPT TO:<{to}>"),
        "DATA".to_owned(),
        format!("{text}\r\n."),
        "QUIT".to_owned(),
    ];
    for line in lines {
        if stream
            .write_all(format!("{line}\r\n").as_bytes())
            .await
            .is_err()
        {
            break;
        }
        codes.push(reply(&mut stream).await);
        if codes
            .last()
            .is_some_and(|code| code.starts_with(['4', '5']) || code.is_empty())
        {
            break;
        }
    }
    codes
}

async fn reply(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut octet = [0];
        if !matches!(stream.read(&mut octet).await, Ok(1)) {
            return String::new();
        }
        text.push(char::from(octet[0]));
        let last = text.lines().last().unwrap_or_default();
        if text.ends_with("\r\n") && last.as_bytes().get(3) == Some(&b' ') {
            return last.chars().take(3).collect();
        }
    }
}
