//! A program of lettre's, with one line changed.
//!
//! ```sh
//! postbound serve --port 2525 &
//! cargo run -p postbound --features lettre --example lettre -- smtp://127.0.0.1:2525
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::{AsyncTransport, Message};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .ok_or("give the server's URL, such as smtps://me:secret@smtp.example.org")?;

    // let mailer = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url)?.build();
    let mailer = postbound::Client::from_url(&url)?
        .build()?
        .mailer(Duration::from_secs(30));

    let email = Message::builder()
        .from("Me <me@example.net>".parse()?)
        .to("You <you@example.org>".parse()?)
        .subject("hello")
        .header(ContentType::TEXT_PLAIN)
        .body("world\n".to_owned())?;
    let sent = mailer.send(email).await?;
    println!("{}", sent.reply());
    Ok(())
}
