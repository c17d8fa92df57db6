//! Replies and ends of the connection at the wrong moment.

use super::Behaviour;

const ORDER: &str = "RFC 5321 §4.2";
const GROUP: &str = "RFC 2920 §3.1";
const SHUTDOWN: &str = "RFC 5321 §3.8";
const OPENING: &str = "RFC 5321 §3.1";
const DUPLICATES: &str = "RFC 1047";
const MAY_BE: &str =
    "reports that the message may have been taken, and does not send it again unasked";
const LOST: &str =
    "reports a message that was not taken, and the phase at which the connection ended";

const fn new(case: u8, name: &'static str, rfc: &'static str, rules: &'static str) -> Behaviour {
    Behaviour::new(case, name, rfc, rules)
}

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    new(26, "replies-ahead", ORDER, r#"ehlo: raw "250 double.example\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go ahead\r\n250 2.0.0 queued\r\n""#)
        .wrong("the replies to a whole transaction come with that to EHLO")
        .refuse("takes replies to commands that it has not said for a protocol error: a client that counts them as answers is ahead of the truth to the end"),
    new(26, "accepted-before-it-was-sent", ORDER, r#"data-initiation: raw "354 go ahead\r\n250 2.0.0 queued\r\n""#)
        .wrong("the final reply comes with the 354, before any mail data")
        .refuse("does not take it for the answer to a message that was not sent"),
    new(27, "reply-missing", GROUP, "rcpt#2: nothing")
        .wrong("one recipient of several is never answered")
        .refuse("waits for it to the limit, and does not take the next reply for its own")
        .recipients(3),
    new(27, "reply-twice", GROUP, "rcpt#1: twice")
        .wrong("one recipient of several is answered twice")
        .refuse("does not take the surplus for the next recipient's answer")
        .recipients(3),
    new(27, "all-recipients-refused", "RFC 2920 §3.1", "rcpt: reply 550 5.1.1 no such user")
        .wrong("no recipient is accepted")
        .refuse("lists each recipient's refusal; sends no mail data")
        .recipients(3),
    new(27, "one-recipient-refused", "RFC 5321 §3.3", "rcpt#2: reply 550 5.1.1 no such user")
        .wrong("one recipient of three is refused")
        .deliver("delivers to the others, and says which one it was not")
        .recipients(3),
    new(27, "data-answered-250", "RFC 5321 §4.1.1.4", "data-initiation: reply 250 2.0.0 ok")
        .wrong("DATA is answered with 250 instead of 354")
        .refuse("sends no mail data behind anything but a 354"),
    new(27, "data-refused", "RFC 5321 §4.1.1.4", "data-initiation: reply 554 5.7.1 no")
        .wrong("DATA is refused after every recipient was accepted")
        .refuse("sends no mail data and reports the refusal"),
    new(28, "stops-reading-commands", "RFC 2920 §3.1", "link: window 1024 | mail: stall")
        .wrong("the server stops reading while a group of commands queues: who only writes, waits for ever")
        .refuse("reads while it writes, and gives up at the limit")
        .recipients(100),
    new(29, "421-behind-reply", SHUTDOWN, r#"rcpt: raw "250 2.1.5 ok\r\n421 4.3.2 closing\r\n"; close"#)
        .wrong("the server shuts down between two commands, and says so")
        .refuse("reports the 421 as what it is, and not a broken connection"),
    new(29, "421-instead-of-reply", SHUTDOWN, "mail: reply 421 4.3.2 closing; close")
        .wrong("421 in place of a reply")
        .refuse("reports a server that closes; to be tried later"),
    new(29, "421-then-reset", SHUTDOWN, "mail: reply 421 4.3.2 closing; reset")
        .wrong("421, and a reset behind it")
        .refuse("reports the 421 or, where the reset swallowed it, the reset; nothing was taken"),
    new(29, "421-in-mail-data", SHUTDOWN, "link: window 64 | data-block: interrupt after 20; reply 421 4.3.2 closing; close")
        .wrong("421 in the middle of the mail data")
        .refuse("stops sending, and reports the 421 and not its own broken pipe"),
    new(29, "421-as-final-reply", SHUTDOWN, "data-termination: reply 421 4.3.2 closing; close")
        .wrong("421 in place of the final reply")
        .refuse("takes it for a refusal for now: the message was not taken"),
    new(30, "greeting-554", OPENING, "greeting: reply 554 no SMTP service here; close")
        .wrong("a server that does not want to talk")
        .refuse("says at most QUIT, and reports the refusal"),
    new(30, "greeting-521", "RFC 7504 §3", "greeting: reply 521 double.example does not accept mail; close")
        .wrong("a host that never accepts mail")
        .refuse("says at most QUIT, and reports a refusal for good"),
    new(30, "greeting-421", SHUTDOWN, "greeting: reply 421 4.3.2 too busy; close")
        .wrong("a server that is too busy")
        .refuse("reports a refusal for now; never HELO behind it"),
    new(30, "greeting-450", OPENING, "greeting: reply 450 4.3.2 not now; close")
        .wrong("a greeting with a code that greetings do not have")
        .refuse("reports a refusal for now"),
    new(30, "greeting-never", "RFC 5321 §4.5.3.2.1", "greeting: nothing")
        .wrong("the connection opens, and nothing is ever said")
        .refuse("gives up at the greeting's limit"),
    new(30, "greeting-late", "RFC 5321 §4.5.3.2.1", "greeting: after 10m")
        .wrong("a greeting after ten minutes, twice of what RFC 5321 asks to wait")
        .refuse("gives up at the greeting's limit"),
    new(30, "greeting-delayed", "RFC 5321 §4.5.3.2.1", "greeting: after 1s")
        .wrong("a greeting after a second, to see who talks first")
        .deliver("waits for the greeting before it says anything"),
    new(30, "greeting-multi-line", OPENING, r#"greeting: reply 220 "double.example ESMTP\nplease do not\nsend spam""#)
        .wrong("a greeting of several lines: unusual, and allowed")
        .deliver("delivers"),
    new(30, "greeting-without-esmtp", "RFC 5321 §4.1.1.1", "greeting: reply 220 double.example ready")
        .wrong("a greeting without the word ESMTP")
        .deliver("says EHLO all the same"),
    new(30, "greeting-pix", "RFC 5321 §4.1.1.1", "greeting: reply 220 *****0*2******0**********************")
        .wrong("a greeting that a firewall has painted over")
        .deliver("delivers"),
    new(30, "ehlo-500", "RFC 5321 §3.2", "ehlo#1: reply 500 5.5.2 what")
        .wrong("a server that knows HELO only")
        .deliver("says HELO, and uses no service extension"),
    new(31, "close-behind-354", "RFC 5321 §4.1.1.4", "data-initiation: normal; close")
        .wrong("FIN behind the 354")
        .refuse(LOST),
    new(31, "close-in-mail-data", "RFC 5321 §4.1.1.4", "link: window 64 | data-block: interrupt after 20; close")
        .wrong("FIN in the middle of the mail data")
        .refuse(LOST),
    new(31, "reset-in-mail-data", "RFC 5321 §4.1.1.4", "link: window 64 | data-block: interrupt after 20; reset")
        .wrong("RST in the middle of the mail data")
        .refuse(LOST),
    new(31, "close-behind-end-of-mail-data", DUPLICATES, "data-termination: close")
        .wrong("FIN in place of the final reply; the message was not taken")
        .unknown(MAY_BE),
    new(31, "committed-then-close", DUPLICATES, "data-termination: commit; close")
        .wrong("the message is taken, then FIN in place of the final reply")
        .unknown(MAY_BE),
    new(31, "committed-then-reset", DUPLICATES, "data-termination: commit; reset")
        .wrong("the message is taken, then RST in place of the final reply")
        .unknown(MAY_BE),
    new(31, "half-a-final-reply", DUPLICATES, "data-termination: commit; half; close")
        .wrong("half a final reply, then FIN")
        .unknown("never takes half a reply for a whole one"),
    new(31, "quit-unanswered", "RFC 5321 §4.1.1.10", "quit: nothing")
        .wrong("QUIT is never answered")
        .deliver("reports the success that it has, and waits for the 221 only shortly"),
    new(31, "quit-reset", "RFC 5321 §4.1.1.10", "quit: reset")
        .wrong("QUIT is answered with RST")
        .deliver("reports the success that it has"),
    new(32, "lost-reply", DUPLICATES, "data-termination: commit; stall")
        .wrong("the message is taken and the final reply never comes")
        .unknown(MAY_BE),
    new(32, "late-final-reply", "RFC 5321 §4.5.3.2.6", "data-termination: normal; after 5m")
        .wrong("the message is taken, and the final reply comes after five minutes")
        .unknown("waits for ten minutes (RFC 5321), or reports that the message may have been taken"),
    new(33, "size-nonsense", "RFC 1870 §4", r#"ehlo: reply 250 "double.example\nSIZE -1\nLIMITS RCPTMAX=0 MAILMAX=x\nAUTH=\nAUTH=PLAIN\nPIPELINING""#)
        .wrong("parameters of service extensions that make no sense")
        .deliver("takes no notice of what makes no sense"),
    new(33, "size-overflow", "RFC 1870 §4", r#"ehlo: reply 250 "double.example\nSIZE 18446744073709551616\nPIPELINING""#)
        .wrong("a SIZE that fits into no 64 bits")
        .deliver("takes it for no limit, and does not overflow"),
    new(33, "keywords-without-end", "RFC 5321 §4.1.1.1", "ehlo: endless-lines")
        .wrong("keywords without end in the reply to EHLO")
        .refuse("ends at a cap"),
];
