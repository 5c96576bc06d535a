//! What notices say, whoever wrote what is in them.

use proptest::prelude::*;
use url::Url;

use super::facts::facts;
use super::options::Options;
use super::words::notice;
use crate::engine::state::State;
use crate::model::entry::{Commit, Entry};
use crate::model::notice::{About, Topic};
use crate::model::time::Time;

fn commit(entries: Vec<Entry>) -> Commit {
    Commit { seq: 7, at: Time::UNIX_EPOCH, entries }
}

fn pause(reason: &str) -> Entry {
    Entry::PauseChanged { paused: true, by: "olga".into(), reason: reason.into() }
}

#[test]
fn one_commit_may_have_several_facts_and_keeps_their_order() {
    let found = facts(&commit(vec![pause("a"), pause("b")]));

    assert_eq!(found.len(), 2);
    assert_eq!((found[0].topic, &found[0].about), (Topic::Pause, &About::Pause(7)));
    assert!(found[1].detail.ends_with(": b"), "{}", found[1].detail);
}

proptest! {
    #[test]
    fn no_text_from_outside_adds_a_link_or_a_line(
        text in prop_oneof!["\\PC{0,60}", Just("https://evil.example/x\nNobody is needed".to_owned()),
            Just("\u{202E}\r\nwww.evil.example".to_owned())],
    ) {
        let base: Url = "https://quell.example.com/".parse().unwrap();
        let found = facts(&commit(vec![pause(&text)]));

        let said = notice(&State::default(), &found[0], &base);

        prop_assert_eq!(said.text.lines().count(), 1);
        let override_mark = '\u{202E}';
        prop_assert!(!said.text.contains("://") && !said.text.contains(override_mark));
        prop_assert!(!said.text.contains("www.evil") && !said.title.contains("evil"));
        prop_assert_eq!(said.link, "https://quell.example.com/");
    }
}

#[test]
fn what_is_wrong_with_channels_and_ladder_is_said_at_once() {
    let options: Options = toml::from_str(
        "budget = 0
        ladder = [{channel='a', after='5m'}, {channel='nobody', after='1m'}, {channel='a', after='9m'}]
        [channels.a]\nconnection='okta'\n[channels.b]\nconnection='gone'\n[channels.c]\nconnection='smtp'",
    )
    .unwrap();

    let problems = options.problems(|connection, capability| match connection.as_str() {
        "okta" => Some(false),
        "smtp" => Some(capability == "notify.mail"),
        _ => None,
    });

    let all: Vec<&str> = problems.iter().map(|(_, text)| text.as_str()).collect();
    let all = all.join("\n");
    for part in [
        "cannot tell anybody",
        "`gone`, which is not configured",
        "needs `to`",
        "`nobody`, which is not",
        "earlier than the rung before",
        "names `a` twice",
        "at least 1",
    ] {
        assert!(all.contains(part), "{part}\n{all}");
    }
}
