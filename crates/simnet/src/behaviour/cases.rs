//! The hostile cases that a client must survive, and which of them a server can play.

/// A way in which clients come to harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostileCase {
    /// Its number, as the tests named `hostile_NN` have it.
    pub number: u8,
    /// What it is.
    pub title: &'static str,
    /// Why no server can play it, if none can: the double then is the witness.
    pub not_by_a_server: Option<&'static str>,
}

const fn case(number: u8, title: &'static str) -> HostileCase {
    HostileCase {
        number,
        title,
        not_by_a_server: None,
    }
}

const fn not(number: u8, title: &'static str, why: &'static str) -> HostileCase {
    HostileCase {
        number,
        title,
        not_by_a_server: Some(why),
    }
}

const CALLER: &str =
    "it comes from the client's own caller; what gets through, the double reports as a finding";

/// All of them.
pub const CASES: [HostileCase; 43] = [
    case(1, "replies injected in clear before the TLS handshake"),
    case(2, "the same, a fragment without its line ending"),
    case(3, "the same, in a later segment"),
    case(4, "a reply that is there before its command"),
    case(5, "STARTTLS taken away or refused"),
    case(6, "service extensions that change with TLS"),
    case(7, "AUTH offered in clear only"),
    case(8, "replies that nobody asked for behind the greeting"),
    case(9, "TLS cut short"),
    case(10, "abuse of the handshake"),
    case(11, "certificates that show nothing"),
    not(
        12,
        "implicit TLS asked for over a stream of the caller's own",
        "it is about the client's interface; `tls-plaintext-server` shows what a client in clear meets",
    ),
    not(13, "line endings in addresses", CALLER),
    not(
        14,
        "parameters smuggled into an address or the EHLO name",
        CALLER,
    ),
    not(15, "characters whose low octet is a line ending", CALLER),
    not(16, "an end of mail data smuggled into a message", CALLER),
    not(17, "a command smuggled into a proxy's host name", CALLER),
    case(18, "a reply line without end"),
    case(19, "a reply of lines without end"),
    case(20, "reply codes that are none"),
    case(21, "different codes in one reply"),
    case(22, "lines before or between replies"),
    case(23, "octets that no reply may have"),
    case(24, "enhanced status codes that contradict the reply code"),
    case(25, "replies in pieces or many in one"),
    case(26, "replies to commands that were not said yet"),
    case(27, "fewer or more replies than commands"),
    case(28, "a server that stops reading while commands queue"),
    case(29, "421 at any moment"),
    case(30, "greetings of every kind"),
    case(31, "the connection ends at each boundary"),
    case(32, "taken, and never said so (RFC 1047)"),
    case(33, "parameters of service extensions that are nonsense"),
    case(34, "an exchange that does not end, or too early"),
    case(35, "challenges that can't be read"),
    case(36, "SCRAM iterations, too few or too many"),
    case(37, "SCRAM and OAuth servers that do not prove who they are"),
    case(38, "mechanisms taken away until only a weak one is left"),
    case(39, "an octet now and then, at every phase"),
    case(40, "a closed window in the middle of mail data"),
    case(41, "name service and addresses"),
    not(
        42,
        "a proxy that is silent or endless",
        "it stands before the server; a plan's `proxy` rules play it",
    ),
    case(43, "secrets that a server gives back"),
];
