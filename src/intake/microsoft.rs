//! What Microsoft's security products assert: Sentinel incidents and Defender XDR alerts (Graph `alerts_v2`).
//!
//! A Sentinel incident comes as an automation rule posts it (the incident under `object`) or as the REST
//! API lists it. An XDR incident is its `alerts`.

use serde_json::Value;

use super::asserted::Asserted;
use super::json::{at, get, text, text_at, time};
use super::parsed::Verdict;
use super::problem::Problem;
use crate::model::event::AccountName;
use crate::model::time::Time;

const ELSEWHERE: &str = "an alert that is not about MFA prompts";

/// A Sentinel incident.
pub(super) fn sentinel(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let incident = get(row, "object").unwrap_or(row);
    let properties = get(incident, "properties")
        .ok_or_else(|| Problem::UnknownShape("it is no Sentinel incident".into()))?;
    let name = text_at(incident, &["name"]).or_else(|| text_at(incident, &["id"]));
    let asserted = Asserted {
        id: format!("sentinel:{}", name.ok_or(Problem::MissingField("name"))?),
        time: last(properties, &["lastActivityTimeUtc", "createdTimeUtc"], received_at),
        title: text_at(properties, &["title"]).unwrap_or_default(),
        techniques: written(at(properties, &["additionalData", "techniques"])),
        link: text_at(properties, &["incidentUrl"]),
    };
    if !asserted.is_about_prompts() {
        return Ok(Verdict::irrelevant(ELSEWHERE));
    }
    let entities = list(get(properties, "relatedEntities")).iter();
    let accounts = entities
        .filter(|e| text_at(e, &["kind"]).is_some_and(|k| k.eq_ignore_ascii_case("account")));
    asserted.alerts(accounts.filter_map(|e| get(e, "properties")).map(entity).collect())
}

fn entity(account: &Value) -> AccountName {
    let name = text_at(account, &["accountName"]);
    let login = match (name, text_at(account, &["upnSuffix"])) {
        (Some(name), Some(suffix)) if !name.contains('@') => Some(format!("{name}@{suffix}")),
        (name, _) => name,
    };
    AccountName {
        provider_id: text_at(account, &["aadUserId"]),
        login: login.map(|login| login.to_lowercase()),
    }
}

/// An alert of Defender XDR, or an XDR incident with its alerts.
pub(super) fn defender(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let alerts = list(get(row, "alerts"));
    if alerts.is_empty() {
        return alert(row, received_at);
    }
    let mut facts = Vec::new();
    for one in alerts {
        if let Verdict::Facts(more) = alert(one, received_at)? {
            facts.extend(more);
        }
    }
    Ok(if facts.is_empty() { Verdict::irrelevant(ELSEWHERE) } else { Verdict::Facts(facts) })
}

fn alert(row: &Value, received_at: Time) -> Result<Verdict, Problem> {
    let id = text_at(row, &["id"]).ok_or(Problem::MissingField("id"))?;
    let title = text_at(row, &["title"]).ok_or(Problem::MissingField("title"))?;
    let asserted = Asserted {
        id: format!("defender:{id}"),
        time: last(row, &["lastActivityDateTime", "eventDateTime", "createdDateTime"], received_at),
        title,
        techniques: written(get(row, "mitreTechniques")),
        link: text_at(row, &["alertWebUrl"]),
    };
    let detector = text_at(row, &["detectorId"]).unwrap_or_default().to_lowercase();
    if !asserted.is_about_prompts() && !detector.contains("reportedsuspicious") {
        return Ok(Verdict::irrelevant(ELSEWHERE));
    }
    let evidence = list(get(row, "evidence")).iter().filter_map(|e| get(e, "userAccount"));
    // The older API's name for the same.
    let states = list(get(row, "userStates")).iter();
    asserted.alerts(evidence.chain(states).map(user).collect())
}

fn user(account: &Value) -> AccountName {
    let named = |names: &[&str]| names.iter().find_map(|name| text_at(account, &[name]));
    let login = named(&["userPrincipalName"]).or_else(|| {
        let (name, domain) = (named(&["accountName"])?, named(&["domainName"])?);
        Some(format!("{name}@{domain}"))
    });
    AccountName {
        provider_id: named(&["azureAdUserId", "aadUserId"]),
        login: login.map(|login| login.to_lowercase()),
    }
}

fn last(row: &Value, names: &[&str], otherwise: Time) -> Time {
    names.iter().find_map(|name| get(row, name).and_then(time)).unwrap_or(otherwise)
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn written(value: Option<&Value>) -> String {
    let texts: Vec<String> = list(value).iter().filter_map(text).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Record, parse};
    use super::*;
    use crate::model::alert::{Alert, AlertKind};
    use crate::model::incident::Stage;
    use serde_json::json;

    fn read(kind: Kind, body: &Value) -> Vec<Alert> {
        let now = "2026-05-05T10:15:30Z".parse().unwrap();
        let parsed = parse(kind, body.to_string().as_bytes(), now).unwrap();
        let alert = |record: Record| match record {
            Record::Alert(alert) => *alert,
            other => panic!("{other:?}"),
        };
        parsed.records.into_iter().map(alert).collect()
    }

    /// The shape is the connector's, the content made up.
    #[test]
    fn an_incident_that_a_rule_posts_names_its_person() {
        let body = json!({"objectSchemaType": "Incident", "object": {"name": "3333", "properties": {
            "title": "MFA Spamming followed by Successful login", "lastActivityTimeUtc": "2026-05-05T10:09:40Z",
            "additionalData": {"techniques": ["T1621"]}, "incidentUrl": "https://portal.azure.com/#asset",
            "relatedEntities": [
                {"kind": "Account", "properties": {"accountName": "Ana", "upnSuffix": "example.com", "aadUserId": "7d0f"}},
                {"kind": "Ip", "properties": {"address": "203.0.113.9"}}]}}});

        let alerts = read(Kind::Sentinel, &body);

        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].account.login.as_deref(), Some("ana@example.com"));
        assert_eq!(alerts[0].account.provider_id.as_deref(), Some("7d0f"));
        assert_eq!((alerts[0].kind, alerts[0].stage), (AlertKind::MfaFatigue, Stage::Confirmed));
        assert!(alerts[0].link.is_some());
    }

    #[test]
    fn a_persons_report_in_defender_is_a_fraud_mark() {
        let body = json!({"value": [{"id": "ad5f", "title": "User reported suspicious activity",
            "mitreTechniques": ["T1621"], "lastActivityDateTime": "2026-05-05T10:09:00Z",
            "evidence": [{"userAccount": {"azureAdUserId": "7d0f", "userPrincipalName": "Ana@example.com"}},
                         {"ipAddress": "203.0.113.9"}]}]});

        let alerts = read(Kind::Defender, &body);

        assert_eq!(
            (alerts[0].kind, alerts[0].stage),
            (AlertKind::MfaFraudReported, Stage::Suspected)
        );
        assert_eq!(alerts[0].account.login.as_deref(), Some("ana@example.com"));
        assert_eq!(read(Kind::Defender, &body)[0].id, alerts[0].id, "the same again");
    }
}
