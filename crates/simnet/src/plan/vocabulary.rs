//! The named faults: everything that can go wrong at each phase.

mod proxy;

use std::time::Duration;

use proto::Phase;

use super::{Plain, Plan};

pub use proxy::proxy_faults;

/// A fault with a name, as a plan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NamedFault {
    /// Its name within the phase.
    pub name: &'static str,
    /// What it does, and what a good client makes of it.
    pub explain: &'static str,
    /// Whether a good client, with `scale` as the limit of each phase, still delivers.
    pub harmless: bool,
    /// The plan.
    pub plan: Plan,
}

const SILENCE: &str =
    "the server reads and never answers; the client gives up at the phase's limit";

/// Every named fault of `phase`. `scale` is about the client's limit for it: harmless delays are
/// shorter, drips and silences last longer. Phases that this release's client does not reach
/// have none.
#[must_use]
pub fn faults(phase: Phase, scale: Duration) -> Vec<NamedFault> {
    match phase {
        // The client's own waits: no peer can be at fault.
        Phase::Checkout | Phase::Backoff => Vec::new(),
        Phase::TlsHandshake => tls(scale),
        Phase::Resolve => resolve(scale),
        Phase::Connect => connect(scale),
        Phase::DataBlock => mail_data(scale),
        Phase::Auth => {
            let mut faults = server(phase, scale);
            faults.extend(auth());
            faults
        }
        _ => server(phase, scale),
    }
}

/// Every named fault in the replies to chunks of mail data before the last one (RFC 3030). They act
/// where there are several.
///
/// A reply that comes twice is none of them: nothing tells the surplus from the reply to the next
/// chunk, so that no client can know.
#[must_use]
pub fn chunk_faults(scale: Duration) -> Vec<NamedFault> {
    let mut faults = server(Phase::DataBlock, scale);
    faults.retain(|fault| fault.name != "twice");
    faults
}

/// Every named fault of the network itself.
#[must_use]
pub fn link_faults(scale: Duration) -> Vec<NamedFault> {
    let (short, half) = (Plain(at_least(scale / 40)), Plain(at_least(scale / 2)));
    [
        fault(
            "latency",
            "a slow link; nothing but time is lost",
            true,
            format!("link: latency {short}"),
        ),
        fault(
            "fragment",
            "one octet at a time, both ways",
            true,
            "link: fragment 1".to_owned(),
        ),
        fault(
            "fragment-replies",
            "replies come in pieces",
            true,
            "link: fragment 3 to-client".to_owned(),
        ),
        fault(
            "coalesce",
            "octets are held back and come together",
            true,
            format!("link: coalesce {short}"),
        ),
        fault(
            "small-window",
            "the path takes few octets at once",
            true,
            "link: window 16".to_owned(),
        ),
        fault(
            "blackhole",
            "everything vanishes from the first octet on; the greeting never comes",
            false,
            "link: blackhole after 1ms | greeting: after 5ms".to_owned(),
        ),
        fault(
            "blackhole-one-way",
            "what the client says never arrives",
            false,
            "link: blackhole after 1ms to-server | greeting: after 5ms".to_owned(),
        ),
        fault(
            "blackhole-heals",
            "an outage that ends within the limit",
            true,
            format!("link: blackhole after 3ms heal {half}"),
        ),
    ]
    .into()
}

fn at_least(duration: Duration) -> Duration {
    // Whole milliseconds, so that the plan's text says exactly what is done.
    Duration::from_millis(
        u64::try_from(duration.as_millis())
            .unwrap_or(u64::MAX)
            .max(1),
    )
}

fn fault(name: &'static str, explain: &'static str, harmless: bool, rules: String) -> NamedFault {
    let text = format!("v1 | {rules}");
    let parsed = text.parse();
    debug_assert!(parsed.is_ok(), "{text}: {parsed:?}");
    NamedFault {
        name,
        explain,
        harmless,
        plan: parsed.unwrap_or_default(),
    }
}

fn resolve(scale: Duration) -> Vec<NamedFault> {
    let half = Plain(at_least(scale / 2));
    [
        fault(
            "hang",
            "the resolver never answers; the client gives up at the limit",
            false,
            "resolve: hang".to_owned(),
        ),
        fault(
            "fail",
            "there is no such name",
            false,
            "resolve: fail".to_owned(),
        ),
        fault(
            "empty",
            "the name has no address",
            false,
            "resolve: empty".to_owned(),
        ),
        fault(
            "slow",
            "the answer takes half the limit",
            true,
            format!("resolve: after {half}"),
        ),
        fault(
            "first-refused",
            "two addresses, the first refuses",
            true,
            "resolve: addresses 2 | connect#1: refuse".to_owned(),
        ),
        fault(
            "first-blackholed",
            "two addresses, the first is dead; the other is begun beside it",
            true,
            "resolve: addresses 2 | connect#1: blackhole".to_owned(),
        ),
        fault(
            "families",
            "the addresses of one family are dead; the families take turns",
            true,
            "resolve: addresses v6 v6 v4 | connect#1: blackhole | connect#2: blackhole".to_owned(),
        ),
        fault(
            "all-blackholed",
            "three dead addresses; together they use the limit once, not three times",
            false,
            "resolve: addresses 3 | connect: blackhole".to_owned(),
        ),
        fault(
            "mixed",
            "refused, dead, then alive",
            true,
            "resolve: addresses 3 | connect#1: refuse | connect#2: blackhole".to_owned(),
        ),
    ]
    .into()
}

fn connect(scale: Duration) -> Vec<NamedFault> {
    let half = Plain(at_least(scale / 2));
    [
        fault(
            "refused",
            "nobody listens",
            false,
            "connect: refuse".to_owned(),
        ),
        fault(
            "unreachable",
            "there is no route",
            false,
            "connect: unreachable".to_owned(),
        ),
        fault(
            "blackhole",
            "the SYN vanishes; the client gives up at the limit",
            false,
            "connect: blackhole".to_owned(),
        ),
        fault(
            "slow",
            "the connection takes half the limit",
            true,
            format!("connect: after {half}"),
        ),
    ]
    .into()
}

fn server(phase: Phase, scale: Duration) -> Vec<NamedFault> {
    let half = Plain(at_least(scale / 2));
    let drip = Plain(at_least(scale / 8));
    // A client says RSET only behind a transaction that was refused.
    let before = if phase == Phase::Reset {
        "mail#1: reply 451 4.7.1 not yet | "
    } else {
        ""
    };
    let at = |clauses: &str| format!("{before}{phase}: {clauses}");
    // Nothing that happens to QUIT, or behind its command, touches a message that was accepted.
    let quit = phase == Phase::Quit;
    // A refusal is an answer to a command that is no part of a transaction.
    let answer = phase == Phase::Command;
    let mut faults = vec![
        fault("silence", SILENCE, quit, at("nothing")),
        fault("stall", "the server stops altogether", quit, at("stall")),
        fault(
            "delay",
            "the reply takes half the limit",
            true,
            at(&format!("after {half}")),
        ),
        fault(
            "drip",
            "an octet now and then: no octet may move the deadline",
            quit,
            at(&format!("drip {drip}")),
        ),
        fault(
            "endless-lines",
            "reply lines without end; the cap ends it",
            quit,
            at("endless-lines"),
        ),
        fault(
            "endless-line",
            "a line without end; the cap strikes while it is read",
            quit,
            at("endless-line"),
        ),
        fault("garbage", "octets that are no reply", quit, at("garbage")),
        fault("half-then-silence", "half a reply", quit, at("half; stall")),
        fault(
            "half-then-close",
            "half a reply, then FIN: never taken for a whole one",
            quit,
            at("half; close"),
        ),
        fault(
            "half-then-reset",
            "half a reply, then RST",
            quit,
            at("half; reset"),
        ),
        fault("close", "FIN instead of a reply", quit, at("close")),
        fault("reset", "RST instead of a reply", quit, at("reset")),
        fault(
            "reply-421",
            "the server shuts down (RFC 5321 §3.8)",
            quit,
            at("reply 421 4.3.2 closing; close"),
        ),
        fault(
            "reply-5yz",
            "a refusal",
            quit || answer,
            at("reply 554 5.7.1 no"),
        ),
        fault(
            "reply-4yz",
            "a refusal for now",
            quit || answer,
            at("reply 451 4.7.1 greylisted"),
        ),
        fault(
            "reply-3yz",
            "a reply that this command can't have",
            quit || phase == Phase::DataInitiation,
            at("reply 354 what"),
        ),
        fault(
            "reply-2yz",
            "another code of success than usual",
            !matches!(
                phase,
                Phase::Greeting
                    | Phase::Ehlo
                    | Phase::StartTls
                    | Phase::Auth
                    | Phase::DataInitiation
            ),
            at("reply 252 fine"),
        ),
        fault(
            "twice",
            "the reply comes twice: a surplus that must not be taken for the next one",
            matches!(phase, Phase::DataTermination | Phase::Quit),
            at("twice"),
        ),
    ];
    if phase == Phase::DataTermination {
        faults.extend([
            fault(
                "lost-reply",
                "the message is committed and the reply never comes (RFC 1047)",
                false,
                at("commit; stall"),
            ),
            fault(
                "committed-then-close",
                "committed, then FIN",
                false,
                at("commit; close"),
            ),
            fault(
                "committed-then-reset",
                "committed, then RST",
                false,
                at("commit; reset"),
            ),
        ]);
    }
    faults
}

/// They act where client and server do TLS, from the first octet or by STARTTLS.
fn tls(scale: Duration) -> Vec<NamedFault> {
    let (short, half) = (Plain(at_least(scale / 40)), Plain(at_least(scale / 2)));
    let (drip, late) = (Plain(at_least(scale / 100)), Plain(at_least(scale * 2)));
    let tls = |rest: &str| format!("tls-handshake: {rest}");
    let refused = "a certificate that shows nothing: refused before anything is said";
    [
        fault("stall", SILENCE, false, tls("stall")),
        fault(
            "stall-midway",
            "silence in the middle of it",
            false,
            tls("stall at 200"),
        ),
        fault("close", "FIN instead of a handshake", false, tls("close")),
        fault(
            "close-midway",
            "FIN in the middle of it",
            false,
            tls("close at 200"),
        ),
        fault("reset", "RST instead of a handshake", false, tls("reset")),
        fault(
            "reset-midway",
            "RST in the middle of it",
            false,
            tls("reset at 200"),
        ),
        fault(
            "corrupt",
            "an octet is turned over on its way",
            false,
            tls("corrupt at 200"),
        ),
        fault(
            "delay",
            "the handshake takes half the limit",
            true,
            tls(&format!("after {half}")),
        ),
        fault(
            "late",
            "the handshake comes after the limit",
            false,
            tls(&format!("after {late}")),
        ),
        fault(
            "drip",
            "an octet now and then: no octet may move the deadline",
            false,
            tls(&format!("drip {drip}")),
        ),
        fault(
            "tiny-records",
            "records of 32 octets",
            true,
            tls("tiny-records"),
        ),
        fault(
            "endless",
            "a handshake without end; the cap ends it",
            false,
            tls("endless"),
        ),
        fault(
            "plaintext",
            "a reply in plaintext where TLS is due",
            false,
            tls("plaintext"),
        ),
        fault(
            "inject",
            "replies in clear before it, to be taken for the server's word under TLS",
            false,
            tls(r#"inject "250-evil\r\n250 AUTH PLAIN\r\n""#),
        ),
        fault(
            "inject-fragment",
            "the same, half a line",
            false,
            tls(r#"inject "250-SMTPUTF8 X ""#),
        ),
        fault(
            "inject-late",
            "the same, behind the client's first octets",
            false,
            tls(&format!(r#"inject "250 x\r\n" after {short}"#)),
        ),
        fault(
            "drop",
            "the connection is cut behind the greeting",
            false,
            tls("drop after 100"),
        ),
        fault(
            "no-close-notify",
            "half a final reply, and an end that anybody could have made",
            false,
            format!(
                "{} | data-termination: commit; half; close",
                tls("no-close-notify")
            ),
        ),
        fault("expired", refused, false, tls("certificate expired")),
        fault(
            "not-yet-valid",
            refused,
            false,
            tls("certificate not-yet-valid"),
        ),
        fault("wrong-name", refused, false, tls("certificate wrong-name")),
        fault(
            "self-signed",
            refused,
            false,
            tls("certificate self-signed"),
        ),
        fault(
            "unknown-authority",
            refused,
            false,
            tls("certificate unknown-authority"),
        ),
        fault(
            "authority-itself",
            refused,
            false,
            tls("certificate authority-itself"),
        ),
        fault(
            "huge-chain",
            "more certificates than TLS allows",
            false,
            tls("certificate huge-chain"),
        ),
    ]
    .into()
}

/// What can go wrong in an exchange. The client of these cases speaks SCRAM, where most can.
fn auth() -> Vec<NamedFault> {
    let faults: [(_, _, bool, &str); 14] = [
        (
            "reply-504",
            "the mechanism is not known after all, and there is no other",
            false,
            "auth: reply 504 5.5.4 no such mechanism",
        ),
        (
            "refused-late",
            "the credentials are refused at the proof",
            false,
            "auth#2: reply 535 5.7.8 no",
        ),
        (
            "no-base64",
            "a challenge that is no base64; the client breaks off and stays in step",
            false,
            "auth#1: reply 334 ***",
        ),
        (
            "empty-challenge",
            "a challenge with nothing in it",
            false,
            "auth#1: reply 334",
        ),
        (
            "endless-challenges",
            "one challenge after the other, also behind `*`",
            false,
            "auth: reply 334 YWdhaW4=",
        ),
        (
            "oversize-challenge",
            "a challenge that is too long to be looked at",
            false,
            "auth#1: oversize",
        ),
        (
            "wrong-nonce",
            "a nonce that does not begin with the client's",
            false,
            "auth: wrong-nonce",
        ),
        (
            "few-iterations",
            "a proof that would be easy to guess from",
            false,
            "auth: iterations 1",
        ),
        (
            "most-iterations",
            "as many iterations as a careful server wants",
            true,
            "auth: iterations 20000",
        ),
        (
            "too-many-iterations",
            "two thousand million iterations: hours of work",
            false,
            "auth: iterations 2147483647",
        ),
        (
            "bad-signature",
            "a server that does not know the password",
            false,
            "auth: bad-signature",
        ),
        (
            "success-at-once",
            "accepted before anything was proved",
            false,
            "auth#1: reply 235 2.7.0 welcome",
        ),
        (
            "success-unsigned",
            "accepted without the server's own proof",
            false,
            "auth#2: reply 235 2.7.0 welcome",
        ),
        (
            "echo",
            "the refusal repeats what the client said: it must not get into an error",
            false,
            "auth: echo",
        ),
    ];
    faults
        .into_iter()
        .map(|(name, explain, harmless, rules)| fault(name, explain, harmless, rules.to_owned()))
        .collect()
}

fn mail_data(scale: Duration) -> Vec<NamedFault> {
    let short = Plain(at_least(scale / 100));
    let half = Plain(at_least(scale / 2));
    let eighth = Plain(at_least(scale / 8));
    let small = |rest: &str| format!("link: window 64 | data-block: {rest}");
    [
        fault(
            "zero-window",
            "the server stops reading",
            false,
            small("stop after 20"),
        ),
        fault(
            "zero-window-heals",
            "it reads on within the limit",
            true,
            small(&format!("stop after 20 heal {half}")),
        ),
        fault(
            "trickle",
            "it reads little, but often enough",
            true,
            small(&format!("trickle 4096 every {short}")),
        ),
        fault(
            "interrupt-451",
            "a refusal for now in the middle of the mail data",
            false,
            small("interrupt after 20; reply 451 4.3.0 stop; close"),
        ),
        fault(
            "interrupt-552",
            "a refusal in the middle",
            false,
            small("interrupt after 20; reply 552 5.3.4 too much; close"),
        ),
        fault(
            "interrupt-421",
            "a shutdown in the middle",
            false,
            small("interrupt after 20; reply 421 4.3.2 closing; close"),
        ),
        fault(
            "interrupt-250",
            "an acceptance of half a message can't be believed",
            false,
            small("interrupt after 20; reply 250 2.0.0 thanks; stall"),
        ),
        fault(
            "interrupt-delay",
            "a refusal in the middle that takes half the limit",
            false,
            small(&format!(
                "interrupt after 20; reply 451 4.3.0 stop; after {half}"
            )),
        ),
        fault(
            "interrupt-drip",
            "a refusal in the middle, an octet now and then",
            false,
            small(&format!(
                "interrupt after 20; reply 451 4.3.0 stop; drip {eighth}"
            )),
        ),
        fault(
            "interrupt-endless-lines",
            "reply lines without end in the middle",
            false,
            small("interrupt after 20; endless-lines"),
        ),
        fault(
            "interrupt-endless-line",
            "a line without end in the middle",
            false,
            small("interrupt after 20; endless-line"),
        ),
        fault(
            "interrupt-garbage",
            "octets that are no reply in the middle",
            false,
            small("interrupt after 20; garbage"),
        ),
        fault(
            "interrupt-half-then-silence",
            "half a reply in the middle",
            false,
            small("interrupt after 20; half; stall"),
        ),
        fault(
            "interrupt-half-then-close",
            "half a reply in the middle, then FIN",
            false,
            small("interrupt after 20; half; close"),
        ),
        fault(
            "interrupt-half-then-reset",
            "half a reply in the middle, then RST",
            false,
            small("interrupt after 20; half; reset"),
        ),
        fault(
            "close",
            "FIN in the middle",
            false,
            small("interrupt after 20; nothing; close"),
        ),
        fault(
            "reset",
            "RST in the middle",
            false,
            small("interrupt after 20; nothing; reset"),
        ),
    ]
    .into()
}
