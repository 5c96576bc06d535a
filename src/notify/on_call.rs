//! Asks the pager who is on call, now and then, and hands the engine names that the settings know.
//!
//! Whatever the pager says changes who is told first, and nothing else. People are recognised by their id there, or
//! by their address where the settings give no id; never by a name that anybody can choose.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::watch;

use crate::approval::rota::{Heard, Source};
use crate::engine::driver::Engine;
use crate::model::action::{Call, CallResult, Outcome};
use crate::model::id::ConnectionId;
use crate::model::oncall::Level;
use crate::model::text::tame_field;
use crate::model::time::{Span, Time};

/// The capability that says who is on call.
const LIST: &str = "oncall.list";

/// How the pager knows somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownAs {
    pub(crate) name: String,
    pub(crate) pager: Option<String>,
    pub(crate) mail: Option<String>,
}

/// Asks until the process ends.
pub(crate) async fn follow_pager(
    engine: Engine,
    pager: ConnectionId,
    every: Span,
    known: Vec<KnownAs>,
    mut closing: watch::Receiver<bool>,
) {
    let mut before = None;
    loop {
        ask(&engine, &pager, &known).await;
        let stale = engine.policy().oncall.stale;
        let now = engine.now();
        let source = engine.read(|core| core.roster.source(stale, now));
        let why = match source {
            Source::Pager { .. } => None,
            Source::Fallback { why, .. } => Some(why),
        };
        if before.as_ref() != Some(&why) {
            match &why {
                None => tracing::info!("`{pager}` says who is on call"),
                Some(why) => {
                    tracing::error!("Our own rota says who is on call, and not `{pager}`: {why}");
                }
            }
        }
        before = Some(why);
        let until = engine.now() + every.delta();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return,
            () = engine.ports().clock.sleep_until(until) => {}
        }
    }
}

/// One question to the pager.
pub(super) async fn ask(engine: &Engine, pager: &ConnectionId, known: &[KnownAs]) {
    let spec = engine.ports().catalogue.resolve(LIST, pager, None);
    let read = match spec {
        Ok(spec) => {
            let call = Call {
                connection: pager.clone(),
                action: spec.id,
                inputs: BTreeMap::new(),
                key: LIST.to_owned(),
            };
            let result = engine.ports().actions.call(&call).await;
            heard(&result, known, engine.now())
        }
        Err(_) => Err(format!("the connection `{pager}` does not say who is on call")),
    };
    engine.learn_roster(|roster| match read {
        Ok(heard) => roster.hear(heard),
        Err(why) => roster.fail(why),
    });
}

/// What an answer means, in names of the settings.
pub(super) fn heard(result: &CallResult, known: &[KnownAs], at: Time) -> Result<Heard, String> {
    let done = matches!(result.outcome, Outcome::Done | Outcome::Unchanged);
    let Some(people) = result.output["people"].as_array().filter(|_| done) else {
        let problem = result.problem.as_deref().unwrap_or("it gave no list of people");
        return Err(tame_field(problem));
    };
    let mut levels: BTreeMap<Level, Vec<String>> = BTreeMap::new();
    let mut unknown = BTreeSet::new();
    for person in people {
        let level = match person["level"].as_i64() {
            Some(1) => Level::First,
            Some(2) => Level::Second,
            // Whoever leads is ours to say.
            _ => continue,
        };
        match known.iter().find(|known| is(known, person)) {
            Some(known) => {
                let names = levels.entry(level).or_default();
                if !names.contains(&known.name) {
                    names.push(known.name.clone());
                }
            }
            None => drop(unknown.insert(person["id"].to_string())),
        }
    }
    Ok(Heard { at, levels, unknown: unknown.len() })
}

fn is(known: &KnownAs, person: &Value) -> bool {
    match (&known.pager, &known.mail) {
        (Some(id), _) => person["id"].as_str() == Some(id),
        (None, Some(mail)) => {
            person["mail"].as_str().is_some_and(|given| given.eq_ignore_ascii_case(mail))
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn known() -> Vec<KnownAs> {
        let one = |name: &str, pager: Option<&str>, mail: Option<&str>| KnownAs {
            name: name.into(),
            pager: pager.map(Into::into),
            mail: mail.map(Into::into),
        };
        vec![
            one("olga", Some("PT1"), Some("olga@corp.example")),
            one("pete", None, Some("pete@corp.example")),
            one("rami", None, None),
        ]
    }

    fn said(people: &Value) -> Result<Heard, String> {
        heard(&CallResult::done(json!({ "people": people })), &known(), Time::UNIX_EPOCH)
    }

    #[test]
    fn people_are_known_by_their_id_or_address_and_by_no_name() {
        let heard = said(&json!([
            {"id": "PT1", "mail": "x@evil.example", "name": "Somebody", "level": 1},
            {"id": "PT2", "mail": "Pete@corp.example", "name": "P", "level": 2},
            {"id": "PT3", "mail": "olga@corp.example", "name": "olga", "level": 1},
            {"id": "PT4", "mail": null, "name": "rami", "level": 1},
        ]))
        .unwrap();

        let first = vec!["olga".to_owned()];
        let levels = [(Level::First, first), (Level::Second, vec!["pete".to_owned()])];
        assert_eq!(heard.levels, levels.into());
        assert_eq!(heard.unknown, 2);
    }

    #[test]
    fn whoever_leads_is_not_the_pagers_to_say() {
        let heard = said(&json!([{"id": "PT1", "level": 3}, {"id": "PT1", "level": 0}])).unwrap();

        assert!(heard.levels.is_empty());
    }

    #[test]
    fn an_answer_without_people_is_a_failure() {
        let failed = CallResult::failed(Outcome::Unknown, "no answer in time");

        assert_eq!(heard(&failed, &known(), Time::UNIX_EPOCH), Err("no answer in time".to_owned()));
        assert!(said(&json!("olga")).is_err());
        assert!(heard(&CallResult::done(Value::Null), &known(), Time::UNIX_EPOCH).is_err());
    }

    proptest! {
        /// Whatever somebody writes into the schedule, only names of the settings come out.
        #[test]
        fn no_name_comes_in_from_outside(id in "\\PC{0,12}", mail in "\\PC{0,20}", level in -2..5_i64) {
            let heard = said(&json!([{"id": id, "mail": mail, "name": mail, "level": level}])).unwrap();

            let names: Vec<String> = known().into_iter().map(|k| k.name).collect();
            prop_assert!(heard.levels.values().flatten().all(|name| names.contains(name)));
        }
    }
}
