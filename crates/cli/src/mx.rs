//! `postbound send --mx`: to the servers of the recipients' domains.

use std::net::SocketAddr;

use clap::Args;
use postbound::{Client, Delivered, Dns, Mx, Outcome};

use crate::exit::{self, Stop};
use crate::network::Network;
use crate::told::describe;

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Send to the servers of the recipients' domains, by their MX records, each domain by itself.
    /// There is no DANE and no MTA-STS: who answers for the DNS gets the mail
    #[arg(long, conflicts_with_all = ["server", "url"])]
    pub(crate) mx: bool,
    /// Ask this name server for MX records; may be given again [default: the system's]
    #[arg(long, value_name = "ADDRESS:PORT", requires = "mx")]
    name_server: Vec<SocketAddr>,
}

impl Options {
    /// Delivery with the settings of this client.
    pub(crate) fn delivery(
        &self,
        client: Client<Network>,
        port: Option<u16>,
    ) -> Result<Mx<Dns, Network>, Stop> {
        let dns = match self.name_server.as_slice() {
            [] => Dns::from_system().map_err(|error| {
                Stop::new(
                    exit::SYSTEM,
                    format!("the system's name servers can't be found out: {error}; name one with --name-server"),
                )
            })?,
            servers => Dns::with_servers(servers.iter().copied()),
        };
        Ok(Mx::new(client, dns).port(port.unwrap_or(25)))
    }
}

/// What became of it at each domain.
pub(crate) fn describe_all(delivered: &[Delivered]) -> String {
    let domains = delivered.iter();
    domains
        .map(|one| format!("{}: {}", one.domain, describe(&one.result)))
        .collect()
}

/// The exit code of the worst of it.
pub(crate) fn code(delivered: &[Delivered]) -> u8 {
    let errors = || delivered.iter().filter_map(|one| one.result.as_ref().err());
    let codes = delivered.iter().map(|one| exit::code(&one.result));
    let refused = codes.clone().find(|code| *code != exit::OK);
    let some = delivered.iter().any(|one| one.result.is_ok());
    match refused {
        None => exit::OK,
        Some(_) if errors().any(|error| error.outcome() == Outcome::Ambiguous) => exit::AMBIGUOUS,
        Some(_) if some => exit::PARTIAL,
        Some(code) => code,
    }
}
