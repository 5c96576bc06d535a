//! Whoever is on call is told themselves, end to end: at an address of their own, at the next, or others are.

use super::rig::{Rig, in_one_runtime};
use super::told::{DANA, SOC, both, posts, rig, silence, told};
use crate::lab::fault::{Fault, Switch};
use crate::lab::world::System;
use crate::model::entry::Entry;
use crate::model::incident::Stage;
use crate::model::notice::{Told, Topic};
use crate::model::oncall::{Addressed, Asked, Level, Longer, Named};
use crate::model::time::Span;
use crate::notify::Address;

/// The one person on call, at their own addresses beside the room's channel.
fn on_call_themselves() -> crate::notify::Options {
    let options =
        format!("ladder = [{{channel='soc', after='5m'}}]\n{}", SOC.replace("'approval', ", ""));
    let options: crate::notify::Options = toml::from_str(&options).unwrap();
    let addresses = [("slack", "U0ONCALL"), ("smtp", "on-call@corp.example")]
        .map(|(at, to)| Address { connection: at.into(), to: Some(to.to_owned()), kind: None });
    options.with_people([("On-Call", &addresses[..])])
}

/// Puts the open question to the person on call, as the rota would.
async fn put_to_them(rig: &Rig) {
    let question = rig.engine.read(|core| core.state.approvals.values().next().cloned()).unwrap();
    let asked = Asked {
        person: crate::model::id::PersonId(uuid::Uuid::from_u128(1)),
        name: "on-call".to_owned(),
        by: Named::Rota,
        level: Level::First,
        instead_of: None,
    };
    let (at, until) = (rig.engine.now(), question.expires_at);
    let (level, everybody, people) = (Some(Level::First), false, vec![asked]);
    let addressed = Addressed { level, everybody, people, at, until };
    let entry = Entry::ApprovalEscalated {
        approval: question.id,
        incident: question.incident,
        expires_at: until,
        reason: "their turn".to_owned(),
        why: Longer::Silence,
        addressed: Some(Box::new(addressed)),
    };
    rig.engine.commit(|tx| tx.push(entry)).await.unwrap();
}

#[test]
fn whoever_is_on_call_is_told_themselves_and_that_nobody_is_needed_any_more() {
    in_one_runtime(async {
        let rig = rig(0).await;
        let _room = rig.tell_as(on_call_themselves());
        silence(2).await;
        rig.alert(DANA, Stage::Confirmed, &both()).await;
        silence(20).await;
        assert!(posts(&rig, System::Slack).is_empty(), "it is put to nobody by name");

        put_to_them(&rig).await;
        silence(10).await;
        let asked = posts(&rig, System::Slack);
        assert_eq!(asked.len(), 1, "{asked:#?}");
        assert_eq!(asked[0].body["channel"], "U0ONCALL", "{asked:#?}");
        assert!(asked[0].text().contains("Decide: contain"), "{}", asked[0].text());
        assert!(posts(&rig, System::Mail).is_empty(), "one address is enough");
        rig.pass(Span::minutes(2)).await;

        let decided = posts(&rig, System::Slack);
        let same = decided.iter().find(|post| post.id == asked[0].id).unwrap();
        assert!(same.text().contains("Nobody is needed"), "{}", same.text());
        let own = |t: &&Told| t.channel == "On-Call at slack";
        assert_eq!(told(&rig).await.iter().filter(own).count(), 2, "told, and brought up to date");
    });
}

#[test]
fn whoever_cannot_be_told_at_one_address_is_told_at_the_next_and_then_others_are() {
    in_one_runtime(async {
        for (dead, told_at) in
            [(vec![System::Slack], "On-Call at smtp"), (vec![System::Mail, System::Slack], "soc")]
        {
            let rig = rig(0).await;
            let operation = None;
            for system in dead.clone() {
                // The room's channel is at the same system, and comes after two failures.
                let times = (told_at == "soc" && system == System::Slack).then_some(3);
                let fault = Fault::Unreachable;
                rig.lab.fault(Switch { system, operation: operation.clone(), fault, times });
            }
            let _room = rig.tell_as(on_call_themselves());
            silence(2).await;
            rig.alert(DANA, Stage::Confirmed, &both()).await;
            silence(10).await;
            put_to_them(&rig).await;
            silence(200).await;

            let told = told(&rig).await;
            let asked = |t: &&Told| t.fact.topic == Topic::Approval;
            let failed = told.iter().filter(asked).filter(|t| t.problem.is_some());
            let failed: Vec<&str> = failed.map(|t| t.channel.as_str()).collect();
            assert_eq!(failed, ["On-Call at slack", "On-Call at smtp"][..dead.len()], "{told:#?}");
            let reached = told.iter().filter(asked).find(|t| t.problem.is_none()).unwrap();
            assert_eq!(reached.channel, told_at, "{told:#?}");
            assert_eq!(reached.instead_of.as_deref(), failed.last().copied(), "{told:#?}");
        }
    });
}
