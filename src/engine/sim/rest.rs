//! People at rest: away from memory, and back when something names them.

use super::{Fact, MayCause, Mode, Sim, Span, Stage};
use crate::engine::driver::Core;
use crate::engine::shelf::About;
use crate::model::incident::{Incident, IncidentStatus};
use crate::model::subject::Alias;

/// A deployment that keeps nobody in memory who could be away.
async fn forgetful(seed: u64) -> Sim {
    let sim = Sim::new(seed, Mode::Auto).await;
    sim.engine.change(|core| core.keeping.keep = 0);
    sim
}

fn in_memory(core: &Core) -> [usize; 4] {
    let state = &core.state;
    [state.subjects.len(), state.incidents.len(), state.runs.len(), state.aliases.len()]
}

#[tokio::test(start_paused = true)]
async fn whoever_is_at_rest_goes_on_where_they_were_when_evidence_names_them() {
    let sim = forgetful(31).await;
    let first = sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(1)).await;
    assert_eq!(sim.engine.read(in_memory), [0; 4], "everybody is away");

    let second = sim.alert("dana", Stage::Confirmed).await.unwrap();
    sim.pass(Span::seconds(5)).await;

    assert_eq!(second.incidents[0].incident, first.incidents[0].incident, "one incident");
    assert_eq!(sim.incident().stage, Stage::Confirmed);
    assert_eq!(sim.runs().len(), 2, "the first run and its continuation");
    assert_eq!(sim.engine.read(|core| core.state.subjects.len()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_delivery_is_answered_from_the_index_as_it_was() {
    let sim = forgetful(32).await;
    let first = sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(1)).await;

    let again = sim.alert("dana", Stage::Suspected).await.unwrap();

    assert!(again.duplicate);
    assert_eq!((again.receipt, again.incidents), (first.receipt, first.incidents));
}

/// A hold has an end, and somebody whose account Quell keeps shut must be there when it comes.
#[tokio::test(start_paused = true)]
async fn whoever_is_kept_out_or_waits_for_people_stays_in_memory() {
    let sim = forgetful(33).await;
    let fact = |stage| Fact::Alert(Box::new(sim.an_alert("dana", stage)));
    sim.deliver("d1", MayCause::Contain, fact(Stage::Suspected)).await.unwrap();
    sim.hostile_approval(&sim.incident()).await;
    sim.pass(Span::minutes(3)).await;
    assert!(sim.engine.read(|core| !core.state.holds.is_empty()), "the account is shut");

    assert_eq!(sim.engine.read(in_memory)[..2], [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_list_shows_those_who_are_away_too_page_by_page() {
    let sim = forgetful(34).await;
    let mut opened = Vec::new();
    for n in 0..7 {
        let answer = sim.alert(&format!("p{n}"), Stage::Suspected).await.unwrap();
        opened.push(answer.incidents[0].incident);
        sim.pass(Span::seconds(20)).await;
    }
    sim.pass(Span::minutes(1)).await;
    assert_eq!(sim.engine.read(in_memory)[1], 0);
    opened.reverse();

    let contained = |i: &Incident| i.status == IncidentStatus::Contained;
    let first = sim.engine.list::<Incident>(None, 4, contained).await.unwrap();
    let second = sim.engine.list::<Incident>(first.next, 4, contained).await.unwrap();

    assert_eq!([first.ids.clone(), second.ids].concat(), opened);
    assert_eq!((first.next, second.next), (Some(opened[3]), None));
    let there = sim.engine.read(|core| core.state.incidents.contains_key(&first.ids[0]));
    assert!(there, "what was listed can be shown");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_away_is_found_by_an_id() {
    let sim = forgetful(35).await;
    let before = sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(1)).await;
    let incident = before.incidents[0].incident;

    sim.engine.fetch_about(About::Incident(incident)).await.unwrap();
    let found = sim.engine.read(|core| {
        let subject = core.state.subject_by_alias(&Alias::login("dana")).map(|s| s.id);
        (subject, core.state.incidents[&incident].subject, core.state.runs_of(incident).count())
    });

    assert_eq!(found, (Some(found.1), found.1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_restart_reads_only_those_whom_something_may_happen_to() {
    let sim = forgetful(36).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.alert("lee", Stage::Suspected).await.unwrap();
    let lee = sim.engine.read(|core| {
        let subject = core.state.subject_by_alias(&Alias::login("lee")).unwrap().id;
        core.state.incidents[&core.state.newest[&subject]].clone()
    });
    sim.hostile_approval(&lee).await;
    sim.pass(Span::minutes(3)).await;

    let state = crate::engine::recall(&sim.disk()).await.unwrap();

    let known: Vec<_> = state.incidents.keys().copied().collect();
    assert_eq!(known, [lee.id], "lee is kept out, dana is at rest");
    let runs = sim.engine.read(|core| core.state.runs_of(lee.id).count());
    assert_eq!(state.runs_of(lee.id).count(), runs);
    assert!(state.may_be_shelved(&Alias::login("dana")));
    assert_eq!(state.seq, sim.engine.read(|core| core.state.seq));
}

/// What a row does not say yet is in memory only.
#[tokio::test(start_paused = true)]
async fn whoever_has_changed_stays_until_it_is_written() {
    let sim = forgetful(37).await;
    sim.alert("dana", Stage::Suspected).await.unwrap();
    sim.pass(Span::minutes(1)).await;
    let weaker = Fact::Alert(Box::new(sim.an_alert("dana", Stage::Noted)));
    let joined = sim.deliver("d2", MayCause::Contain, weaker).await.unwrap();

    let [went, before] = sim.engine.change(|core| {
        let before = core.state.incidents[&joined.incidents[0].incident].counts.alerts;
        [core.state.shelve(0, |_| false), before as usize]
    });
    assert_eq!(went, 0, "its rows are on their way");
    sim.pass(Span::minutes(1)).await;
    let went = sim.engine.change(|core| core.state.shelve(0, |_| false));
    assert_eq!((went, sim.engine.read(in_memory)), (1, [0; 4]), "they are written: it goes");

    let incident = joined.incidents[0].incident;
    sim.engine.fetch_about(About::Incident(incident)).await.unwrap();
    let after = sim.engine.read(|core| core.state.incidents[&incident].counts.alerts);
    assert_eq!(after as usize, before);
}
