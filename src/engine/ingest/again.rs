//! Whose evidence means more since somebody else's came in is looked at again, in a commit of its own: they may
//! have been put away, and are fetched first.

use std::collections::BTreeSet;

use super::evidence::known_subject;
use super::{Incoming, follow_up, open};
use crate::detect::{About, Open, Signal, Stirred, Told};
use crate::engine::driver::{Engine, Tx};
use crate::engine::policy::SourceView;
use crate::engine::ports::StoreError;
use crate::model::id::{IncidentId, SourceId};
use crate::model::incident::Incident;
use crate::model::subject::Subject;

impl Engine {
    /// Settings of the sources, before any of them has spoken by them: detection remembers evidence of before.
    pub(crate) fn learn_sources(&self, views: impl Iterator<Item = SourceView>) {
        self.change(|core| core.sources.extend(views.map(|view| (view.id.clone(), view))));
    }

    /// They are configured no longer, and speak for nobody.
    pub(crate) fn forget_sources<'s>(&self, gone: impl Iterator<Item = &'s SourceId>) {
        self.change(|core| gone.for_each(|id| drop(core.sources.remove(id))));
    }

    /// Looks again at each of these people.
    pub(super) async fn look_again(
        &self,
        stirred: Vec<Stirred>,
        replayed: bool,
    ) -> Result<(), StoreError> {
        let cases: Vec<(Stirred, Incoming)> = self.read(|core| {
            let told = |one: Stirred| {
                // A source that is configured no longer speaks for nobody.
                let mut source = core.sources.get(one.source.as_ref()?)?.clone();
                self.as_adopted(&mut source);
                Some((one, Incoming { replayed, ..Incoming::bare(source) }))
            };
            stirred.into_iter().filter_map(told).collect()
        });
        if cases.is_empty() {
            return Ok(());
        }
        let names = cases.iter().flat_map(|(one, from)| open::aliases(from, &one.account));
        self.fetch_named(&names.collect::<Vec<_>>()).await?;
        self.commit(|tx| {
            let mut touched = BTreeSet::new();
            for (one, incoming) in &cases {
                self.look_at(tx, incoming, one, &mut touched);
            }
            for incident in touched {
                follow_up(self, tx, incident);
            }
        })
        .await
    }

    fn look_at(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming,
        one: &Stirred,
        touched: &mut BTreeSet<IncidentId>,
    ) {
        let (_, subject) = known_subject(tx, incoming, &one.account);
        let who = subject.and_then(|id| tx.core.state.subject(id));
        let privileged = who.is_some_and(Subject::privileged);
        let case = subject.and_then(|id| tx.core.state.open_incident(id, tx.at)).cloned();
        let view = case.as_ref().map(Open::from);
        let told = Told { source: &incoming.source.id, may_cause: incoming.source.may_cause };
        let about = About { privileged, open: view.as_ref(), now: tx.at, who, told: Some(told) };
        let signals = tx.core.detector.look_again(&one.key, &about);
        for signal in signals {
            if case.as_ref().is_some_and(|case| says_already(case, &signal)) {
                continue;
            }
            if let Some(event) = signal.events.last() {
                touched.insert(self.take_signal(tx, incoming, event, &signal));
            }
        }
    }
}

/// After a crash the same is found again; the journal has it.
fn says_already(case: &Incident, signal: &Signal) -> bool {
    case.stage >= signal.stage
        && case.approval >= signal.approval
        && case.hostile_entry_at >= signal.hostile_entry_at
        && !signal.campaign.as_ref().is_some_and(|new| new.says_more_than(case.campaign.as_ref()))
}
