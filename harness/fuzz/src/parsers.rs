//! What reads text or octets and keeps no state beyond them.

use postbound::Client;
use proto::ext::Extensions;
use proto::{Limits, Reply, ReplyError, ReplyReader};
use simnet::Plan;

fn limits() -> Limits {
    let mut limits = Limits::DEFAULT;
    limits.reply_line = 64;
    limits.reply_lines = 8;
    limits.reply_octets = 256;
    limits.ehlo_keywords = 4;
    limits
}

type Read = (Vec<Reply>, Option<ReplyError>);

/// What is read of these segments, and the most that was held meanwhile.
fn read<'a>(segments: impl Iterator<Item = &'a [u8]>) -> (Read, usize) {
    let mut reader = ReplyReader::new(&limits());
    let (mut replies, mut most) = (Vec::new(), 0);
    for mut segment in segments {
        while !segment.is_empty() {
            match reader.receive(segment) {
                Ok((taken, reply)) => {
                    replies.extend(reply);
                    segment = &segment[taken..];
                }
                Err(error) => return ((replies, Some(error)), most),
            }
            most = most.max(reader.held());
        }
    }
    ((replies, None), most)
}

pub(crate) fn reply(input: &[u8]) -> Result<(), String> {
    let (whole, held) = read(std::iter::once(input));
    let cap = limits().reply_octets;
    for size in [1, 2, 3, 7, 65] {
        let (pieces, most) = read(input.chunks(size));
        if pieces != whole {
            return Err(format!(
                "in pieces of {size}: {pieces:?}, as a whole: {whole:?}"
            ));
        }
        if most.max(held) > cap {
            return Err(format!(
                "{} octets are held of at most {cap}",
                most.max(held)
            ));
        }
    }
    for reply in &whole.0 {
        let (code, lines) = (reply.code().get(), reply.lines().count());
        if !(200..=599).contains(&code) || lines > limits().reply_lines {
            return Err(format!("a reply {code} of {lines} lines"));
        }
        if reply
            .lines()
            .flatten()
            .any(|octet| matches!(octet, b'\r' | b'\n' | 0))
        {
            return Err("a line ending or a NUL inside a line".to_owned());
        }
    }
    Ok(())
}

pub(crate) fn ehlo(input: &[u8]) -> Result<(), String> {
    let Ok(reply) = Reply::parse(input) else {
        return Ok(());
    };
    let limits = limits();
    let offered = Extensions::from_ehlo(&reply, &limits);
    let keywords: Vec<String> = offered.iter().map(|e| e.keyword().to_string()).collect();
    if keywords.len() > limits.ehlo_keywords {
        return Err(format!(
            "{} keywords of at most {}",
            keywords.len(),
            limits.ehlo_keywords
        ));
    }
    for (at, keyword) in keywords.iter().enumerate() {
        if keywords[..at].contains(keyword) {
            return Err(format!("{keyword} twice"));
        }
    }
    let masked = offered.clone().without(&keywords);
    match masked.iter().count() {
        0 => Ok(()),
        left => Err(format!("{left} are left behind a mask of all")),
    }
}

pub(crate) fn plan(input: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(input) else {
        return Ok(());
    };
    let Ok(plan) = text.parse::<Plan>() else {
        return Ok(());
    };
    for form in [plan.to_string(), plan.one_line()] {
        match form.parse::<Plan>() {
            Ok(again) if again == plan => {}
            Ok(again) => return Err(format!("{plan:?} is read back as {again:?}")),
            Err(error) => return Err(format!("what it wrote can't be read: {error}: {form:?}")),
        }
    }
    Ok(())
}

/// The password of every URL in the corpus.
const PASSWORD: &str = "s3cr3tw0rd";

pub(crate) fn url(input: &[u8]) -> Result<(), String> {
    let Ok(text) = std::str::from_utf8(input) else {
        return Ok(());
    };
    let whole = text
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'));
    // Whatever else became of the URL, this much of it is still user and password.
    let in_place = text.matches(PASSWORD).count() == 1
        && whole.is_some_and(|(user, _)| {
            user.ends_with(&format!(":{PASSWORD}")) && !user.contains(['/', '?', '#'])
        });
    let said = match Client::from_url(text) {
        Ok(builder) => format!("{builder:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    match in_place && said.contains(PASSWORD) {
        true => Err(format!("the password is told: {said}")),
        false => Ok(()),
    }
}
