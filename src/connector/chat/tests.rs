//! No text, whoever wrote it, becomes a mention, a link or markup in a request to a channel.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::*;
use crate::connector::catalogue::Catalogue;
use crate::connector::input;
use crate::connector::request::{Given, build};
use crate::model::time::Time;

/// The body that an action sends.
fn body(action: &str, inputs: &Value) -> Value {
    let catalogue = Catalogue::builtin().unwrap();
    let (described, action) = catalogue.action(action).unwrap();
    let given: BTreeMap<String, Value> = serde_json::from_value(inputs.clone()).unwrap();
    let settings = json!({"from": "quell@example.com", "source": "quell", "api_version": "1",
        "permission": "/triggers/manual/run", "channel": null});
    let given = Given {
        connector: &described.manifest,
        action,
        settings: &settings,
        inputs: input::complete(&action.inputs, &given).unwrap(),
        key: "key-1",
        sent_at: Time::UNIX_EPOCH,
        password: None,
    };
    serde_json::from_slice(&build(&given).unwrap().body).unwrap()
}

fn texts(value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
            for (name, inner) in fields {
                match inner {
                    Value::String(text) => found.push((format!("{kind}.{name}"), text.clone())),
                    inner => texts(inner, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        _ => {}
    }
}

/// What an attacker would try, and anything else.
fn hostile() -> impl Strategy<Value = String> {
    let bait = prop::sample::select(vec![
        "<!channel>",
        "<@U123>",
        "<https://evil.example|Approve>",
        "@everyone",
        "&lt;!here&gt;",
        "https://evil.example/approve",
        "www.evil.example",
        "evil.com/x",
        "[Approve](https://evil.example)",
        "<at>SOC</at>",
        "{{DATE(2020-01-01T00:00:00Z)}}",
        "${$root}",
        "**bold**",
        "<script>x</script>",
        "\r\nBcc: a@evil.example",
        "\u{202E}txt.exe",
        "\u{200B}",
        "javascript:alert(1)",
        "\0",
        "`",
        "{{{{",
    ]);
    let part = prop_oneof![bait.prop_map(str::to_owned), "\\PC{0,12}", "[a-z.:/@<>&|\r\n]{0,12}"];
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.concat())
}

fn sane(text: &str) -> Result<(), TestCaseError> {
    prop_assert!(!text.contains("://") && !text.to_lowercase().contains("javascript:"), "{text:?}");
    // A mail address stays as it is, whatever its host is called.
    let mut names = text.split(|c: char| !c.is_alphanumeric() && !"._-@".contains(c));
    let linked = |name: &str| !name.contains('@') && name.to_lowercase().contains("www.evil");
    prop_assert!(!names.any(linked), "{text:?}");
    prop_assert!(!text.contains("evil.com/") && !text.contains(".example/"), "{text:?}");
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202A}'..='\u{202E}' | '\u{200B}'..='\u{200F}')
    };
    prop_assert!(!text.chars().any(hidden), "{text:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn slack_shows_text_and_nothing_else(title in hostile(), text in hostile()) {
        let link = "https://quell.example.com/approvals/1";
        let inputs = json!({"to": "C1", "title": title, "text": text, "link": link});
        let sent = body("slack/post-message", &inputs);

        prop_assert_eq!(&sent["parse"], "none");
        prop_assert_eq!(&sent["mrkdwn"], false);
        let fallback = sent["text"].as_str().unwrap();
        prop_assert!(!fallback.contains('<') && !fallback.contains('>'));
        sane(fallback)?;
        let mut found = Vec::new();
        texts(&sent["blocks"], &mut found);
        for (place, text) in found {
            match place.as_str() {
                "mrkdwn.text" => {
                    let own = format!("<{link}|Open on quell.example.com>");
                    prop_assert_eq!(text, own);
                }
                "plain_text.text" => sane(&text)?,
                _ => prop_assert!(text.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{text}"),
            }
        }
    }

    #[test]
    fn a_card_shows_text_and_nothing_else(title in hostile(), text in hostile()) {
        let link = "https://quell.example.com/approvals/1";
        let inputs = json!({"title": title, "text": text, "link": link});
        let sent = body("teams/post-card", &inputs);

        let card = &sent["attachments"][0]["content"];
        prop_assert!(card.get("msteams").is_none());
        let mut found = Vec::new();
        texts(&card["body"], &mut found);
        for (place, text) in found {
            if place == "TextRun.text" {
                sane(&text)?;
                prop_assert!(!text.contains("{{") && !text.contains("${"), "{text}");
            }
            // Only a `TextBlock` reads Markdown.
            prop_assert!(!place.starts_with("TextBlock"), "{place}");
        }
        for action in card["actions"].as_array().unwrap() {
            prop_assert_eq!(&action["type"], "Action.OpenUrl");
            prop_assert_eq!(&action["url"], link);
        }
    }

    #[test]
    fn a_page_is_plain_text(title in hostile(), text in hostile()) {
        let sent = body("pagerduty/trigger", &json!({"title": title, "text": text}));

        sane(sent["payload"]["summary"].as_str().unwrap())?;
        sane(sent["payload"]["custom_details"]["text"].as_str().unwrap())?;
        prop_assert_eq!(&sent["links"], &json!([]));
    }

    #[test]
    fn a_link_stays_one_link(text in "https?://\\PC{0,40}") {
        if let Ok(url) = web(&text) {
            let ends = url.contains(['<', '>', '|', '"']) || url.contains(char::is_whitespace);
            prop_assert!(!ends, "{url}");
        }
    }
}

#[test]
fn a_link_that_is_no_web_address_is_not_sent() {
    for bad in ["javascript:alert(1)", "https://user@evil.example/", "quell", "file:///etc/passwd"]
    {
        assert!(web(bad).is_err(), "{bad}");
    }
}

/// For `tests/run channels`, which holds them against the vendors' own types.
#[test]
#[ignore = "prints"]
#[expect(clippy::print_stdout, reason = "another program reads it")]
fn print_what_channels_are_sent() {
    let link = "https://quell.example.com/approvals/1";
    let plain = (
        "Decide: contain Dana Reyes",
        "• block sign in: dana.reyes@lab.example\nNo answer by 10:20 UTC: nothing.",
    );
    let hostile = (
        "<!channel> [Approve](https://evil.example) **now**",
        "<@U123> <https://evil.example|x> <at>SOC</at> {{DATE(2020-01-01T00:00:00Z)}} ${$root} \u{202E}x\r\n<script>",
    );
    let long = ("t", "a long line of a long text\n");
    let long = (long.0.repeat(400), long.1.repeat(200));
    for (title, text) in [plain, hostile, (&long.0, &long.1)] {
        let inputs = json!({"to": "C024BE91L", "title": title, "text": text, "link": link});
        let own = json!({"title": title, "text": text, "link": link});
        let update = json!({"message": "C024BE91L/1503435956.000247", "title": title, "text": text, "link": link});
        for (action, inputs) in [
            ("slack/post-message", &inputs),
            ("slack/update-message", &update),
            ("teams/post-card", &own),
            ("pagerduty/trigger", &own),
        ] {
            println!("PAYLOAD {}", json!({"action": action, "body": body(action, inputs)}));
        }
    }
}
