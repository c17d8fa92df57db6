//! How cost grows: the exponent of a straight line through the logarithms.

use std::sync::Arc;
use std::time::Duration;

use cpu_time::ThreadTime;
use postbound::{Bounds, Client, Connection, Connector, Envelope, Message, Receipt};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::canned::{Canned, Silent, Stream};
use crate::contest::{median, message};
use crate::count::{Meter, measured};
use crate::ours::envelope;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One thing that grows.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Growth {
    /// What costs, by what.
    pub name: &'static str,
    /// In what.
    pub unit: &'static str,
    /// How many, and what they cost.
    pub points: Vec<(f64, f64)>,
    /// Of the largest hundredfold: 1 is as many times as much, 0 is the same.
    pub exponent: f64,
}

impl Growth {
    fn new(name: &'static str, unit: &'static str, points: Vec<(f64, f64)>) -> Self {
        let last = points.last().map_or(1.0, |(x, _)| *x);
        let large: Vec<_> = points
            .iter()
            .filter(|(x, _)| *x * 101.0 > last)
            .map(|(x, y)| (x.ln(), y.max(1e-12).ln()))
            .collect();
        let count = large.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| large.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|p| p.0), mean(|p| p.1));
        let above: f64 = large.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
        let below: f64 = large.iter().map(|p| (p.0 - x) * (p.0 - x)).sum();
        Self {
            name,
            unit,
            points,
            exponent: above / below,
        }
    }
}

/// A runtime whose clock stands still.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
}

fn client<C: Connector>(connector: C) -> Result<Client<C>, Failure> {
    let client = Client::builder("canned.example", 25);
    Ok(client.connector(connector).build()?)
}

/// The runtime, and a connection to the server in memory.
fn connect() -> Result<(Runtime, Connection<Stream>), Failure> {
    let runtime = runtime()?;
    let connection = runtime.block_on(client(Canned)?.connect(Bounds::none()))?;
    Ok((runtime, connection))
}

/// Measures all of them.
///
/// # Errors
/// If a message is not accepted.
pub fn all(meter: Meter) -> Result<Vec<Growth>, Failure> {
    let [time, heap] = waiting(meter)?;
    Ok(vec![
        recipients()?,
        octets()?,
        heap_of_octets(meter)?,
        connections(meter)?,
        active()?,
        heap,
        time,
    ])
}

/// Seconds of processor time of a message, the median of some.
fn seconds(mut send: impl FnMut() -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut times = Vec::new();
    let begun = ThreadTime::now();
    while times.len() < 3 || (begun.elapsed() < Duration::from_millis(100) && times.len() < 500) {
        let begun = ThreadTime::now();
        send()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(median(&mut times))
}

/// Microseconds of a message over a connection of its own.
fn message_micros(recipients: usize, octets: usize) -> Result<f64, Failure> {
    let (runtime, mut connection) = connect()?;
    micros(&runtime, &mut connection, recipients, octets)
}

/// Microseconds of a message, with whatever else this runtime has.
fn micros(
    runtime: &Runtime,
    connection: &mut Connection<Stream>,
    recipients: usize,
    octets: usize,
) -> Result<f64, Failure> {
    let (envelope, message) = (envelope(recipients)?, message(octets));
    let time = seconds(|| {
        runtime.block_on(async {
            let transaction = connection.transaction(&envelope)?;
            let _ = transaction.send(&message, Bounds::none()).await?;
            Ok(())
        })
    })?;
    Ok(time * 1e6)
}

fn recipients() -> Result<Growth, Failure> {
    let mut points = Vec::new();
    for count in [1, 10, 100, 1_000, 10_000] {
        points.push((count as f64, message_micros(count, 1024)?));
    }
    Ok(Growth::new("a message's time by recipients", "µs", points))
}

const SIZES: [usize; 6] = [1 << 10, 10 << 10, 100 << 10, 1 << 20, 10 << 20, 100 << 20];

fn octets() -> Result<Growth, Failure> {
    let mut points = Vec::new();
    for size in SIZES {
        points.push((size as f64, message_micros(1, size)?));
    }
    Ok(Growth::new("a message's time by octets", "µs", points))
}

/// A message that is read while it is sent never lies in memory whole.
fn heap_of_octets(meter: Meter) -> Result<Growth, Failure> {
    let mut points = Vec::new();
    for size in SIZES {
        let (runtime, mut connection) = connect()?;
        let envelope = envelope(1)?;
        let whole = message(size);
        let send = |connection: &mut Connection<Stream>| {
            runtime.block_on(async {
                let transaction = connection.transaction(&envelope)?;
                let message = Message::reader(whole.as_slice());
                let _ = transaction.send(message, Bounds::none()).await?;
                Ok::<_, Failure>(())
            })
        };
        // The server in memory has its buffers by then.
        send(&mut connection)?;
        let (result, counted) = measured(meter, || send(&mut connection));
        result?;
        points.push((size as f64, counted.octets as f64));
    }
    Ok(Growth::new(
        "heap allocated for a message that is read, by octets",
        "octets",
        points,
    ))
}

fn connections(meter: Meter) -> Result<Growth, Failure> {
    let (runtime, client) = (runtime()?, client(Canned)?);
    let mut points = Vec::new();
    for count in [1, 10, 100, 1_000, 10_000] {
        let mut held = Vec::with_capacity(count);
        let (result, counted) = measured(meter, || {
            for _ in 0..count {
                held.push(runtime.block_on(client.connect(Bounds::none()))?);
            }
            Ok::<_, Failure>(())
        });
        result?;
        points.push((count as f64, counted.left as f64));
        drop(held);
    }
    Ok(Growth::new(
        "heap by connections at rest, the server's side in memory included",
        "octets",
        points,
    ))
}

/// Sends one message in a task of its own, and gives the connection back.
fn send_in(
    tasks: &mut JoinSet<Result<Connection<Stream>, postbound::Error>>,
    runtime: &Runtime,
    mut connection: Connection<Stream>,
    what: &Arc<(Envelope, Vec<u8>)>,
) {
    let what = Arc::clone(what);
    let send = async move {
        let (envelope, message) = &*what;
        let transaction = connection.transaction(envelope)?;
        let _: Receipt = transaction.send(message, Bounds::none()).await?;
        Ok(connection)
    };
    tasks.spawn_on(send, runtime.handle());
}

/// A message over each of so many connections, all of them at once in one thread.
fn active() -> Result<Growth, Failure> {
    let (runtime, client) = (runtime()?, client(Canned)?);
    let what = Arc::new((envelope(1)?, message(1024)));
    let mut points = Vec::new();
    for count in [1, 10, 100, 1_000] {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(runtime.block_on(client.connect(Bounds::none()))?);
        }
        let time = seconds(|| {
            let mut tasks = JoinSet::new();
            for connection in connections.drain(..) {
                send_in(&mut tasks, &runtime, connection, &what);
            }
            for ended in runtime.block_on(tasks.join_all()) {
                connections.push(ended?);
            }
            Ok(())
        })?;
        points.push((count as f64, time * 1e6));
    }
    let name = "time of one message each, by connections that send at once";
    Ok(Growth::new(name, "µs", points))
}

/// What calls that wait cost, each with its one timer: the time of a message beside them, and their
/// heap.
fn waiting(meter: Meter) -> Result<[Growth; 2], Failure> {
    let what = Arc::new((envelope(1)?, message(1024)));
    let (mut times, mut heaps) = (Vec::new(), Vec::new());
    for count in [1, 10, 100, 1_000, 10_000] {
        let (runtime, mut connection) = connect()?;
        let silent = client(Silent)?;
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(runtime.block_on(silent.connect(Bounds::none()))?);
        }
        let mut tasks = JoinSet::new();
        let ((), counted) = measured(meter, || {
            for connection in connections.drain(..) {
                send_in(&mut tasks, &runtime, connection, &what);
            }
            runtime.block_on(async {
                // Long enough for each of them to come to its wait.
                for _ in 0..count {
                    tokio::task::yield_now().await;
                }
            });
        });
        heaps.push((count as f64, counted.left as f64));
        let micros = micros(&runtime, &mut connection, 1, 1024)?;
        times.push((count as f64, micros));
        if tasks.try_join_next().is_some() {
            return Err("a call that should wait has ended".into());
        }
    }
    let time = "a message's time by calls that wait beside it";
    let heap = "heap by calls that wait, each with its one timer";
    Ok([
        Growth::new(time, "µs", times),
        Growth::new(heap, "octets", heaps),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_a_line_is_one_and_of_a_constant_zero() {
        let line = (0..5).map(|n| (10_f64.powi(n), 3.0 * 10_f64.powi(n)));
        assert!((Growth::new("", "", line.collect()).exponent - 1.0).abs() < 1e-9);
        let square = (0..5).map(|n| (10_f64.powi(n), 10_f64.powi(2 * n)));
        assert!((Growth::new("", "", square.collect()).exponent - 2.0).abs() < 1e-9);
        let flat = (0..5).map(|n| (10_f64.powi(n), 7.0));
        assert!(Growth::new("", "", flat.collect()).exponent.abs() < 1e-9);
    }
}
