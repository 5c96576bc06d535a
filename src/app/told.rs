//! Telling people, end to end: journal, room, manifests and the lab's channels, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use super::Quell;
use super::rig::{Death, Rig, in_one_runtime};
use crate::connector::catalogue::Catalogue;
use crate::lab::channels::Post;
use crate::lab::fault::{Fault, Switch};
use crate::lab::mail::Mailbox;
use crate::lab::world::System;
use crate::model::entry::Entry;
use crate::model::id::ConnectionId;
use crate::model::incident::Stage;
use crate::model::notice::{Did, Told, Topic};
use crate::model::time::Span;

pub(super) const DANA: &str = "dana.reyes@lab.example";

pub(super) const SOC: &str = "[channels.soc]
connection = 'slack'
to = '#soc'
on = ['approval', 'expired', 'breached', 'contained', 'pause', 'undelivered']
";

/// Three rungs: chat at once, the pager after five minutes, the lead by mail after ten.
fn three() -> String {
    format!(
        "ladder = [{{channel='soc'}}, {{channel='pager', after='5m'}}, {{channel='lead', after='10m'}}]
{SOC}[channels.pager]\nconnection = 'pagerduty'\non = []
[channels.lead]\nconnection = 'smtp'\nto = 'lead@lab.example'\non = []
"
    )
}

pub(super) async fn rig(crowd: usize) -> Rig {
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    let rig = Rig::new(&catalogue, crowd);
    let (path, text, _) = crate::playbook::SHIPPED_TRIALS[0];
    let plan = crate::playbook::check(path, text, &catalogue.signatures()).unwrap().plan;
    rig.publish(plan).await;
    rig
}

pub(super) fn both() -> [ConnectionId; 2] {
    ["entra".into(), "okta".into()]
}

/// Time in which nobody answers anything.
pub(super) async fn silence(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(super) fn posts(rig: &Rig, system: System) -> Vec<Post> {
    rig.lab.oracle().posts.into_iter().filter(|post| post.system == system).collect()
}

pub(super) async fn told(rig: &Rig) -> Vec<Told> {
    let journal = rig.journal().await;
    let entries = journal.into_iter().flat_map(|commit| commit.entries);
    let told = entries.filter_map(|entry| match entry {
        Entry::NoticeSent(told) | Entry::NoticeFailed(told) => Some(*told),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_question_is_told_with_a_link_and_brought_up_to_date_when_it_is_decided() {
    in_one_runtime(async {
        let rig = rig(0).await;
        let _room = rig.tell(SOC);
        silence(2).await;
        rig.alert(DANA, Stage::Confirmed, &both()).await;
        silence(20).await;

        let asked = posts(&rig, System::Slack);
        assert_eq!(asked.len(), 1, "{asked:#?}");
        let text = asked[0].text();
        assert!(text.contains("Decide: contain"), "{text}");
        assert!(text.contains("block sign in") && text.contains("No answer by"), "{text}");
        assert!(text.contains("<https://quell.example.com/approvals/"), "{text}");
        assert!(!text.contains("token") && !text.contains("button"), "{text}");

        rig.pass(Span::minutes(2)).await;

        let decided = posts(&rig, System::Slack);
        let same: Vec<&Post> = decided.iter().filter(|p| p.id == asked[0].id).collect();
        assert!(same[0].text().contains("Approved by on-call"), "{}", same[0].text());
        assert!(same[0].text().contains("Nobody is needed"), "{}", same[0].text());
        let updates = told(&rig).await.into_iter().filter(|t| t.did == Did::Updated).count();
        assert!(updates >= 1);
        assert!(decided.iter().any(|p| p.text().contains("Contained: ")), "{decided:#?}");
    });
}

#[test]
fn a_dead_channel_is_not_waited_for_the_next_rung_is_told_at_once() {
    in_one_runtime(async {
        let rig = rig(0).await;
        rig.lab.fault(Switch {
            system: System::Slack,
            operation: None,
            fault: Fault::Unreachable,
            times: None,
        });
        let _room = rig.tell(&three());
        silence(2).await;
        rig.alert(DANA, Stage::Confirmed, &both()).await;
        silence(100).await;

        let paged = posts(&rig, System::Pagerduty);
        assert_eq!(paged.len(), 1, "{paged:#?}");
        assert!(paged[0].text().contains("Decide: contain"), "{}", paged[0].text());
        let told = told(&rig).await;
        let failed = told.iter().find(|t| t.problem.is_some()).unwrap();
        assert_eq!((failed.channel.as_str(), failed.next.as_deref()), ("soc", Some("pager")));
        let instead = told.iter().find(|t| t.channel == "pager").unwrap();
        assert_eq!(instead.instead_of.as_deref(), Some("soc"));
        assert!(posts(&rig, System::Mail).is_empty());

        // When it is decided, the pager's alert is resolved.
        rig.pass(Span::minutes(1)).await;
        assert_eq!(posts(&rig, System::Pagerduty)[0].state, "resolved");
    });
}

#[test]
fn a_question_that_nobody_answers_climbs_to_the_next_and_never_back_to_the_same() {
    in_one_runtime(async {
        let rig = rig(0).await;
        let _room = rig.tell(&three());
        silence(2).await;
        rig.alert(DANA, Stage::Confirmed, &both()).await;
        let counts = |rig: &Rig| {
            let all = [System::Slack, System::Pagerduty, System::Mail];
            all.map(|system| posts(rig, system).len())
        };

        silence(4 * 60).await;
        assert_eq!(counts(&rig), [1, 0, 0]);
        silence(2 * 60).await;
        assert_eq!(counts(&rig), [1, 1, 0]);
        silence(5 * 60).await;
        assert_eq!(counts(&rig), [1, 1, 1]);
        let mail = posts(&rig, System::Mail)[0].text();
        assert!(mail.contains("https://quell.example.com/approvals/"), "{mail}");

        // It is asked on once: the message that stands says until when.
        silence(12 * 60).await;
        let asked_on = posts(&rig, System::Slack)[0].text();
        assert!(
            asked_on.contains("nothing of this is done, and the case stays open"),
            "{asked_on}"
        );

        // It runs out: that is a message of its own, because a changed one wakes nobody.
        silence(22 * 60).await;
        let slack = posts(&rig, System::Slack);
        assert!(slack[0].text().contains("Nobody answered in time"), "{}", slack[0].text());
        let ran_out = told(&rig).await.into_iter().filter(|t| t.fact.topic == Topic::Expired);
        assert!(ran_out.count() >= 1);
        assert_eq!(posts(&rig, System::Pagerduty)[0].state, "resolved");
    });
}

#[test]
fn a_death_between_sending_and_journalling_tells_once_more_and_says_so() {
    for (channel, system, action, again) in [
        ("slack", System::Slack, "slack/post-message", 2),
        ("pagerduty", System::Pagerduty, "pagerduty/trigger", 1),
    ] {
        in_one_runtime(async {
            let mut rig = rig(0).await;
            let options = format!(
                "[channels.soc]\nconnection = '{channel}'\nto = '#soc'\non = ['approval']\n"
            );
            let room = rig.tell(&options);
            silence(2).await;
            rig.die_in(action, Death::AfterTheEffect);
            rig.alert(DANA, Stage::Confirmed, &both()).await;
            silence(20).await;
            assert_eq!(posts(&rig, system).len(), 1);
            assert!(told(&rig).await.is_empty());
            room.send_replace(true);
            silence(1).await;

            rig.come_back().await;
            let room = rig.tell(&options);
            silence(20).await;

            assert_eq!(posts(&rig, system).len(), again, "{channel}");
            let all = told(&rig).await;
            assert_eq!(all.len(), 1, "{all:#?}");
            assert!(all[0].perhaps_again);

            // From then on nothing is told twice.
            room.send_replace(true);
            silence(1).await;
            rig.come_back().await;
            let _room = rig.tell(&options);
            silence(20).await;
            assert_eq!(posts(&rig, system).len(), again, "{channel}");
        });
    }
}

#[test]
fn more_than_the_budget_is_gathered_and_whoever_is_privileged_is_not() {
    in_one_runtime(async {
        let rig = rig(8).await;
        let _room = rig.tell(
            "budget = 3\n[channels.soc]\nconnection = 'slack'\nto = '#soc'\non = ['approval']\n",
        );
        silence(2).await;
        for n in 1..=8 {
            rig.alert(&format!("person-{n:04}@lab.example"), Stage::Confirmed, &both()).await;
            silence(1).await;
        }
        silence(30).await;
        assert_eq!(posts(&rig, System::Slack).len(), 3);

        rig.alert("ada.admin@lab.example", Stage::Confirmed, &both()).await;
        silence(30).await;
        let slack = posts(&rig, System::Slack);
        assert_eq!(slack.len(), 4, "{slack:#?}");
        assert!(slack[3].text().contains("Ada Admin (privileged)"), "{}", slack[3].text());

        silence(10 * 60).await;
        let slack = posts(&rig, System::Slack);
        assert_eq!(slack.len(), 5, "{slack:#?}");
        assert!(slack[4].text().contains("5 more things"), "{}", slack[4].text());
    });
}

#[test]
fn teams_that_cannot_change_a_card_is_told_that_nobody_is_needed() {
    in_one_runtime(async {
        let rig = rig(0).await;
        let _room = rig.tell("[channels.soc]\nconnection = 'teams'\non = ['approval']\n");
        silence(2).await;
        rig.alert(DANA, Stage::Confirmed, &both()).await;
        silence(20).await;
        rig.pass(Span::minutes(1)).await;

        let cards = posts(&rig, System::Teams);

        assert_eq!(cards.len(), 2, "{cards:#?}");
        assert!(cards[1].text().contains("Approved by on-call"), "{}", cards[1].text());
    });
}

/// A card cannot be changed when a case is contained; a second breach must not be taken for the first.
#[test]
fn a_second_breach_is_told_again_where_nothing_can_be_changed() {
    in_one_runtime(async {
        let rig = rig(0).await;
        let _room = rig.tell("[channels.soc]\nconnection = 'teams'\non = ['confirmed']\n");
        silence(2).await;
        rig.alert(DANA, Stage::Confirmed, &both()).await;
        silence(5).await;
        rig.pass(Span::minutes(3)).await;
        let contained = told(&rig).await;
        assert!(contained.iter().any(|t| t.did == Did::Left && t.fact.closed), "{contained:#?}");
        assert_eq!(posts(&rig, System::Teams).len(), 1);

        let incident = rig.run().incident;
        rig.engine
            .commit(|tx| {
                let i = tx.core.state.incidents.get(&incident).unwrap();
                let evidence = crate::model::entry::Rise {
                    stage: i.stage,
                    approval: i.approval,
                    password_exposed: true,
                    may_cause: i.may_cause,
                    stale: false,
                    privileged: false,
                    reason: "again".to_owned(),
                    hostile_factors: Vec::new(),
                    hostile: i.hostile.clone(),
                    first_event_at: i.first_event_at,
                    last_evidence_at: tx.at,
                    hostile_entry_at: None,
                    watch_until: i.watch_until,
                    trigger: None,
                    campaign: None,
                };
                let risen = crate::model::entry::IncidentRisen { incident, evidence };
                tx.push(Entry::IncidentStaged(Box::new(risen)));
            })
            .await
            .unwrap();
        silence(10).await;

        assert_eq!(posts(&rig, System::Teams).len(), 2);
    });
}

/// A call without an answer may have arrived: it is made again, and said to be perhaps the second.
#[test]
fn an_attempt_without_an_answer_is_repeated_and_marked() {
    in_one_runtime(async {
        let rig = rig(0).await;
        let fault = Fault::TimeoutAfter;
        rig.lab.fault(Switch { system: System::Slack, operation: None, fault, times: Some(1) });
        let _room =
            rig.tell("[channels.soc]\nconnection = 'slack'\nto = '#soc'\non = ['approval']\n");
        silence(2).await;
        rig.alert(DANA, Stage::Confirmed, &both()).await;
        silence(60).await;

        assert_eq!(posts(&rig, System::Slack).len(), 2);
        let told = told(&rig).await;
        assert!(told.len() == 1 && told[0].perhaps_again, "{told:#?}");
    });
}

/// A whole Quell on a real folder and a real socket: what it told before it stopped, it does not tell after its start.
#[tokio::test]
async fn a_restart_goes_on_where_telling_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let mailbox = Mailbox::default();
    let serving = mailbox.clone().serve(listener, String::new());
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(serving);
    let more = format!(
        "[connections.mail]\nconnector = 'smtp'\nbase_url = 'smtp://{server}'\nallow_networks = ['127.0.0.0/8']
[connections.mail.settings]\nfrom = 'quell@lab.example'
[notify.channels.lead]\nconnection = 'mail'\nto = 'lead@lab.example'\non = ['pause']\n"
    );
    let settings = || crate::app::tests::lab(folder.path(), &more);
    let taken = |n: usize| {
        let mailbox = mailbox.clone();
        async move {
            while mailbox.taken().len() < n {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };

    let first = Quell::start(settings()).await.unwrap();
    // The room begins at the journal's head; the pause has to come after that.
    while first.engine.read(|core| core.state.telling.through).is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.engine.pause(true, "olga", "first").await.unwrap();
    taken(1).await;
    while first.engine.read(|core| core.state.telling.threads.is_empty()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first.stop().await.unwrap();
    let again = Quell::start(settings()).await.unwrap();
    again.engine.pause(false, "olga", "second").await.unwrap();
    taken(2).await;
    again.stop().await.unwrap();

    let mails = mailbox.taken();
    assert_eq!(mails.len(), 2, "{mails:#?}");
    assert!(mails[0].text.contains("All effects are stopped"), "{}", mails[0].text);
    assert!(mails[1].text.contains("allowed again"), "{}", mails[1].text);
}

#[test]
fn a_pause_is_told_and_so_is_its_end() {
    in_one_runtime(async {
        let rig = rig(0).await;
        let _room = rig.tell(SOC);
        silence(2).await;

        rig.engine.pause(true, "olga", "looking into it <!channel>").await.unwrap();
        silence(5).await;
        rig.engine.pause(false, "olga", "all is well").await.unwrap();
        silence(5).await;

        let slack = posts(&rig, System::Slack);
        assert_eq!(slack.len(), 2, "{slack:#?}");
        assert!(slack[0].text().contains("All effects are stopped"), "{}", slack[0].text());
        assert!(slack[1].text().contains("allowed again"), "{}", slack[1].text());
    });
}

#[test]
fn the_ticket_hears_of_each_decision_and_of_containment() {
    in_one_runtime(async {
        let rig = rig(0).await;
        let _room = rig.tell_tickets();
        silence(2).await;
        rig.alert(DANA, Stage::Confirmed, &both()).await;
        rig.pass(Span::minutes(2)).await;
        silence(60).await;

        let tickets = rig.lab.oracle().tickets;
        let notes = tickets[0].notes.join("\n--\n");
        assert!(notes.contains("Decided about Dana Reyes"), "{notes}");
        assert!(notes.contains("Approved by on-call: 4 actions"), "{notes}");
        assert!(notes.contains("block sign in: dana.reyes@lab.example"), "{notes}");
        assert!(notes.contains("Contained: Dana Reyes"), "{notes}");
        assert_eq!(notes.matches("Decided about").count(), 1, "{notes}");
    });
}

#[test]
fn a_campaign_is_one_message_for_each_minute_and_links_to_the_page_that_decides_it() {
    in_one_runtime(async {
        let rig = rig(20).await;
        let _room = rig.tell(SOC);
        silence(2).await;
        for n in 1..=12 {
            rig.alert(&format!("person-{n:04}@lab.example"), Stage::Confirmed, &both()).await;
        }
        silence(150).await;

        let slack = posts(&rig, System::Slack);
        let asked: Vec<String> =
            slack.iter().map(Post::text).filter(|text| text.contains("Decide")).collect();
        assert!(asked.len() <= 5, "{asked:#?}");
        let last = asked.iter().find(|text| text.contains("Decide together")).unwrap();
        assert!(last.contains("<https://quell.example.com/approvals/together"), "{last}");
    });
}
