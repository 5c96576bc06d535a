//! What guards everybody: changed by a quorum that signs, and by nobody else.

use chrono::TimeDelta;

use super::decisions::first_problem;
use super::soft::SoftPerson;
use super::stand::Stand;
use super::{Bar, Problem};
use crate::engine::guardrails::{Guardrails, Signing};
use crate::engine::people::Refusal;
use crate::engine::policy::{Policy, Release};
use crate::model::deed::Deed;
use crate::model::entry::Entry;
use crate::model::plan::Mode;

/// A deployment in use whose settings then change.
async fn changed(groups: &[(&str, &str)]) -> (Stand, Guardrails) {
    let stand = Stand::new().await;
    let first = Guardrails {
        policy: Policy::default(),
        groups: groups
            .iter()
            .map(|(name, group)| ((*name).to_owned(), vec![(*group).to_owned()]))
            .collect(),
        contain: ["siem".into()].into(),
    };
    stand.engine.settle_guardrails(first.clone(), false).await.unwrap();
    let mut policy = Policy { mode: Mode::Auto, ..Policy::default() };
    policy.ceilings.automatic_blocks = 500;
    let wanted = Guardrails { policy, ..first };
    stand.engine.settle_guardrails(wanted.clone(), false).await.unwrap();
    (stand, wanted)
}

async fn enrol(stand: &Stand, name: &str, role: &str) -> SoftPerson {
    SoftPerson::enrol(&stand.people, name, &[role]).await.unwrap()
}

async fn sign(stand: &Stand, who: &mut SoftPerson, digest: &str) -> Result<Signing, Problem> {
    let deed = Deed::Adopt { digest: digest.to_owned() };
    let (_, begun) = stand.people.deed_begin(who.id, deed)?;
    let answer = who.answer(begun.options).unwrap();
    let signed = stand.people.deed_finish(who.id, &begun.ceremony, &answer)?;
    Ok(stand.engine.adopt(signed).await?)
}

fn blocks(stand: &Stand) -> usize {
    stand.engine.policy().ceilings.automatic_blocks
}

#[tokio::test]
async fn what_the_settings_say_holds_once_two_people_have_signed_it() {
    let (stand, wanted) = changed(&[]).await;
    let (mut ann, mut bob) =
        (enrol(&stand, "ann", "approver").await, enrol(&stand, "bob", "approver").await);
    assert_eq!(blocks(&stand), 5, "what held before holds");

    let first = sign(&stand, &mut ann, &wanted.digest()).await.unwrap();
    let again = sign(&stand, &mut ann, &wanted.digest()).await.unwrap();
    assert_eq!((first.by.len(), first.needed, first.done), (1, 2, false));
    assert_eq!((again.by.len(), again.done), (1, false), "nobody signs for two");
    assert_eq!(blocks(&stand), 5);
    let second = sign(&stand, &mut bob, &wanted.digest()).await.unwrap();

    assert!(second.done);
    assert_eq!(blocks(&stand), 500);
    assert_eq!(stand.engine.policy().mode, Mode::Auto);
    let late = sign(&stand, &mut bob, &wanted.digest()).await;
    assert!(matches!(late, Err(Problem::Refused(Refusal::Missing("change")))), "{late:?}");
    // The next start finds the same settings.
    stand.engine.settle_guardrails(wanted, false).await.unwrap();
    assert!(stand.engine.read(|core| core.wished.is_none()));
}

#[tokio::test]
async fn who_may_not_decide_does_not_sign_either() {
    let (stand, wanted) = changed(&[("ann", "soc"), ("bob", "soc"), ("cleo", "iam")]).await;
    let mut viewer = enrol(&stand, "vic", "author").await;
    let refused = sign(&stand, &mut viewer, &wanted.digest()).await;
    assert!(matches!(refused, Err(Problem::Role)), "{refused:?}");
    let mut all = Vec::new();
    for name in ["ann", "bob", "cleo"] {
        all.push(enrol(&stand, name, "approver").await);
    }
    stand.clock.pass(TimeDelta::hours(25));
    let mut eve = enrol(&stand, "eve", "approver").await;
    let fresh = sign(&stand, &mut eve, &wanted.digest()).await;
    assert!(matches!(fresh, Err(Problem::Refused(Refusal::Bar(Bar::Fresh(_))))), "{fresh:?}");

    assert!(!sign(&stand, &mut all[0], &wanted.digest()).await.unwrap().done);
    let same_group = sign(&stand, &mut all[1], &wanted.digest()).await.unwrap();
    assert!(!same_group.done, "two of one group are not two");
    let own = stand.ask("cleo", false).await;
    stand.let_in(own).await;
    let victim = sign(&stand, &mut all[2], &wanted.digest()).await;
    assert!(matches!(victim, Err(Problem::Refused(Refusal::Bar(Bar::OwnCase(..))))), "{victim:?}");
    assert_eq!(blocks(&stand), 5);
}

#[tokio::test]
async fn a_signature_waits_a_day_and_counts_for_nothing_else() {
    let (stand, wanted) = changed(&[]).await;
    let (mut ann, mut bob) =
        (enrol(&stand, "ann", "approver").await, enrol(&stand, "bob", "approver").await);
    sign(&stand, &mut ann, &wanted.digest()).await.unwrap();
    let other = sign(&stand, &mut bob, &"0".repeat(64)).await;
    assert!(matches!(other, Err(Problem::Refused(Refusal::Changed))), "{other:?}");
    stand.clock.pass(TimeDelta::hours(25));

    let late = sign(&stand, &mut bob, &wanted.digest()).await.unwrap();

    assert_eq!((late.by.len(), late.done), (1, false), "ann's has lapsed");
}

#[tokio::test]
async fn a_change_that_was_not_signed_is_found_offline() {
    let (stand, wanted) = changed(&[]).await;
    let (mut ann, mut bob) =
        (enrol(&stand, "ann", "approver").await, enrol(&stand, "bob", "approver").await);
    for person in [&mut ann, &mut bob] {
        sign(&stand, person, &wanted.digest()).await.unwrap();
    }
    let mut entries = stand.journal();
    // A lab takes its settings as they are.
    for entry in &mut entries {
        if let Entry::DeploymentCreated(made) = entry {
            made.lab = false;
        }
    }
    entries.retain(|e| !matches!(e, Entry::EnrolmentIssued { .. }));
    assert_eq!(first_problem(&entries), None);

    let touched = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = entries.clone();
        change(&mut entries);
        first_problem(&entries)
    };
    let last = |entries: &mut Vec<Entry>,
                change: &dyn Fn(&mut crate::model::entry::GuardrailsChanged)| {
        let found = entries.iter_mut().rev().find_map(|e| match e {
            Entry::GuardrailsChanged(changed) => Some(changed),
            _ => None,
        });
        change(found.unwrap());
    };
    let signature = |entries: &mut Vec<Entry>| {
        let at = entries.iter().position(|e| matches!(e, Entry::DeedSigned(_))).unwrap();
        entries.remove(at);
    };
    for (what, problem) in [
        ("a signature taken out", touched(&|e| signature(e))),
        ("other rules", touched(&|e| last(e, &|c| c.rules["policy"]["mode"] = "observe".into()))),
        ("nobody signed", touched(&|e| last(e, &|c| c.by.clear()))),
        ("one signed", touched(&|e| last(e, &|c| c.by.truncate(1)))),
        ("one signed twice", touched(&|e| last(e, &|c| c.by[1] = c.by[0]))),
    ] {
        assert!(problem.is_some(), "{what}");
    }
}

#[tokio::test]
async fn a_lab_and_whoever_chose_so_once_take_the_settings_as_they_are() {
    let (stand, wanted) = changed(&[]).await;
    stand.engine.settle_guardrails(wanted.clone(), true).await.unwrap();
    assert_eq!(blocks(&stand), 500);

    let free = Policy { auto_publish: true, ..Policy::default() };
    let free = Guardrails { policy: free, ..wanted.clone() };
    stand.engine.settle_guardrails(free.clone(), false).await.unwrap();
    assert!(!stand.engine.policy().auto_publish, "the settings do not free themselves");
    stand.engine.settle_guardrails(free, true).await.unwrap();
    stand.engine.settle_guardrails(wanted, false).await.unwrap();
    assert_eq!(blocks(&stand), 500);
}

#[tokio::test]
async fn a_pause_ends_by_two_where_the_policy_says_so() {
    let stand = Stand::with(Policy { release: Release::Quorum, ..Policy::default() }).await;
    let (mut ann, mut bob) =
        (enrol(&stand, "ann", "approver").await, enrol(&stand, "bob", "approver").await);
    stand.engine.pause(true, "ann", "is this right?").await.unwrap();
    let release = async |who: &mut SoftPerson, reason: &str| {
        let deed = Deed::Release { reason: reason.to_owned() };
        let (_, begun) = stand.people.deed_begin(who.id, deed).unwrap();
        let answer = who.answer(begun.options).unwrap();
        let signed = stand.people.deed_finish(who.id, &begun.ceremony, &answer).unwrap();
        stand.engine.release(signed).await.unwrap()
    };
    let is_paused = || stand.engine.read(|core| core.state.paused.is_some());

    assert!(!release(&mut ann, "it was").await.done);
    assert!(!release(&mut bob, "for another reason").await.done, "they signed something else");
    assert!(is_paused());
    assert!(release(&mut bob, "it was").await.done);

    assert!(!is_paused());
    assert!(stand.engine.read(|core| core.state.seconds.is_empty()));
    assert_eq!(first_problem(&stand.journal()), None);
}

#[test]
fn what_an_older_or_newer_version_wrote_is_read() {
    let guardrails =
        Guardrails { policy: Policy::default(), groups: [].into(), contain: [].into() };
    let mut rules = serde_json::to_value(&guardrails).unwrap();
    rules["policy"]["of_tomorrow"] = 7.into();
    rules["policy"]["ceilings"]["of_tomorrow"] = 7.into();
    rules["policy"].as_object_mut().unwrap().remove("watch");

    assert_eq!(Guardrails::read(&rules), Some(guardrails));
}
