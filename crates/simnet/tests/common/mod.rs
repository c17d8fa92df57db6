//! A runtime of each kind, and a client of a few lines.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::time::Duration;

use postbound_simnet::double::SmtpDouble;
use postbound_simnet::net::mem::{Network, Stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// In virtual time. What would wait for ever fails at once: the clock goes to the only timer.
pub(crate) fn paused<T>(future: impl Future<Output = T>) -> T {
    let bounded = async {
        tokio::select! {
            biased;
            output = future => output,
            () = tokio::time::sleep(Duration::from_secs(31_536_000)) => panic!("it waits for ever"),
        }
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(bounded)
}

pub(crate) fn real<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A client of a few lines: what it reads is a reply, or what came before the end.
pub(crate) struct Client<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn reply(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut octet = [0];
            match self.0.read(&mut octet).await {
                Ok(1) => text.push(char::from(octet[0])),
                Ok(_) => return format!("{text}<end>"),
                Err(error) => return format!("{text}<{:?}>", error.kind()),
            }
            let last = text.lines().last().unwrap_or_default();
            if text.ends_with("\r\n") && last.as_bytes().get(3) == Some(&b' ') {
                return text.trim_end().to_owned();
            }
        }
    }

    pub(crate) async fn say(&mut self, line: &str) -> String {
        let _ = self.0.write_all(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// The codes of EHLO, MAIL, the RCPTs and, if any was accepted, DATA and its end.
    pub(crate) async fn send(&mut self, from: &str, to: &[&str], text: &str) -> Vec<String> {
        let mut codes = vec![self.say(&format!("MAIL FROM:<{from}>")).await];
        for to in to {
            codes.push(self.say(&format!("RCPT TO:<{to}>")).await);
        }
        if codes[1..].iter().any(|reply| reply.starts_with('2')) {
            codes.push(self.say("DATA").await);
            codes.push(self.say(&format!("{text}\r\n.")).await);
        }
        codes
            .iter()
            .map(|reply| reply.chars().take(3).collect())
            .collect()
    }
}

pub(crate) async fn greeted(double: &SmtpDouble<Network>, ehlo: &str) -> Client<Stream> {
    let mut client = Client(double.connect().await.unwrap());
    client.reply().await;
    client.say(&format!("EHLO {ehlo}")).await;
    client
}
