//! A double as one host of somebody's own turmoil simulation.

use std::net::{IpAddr, Ipv4Addr};

use tokio::task::JoinSet;
use turmoil::net::TcpListener;

use crate::Double;
use crate::net::turmoil::serve;

/// The port of SMTP.
const PORT: u16 = 25;

/// A double that is to be a host of a simulation.
#[derive(Debug)]
pub struct Simulated {
    double: Double,
    name: String,
}

impl Simulated {
    pub(super) const fn new(double: Double, name: String) -> Self {
        Self { double, name }
    }

    /// The host's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes it a host of the simulation, on port 25. The simulation's links are its own.
    pub fn host(&self, sim: &mut turmoil::Sim<'_>) {
        let double = self.double.clone();
        sim.host(self.name.as_str(), move || listen(double.clone()));
    }
}

async fn listen(double: Double) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)).await?;
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while let Some(ended) = connections.try_join_next() {
            ended?;
        }
        let double = double.clone();
        connections.spawn(async move { serve(&double, stream).await });
    }
}
