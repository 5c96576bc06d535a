//! What each provider is asked, word for word, and what is read of its answers.

use serde_json::json;

use super::*;

fn log(name: &str) -> &'static Log {
    ALL.iter().find(|log| log.name == name).unwrap()
}

fn ask(next: Option<&str>) -> Ask<'_> {
    Ask {
        from: "2026-05-05T10:00:00Z".parse().unwrap(),
        until: Some("2026-05-05T10:10:00Z".parse().unwrap()),
        next,
    }
}

fn asked(name: &str, next: Option<&str>) -> String {
    match log(name).reading(&ask(next)).at {
        Place::Link(url) => url,
        Place::Path { path, query } => {
            let pairs: Vec<String> = query.iter().map(|(n, v)| format!("{n}={v}")).collect();
            format!("{path}?{}", pairs.join("&"))
        }
    }
}

fn answer(body: Value, link: Option<&str>) -> Answer {
    let headers = link.map(|link| ("link".to_owned(), link.to_owned())).into_iter().collect();
    Answer { status: 200, headers, body, garbled: false }
}

#[test]
fn each_provider_is_asked_in_its_own_manner() {
    assert_eq!(
        asked("sign_ins", None),
        "/v1.0/auditLogs/signIns?$filter=createdDateTime ge 2026-05-05T10:00:00Z and createdDateTime le 2026-05-05T10:10:01Z&$top=500"
    );
    assert_eq!(
        asked("risk_detections", None),
        "/v1.0/identityProtection/riskDetections?$filter=detectedDateTime ge 2026-05-05T10:00:00Z and detectedDateTime le 2026-05-05T10:10:01Z&$top=500"
    );
    assert_eq!(
        asked("system", None),
        "/api/v1/logs?since=2026-05-05T10:00:00.000Z&sortOrder=ASCENDING&limit=500"
    );
    assert_eq!(
        asked("authentication", Some("1777975572000,340a")),
        "/admin/v2/logs/authentication?mintime=1777975200000&maxtime=1777975800000&limit=1000&sort=ts:asc&next_offset=1777975572000,340a"
    );
    assert_eq!(asked("system", Some("https://x.okta.com/next")), "https://x.okta.com/next");
}

#[test]
fn graphs_page_tells_its_newest_record_and_the_next_page() {
    let body = json!({"value": [{"createdDateTime": "2026-05-05T10:05:00Z"}, {"createdDateTime": "2026-05-05T10:01:00.5Z"}],
        "@odata.nextLink": "https://graph.microsoft.com/v1.0/auditLogs/signIns?$skiptoken=x"});

    let page = log("sign_ins").page(&answer(body, None)).unwrap();

    assert_eq!((page.records, page.caught_up), (2, false));
    assert_eq!(page.newest, Some("2026-05-05T10:05:00Z".parse().unwrap()));
    assert!(page.next.unwrap().ends_with("$skiptoken=x"));
    let last = log("sign_ins").page(&answer(json!({"value": []}), None)).unwrap();
    assert!(last.caught_up && last.newest.is_none());
}

/// The link is there on the last page too: an empty page says that there is nothing more for now.
#[test]
fn oktas_link_leads_on_behind_an_empty_page() {
    let link = r#"<https://x.okta.com/api/v1/logs?limit=500>; rel="self", <https://x.okta.com/api/v1/logs?after=9>; rel="next""#;
    let full = json!([{"published": "2026-05-05T10:05:00.123Z"}]);

    let some = log("system").page(&answer(full, Some(link))).unwrap();
    let none = log("system").page(&answer(json!([]), Some(link))).unwrap();

    assert!(!some.caught_up);
    assert!(none.caught_up);
    assert_eq!(none.next.as_deref(), Some("https://x.okta.com/api/v1/logs?after=9"));
}

#[test]
fn duos_offset_is_sent_back_as_one_text() {
    let records = json!([{"timestamp": 1_777_975_572, "isotimestamp": "2026-05-05T10:06:12.000000+00:00"}, {"timestamp": 1_777_975_600}]);
    let more = json!({"stat": "OK", "response": {"authlogs": records,
        "metadata": {"next_offset": ["1777975600000", "340a"], "total_objects": 3}}});
    let last = json!({"stat": "OK", "response": {"authlogs": [], "metadata": {"next_offset": []}}});

    let more = log("authentication").page(&answer(more, None)).unwrap();

    assert_eq!(more.next.as_deref(), Some("1777975600000,340a"));
    assert_eq!(more.newest, Time::from_timestamp(1_777_975_600, 0));
    assert!(log("authentication").page(&answer(last, None)).unwrap().caught_up);
}

#[test]
fn an_answer_without_records_is_no_page() {
    for name in ["sign_ins", "system", "authentication"] {
        assert_eq!(log(name).page(&answer(json!({"ok": true}), None)), Err(NoPage), "{name}");
    }
}
