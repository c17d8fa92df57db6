//! What is known of one message for one of its recipients.

use std::fmt;

use postbound::{Error, FailureKind, Outcome, Receipt};

/// What became of a message for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing of it was ever begun.
    Waiting,
    /// It was begun, and how that ended is not known. In a journal that is all there is of a
    /// message during which the program was killed.
    Begun,
    /// The server took it.
    Accepted,
    /// Nobody has it. `passes`: another try may do better.
    NotAccepted { why: String, passes: bool },
    /// Somebody may have it.
    Ambiguous { why: String },
}

impl Fate {
    /// What a begun message is, where nothing says how it ended.
    pub(crate) fn unknown() -> Self {
        Self::Ambiguous {
            why: "the program ended before the message's outcome was known".to_owned(),
        }
    }

    /// What is known after something more was heard. What one try has left ambiguous stays so
    /// unless a later one is accepted.
    pub(crate) fn then(&mut self, heard: Self) {
        let stays = matches!(
            (&self, &heard),
            (Self::Accepted, _) | (Self::Ambiguous { .. }, Self::NotAccepted { .. })
        );
        if !stays {
            *self = heard;
        }
    }

    /// Whether a message with this fate may be sent without a second copy coming of it.
    pub(crate) fn is_safe(&self) -> bool {
        matches!(self, Self::Waiting | Self::NotAccepted { .. })
    }

    /// Whether it was not accepted and another try may help.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Waiting | Self::NotAccepted { passes: true, .. })
    }

    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Ambiguous { .. } | Self::Begun)
    }

    pub(crate) fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }

    pub(crate) fn is_not_accepted(&self) -> bool {
        matches!(self, Self::NotAccepted { .. })
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("not begun"),
            Self::Begun => f.write_str("begun"),
            Self::Accepted => f.write_str("accepted"),
            Self::NotAccepted { why, .. } | Self::Ambiguous { why } => f.write_str(why),
        }
    }
}

/// What the result of a transaction says about each of its recipients, in the envelope's order.
pub(crate) fn each(result: &Result<Receipt, Error>, recipients: usize) -> Vec<Fate> {
    match result {
        Ok(receipt) => receipt
            .recipients()
            .iter()
            .map(|recipient| match recipient.reply() {
                Some(reply) if !recipient.is_accepted() => Fate::NotAccepted {
                    why: format!("{} {reply}", recipient.path()),
                    passes: !reply.is_permanent_failure(),
                },
                _ => Fate::Accepted,
            })
            .collect(),
        Err(error) => {
            let why = error.to_string();
            let fate = match error.outcome() {
                Outcome::Ambiguous => Fate::Ambiguous { why },
                _ => {
                    let paused = matches!(error.kind(), FailureKind::CircuitOpen(_));
                    let passes = error.is_transient() || paused;
                    Fate::NotAccepted { why, passes }
                }
            };
            vec![fate; recipients]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ambiguous_stays_so_until_it_is_accepted() {
        let failed = Fate::NotAccepted {
            why: "no".to_owned(),
            passes: true,
        };
        let mut fate = Fate::unknown();
        fate.then(failed.clone());
        assert_eq!(fate, Fate::unknown());
        assert!(!fate.is_safe() && !fate.passes());
        fate.then(Fate::Accepted);
        fate.then(failed.clone());
        assert_eq!(fate, Fate::Accepted);
        let mut fate = Fate::Waiting;
        fate.then(failed.clone());
        assert_eq!(fate, failed);
    }
}
