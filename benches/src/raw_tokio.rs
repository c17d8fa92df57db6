//! The same by hand on tokio: how much of the way to the limit is the runtime's.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::contest::{Round, runtime};
use crate::raw::group;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Waits until so many replies have come, one line each but the one to EHLO.
async fn replies(stream: &mut TcpStream, mut count: usize) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    let mut held = 0;
    while count > 0 {
        let read = stream.read(&mut buffer[held..]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        held += read;
        let mut begin = 0;
        while let Some(end) = memchr::memchr(b'\n', &buffer[begin..held]) {
            count -= usize::from(buffer.get(begin + 3) != Some(&b'-'));
            begin += end + 1;
        }
        buffer.copy_within(begin..held, 0);
        held -= begin;
    }
    Ok(())
}

/// Two round trips a message, or one where `across` says so.
///
/// # Errors
/// If there is no connection.
pub fn enter(port: u16, recipients: usize, message: &[u8], across: bool) -> Result<Round, Failure> {
    let runtime = runtime()?;
    let group = [&group(recipients, message.len()), b"DATA\r\n".as_slice()].concat();
    let data = [message, b".\r\n"].concat();
    let both = [data.as_slice(), &group].concat();
    let mut stream = runtime.block_on(async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        replies(&mut stream, 1).await?;
        stream.write_all(b"EHLO client.example\r\n").await?;
        replies(&mut stream, 1).await?;
        Ok::<_, std::io::Error>(stream)
    })?;
    Ok(Box::new(move |messages| {
        runtime.block_on(async {
            if across {
                stream.write_all(&group).await?;
                replies(&mut stream, recipients + 2).await?;
                for _ in 1..messages {
                    stream.write_all(&both).await?;
                    replies(&mut stream, recipients + 3).await?;
                }
                stream.write_all(&data).await?;
                replies(&mut stream, 1).await?;
            } else {
                for _ in 0..messages {
                    stream.write_all(&group).await?;
                    replies(&mut stream, recipients + 2).await?;
                    stream.write_all(&data).await?;
                    replies(&mut stream, 1).await?;
                }
            }
            Ok(())
        })
    }))
}
