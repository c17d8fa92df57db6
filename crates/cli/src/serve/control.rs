//! The control interface beside the listeners.

use std::net::SocketAddr;

use control::Control;
use simnet::tls::Tls;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::listeners::Listener;
use super::log::describe;
use super::{Arguments, LOOPBACK};
use crate::exit::{self, Stop};

/// A socket for it, on the loopback unless told otherwise, and its URL.
pub(super) async fn open(arguments: &Arguments, port: u16) -> Result<(TcpListener, String), Stop> {
    let ip = arguments.expose_control_to_network.unwrap_or(LOOPBACK);
    let place = SocketAddr::new(ip, port);
    let no = |error| {
        let why = format!("--control: {place} can't be had: {error}; try --control 0");
        Stop::new(exit::SYSTEM, why)
    };
    let socket = TcpListener::bind(place).await.map_err(no)?;
    let url = format!("http://{}", socket.local_addr().map_err(no)?);
    Ok((socket, url))
}

/// Serves it for as long as the tasks that are given back live. The main listener becomes its own; the others
/// stay where they are.
pub(super) fn serve(
    arguments: &Arguments,
    socket: TcpListener,
    listeners: &mut Vec<Listener>,
    tls: Option<(Tls, String)>,
) -> (JoinSet<std::io::Result<()>>, Control) {
    let shown = listeners.iter().map(describe).collect();
    let main = listeners.remove(0);
    let mut control = Control::new(main.loopback).with_listeners(shown);
    if let Some((tls, pem)) = tls {
        control = control.with_tls(tls, &pem, main.tls);
    }
    for name in &arguments.control_host {
        control = control.allowing_host(name);
    }
    let mut serving = JoinSet::new();
    serving.spawn(control.clone().serve(socket));
    (serving, control)
}
