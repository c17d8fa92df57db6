//! Every row of the table.

use postbound::Security;

use crate::contest::Entrant;
use crate::count::Meter;
use crate::scale::Growth;
use crate::sink::Sink;
use crate::steps::{self, Technique};
use crate::table::{Row, Target};
use crate::why::*;
use crate::{canned, count, idle, scale, speed};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is measured with.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "made in one place")]
pub struct Bench {
    /// The server.
    pub sink: Sink,
    /// Counts what is done to the heap.
    pub meter: Meter,
    /// Fewer rounds and fewer connections.
    pub quick: bool,
    /// Told what is being measured.
    pub progress: fn(&str),
}

/// Rows, and what the plots are made of.
#[derive(Clone, Debug, Default, serde::Serialize)]
#[non_exhaustive]
pub struct Results {
    /// The table.
    pub rows: Vec<Row>,
    /// Octets, and the rate by the limit's.
    pub by_size: Vec<(usize, f64)>,
    /// Whose, and round trips of a further message.
    pub turns: Vec<(String, f64)>,
    /// How cost grows.
    pub scale: Vec<Growth>,
    /// The sink's share of the processor time of a message that the raw program sends.
    pub sink_share: f64,
    /// How, nanoseconds of a step that is ready, and of one that is not.
    pub guards: Vec<(String, f64, f64)>,
}

impl Bench {
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 5 } else { 15 }
    }

    /// Measures everything.
    ///
    /// # Errors
    /// If something needed is not installed, or a client fails.
    pub fn all(&self) -> Result<Results, Failure> {
        let mut results = Results::default();
        (self.progress)("guards");
        self.guards(&mut results)?;
        (self.progress)("counters");
        self.counters(&mut results)?;
        (self.progress)("messages a second");
        self.messages(&mut results)?;
        (self.progress)("parts");
        self.parts(&mut results);
        (self.progress)("connections at rest");
        self.idle(&mut results)?;
        (self.progress)("scale");
        results.scale = scale::all(self.meter)?;
        Ok(results)
    }

    fn guards(&self, results: &mut Results) -> Result<(), Failure> {
        let ready = steps::nanoseconds(false, 100, self.rounds() * 10)?;
        let pending = steps::nanoseconds(true, 100, self.rounds() * 10)?;
        let of = |steps: &[(Technique, f64)], technique| {
            let found = steps.iter().find(|(known, _)| *known == technique);
            found.map_or(f64::NAN, |(_, nanoseconds)| *nanoseconds)
        };
        let all = Technique::ALL.into_iter();
        results.guards = all
            .map(|t| (t.name().to_owned(), of(&ready, t), of(&pending, t)))
            .collect();
        let (bare, call) = (Technique::Bare, Technique::GuardCall);
        let peers = |steps: &[(Technique, f64)]| {
            [Technique::Timeout, Technique::Select].map(|t| (t.name().to_owned(), of(steps, t)))
        };
        let added = of(&ready, call) - of(&ready, bare);
        let row = Row::figure(
            "guard, ready step",
            "ns",
            of(&ready, call),
            Target::AtMost(2.0),
        )
        .beside(of(&ready, bare))
        .peers(peers(&ready), false)
        .because(WHY_STEP);
        results.rows.push(row.by_ratio(added));
        let row = Row::figure(
            "guard, pending step",
            "ns",
            of(&pending, call),
            Target::AtMost(1.05),
        )
        .beside(of(&pending, bare))
        .peers(peers(&pending), false)
        .because(WHY_PENDING);
        let by = of(&pending, call) / of(&pending, bare);
        results.rows.push(row.by_ratio(by));
        Ok(())
    }

    fn work(&self, entrant: Entrant, octets: usize) -> [String; 5] {
        [
            "entrant".to_owned(),
            entrant.name().to_owned(),
            self.sink.port().to_string(),
            "1".to_owned(),
            octets.to_string(),
        ]
    }

    fn instructions(&self, entrant: Entrant, octets: usize) -> Result<f64, Failure> {
        let work = self.work(entrant, octets);
        let work: Vec<&str> = work.iter().map(String::as_str).collect();
        let slow = Entrant::PEERS.contains(&entrant) && entrant != Entrant::AsyncSmtp;
        let (few, many) = if slow { (5, 25) } else { (50, 250) };
        Ok(count::instructions(&work, few, many)?.all())
    }

    fn system_calls(&self, entrant: Entrant) -> Result<f64, Failure> {
        let work = self.work(entrant, 1024);
        let work: Vec<&str> = work.iter().map(String::as_str).collect();
        let slow = Entrant::PEERS.contains(&entrant) && entrant != Entrant::AsyncSmtp;
        let (few, many) = if slow { (5, 25) } else { (100, 600) };
        // To a tenth: on a busy machine a wait now and then ends with nothing to read.
        Ok((count::system_calls(&work, few, many)? * 10.0).round() / 10.0)
    }

    fn counters(&self, results: &mut Results) -> Result<(), Failure> {
        let asynchronous = [Entrant::Lettre, Entrant::MailSend, Entrant::AsyncSmtp];
        let named = |entrant: Entrant, figure: f64| (entrant.name().to_owned(), figure);
        for (octets, size, most) in [(1024, "1 KiB", 6_000.0), (65_536, "64 KiB", 30_000.0)] {
            let ours = self.instructions(Entrant::Single, octets)?;
            let raw = self.instructions(Entrant::Raw, octets)?;
            let mut peers = Vec::new();
            for peer in asynchronous {
                peers.push(named(peer, self.instructions(peer, octets)?));
            }
            let name = format!("instructions per message, {size}");
            let row = Row::figure(&name, "instr", ours, Target::AtMost(most))
                .beside(raw)
                .peers(peers, false)
                .because(if octets < 2_000 {
                    WHY_INSTRUCTIONS
                } else {
                    WHY_INSTRUCTIONS_64
                });
            results.rows.push(row);
            if octets == 1024 {
                // Exactly repeatable, so in memory.
                let of = |name: &str| count::instructions(&["canned", name], 200, 600);
                let (bare, all) = (of("send 1 KiB")?, of("send 1 KiB, deadline and token")?);
                let name = "guard in a whole message, instructions";
                let row = Row::figure(name, "instr", all.all(), Target::AtMost(1.03))
                    .beside(bare.all())
                    .because(WHY_GUARD);
                results.rows.push(row.by_ratio(all.all() / bare.all()));
            }
        }
        for (entrant, most, raw, name) in [
            (Entrant::Single, 6.0, Entrant::Raw, "send"),
            (Entrant::Many, 3.0, Entrant::RawAcross, "send_all"),
            (
                Entrant::ManyBest,
                3.0,
                Entrant::RawWindow,
                "send_all, BDAT window",
            ),
        ] {
            let ours = self.system_calls(entrant)?;
            let raw = self.system_calls(raw)?;
            let mut peers = Vec::new();
            if entrant == Entrant::Single {
                for peer in asynchronous {
                    peers.push(named(peer, self.system_calls(peer)?));
                }
            }
            let name = format!("system calls per message, {name}");
            let row = Row::figure(&name, "calls", ours, Target::AtMost(most))
                .beside(raw)
                .peers(peers, false)
                .because(WHY_CALLS);
            results.rows.push(row);
        }
        self.round_trips(results)?;
        for name in ["send 1 KiB", "send_all 1 KiB"] {
            let workload = canned::WORKLOADS.iter().find(|w| w.name == name);
            let mut round = workload.ok_or("no such workload")?.prepare()?;
            let ours = count::allocations(self.meter, &mut round, 100)?;
            let name = format!("allocations per message, {name}");
            let row =
                Row::figure(&name, "calls", ours, Target::AtMost(RECEIPT)).because(WHY_ALLOCATIONS);
            results.rows.push(row);
        }
        Ok(())
    }

    fn turns(&self, entrant: Entrant, messages: usize) -> Result<f64, Failure> {
        let mut round = entrant.enter(self.sink.port(), 1, 1024)?;
        round(1)?;
        let before = self.sink.turns()?;
        round(messages)?;
        Ok((self.sink.turns()? - before - 1) as f64 / messages as f64)
    }

    fn round_trips(&self, results: &mut Results) -> Result<(), Failure> {
        for entrant in Entrant::ALL {
            let slow = Entrant::PEERS.contains(&entrant);
            let turns = self.turns(entrant, if slow { 10 } else { 500 })?;
            results.turns.push((entrant.name().to_owned(), turns));
        }
        let turns = results.turns.clone();
        let of = |entrant: Entrant| {
            let found = turns.iter().find(|(name, _)| name == entrant.name());
            found.map_or(f64::NAN, |(_, turns)| *turns)
        };
        for (entrant, most, raw, name) in [
            (Entrant::Single, 2.1, Entrant::Raw, "send"),
            (Entrant::Many, 1.1, Entrant::RawAcross, "send_all"),
            (
                Entrant::ManyBest,
                0.1,
                Entrant::RawWindow,
                "send_all, BDAT window",
            ),
        ] {
            let name = format!("round trips per further message, {name}");
            let peers = Entrant::PEERS.map(|peer| (peer.name().to_owned(), of(peer)));
            let row = Row::figure(&name, "trips", of(entrant), Target::AtMost(most))
                .beside(of(raw))
                .peers(peers, false)
                .because(WHY_WINDOW);
            results.rows.push(row);
        }
        for (security, name, most) in [
            (Security::None, "in clear", 5.3),
            (Security::StartTls, "STARTTLS", 8.3),
        ] {
            let dial = idle::Dial::new(self.sink.port(), security, false)?;
            let turns = idle::dial_turns(&self.sink, &dial)?;
            let name = format!("dial to first acceptance, {name}");
            let row = Row::figure(&name, "trips", turns, Target::AtMost(most));
            results.rows.push(row);
        }
        let name = "dial to first acceptance, STARTTLS and AUTH PLAIN";
        let dial = || idle::Dial::new(self.sink.port(), Security::StartTls, true);
        for (dial, name, most) in [
            (dial()?, name.to_owned(), 9.3),
            (dial()?.ahead(), format!("{name}, CHUNKING"), 8.3),
        ] {
            let turns = idle::dial_turns(&self.sink, &dial)?;
            let row = Row::figure(&name, "trips", turns, Target::AtMost(most));
            results.rows.push(row);
        }
        Ok(())
    }

    fn parts(&self, results: &mut Results) {
        let (ours, limit) = speed::encoder(self.rounds());
        let row = Row::figure("transparency encoder", "GiB/s", ours, Target::AtLeast(40.0))
            .beside(limit)
            .because(WHY_ENCODER);
        results.rows.push(row);
        let reply = speed::reply(self.rounds());
        results.rows.push(
            Row::figure("reply reader, one line", "ns", reply, Target::AtMost(25.0))
                .because(WHY_REPLY),
        );
        let [alone, memory, hosts] = speed::simulation(self.rounds());
        for (name, rate, raw, least) in [
            ("simulated sessions, sans-IO", alone, 4.4e6, 1e6),
            ("simulated sessions, mem", memory, 1.1e5, 1e5),
            ("simulated sessions, turmoil", hosts, 1.1e4, 1e4),
        ] {
            let row = Row::figure(name, "1/s", rate, Target::AtLeast(least)).beside(raw);
            results.rows.push(row.because(WHY_SIMULATION));
        }
    }

    fn idle(&self, results: &mut Results) -> Result<(), Failure> {
        for (security, name, connections, most) in [
            (Security::None, "plain", 4_000, 1_024.0),
            (Security::StartTls, "TLS", 1_000, 8_192.0),
        ] {
            let connections = if self.quick { 500 } else { connections };
            let octets = idle::heap(self.meter, &self.sink, security, connections)?;
            let name = format!("heap of a connection at rest, {name}");
            let row = Row::figure(&name, "octets", octets, Target::AtMost(most));
            results.rows.push(row.because(WHY_HEAP));
        }
        Ok(())
    }
}
