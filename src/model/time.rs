//! Instants and spans. Instants are UTC; spans are written with their unit (`15s`, `10m`, `24h`, `7d`).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An instant in UTC. Written as RFC 3339 with milliseconds.
pub(crate) type Time = DateTime<Utc>;

/// Writes an instant the way Quell shows it everywhere: RFC 3339, milliseconds, `Z`.
pub(crate) fn rfc3339(at: Time) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A length of time that is always written with its unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span(TimeDelta);

impl Span {
    pub(crate) const fn seconds(n: i64) -> Self {
        Self(TimeDelta::seconds(n))
    }
    pub(crate) const fn minutes(n: i64) -> Self {
        Self(TimeDelta::minutes(n))
    }
    pub(crate) const fn hours(n: i64) -> Self {
        Self(TimeDelta::hours(n))
    }
    pub(crate) const fn delta(self) -> TimeDelta {
        self.0
    }
    /// As a [`std::time::Duration`]; a span is never negative.
    pub(crate) fn duration(self) -> std::time::Duration {
        self.0.to_std().unwrap_or_default()
    }
}

/// Why a text is not a [`Span`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a length of time: write a whole number and one of ms, s, m, h, d, such as `15s` or `24h`"
)]
pub(crate) struct NotASpan(String);

impl std::str::FromStr for Span {
    type Err = NotASpan;

    fn from_str(text: &str) -> Result<Self, NotASpan> {
        let refuse = || NotASpan(text.chars().take(40).collect());
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let number: i64 = text[..digits].parse().map_err(|_| refuse())?;
        let delta = match &text[digits..] {
            "ms" => TimeDelta::try_milliseconds(number),
            "s" => TimeDelta::try_seconds(number),
            "m" => TimeDelta::try_minutes(number),
            "h" => TimeDelta::try_hours(number),
            "d" => TimeDelta::try_days(number),
            _ => None,
        };
        // A century is longer than anything here may last, and far from overflow when added to a date.
        delta.filter(|d| *d <= TimeDelta::days(36_500)).map(Self).ok_or_else(refuse)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.num_milliseconds();
        match ms {
            0 => write!(f, "0s"),
            _ if ms % 86_400_000 == 0 => write!(f, "{}d", ms / 86_400_000),
            _ if ms % 3_600_000 == 0 => write!(f, "{}h", ms / 3_600_000),
            _ if ms % 60_000 == 0 => write!(f, "{}m", ms / 60_000),
            _ if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            _ => write!(f, "{ms}ms"),
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_back_as_it_was_written() {
        for text in ["250ms", "15s", "10m", "24h", "7d"] {
            let span: Span = text.parse().unwrap();
            let again: Span = span.to_string().parse().unwrap();
            assert_eq!(span, again);
        }
    }

    #[test]
    fn a_span_without_a_unit_is_refused() {
        for text in ["", "15", "s", "-3s", "1.5h", "15 s", "99999999999999999999d", "9999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
