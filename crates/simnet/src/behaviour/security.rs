//! At the boundary of TLS.

use super::Behaviour;
use super::ServerTls::{Implicit, StartTls, Unexpected};

const STARTTLS: &str = "RFC 3207 §4.2";
const STRIPPED: &str = "RFC 3207 §6";
const CERTIFICATE: &str = "RFC 9525 §6, RFC 5280 §6";
const CUT: &str = "RFC 8446 §6.1";
const HANDSHAKE: &str = "RFC 8446 §4";
const INJECTED: &str =
    "takes octets behind the 220 for an attack: ends the connection and reports STARTTLS";
const REFUSED: &str = "says nothing more than EHLO in clear and reports that there is no TLS";
const NO_CERTIFICATE: &str =
    "refuses the certificate before any command, and says what is wrong with it";

const fn new(case: u8, name: &'static str, rfc: &'static str, rules: &'static str) -> Behaviour {
    Behaviour::new(case, name, rfc, rules).tls(StartTls)
}

pub(super) const BEHAVIOURS: &[Behaviour] = &[
    new(1, "starttls-injection", STARTTLS, r#"tls-handshake: inject "250-evil\r\n250 AUTH PLAIN\r\n""#)
        .wrong("replies in clear come in one segment with the 220 to STARTTLS, to be taken for the server's word under TLS (CVE-2011-0411 and its kin)")
        .refuse(INJECTED),
    new(2, "starttls-injection-fragment", STARTTLS, r#"tls-handshake: inject "250-SMTPUTF8 X ""#)
        .wrong("half a reply line in clear is left in the buffer, to be finished by the first line under TLS")
        .refuse(INJECTED),
    new(3, "starttls-injection-late", STARTTLS, r#"tls-handshake: inject "250 x\r\n" after 50ms"#)
        .wrong("a reply in clear arrives where the server's handshake is due")
        .refuse("ends the handshake, and reports octets that are no TLS, not a bad certificate"),
    new(3, "starttls-then-plaintext", STARTTLS, "tls-handshake: plaintext")
        .wrong("the server says 220 to STARTTLS and goes on in clear")
        .refuse("ends the handshake and reports octets that are no TLS"),
    new(4, "early-reply-under-tls", "RFC 5321 §4.2", "ehlo#2: twice")
        .wrong("behind the reply to EHLO under TLS there is another one, before MAIL was said")
        .refuse("takes a reply to nothing for a protocol error and trusts none behind it"),
    new(5, "starttls-stripped", STRIPPED, r#"ehlo: reply 250 "double.example\nPIPELINING\nSIZE 10485760\n8BITMIME""#)
        .wrong("somebody on the way has taken STARTTLS out of the reply to EHLO")
        .refuse(REFUSED),
    new(5, "starttls-454", STRIPPED, "starttls: reply 454 4.7.0 TLS not available")
        .wrong("STARTTLS is refused for now")
        .refuse(REFUSED),
    new(5, "starttls-501", STRIPPED, "starttls: reply 501 5.5.4 no parameters")
        .wrong("STARTTLS is refused as malformed")
        .refuse(REFUSED),
    new(5, "starttls-502", STRIPPED, "starttls: reply 502 5.5.1 not implemented")
        .wrong("STARTTLS was offered and is not implemented after all")
        .refuse(REFUSED),
    new(5, "starttls-354", STRIPPED, "starttls: reply 354 go ahead")
        .wrong("STARTTLS is answered as if it were DATA")
        .refuse("takes it for a protocol error, and neither goes on in clear nor sends mail data"),
    new(5, "starttls-421", STRIPPED, "starttls: reply 421 4.3.2 closing; close")
        .wrong("the server closes when it is asked for TLS")
        .refuse(REFUSED),
    new(5, "ehlo-refused", STRIPPED, "ehlo: reply 502 5.5.1 EHLO not implemented")
        .wrong("EHLO is refused, so that HELO is left, which knows no STARTTLS")
        .refuse("may try HELO, but then ends: TLS was required"),
    new(6, "extensions-change-under-tls", STARTTLS, r#"ehlo#1: reply 250 "double.example\nSTARTTLS\nSIZE 10485760\nPIPELINING" | ehlo#2: reply 250 "double.example\nSIZE 100""#)
        .wrong("under TLS the server takes far less than it said in clear: 100 octets, and no PIPELINING")
        .refuse("has forgotten what was said in clear, and does not send what is larger than 100 octets"),
    new(6, "no-ehlo-answer-under-tls", STARTTLS, "ehlo#2: nothing")
        .wrong("the EHLO under TLS is never answered")
        .refuse("says EHLO again under TLS and gives up at that phase's limit"),
    new(7, "auth-in-clear-only", "RFC 4954 §4, RFC 3207 §4.2", r#"ehlo#1: reply 250 "double.example\nSTARTTLS\nAUTH PLAIN LOGIN" | ehlo#2: reply 250 "double.example\nPIPELINING""#)
        .wrong("AUTH is offered in clear and no longer under TLS")
        .refuse("says no password in clear, and reports that AUTH is not offered")
        .auth("PLAIN"),
    new(8, "unsolicited-replies", "RFC 5321 §4.2", r#"greeting: raw "220 double.example ESMTP\r\n235 2.7.0 ok\r\n250 2.1.0 ok\r\n354 go ahead\r\n""#)
        .wrong("the greeting is followed by replies to commands that nobody said, among them one to AUTH")
        .refuse("takes replies to nothing for a protocol error; nobody is authenticated by them"),
    new(9, "tls-truncated-reply", CUT, "tls-handshake: no-close-notify | data-termination: commit; half; close")
        .wrong("half a final reply, and an end of the stream that anybody on the way could have made")
        .unknown("never takes half a reply for a whole one; the message may have been taken"),
    new(9, "tls-truncated-behind-reply", CUT, "tls-handshake: no-close-notify | data-termination: normal; close")
        .wrong("the stream ends behind the final reply, without close_notify")
        .deliver("has a whole final reply, which nobody but the server could have made, and reports success"),
    new(9, "tls-cut-in-session", CUT, "tls-handshake: drop after 100")
        .wrong("the connection is cut in the middle of the records behind the handshake")
        .refuse("reports a connection that was lost at the phase it had got to"),
    new(10, "tls-stall", HANDSHAKE, "tls-handshake: stall")
        .wrong("the client's first message of the handshake is never answered")
        .refuse("gives up at the limit of the handshake, which is a phase of its own"),
    new(10, "tls-stall-midway", HANDSHAKE, "tls-handshake: stall at 200")
        .wrong("the handshake stops in the middle")
        .refuse("gives up at the limit of the handshake"),
    new(10, "tls-drip", HANDSHAKE, "tls-handshake: drip 1s")
        .wrong("one octet of the handshake a second")
        .refuse("gives up at the limit of the handshake, which no octet moves"),
    new(10, "tls-endless-handshake", "RFC 8446 §5.1", "tls-handshake: endless")
        .wrong("records of one octet, of a message of the handshake that is never whole")
        .refuse("ends a handshake that is too long for what it is"),
    new(10, "tls-tiny-records", "RFC 8446 §5.1", "tls-handshake: tiny-records")
        .wrong("records of 32 octets: clumsy, and allowed")
        .deliver("delivers"),
    new(10, "tls-corrupt", "RFC 8446 §6.2", "tls-handshake: corrupt at 200")
        .wrong("one octet of the handshake is turned over on its way")
        .refuse("ends the handshake; nothing was said"),
    new(10, "tls-reset-midway", HANDSHAKE, "tls-handshake: reset at 200")
        .wrong("the connection is reset in the middle of the handshake")
        .refuse("reports a reset at the handshake"),
    new(10, "tls-plaintext-server", "RFC 8314 §3.3", "tls-handshake: plaintext")
        .wrong("SMTP in clear where TLS is due from the first octet, as on port 465 of a careless server")
        .refuse("reports octets that are no TLS, at the handshake, and names the likely cause")
        .tls(Implicit),
    new(10, "tls-where-none-is-due", "RFC 8314 §3.3", "tls-handshake: after 1ms")
        .wrong("a server that waits for TLS from the first octet meets a client in clear: both wait")
        .refuse("gives up at the greeting's limit")
        .tls(Unexpected),
    new(11, "certificate-wrong-name", CERTIFICATE, "tls-handshake: certificate wrong-name")
        .wrong("a valid certificate, for somebody else")
        .refuse(NO_CERTIFICATE),
    new(11, "certificate-expired", CERTIFICATE, "tls-handshake: certificate expired")
        .wrong("a certificate whose time is over")
        .refuse(NO_CERTIFICATE),
    new(11, "certificate-not-yet-valid", CERTIFICATE, "tls-handshake: certificate not-yet-valid")
        .wrong("a certificate whose time has not come")
        .refuse(NO_CERTIFICATE),
    new(11, "certificate-self-signed", CERTIFICATE, "tls-handshake: certificate self-signed")
        .wrong("a certificate that only its owner has signed")
        .refuse(NO_CERTIFICATE),
    new(11, "certificate-unknown-authority", CERTIFICATE, "tls-handshake: certificate unknown-authority")
        .wrong("a certificate from an authority that nobody trusts")
        .refuse(NO_CERTIFICATE),
    new(11, "certificate-of-the-authority", CERTIFICATE, "tls-handshake: certificate authority-itself")
        .wrong("the authority's own certificate, shown as a server's")
        .refuse(NO_CERTIFICATE),
    new(11, "certificate-huge-chain", CERTIFICATE, "tls-handshake: certificate huge-chain")
        .wrong("more certificates than one message of TLS may have")
        .refuse("ends the handshake; what it holds meanwhile is bounded"),
];
