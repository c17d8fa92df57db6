//! lettre's addresses and envelopes as what goes into commands.

use core::net::IpAddr;

use lettre::Address;

use crate::{Envelope, ForwardPath, PathError, ReversePath};

/// The address as RFC 5321 writes it. lettre takes an IP address without brackets, or without the
/// tag that IPv6 needs, for a domain.
fn written(address: &Address) -> String {
    let domain = address.domain();
    let literal = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(domain);
    match literal.parse() {
        Ok(IpAddr::V4(ip)) => format!("{}@[{ip}]", address.user()),
        Ok(IpAddr::V6(ip)) => format!("{}@[IPv6:{ip}]", address.user()),
        Err(_) => address.to_string(),
    }
}

impl TryFrom<&Address> for ForwardPath {
    type Error = PathError;

    fn try_from(address: &Address) -> Result<Self, PathError> {
        written(address).parse()
    }
}

impl TryFrom<&Address> for ReversePath {
    type Error = PathError;

    fn try_from(address: &Address) -> Result<Self, PathError> {
        written(address).parse()
    }
}

/// An envelope of lettre's with the same paths; one without a sender has the null reverse-path.
///
/// ```
/// use postbound_proto::Envelope;
/// let theirs = lettre::address::Envelope::new(None, vec!["you@bücher.example".parse()?])?;
/// let envelope = Envelope::try_from(&theirs)?;
/// assert!(envelope.reverse_path().is_null());
/// assert_eq!(envelope.forward_paths()[0].to_string(), "<you@xn--bcher-kva.example>");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl TryFrom<&lettre::address::Envelope> for Envelope {
    type Error = PathError;

    fn try_from(envelope: &lettre::address::Envelope) -> Result<Self, PathError> {
        let reverse_path = match envelope.from() {
            Some(address) => address.try_into()?,
            None => ReversePath::null(),
        };
        let forward_paths = envelope.to().iter().map(ForwardPath::try_from);
        let forward_paths = forward_paths.collect::<Result<Vec<_>, _>>()?;
        Self::new(reverse_path, forward_paths)
            .map_err(|_| PathError::empty("the list of recipients"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_lettres_is_written_as_a_command_has_it() {
        for (theirs, ours) in [
            ("you@example.org", "<you@example.org>"),
            ("\"John Doe\"@example.org", "<\"John Doe\"@example.org>"),
            ("you@127.0.0.1", "<you@[127.0.0.1]>"),
            ("you@[127.0.0.1]", "<you@[127.0.0.1]>"),
            ("you@[::1]", "<you@[IPv6:::1]>"),
            ("jürgen@example.org", "<jürgen@example.org>"),
        ] {
            let address: Address = theirs.parse().unwrap();
            assert_eq!(ForwardPath::try_from(&address).unwrap().to_string(), ours);
            assert_eq!(ReversePath::try_from(&address).unwrap().to_string(), ours);
        }
    }

    #[test]
    fn what_lettre_did_not_check_is_refused() {
        for (user, domain) in [
            ("a\r\nDATA", "example.org"),
            ("a", "example.org\r\nDATA"),
            ("a", "example.org> SIZE=1 <b@example.org"),
            ("", "example.org"),
        ] {
            let address = Address::new_dangerous(user, domain);
            assert!(ForwardPath::try_from(&address).is_err(), "{address:?}");
        }
    }
}
