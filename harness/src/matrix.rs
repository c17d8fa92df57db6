//! The fault matrix: every phase, every fault that it can have, every backend that can do it.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postbound::sasl::Mechanism;
use postbound::{Outcome, Phase, Security};
use simnet::net::Backend;
use simnet::plan::ProxyKind;
use simnet::plan::vocabulary::{NamedFault, chunk_faults, faults, link_faults, proxy_faults};

use crate::case::Case;
use crate::report::{Report, Violation};
use crate::run;

/// Cells on real sockets that run at once.
const AT_ONCE: usize = 8;

/// One cell: a fault at a place on a backend.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cell {
    /// The phase, or `None` for the network itself.
    pub phase: Option<Phase>,
    /// The fault's name within the phase.
    pub fault: &'static str,
    /// What it does, and what a good client makes of it.
    pub explain: &'static str,
    /// The network.
    pub backend: Backend,
    /// The whole experiment.
    pub case: Case,
    harmless: bool,
}

/// What a cell showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// Everything held.
    Holds(Box<Report>),
    /// A guarantee was broken.
    Broken(Box<Report>, Vec<Violation>),
    /// The backend can't do this fault.
    Skipped(String),
}

/// Every cell.
#[derive(Clone, Debug)]
pub struct Matrix {
    cells: Vec<Cell>,
}

/// What a row's cells have in common.
#[derive(Clone, Copy)]
struct Setting {
    tls: Security,
    chunks: bool,
    lmtp: bool,
    proxy: Option<ProxyKind>,
}

impl Setting {
    const PLAIN: Self = Self {
        tls: Security::None,
        chunks: false,
        lmtp: false,
        proxy: None,
    };

    const CHUNKS: Self = Self {
        chunks: true,
        ..Self::PLAIN
    };

    const LMTP: Self = Self {
        lmtp: true,
        ..Self::PLAIN
    };

    const fn with(tls: Security) -> Self {
        Self { tls, ..Self::PLAIN }
    }

    const fn behind(kind: ProxyKind) -> Self {
        Self {
            proxy: Some(kind),
            ..Self::PLAIN
        }
    }
}

/// The limit of each phase, where time is virtual and where it is real.
fn scale(backend: Backend) -> Duration {
    match backend {
        Backend::Mem | Backend::Turmoil => Duration::from_secs(2),
        Backend::Loopback => Duration::from_millis(400),
    }
}

impl Matrix {
    /// The matrix on these backends.
    #[must_use]
    pub fn new(backends: &[Backend]) -> Self {
        let mut cells = Vec::new();
        for &backend in backends {
            let scale = scale(backend);
            let mut row = |phase, setting: Setting, faults: Vec<NamedFault>| {
                cells.extend(faults.into_iter().map(|fault| {
                    let mut case = Case::new(fault.plan);
                    case.tls = setting.tls;
                    case.proxy = setting.proxy;
                    case.timeout = scale;
                    case.recipients = 2;
                    case.again = phase == Some(Phase::Reset);
                    case.noop = phase == Some(Phase::Command);
                    // The mechanism in which most can go wrong.
                    case.auth = (phase == Some(Phase::Auth)).then_some(Mechanism::ScramSha256);
                    if backend == Backend::Loopback && phase == Some(Phase::DataBlock) {
                        // More than the smallest buffers of the kernel hide.
                        case.octets = 200_000;
                    }
                    case.lmtp = setting.lmtp;
                    // Three of them.
                    case.chunking = setting.chunks.then_some(case.octets / 3 + 1);
                    Cell {
                        phase,
                        fault: fault.name,
                        explain: fault.explain,
                        backend,
                        case,
                        harmless: fault.harmless,
                    }
                }));
            };
            for phase in Phase::ALL {
                let modes: &[Security] = match phase {
                    Phase::StartTls => &[Security::StartTls],
                    Phase::TlsHandshake => &[Security::StartTls, Security::Implicit],
                    _ => &[Security::None],
                };
                for &tls in modes {
                    row(Some(phase), Setting::with(tls), faults(phase, scale));
                }
                if matches!(phase, Phase::DataBlock | Phase::DataTermination) {
                    let mut faults = faults(phase, scale);
                    if phase == Phase::DataBlock {
                        faults.extend(chunk_faults(scale));
                    }
                    row(Some(phase), Setting::CHUNKS, faults);
                }
                if matches!(phase, Phase::Ehlo | Phase::DataTermination) {
                    row(Some(phase), Setting::LMTP, faults(phase, scale));
                }
            }
            // All that is said to a proxy counts as connecting.
            for kind in ProxyKind::ALL {
                let faults = proxy_faults(kind, scale);
                row(Some(Phase::Connect), Setting::behind(kind), faults);
            }
            row(None, Setting::with(Security::None), link_faults(scale));
        }
        Self { cells }
    }

    /// Runs every cell and tells of each in order. Those on real sockets run many at once, as most of
    /// their time is waiting.
    ///
    /// # Panics
    /// If a cell does.
    pub fn run(&self, mut each: impl FnMut(&Cell, Verdict)) {
        let slots: Vec<OnceLock<Verdict>> = self.cells.iter().map(|_| OnceLock::new()).collect();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let (Some(cell), Some(slot)) = (self.cells.get(place), slots.get(place))
                        else {
                            break;
                        };
                        if cell.backend == Backend::Loopback {
                            let _ = slot.set(cell.run());
                        }
                    }
                });
            }
        });
        for (cell, slot) in self.cells.iter().zip(slots) {
            each(cell, slot.into_inner().unwrap_or_else(|| cell.run()));
        }
    }

    /// The cells, by backend and phase.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }
}

impl Cell {
    /// Where the fault strikes: the phase, or `link`.
    #[must_use]
    pub fn place(&self) -> &'static str {
        self.phase.map_or("link", Phase::name)
    }

    /// Whether the message must be delivered all the same.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        self.harmless
    }

    /// Runs the cell.
    #[must_use]
    pub fn run(&self) -> Verdict {
        if let Err(skip) = self.backend.can(&self.case.plan) {
            return Verdict::Skipped(skip);
        }
        let (report, tolerance) = run::on(self.backend, &self.case);
        let mut violations = report.violations(&self.case, tolerance);
        let delivered = report.claim.outcome == Outcome::Accepted;
        if self.harmless != delivered {
            let what = match self.harmless {
                true => format!("a harmless fault, but {}", report.claim),
                false => "a fault that must show, but the message was accepted".to_owned(),
            };
            violations.push(Violation::new("g7", what));
        }
        // A fault that makes the call fail is blamed on the phase where it strikes, and on the one
        // that was waited for then where a server fault shows a phase late.
        if let (Some(at), Some(named)) = (self.phase, report.claim.phase)
            && !self.harmless
            && !self.may_be_named(at, named)
        {
            violations.push(Violation::new(
                "g6",
                format!("a fault at {at}, but the error names {named}"),
            ));
        }
        if violations.is_empty() {
            Verdict::Holds(Box::new(report))
        } else {
            Verdict::Broken(Box::new(report), violations)
        }
    }

    fn may_be_named(&self, at: Phase, named: Phase) -> bool {
        if at == named {
            return true;
        }
        match (at, self.fault) {
            // Dead addresses are no fault of the look-up.
            (Phase::Resolve, "all-blackholed") => named == Phase::Connect,
            // A surplus reply shows where the next one is due.
            // So does a missing one, if the server goes on with the group.
            (Phase::Reset, "twice" | "silence") => named < at,
            (Phase::StartTls, "twice") => false,
            (_, "twice") => named > at,
            // Octets that are injected are found where they stand, or make the handshake fail.
            (Phase::TlsHandshake, "inject" | "inject-fragment") => named == Phase::StartTls,
            // What stands behind the proxy's answer is the server's word.
            (Phase::Connect, fault) if fault.contains("-early-") => named > at,
            // What strikes behind the handshake shows there.
            (Phase::TlsHandshake, "drop" | "alert" | "no-close-notify") => named > at,
            // On real sockets a reset can be quicker than the connection's own completion.
            (Phase::Greeting, "reset") => named == Phase::Connect,
            _ => false,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.backend, self.place(), self.fault)?;
        if self.case.chunking.is_some() {
            f.write_str(" (chunks)")?;
        }
        if self.case.lmtp {
            f.write_str(" (lmtp)")?;
        }
        match self.case.tls {
            Security::None => Ok(()),
            tls => write!(f, " ({tls})"),
        }
    }
}

impl Verdict {
    /// Whether everything held, as far as it was tried.
    #[must_use]
    pub const fn is_fine(&self) -> bool {
        !matches!(self, Self::Broken(..))
    }
}
