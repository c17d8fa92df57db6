//! Messages a second, beside the peers and the limits.

use std::time::{Duration, Instant};

use crate::contest::{Entrant, Rates, median, race};
use crate::peers::smtp_source;
use crate::rows::{Bench, Results};
use crate::table::{Row, Target};
use crate::why::*;

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Bench {
    pub(crate) fn messages(&self, results: &mut Results) -> Result<(), Failure> {
        use Entrant::{
            LettreBlocking, Many, ManyBest, Raw, RawAcross, RawChunked, RawTokio, RawTokioAcross,
            RawWindow, Single, SingleBest, SingleGuarded,
        };
        let each = Duration::from_millis(60);
        let mut entrants = vec![
            Single,
            SingleGuarded,
            SingleBest,
            Many,
            ManyBest,
            Raw,
            RawAcross,
            RawTokio,
            RawTokioAcross,
            RawChunked,
            RawWindow,
            LettreBlocking,
        ];
        entrants.extend(
            Entrant::PEERS
                .into_iter()
                .filter(|peer| *peer != LettreBlocking),
        );
        let rates = race(&self.sink, &entrants, 1, 1024, self.rounds(), each)?;
        let none = Rates::default();
        let of = |entrant: Entrant| {
            let place = entrants.iter().position(|known| *known == entrant);
            place.map_or(&none, |place| &rates[place])
        };
        let rate = |entrant: Entrant| of(entrant).median();
        results.sink_share = median(&mut of(Raw).sink.clone());
        let peers = || Entrant::PEERS.map(|peer| (peer.name().to_owned(), rate(peer)));
        for (entrant, raw, least, name, why) in [
            (Single, Raw, 0.90, "send, PIPELINING, 1 KiB", WHY_SEND),
            (
                SingleBest,
                RawChunked,
                0.90,
                "send, CHUNKING, 1 KiB",
                WHY_WINDOW,
            ),
            (
                Many,
                RawAcross,
                0.90,
                "send_all, PIPELINING, 1 KiB",
                WHY_SEND_ALL,
            ),
            (
                ManyBest,
                RawWindow,
                0.75,
                "send_all, BDAT window, 1 KiB",
                WHY_WINDOW,
            ),
            (
                Single,
                RawTokio,
                0.90,
                "send by the raw program on tokio, 1 KiB",
                WHY_SEND,
            ),
            (
                Many,
                RawTokioAcross,
                0.90,
                "send_all by the raw program on tokio, 1 KiB",
                WHY_SEND_ALL,
            ),
            (
                SingleGuarded,
                Single,
                0.98,
                "send with deadline and token by send without",
                WHY_NOISE,
            ),
        ] {
            let row = Row::figure(name, "1/s", rate(entrant), Target::AtLeast(least))
                .beside(rate(raw))
                .peers(peers(), true)
                .because(why);
            results.rows.push(row.by_ratio(of(entrant).by(of(raw))));
        }
        if let Some(source) = self.smtp_source()? {
            let ours = rate(Single);
            let row = Row::figure(
                "send by Postfix's smtp-source, 1 KiB",
                "1/s",
                ours,
                Target::AtLeast(1.8),
            )
            .beside(source)
            .because(WHY_SOURCE);
            results.rows.push(row.by_ratio(ours / source));
        }
        let sizes: &[usize] = if self.quick {
            &[1 << 10, 1 << 16, 10 << 20]
        } else {
            &[
                1 << 10,
                1 << 12,
                1 << 14,
                1 << 16,
                1 << 18,
                1 << 20,
                10 << 20,
            ]
        };
        for octets in sizes {
            let pair = [Single, Raw, Entrant::AsyncSmtp];
            let rates = race(&self.sink, &pair, 1, *octets, self.rounds(), each)?;
            let by = rates[0].by(&rates[1]);
            results.by_size.push((*octets, by));
            if *octets == 10 << 20 {
                let mib = |rate: &Rates| rate.median() * 10.0;
                let row = Row::figure(
                    "send, 10 MiB",
                    "MiB/s",
                    mib(&rates[0]),
                    Target::AtLeast(0.85),
                )
                .beside(mib(&rates[1]))
                .peers([("async-smtp".to_owned(), mib(&rates[2]))], true)
                .because(WHY_LARGE);
                results.rows.push(row.by_ratio(by));
            }
        }
        Ok(())
    }

    /// Messages a second of Postfix's own load generator, if it is installed.
    fn smtp_source(&self) -> Result<Option<f64>, Failure> {
        let run = |messages: usize| {
            let begun = Instant::now();
            let status = smtp_source(self.sink.port(), 1, 1024, messages);
            (status, begun.elapsed().as_secs_f64())
        };
        let mut rates = Vec::new();
        for _ in 0..5 {
            let (Ok(status), short) = run(100) else {
                (self.progress)("smtp-source is not installed: its row is left out");
                return Ok(None);
            };
            let (_, long) = run(1_100);
            if !status.success() {
                return Err("smtp-source failed".into());
            }
            rates.push(1_000.0 / (long - short));
        }
        Ok(Some(median(&mut rates)))
    }
}
