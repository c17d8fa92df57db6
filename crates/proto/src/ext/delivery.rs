//! When and how urgently the server is to deliver: DELIVERBY, MT-PRIORITY, FUTURERELEASE.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use super::ParameterError;

/// What the server does with a message that it can't deliver in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ByMode {
    /// It gives up and returns the message.
    Return,
    /// It tells the sender and goes on trying.
    Notify,
}

/// Deliver by a time from now (RFC 2852).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverBy {
    seconds: u32,
    mode: ByMode,
    trace: bool,
}

impl DeliverBy {
    /// Within this time, in whole seconds, rounded up.
    ///
    /// # Errors
    /// If it is zero or longer than 999,999,999 s.
    pub fn within(time: Duration, mode: ByMode) -> Result<Self, ParameterError> {
        match whole_seconds(time) {
            Some(seconds @ 1..=999_999_999) => Ok(Self {
                seconds,
                mode,
                trace: false,
            }),
            _ => Err(ParameterError::new(
                "BY",
                "a time to deliver by is between 1 s and 999999999 s",
            )),
        }
    }

    /// With a report from every server on the way.
    #[must_use]
    pub const fn traced(mut self) -> Self {
        self.trace = true;
        self
    }

    /// The time in seconds.
    #[must_use]
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// What is done when it is over.
    #[must_use]
    pub const fn mode(&self) -> ByMode {
        self.mode
    }
}

fn whole_seconds(time: Duration) -> Option<u32> {
    let up = u64::from(time.subsec_nanos() > 0);
    u32::try_from(time.as_secs().saturating_add(up)).ok()
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Return => 'R',
            ByMode::Notify => 'N',
        };
        let trace = if self.trace { "T" } else { "" };
        write!(f, "{};{mode}{trace}", self.seconds)
    }
}

/// A message transfer priority from -9 to 9 (RFC 6710); 0 is what a message has without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MtPriority(i8);

impl MtPriority {
    /// This priority.
    ///
    /// # Errors
    /// If it is under -9 or over 9.
    pub const fn new(priority: i8) -> Result<Self, ParameterError> {
        if priority < -9 || priority > 9 {
            return Err(ParameterError::new(
                "MT-PRIORITY",
                "a priority is between -9 and 9",
            ));
        }
        Ok(Self(priority))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }
}

impl fmt::Display for MtPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When the server is to let the message go (RFC 4865).
///
/// ```
/// use postbound_proto::ext::FutureRelease;
/// # use std::time::Duration;
/// let later = FutureRelease::after(Duration::from_secs(3_600))?;
/// assert_eq!(later.to_string(), "HOLDFOR=3600");
/// let then: FutureRelease = "2030-01-31T08:00:00+01:00".parse()?;
/// assert_eq!(then.to_string(), "HOLDUNTIL=2030-01-31T08:00:00+01:00");
/// # Ok::<(), postbound_proto::ext::ParameterError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FutureRelease(Hold);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hold {
    For(u32),
    Until(DateTime),
}

impl FutureRelease {
    /// This much later, in whole seconds, rounded up.
    ///
    /// # Errors
    /// If it is zero or longer than 999,999,999 s.
    pub fn after(time: Duration) -> Result<Self, ParameterError> {
        match whole_seconds(time) {
            Some(seconds @ 1..=999_999_999) => Ok(Self(Hold::For(seconds))),
            _ => Err(ParameterError::new(
                "HOLDFOR",
                "a message is held between 1 s and 999999999 s",
            )),
        }
    }

    /// Whether the server's limits allow it.
    pub(crate) fn is_within(&self, limits: &FutureReleaseLimits) -> bool {
        match &self.0 {
            Hold::For(seconds) => limits.interval.is_none_or(|most| *seconds <= most),
            Hold::Until(instant) => limits
                .until
                .as_ref()
                .is_none_or(|most| instant.seconds() <= most.seconds()),
        }
    }
}

impl FromStr for FutureRelease {
    type Err = ParameterError;

    /// Reads a date and time as RFC 3339 has them: `2030-01-31T08:00:00Z`.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        DateTime::parse(text)
            .map(|instant| Self(Hold::Until(instant)))
            .ok_or(ParameterError::new(
                "HOLDUNTIL",
                "write a date and time such as 2030-01-31T08:00:00Z or 2030-01-31T08:00:00+01:00",
            ))
    }
}

impl fmt::Display for FutureRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Hold::For(seconds) => write!(f, "HOLDFOR={seconds}"),
            Hold::Until(instant) => write!(f, "HOLDUNTIL={}", instant.text),
        }
    }
}

/// How long the server holds messages at most. What it does not say is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FutureReleaseLimits {
    interval: Option<u32>,
    until: Option<DateTime>,
}

impl FutureReleaseLimits {
    pub(super) fn parse(parameters: &str) -> Self {
        let mut words = parameters.split_whitespace();
        Self {
            interval: words.next().and_then(|seconds| seconds.parse().ok()),
            until: words.next().and_then(DateTime::parse),
        }
    }

    /// The longest time, in seconds.
    #[must_use]
    pub const fn interval(&self) -> Option<u32> {
        self.interval
    }

    /// The latest date and time, as the server wrote it.
    #[must_use]
    pub fn until(&self) -> Option<&str> {
        self.until.as_ref().map(|instant| instant.text.as_str())
    }
}

impl fmt::Display for FutureReleaseLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.interval, self.until()) {
            (Some(seconds), Some(until)) => write!(f, " {seconds} {until}"),
            (Some(seconds), None) => write!(f, " {seconds}"),
            _ => Ok(()),
        }
    }
}

/// A date and time of RFC 3339, without parts of a second: its text, and what it amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DateTime {
    text: String,
    seconds: i64,
}

impl DateTime {
    fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let (time, zone) = rest.split_at_checked(9)?;
        let [year, month, day] = fields(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = fields(time.strip_prefix('T')?, ':', [2, 2, 2])?;
        let offset = match zone {
            "Z" => 0,
            _ => {
                let sign = match zone.as_bytes().first()? {
                    b'+' => 1,
                    b'-' => -1,
                    _ => return None,
                };
                let [hours, minutes, _] =
                    fields(&format!("{}:00", zone.get(1..)?), ':', [2, 2, 2])?;
                (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60)?
            }
        };
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + i64::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        // Days since 0000-03-01, so that the leap day is a year's last (the calendar is Gregorian).
        let (year, month) = if month > 2 {
            (year, month - 3)
        } else {
            (year - 1, month + 9)
        };
        let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + (month * 153 + 2) / 5
            + day;
        Some(Self {
            text: text.to_owned(),
            seconds: ((days * 24 + hour) * 60 + minute) * 60 + second - offset,
        })
    }

    const fn seconds(&self) -> i64 {
        self.seconds
    }
}

/// Three numbers of these many digits each, and nothing else.
fn fields(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut words = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let word = words.next()?;
        if word.len() != digits || !word.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        *number = word.parse().ok()?;
    }
    words.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        DateTime::parse(text).map(|instant| instant.seconds())
    }

    #[test]
    fn dates_and_times_are_compared_as_instants() {
        let noon = seconds("2030-01-31T12:00:00Z").unwrap();
        assert_eq!(seconds("2030-01-31T13:00:00+01:00"), Some(noon));
        assert_eq!(seconds("2030-02-01T12:00:00Z"), Some(noon + 86_400));
        assert_eq!(
            seconds("2028-03-01T00:00:00Z").unwrap() - seconds("2028-02-28T00:00:00Z").unwrap(),
            2 * 86_400
        );
        assert_eq!(
            seconds("2100-03-01T00:00:00Z").unwrap() - seconds("2100-02-28T00:00:00Z").unwrap(),
            86_400
        );
    }

    #[test]
    fn what_is_no_date_and_time_is_refused() {
        for text in [
            "",
            "2030-01-31",
            "2030-01-31 12:00:00Z",
            "2030-02-29T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-01-31T24:00:00Z",
            "2030-01-31T12:00:00",
            "2030-01-31T12:00:00+1:00",
            "2030-01-31T12:00:00Z\r\nDATA",
            "2030-01-31T12:00:00é",
            "+030-01-31T12:00:00Z",
        ] {
            assert!(text.parse::<FutureRelease>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn each_day_of_four_hundred_years_is_one_day_behind_the_one_before() {
        let mut before = seconds("1999-12-31T06:05:04Z").unwrap();
        for year in 2000..2401 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year == 2000 || year == 2400);
            for (month, days) in (1..).zip([
                31,
                28 + i32::from(leap),
                31,
                30,
                31,
                30,
                31,
                31,
                30,
                31,
                30,
                31,
            ]) {
                for day in 1..=days {
                    let text = format!("{year}-{month:02}-{day:02}T06:05:04Z");
                    let now = seconds(&text);
                    assert_eq!(now, Some(before + 86_400), "{text}");
                    before += 86_400;
                }
                let text = format!("{year}-{month:02}-{:02}T06:05:04Z", days + 1);
                assert_eq!(seconds(&text), None, "{text}");
            }
        }
    }

    #[test]
    fn an_offset_is_taken_off_and_a_time_of_day_counts() {
        let midnight = seconds("2030-01-31T00:00:00Z").unwrap();
        for (text, behind) in [
            ("2030-01-31T01:02:03Z", 3_723),
            ("2030-01-31T23:59:60Z", 86_400),
            ("2030-01-31T00:00:00+05:30", -19_800),
            ("2030-01-31T00:00:00-05:30", 19_800),
            ("2030-01-31T00:00:00+23:59", -86_340),
        ] {
            assert_eq!(seconds(text), Some(midnight + behind), "{text}");
        }
    }
}
