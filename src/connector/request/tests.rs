//! The rules of request building, for every input.

use super::*;
use crate::connector::catalogue::Catalogue;
use chrono::DateTime;
use proptest::prelude::*;

fn given<'a>(catalogue: &'a Catalogue, action: &str, inputs: Value, none: &'a Value) -> Given<'a> {
    let (described, action) = catalogue.action(action).unwrap();
    let Value::Object(inputs) = inputs else { panic!("inputs are an object") };
    let inputs = crate::connector::input::complete(&action.inputs, &inputs.into_iter().collect());
    Given {
        connector: &described.manifest,
        action,
        settings: none,
        inputs: inputs.unwrap(),
        key: "k1",
        sent_at: DateTime::from_timestamp(1_777_975_200, 0).unwrap(),
        password: Some("Generated-Password-1!"),
    }
}

#[test]
fn a_generated_password_exists_only_where_a_manifest_asks_for_one() {
    let catalogue = Catalogue::builtin().unwrap();

    assert!(makes_password(catalogue.action("entra-id/reset-credentials").unwrap().1));
    assert!(!makes_password(catalogue.action("entra-id/block-sign-in").unwrap().1));
}

#[test]
fn a_step_in_the_tree_is_no_id() {
    let catalogue = Catalogue::builtin().unwrap();
    for id in [".", "..", "..."] {
        let inputs = json!({"account": {"id": id}});
        let given = given(&catalogue, "entra-id/get-user", inputs, &Value::Null);
        assert_eq!(build(&given), Err(BuildError::Segment("account.id".into())), "{id}");
    }
}

#[test]
fn an_id_that_is_a_path_stays_one_segment() {
    let catalogue = Catalogue::builtin().unwrap();
    let inputs = json!({"account": {"id": "a/../b?x=1#y"}});
    let given = given(&catalogue, "okta/revoke-sessions", inputs, &Value::Null);

    assert_eq!(
        build(&given).unwrap().path,
        "/api/v1/users/a%2F..%2Fb%3Fx%3D1%23y/sessions?forgetDevices=true&oauthTokens=true"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_id_leaves_its_segment(id in "\\PC{1,40}|[./%?#&=@ ]{1,9}") {
        let catalogue = Catalogue::builtin().unwrap();
        let inputs = json!({"account": {"id": id.clone()}});
        let given = given(&catalogue, "okta/suspend", inputs, &Value::Null);
        match build(&given) {
            Err(error) => prop_assert_eq!(error, BuildError::Segment("account.id".into())),
            Ok(prepared) => {
                let url = url::Url::parse(&format!("https://x.example{}", prepared.path)).unwrap();
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 6);
                let back = percent_encoding::percent_decode_str(segments[3]).decode_utf8().unwrap();
                prop_assert_eq!(back, id);
                prop_assert_eq!(url.query(), None);
            }
        }
    }

    #[test]
    fn no_login_leaves_its_query_value(login in "\\PC{1,40}") {
        let catalogue = Catalogue::builtin().unwrap();
        let given = given(&catalogue, "entra-id/list-accounts", json!({"login": login.clone()}), &Value::Null);
        let prepared = build(&given).unwrap();
        let url = url::Url::parse(&format!("https://x.example{}", prepared.path)).unwrap();
        let filters: Vec<_> = url.query_pairs().filter(|(n, _)| n == "$filter").collect();
        prop_assert_eq!(filters.len(), 1);
        let doubled = login.replace('\'', "''");
        prop_assert_eq!(&filters[0].1, &format!("userPrincipalName eq '{doubled}'"));
    }

    #[test]
    fn no_text_leaves_its_json_value(title in "\\PC{0,40}", body in "(?s).{0,40}") {
        let catalogue = Catalogue::builtin().unwrap();
        let inputs = json!({"title": title.clone(), "text": body.clone()});
        let settings = json!({"assignment_group": null, "caller_id": null, "category": "security", "queues": {}});
        let given = given(&catalogue, "servicenow/open-ticket", inputs, &settings);
        let sent: Value = serde_json::from_slice(&build(&given).unwrap().body).unwrap();
        prop_assert_eq!(&sent["short_description"], &json!(title));
        prop_assert_eq!(&sent["description"], &json!(body));
        prop_assert_eq!(&sent["correlation_id"], &json!("k1"));
    }

    #[test]
    fn no_text_adds_a_header(value in "(?s).{0,20}\\r\\nx-evil: 1") {
        let catalogue = Catalogue::builtin().unwrap();
        let mut connector = catalogue.connectors["okta"].clone();
        let action = connector.actions.get_mut("suspend").unwrap();
        action.request.headers.insert("x-note".into(), json!("{{ account.name }}"));
        let given = Given {
            connector: &connector.manifest,
            action: &connector.actions["suspend"],
            settings: &Value::Null,
            inputs: serde_json::from_value(json!({"account": {"id": "1", "name": value}})).unwrap(),
            key: "k1",
            sent_at: DateTime::from_timestamp(0, 0).unwrap(),
            password: None,
        };
        prop_assert_eq!(build(&given), Err(BuildError::Header("x-note".into())));
    }
}
