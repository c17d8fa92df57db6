//! How cost grows: the exponent of a straight line through the logarithms.

use std::time::Duration;

use cpu_time::ThreadTime;
use postbound::{Bounds, Client, Connection, Message};

use crate::canned::{Canned, Stream};
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

/// A runtime whose clock stands still, and a connection to the server in memory.
fn connect() -> Result<(tokio::runtime::Runtime, Connection<Stream>), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let client = Client::builder("canned.example", 25)
        .connector(Canned)
        .build()?;
    let connection = runtime.block_on(client.connect(Bounds::none()))?;
    Ok((runtime, connection))
}

/// Measures all of them.
///
/// # Errors
/// If a message is not accepted.
pub fn all(meter: Meter) -> Result<Vec<Growth>, Failure> {
    Ok(vec![
        recipients()?,
        octets()?,
        heap_of_octets(meter)?,
        connections(meter)?,
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let client = Client::builder("canned.example", 25)
        .connector(Canned)
        .build()?;
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
