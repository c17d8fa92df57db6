//! Faults of the network from text.

use std::time::Duration;

use super::{Cursor, PlanError};
use crate::plan::{Direction, LinkFault, Rule, Strike};

impl Cursor<'_> {
    pub(super) fn heal(&mut self) -> Result<Option<Duration>, PlanError> {
        self.blanks();
        if self.rest().starts_with("heal ") {
            self.keyword("heal")?;
            return self.duration().map(Some);
        }
        Ok(None)
    }

    pub(super) fn direction(&mut self) -> Result<Direction, PlanError> {
        let word = self.word();
        match word {
            "" | "both" => Ok(Direction::Both),
            "to-server" => Ok(Direction::ToServer),
            "to-client" => Ok(Direction::ToClient),
            _ => self.back(word, "to-server, to-client, both or the end of the line"),
        }
    }

    pub(super) fn link(&mut self) -> Result<Rule, PlanError> {
        let word = self.word();
        Ok(Rule::Link(match word {
            "latency" => LinkFault::Latency(self.duration()?),
            "window" => LinkFault::Window(self.number("a number of octets, at least 1")?),
            "fragment" => LinkFault::Fragment {
                octets: self.number("a number of octets, at least 1")?,
                direction: self.direction()?,
            },
            "split" => LinkFault::Split {
                after: self.octets()?,
                direction: self.direction()?,
            },
            "coalesce" => LinkFault::Coalesce {
                every: self.duration()?,
                direction: self.direction()?,
            },
            "blackhole" => {
                self.keyword("after")?;
                LinkFault::Blackhole {
                    after: self.duration()?,
                    heal: self.heal()?,
                    direction: self.direction()?,
                }
            }
            "at" => {
                self.keyword("octet")?;
                let octet = self.number::<u64>("an octet's number, from 1")?;
                self.strike(octet)?
            }
            _ => {
                return self.back(
                    word,
                    "latency TIME, window OCTETS, fragment OCTETS, split after NUMBER..., coalesce TIME, blackhole after TIME or at octet NUMBER",
                );
            }
        }))
    }

    /// The numbers of octets behind which pieces end.
    fn octets(&mut self) -> Result<Vec<u64>, PlanError> {
        const EXPECTED: &str = "the numbers of octets, from 1 and ascending";
        self.keyword("after")?;
        let mut octets = vec![self.number::<u64>(EXPECTED)?];
        loop {
            self.blanks();
            if !self.rest().starts_with(|c: char| c.is_ascii_digit()) {
                return Ok(octets);
            }
            let before = self.at;
            let octet = self.number::<u64>(EXPECTED)?;
            if octets.last().is_some_and(|last| octet <= *last) {
                self.at = before;
                return self.fail(EXPECTED);
            }
            octets.push(octet);
        }
    }

    pub(super) fn strike(&mut self, octet: u64) -> Result<LinkFault, PlanError> {
        let word = self.word();
        let direction = match word {
            "to-server" => Direction::ToServer,
            "to-client" => Direction::ToClient,
            _ => return self.back(word, "to-server or to-client"),
        };
        let word = self.word();
        let strike = match word {
            "stall" => Strike::Stall,
            "shut" => Strike::Shut,
            "close" => Strike::Close,
            "reset" => Strike::Reset,
            "corrupt" if direction == Direction::ToClient => Strike::Corrupt,
            "corrupt" => {
                return self.back(word, "another strike: only to-client is anything corrupted");
            }
            "drip" => Strike::Drip(self.duration()?),
            _ => return self.back(word, "stall, shut, close, reset, corrupt or drip TIME"),
        };
        Ok(LinkFault::At {
            octet,
            direction,
            strike,
        })
    }
}
