//! What other detectors post: Splunk's webhook alert action, Elastic Security's connector, Wazuh's integrations.

use serde_json::Value;

use super::asserted::Asserted;
use super::json::{at, get, text, text_at, time};
use super::parsed::Verdict;
use super::problem::Problem;
use crate::model::event::AccountName;
use crate::model::time::Time;

const ELSEWHERE: &str = "an alert that is not about MFA prompts";

/// Fields in which searches name the person, the most telling first.
const USER: [&str; 8] = [
    "user",
    "userPrincipalName",
    "user_name",
    "src_user",
    "dest_user",
    "username",
    "email",
    "UserId",
];

/// Splunk: one result row of a saved search; all values are texts.
pub(super) fn splunk(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let title = text_at(row, &["search_name"]).ok_or(Problem::MissingField("search_name"))?;
    let result = get(row, "result").ok_or(Problem::MissingField("result"))?;
    let named = |names: &[&str]| names.iter().find_map(|name| get(result, name).and_then(time));
    let asserted = Asserted {
        id: format!("splunk:{}", text_at(row, &["sid"]).unwrap_or_else(|| row.to_string())),
        time: named(&["lastTime", "_time", "firstTime"]).unwrap_or(received_at),
        title,
        techniques: spelled(get(result, "annotations.mitre_attack")),
        link: text_at(row, &["results_link"]),
    };
    if !asserted.is_about_prompts() {
        return Ok(Verdict::irrelevant(ELSEWHERE));
    }
    asserted.alerts(vec![login(USER.iter().find_map(|name| text_at(result, &[name])))])
}

/// Elastic: a rule's alerts, each with nested or dotted fields.
pub(super) fn elastic(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let title = text_at(row, &["rule_name"]).ok_or(Problem::MissingField("rule_name"))?;
    let alerts = get(row, "alerts").and_then(Value::as_array).map(Vec::as_slice);
    let mut facts = Vec::new();
    for alert in alerts.unwrap_or_default() {
        // The message template leaves an empty one at the end.
        if alert.as_object().is_some_and(serde_json::Map::is_empty) {
            continue;
        }
        let id = dotted(alert, "kibana.alert.uuid").or_else(|| text_at(alert, &["_id"]));
        let asserted = Asserted {
            id: format!("elastic:{}", id.unwrap_or_else(|| alert.to_string())),
            time: get(alert, "@timestamp").and_then(time).unwrap_or(received_at),
            title: title.clone(),
            techniques: spelled(get(alert, "threat")),
            link: text_at(row, &["kibana_url"]),
        };
        if !asserted.is_about_prompts() {
            return Ok(Verdict::irrelevant(ELSEWHERE));
        }
        let login = [
            "user.email",
            "okta.actor.alternate_id",
            "user.name",
            "azure.signinlogs.properties.user_principal_name",
        ]
        .iter()
        .find_map(|name| dotted(alert, name));
        let provider_id = ["okta.actor.id", "user.id"].iter().find_map(|name| dotted(alert, name));
        let account = AccountName { provider_id, login: login.map(|login| login.to_lowercase()) };
        if let Verdict::Facts(more) = asserted.alerts(vec![account])? {
            facts.extend(more);
        }
    }
    if facts.is_empty() {
        return Err(Problem::MissingField("alerts"));
    }
    Ok(Verdict::Facts(facts))
}

/// Wazuh: one alert as its integrations get it.
pub(super) fn wazuh(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let rule = get(row, "rule").ok_or(Problem::MissingField("rule"))?;
    let id = text_at(row, &["id"]).ok_or(Problem::MissingField("id"))?;
    let asserted = Asserted {
        id: format!("wazuh:{id}"),
        time: get(row, "timestamp").and_then(wazuh_time).unwrap_or(received_at),
        title: text_at(rule, &["description"]).unwrap_or_default(),
        techniques: spelled(at(rule, &["mitre", "id"])),
        link: None,
    };
    if !asserted.is_about_prompts() {
        return Ok(Verdict::irrelevant(ELSEWHERE));
    }
    let data = get(row, "data").unwrap_or(row);
    let inside = get(data, "integration").and_then(text).and_then(|name| get(data, &name));
    let from = [inside, Some(data)].into_iter().flatten();
    let user = from.into_iter().find_map(|part| {
        USER.iter().chain(&["dstuser", "srcuser"]).find_map(|name| text_at(part, &[name]))
    });
    asserted.alerts(vec![login(user)])
}

fn login(name: Option<String>) -> AccountName {
    AccountName { provider_id: None, login: name.map(|name| name.to_lowercase()) }
}

/// Its zone is written without a colon.
fn wazuh_time(value: &Value) -> Option<Time> {
    let text = value.as_str()?;
    let (time_of, zone) = text.split_at_checked(text.len().checked_sub(5)?)?;
    let signed = zone.starts_with(['+', '-']) && zone[1..].chars().all(|c| c.is_ascii_digit());
    if !signed {
        return time(value);
    }
    time(&Value::String(format!("{time_of}{}:{}", &zone[..3], &zone[3..])))
}

/// A field by its dotted name, nested or not.
fn dotted(row: &Value, name: &str) -> Option<String> {
    let path: Vec<&str> = name.split('.').collect();
    text_at(row, &[name]).or_else(|| text_at(row, &path))
}

/// All texts in a value, whatever its shape; it is only searched for a technique's number.
fn spelled(value: Option<&Value>) -> String {
    value.map(Value::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Record, parse};
    use super::*;
    use crate::model::incident::Stage;
    use crate::model::time::rfc3339;
    use serde_json::json;

    /// Login, time, stage.
    fn read(kind: Kind, body: &Value) -> Vec<(String, String, Stage)> {
        let now = "2026-05-05T10:15:30Z".parse().unwrap();
        let parsed = parse(kind, body.to_string().as_bytes(), now).unwrap();
        assert!(parsed.problems.is_empty(), "{:?}", parsed.problems);
        let told = |record: &Record| match record {
            Record::Alert(a) => {
                (a.account.login.clone().unwrap_or_default(), rfc3339(a.time), a.stage)
            }
            other => panic!("{other:?}"),
        };
        parsed.records.iter().map(told).collect()
    }

    #[test]
    fn a_splunk_row_names_the_user_of_the_search() {
        let body = json!({"sid": "scheduler__1", "search_name": "Azure AD Multiple Denied MFA Requests For User",
            "results_link": "https://splunk.example.com/app/search", "result": {"user": "Ana@example.com",
            "count": "12", "lastTime": "2026-05-05T10:09:40"}});

        let told = read(Kind::Splunk, &body);

        let at = "2026-05-05T10:09:40.000Z".to_owned();
        assert_eq!(told, [("ana@example.com".to_owned(), at, Stage::Suspected)]);
    }

    #[test]
    fn each_of_elastics_alerts_counts_nested_or_dotted() {
        let body = json!({"rule_name": "Potentially Successful Okta MFA Bombing via Push Notifications",
            "alerts": [{"@timestamp": "2026-05-05T10:12:00Z", "kibana.alert.uuid": "f3a1", "user": {"email": "ana@example.com"}},
                       {"@timestamp": "2026-05-05T10:13:00Z", "okta.actor.alternate_id": "bo@example.com"}, {}]});

        let told = read(Kind::Elastic, &body);

        let whom: Vec<_> = told.iter().map(|(who, _, stage)| (who.as_str(), *stage)).collect();
        assert_eq!(
            whom,
            [("ana@example.com", Stage::Confirmed), ("bo@example.com", Stage::Confirmed)]
        );
    }

    #[test]
    fn a_wazuh_alert_is_read_by_its_technique() {
        let body = json!({"timestamp": "2026-05-05T12:06:13.000+0200", "id": "1777975573.1",
            "rule": {"description": "Office 365: sign-in trouble", "mitre": {"id": ["T1621"]}},
            "data": {"integration": "office365", "office365": {"UserId": "ana@example.com"}}});

        let told = read(Kind::Wazuh, &body);

        assert_eq!(told[0].0, "ana@example.com");
        assert_eq!(told[0].1, "2026-05-05T10:06:13.000Z");
    }

    #[test]
    fn other_alerts_are_somebody_elses_concern() {
        let now = "2026-05-05T10:15:30Z".parse().unwrap();
        let body =
            json!({"id": "1", "rule": {"description": "File added to the system"}}).to_string();

        let parsed = parse(Kind::Wazuh, body.as_bytes(), now).unwrap();

        assert_eq!(parsed.irrelevant.len(), 1);
    }
}
