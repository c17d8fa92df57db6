//! The table: what was measured, what was aimed for, and whether it was met.

use serde::Serialize;

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Target {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
}

impl Target {
    /// Whether this figure meets it.
    #[must_use]
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

/// One row.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// What is measured.
    pub name: String,
    /// In what.
    pub unit: &'static str,
    /// Ours.
    pub ours: f64,
    /// The best peer's, and whose it is.
    pub peer: Option<(String, f64)>,
    /// The practical limit.
    pub raw: Option<f64>,
    /// What is compared with the target where that is not `ours` itself: ours by the limit.
    pub ratio: Option<f64>,
    /// The target.
    pub target: Target,
    /// Whether it is met.
    pub met: bool,
    /// Where the rest goes, if it is not.
    pub why: &'static str,
}

impl Row {
    /// A figure that is compared as it is.
    #[must_use]
    pub fn figure(name: &str, unit: &'static str, ours: f64, target: Target) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            ours,
            peer: None,
            raw: None,
            ratio: None,
            target,
            met: target.is_met(ours),
            why: "",
        }
    }

    /// With the limit beside it, for orientation.
    #[must_use]
    pub const fn beside(mut self, raw: f64) -> Self {
        self.raw = Some(raw);
        self
    }

    /// The ratio is what is compared.
    #[must_use]
    pub fn by_ratio(mut self, ratio: f64) -> Self {
        self.ratio = Some(ratio);
        self.met = self.target.is_met(ratio);
        self
    }

    /// With the best of the peers.
    #[must_use]
    pub fn peers(mut self, peers: impl IntoIterator<Item = (String, f64)>, more: bool) -> Self {
        let better = |(_, a): &(String, f64), (_, b): &(String, f64)| match more {
            true => a.total_cmp(b),
            false => b.total_cmp(a),
        };
        self.peer = peers.into_iter().max_by(better);
        self
    }

    /// What keeps it from the target; not shown where that is met.
    #[must_use]
    pub const fn because(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }
}

/// A figure with as many digits as it is worth.
#[must_use]
pub fn short(figure: f64) -> String {
    match figure.abs() {
        n if n >= 10_000_000.0 => format!("{:.1}M", figure / 1e6),
        n if n >= 100_000.0 => format!("{:.0}k", figure / 1e3),
        n if n >= 100.0 => format!("{figure:.0}"),
        n if n >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// The table as text, and below it where the rest goes.
#[must_use]
pub fn text(rows: &[Row]) -> String {
    let head = [
        "",
        "unit",
        "ours",
        "best peer",
        "raw limit",
        "ratio",
        "target",
        "met",
    ];
    let mut cells: Vec<[String; 8]> = vec![head.map(str::to_owned)];
    for row in rows {
        let target = match row.target {
            Target::AtLeast(n) => format!("≥ {}", short(n)),
            Target::AtMost(n) => format!("≤ {}", short(n)),
        };
        let peer = |(name, figure): &(String, f64)| format!("{} ({name})", short(*figure));
        cells.push([
            row.name.clone(),
            row.unit.to_owned(),
            short(row.ours),
            row.peer.as_ref().map(peer).unwrap_or_default(),
            row.raw.map(short).unwrap_or_default(),
            row.ratio.map(|r| format!("{r:.2}")).unwrap_or_default(),
            target,
            if row.met { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..8).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &cells {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            // Words to the left, figures to the right.
            let (before, behind) = if n < 2 {
                ("", pad.as_str())
            } else {
                (pad.as_str(), "")
            };
            line.push_str(&format!("{before}{cell}{behind}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    for row in rows.iter().filter(|row| !row.met && !row.why.is_empty()) {
        out.push_str(&format!("\n{}: {}\n", row.name, row.why));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_decides_where_there_is_one() {
        let row = Row::figure("x", "1/s", 10.0, Target::AtLeast(0.9)).by_ratio(0.5);
        assert!(!row.met);
        assert!(Row::figure("x", "1/s", 10.0, Target::AtLeast(0.9)).met);
    }

    #[test]
    fn the_best_peer_has_most_of_what_is_wanted_and_least_of_what_is_not() {
        let peers = || [("a".to_owned(), 1.0), ("b".to_owned(), 2.0)];
        let row = || Row::figure("x", "", 1.0, Target::AtMost(1.0));
        assert_eq!(row().peers(peers(), true).peer, Some(("b".to_owned(), 2.0)));
        assert_eq!(
            row().peers(peers(), false).peer,
            Some(("a".to_owned(), 1.0))
        );
    }

    #[test]
    fn what_is_missed_is_explained_and_what_is_met_is_not() {
        let missed = Row::figure("slow", "s", 2.0, Target::AtMost(1.0)).because("the reason");
        let met = Row::figure("fast", "s", 0.5, Target::AtMost(1.0)).because("no matter");
        let text = text(&[missed, met]);
        assert!(
            text.contains("slow: the reason") && text.contains("NO"),
            "{text}"
        );
        assert!(!text.contains("no matter"), "{text}");
    }
}
