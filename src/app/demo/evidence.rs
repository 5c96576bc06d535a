//! The demonstration's evidence: the real log, shifted to now, and the two made-up records behind it.

use anyhow::Context as _;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::model::time::{Time, rfc3339};

/// Real `PingID` records from `splunk/attack_data` (Apache-2.0); provenance in `tests/fixtures/NOTICE.md`.
const LOG: &str = include_str!("../../../tests/fixtures/open/pingid/pingid-bursts-AB.log");
/// The last record of the second burst. What follows in the file was moved in from other days.
const LAST: &str = "2023-05-10T14:45:23.999Z";
/// How long before now the shifted log ends.
const AGO: TimeDelta = TimeDelta::seconds(45);

/// The shifted log.
pub(super) struct Bursts {
    pub(super) body: Value,
    pub(super) records: usize,
    /// The last ignored prompt: what the made-up approval answers.
    pub(super) last: Value,
}

/// Both bursts, every time moved by the same constant.
pub(super) fn bursts(now: Time) -> anyhow::Result<Bursts> {
    let last: Time = LAST.parse()?;
    let mut rows = Vec::new();
    for line in LOG.lines().filter(|line| !line.trim().is_empty()) {
        let row: Value = serde_json::from_str(line).context("the log that comes with the demo")?;
        let at: Time = row["recorded"].as_str().unwrap_or_default().parse()?;
        if at <= last {
            rows.push((at, row));
        }
    }
    rows.sort_by_key(|(at, _)| *at);
    let end = rows.last().map_or(last, |(at, _)| *at);
    let shift = (now - AGO) - end;
    let rows: Vec<Value> = rows
        .into_iter()
        .map(|(at, mut row)| {
            row["recorded"] = json!(rfc3339(at + shift));
            row
        })
        .collect();
    let ignored = |row: &&Value| row["result"]["status"] == "FAILURE,authFail";
    let last = rows.iter().rfind(ignored).cloned().context("the log has no ignored prompt")?;
    Ok(Bursts { records: rows.len(), body: Value::Array(rows), last })
}

/// Made up: the next prompt of the same sign-in is approved.
pub(super) fn approval(now: Time, last: &Value) -> Value {
    let mut row = last.clone();
    row["id"] = json!(format!("synthetic-{}", now.timestamp_millis()));
    row["recorded"] = json!(rfc3339(now - TimeDelta::seconds(2)));
    row["result"] =
        json!({ "status": "SUCCESS", "message": "VPN Swipe (synthetic: made up by the demo)" });
    row["resources"][0]["pingidmsg"] = json!("VPN Swipe (synthetic: made up by the demo)");
    Value::Array(vec![row])
}

/// Made up: Okta's own log of the enrolment that the lab's attacker has just made.
pub(super) fn enrolment(now: Time, account: &str, factor: &str) -> Value {
    let user = json!({ "id": account, "type": "User", "alternateId": super::DANA, "displayName": "Dana Reyes" });
    json!([{
        "uuid": format!("synthetic-{}", now.timestamp_millis()),
        "published": rfc3339(now - TimeDelta::seconds(1)),
        "eventType": "user.mfa.factor.activate",
        "displayMessage": "Activate factor for user (synthetic: made up by the demo)",
        "actor": user,
        "target": [user, { "id": factor, "type": "Factor", "displayName": "Unknown phone" }],
        "outcome": { "result": "SUCCESS", "reason": "User set up OKTA_VERIFY_PUSH factor" },
        "client": { "ipAddress": "74.208.236.210" },
        "debugContext": { "debugData": { "factor": "OKTA_VERIFY_PUSH" } },
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shift_keeps_order_and_spacing() {
        let now = "2026-11-22T03:00:00Z".parse().unwrap();
        let log = bursts(now).unwrap();
        let times: Vec<Time> = log
            .body
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["recorded"].as_str().unwrap().parse().unwrap())
            .collect();

        assert_eq!(times.last().copied(), Some(now - AGO));
        // 14:17:50.043 to 14:45:23.743, as in the file.
        assert_eq!(
            times[times.len() - 1] - times[2],
            TimeDelta::milliseconds(27 * 60_000 + 33_700)
        );
        assert_eq!(
            log.body
                .as_array()
                .unwrap()
                .iter()
                .filter(|r| r["result"]["status"] == "FAILURE,authFail")
                .count(),
            14
        );
    }
}
