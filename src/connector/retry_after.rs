//! Reads how long a vendor asks to wait: `Retry-After` in seconds or as a date, or a vendor's reset time. Pure.

use chrono::DateTime;
use std::collections::BTreeMap;

use crate::model::time::{Span, Time};

/// Nobody is made to wait longer than this by a header.
const LONGEST: Span = Span::hours(1);

/// The wait, if the answer asks for one. Times are judged by the answer's own `Date`, so clocks need not agree.
pub(crate) fn retry_after(
    headers: &BTreeMap<String, String>,
    reset_header: Option<&str>,
    sent_at: Time,
) -> Option<Span> {
    let now = headers.get("date").and_then(|text| date(text)).unwrap_or(sent_at);
    let seconds = headers
        .get("retry-after")
        .and_then(|text| {
            text.trim().parse().ok().or_else(|| Some((date(text)? - now).num_seconds()))
        })
        .or_else(|| {
            let remaining =
                headers.get(&reset_header?.to_lowercase().replace("-reset", "-remaining"));
            if remaining.is_some_and(|left| left.trim() != "0") {
                return None;
            }
            let reset: i64 = headers.get(&reset_header?.to_lowercase())?.trim().parse().ok()?;
            Some(reset - now.timestamp())
        })?;
    Some(Span::seconds(seconds.clamp(1, LONGEST.delta().num_seconds())))
}

fn date(text: &str) -> Option<Time> {
    DateTime::parse_from_rfc2822(text.trim()).ok().map(|t| t.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&str, &str)]) -> Option<Span> {
        let headers = headers.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let sent = DateTime::from_timestamp(1_777_975_200, 0).unwrap();
        retry_after(&headers, Some("X-Rate-Limit-Reset"), sent)
    }

    #[test]
    fn seconds_dates_and_reset_times_are_understood() {
        let date = ("date", "Tue, 05 May 2026 10:15:30 GMT");

        assert_eq!(wait(&[("retry-after", "17")]), Some(Span::seconds(17)));
        assert_eq!(
            wait(&[date, ("retry-after", "Tue, 05 May 2026 10:15:40 GMT")]),
            Some(Span::seconds(10))
        );
        assert_eq!(wait(&[date, ("x-rate-limit-reset", "1777976135")]), Some(Span::seconds(5)));
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn a_bucket_with_room_asks_for_no_wait() {
        let headers = [("x-rate-limit-remaining", "9"), ("x-rate-limit-reset", "1777979999")];

        assert_eq!(wait(&headers), None);
    }

    #[test]
    fn no_header_makes_us_wait_for_ever() {
        assert_eq!(wait(&[("retry-after", "99999999")]), Some(LONGEST));
        assert_eq!(wait(&[("retry-after", "-5")]), Some(Span::seconds(1)));
    }
}
