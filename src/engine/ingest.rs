//! Evidence comes in: events are weighed, alerts and reports joined, incidents opened or raised, runs started.
//!
//! What one delivery leads to is one durable commit: its receipt, the incidents, the
//! runs and their first intents. Raw events go to the evidence log first. What it means for other
//! people (many people, one source) follows in a commit of its own, before the answer; a crash between
//! the two is made good from the evidence log.

mod again;
mod doors;
mod evidence;
mod open;
mod runs;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::driver::{Engine, Tx};
use super::policy::SourceView;
use super::ports::StoreError;
use super::state::{Delivered, DeliveryKey, Known, RowKey, parse};
use crate::model::alert::{Alert, Report, answer_to_reporter};
use crate::model::entry::{DeliveryAccepted, Entry};
use crate::model::event::Event;
use crate::model::id::{IncidentId, ReceiptId, RunId};
use crate::model::subject::Alias;
use crate::model::time::Time;

pub(crate) use doors::{Door, Told};
pub(crate) use runs::follow_up;

/// Refused records that are remembered of one delivery. A body may hold ten thousand.
const REJECTED_KEPT: usize = 20;

/// A verified, parsed delivery.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) source: SourceView,
    /// The sender's delivery id, or SHA-256 of the body.
    pub(crate) delivery: String,
    pub(crate) facts: Vec<Fact>,
    /// Records that were understood, irrelevant ones included.
    pub(crate) accepted: usize,
    pub(crate) rejected: Vec<Rejected>,
    /// A person marked it as replayed: it opens incidents but never acts without approval.
    pub(crate) replayed: bool,
}

impl Incoming {
    /// What speaks for a source outside of any delivery.
    fn bare(source: SourceView) -> Self {
        Self {
            source,
            delivery: String::new(),
            facts: Vec::new(),
            accepted: 0,
            rejected: Vec::new(),
            replayed: false,
        }
    }
}

/// One thing that a delivery states.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Event(Box<Event>),
    Alert(Box<Alert>),
    Report(Box<Report>),
}

impl Fact {
    fn time(&self) -> Time {
        match self {
            Self::Event(e) => e.time,
            Self::Alert(a) => a.time,
            Self::Report(r) => r.time,
        }
    }
}

/// One record that could not be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Rejected {
    /// Its position in the body.
    pub(crate) index: usize,
    /// Why, as a stable problem type.
    pub(crate) problem: String,
}

/// The answer to a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Answer {
    #[schema(value_type = String)]
    pub(crate) receipt: ReceiptId,
    /// It was received before; this is what was answered then.
    pub(crate) duplicate: bool,
    /// Records that were understood.
    pub(crate) accepted: usize,
    /// Records that were not. A repetition is told the first 20 of them.
    pub(crate) rejected: Vec<Rejected>,
    /// Incidents that it opened, joined or raised.
    pub(crate) incidents: Vec<Touched>,
    /// The numbers of the reports in it, of which a repetition is told the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) references: Vec<String>,
    /// What the people who reported are to be told: for a forwarder of mail to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply: Option<String>,
}

impl Answer {
    /// What is kept for a repetition: the first of the refused records stand for all, and so do those of the reports.
    pub(crate) fn remembered(&self) -> Self {
        let rejected = self.rejected.iter().take(REJECTED_KEPT).cloned().collect();
        let references = self.references.iter().take(REJECTED_KEPT).cloned().collect();
        Self { rejected, references, incidents: self.incidents.clone(), reply: None, ..*self }
    }

    /// With the words for those who reported, if anybody did.
    pub(crate) fn replying(mut self) -> Self {
        self.reply = (!self.references.is_empty()).then(|| answer_to_reporter(&self.references));
        self
    }
}

/// An incident that a delivery was about.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub(crate) struct Touched {
    #[schema(value_type = String)]
    pub(crate) incident: IncidentId,
    /// The incident's newest run, if it has one.
    #[schema(value_type = Option<String>)]
    pub(crate) run: Option<RunId>,
}

impl Engine {
    /// Takes a delivery in. When it returns, the delivery is on disk and cannot be lost.
    pub(crate) async fn ingest(&self, mut incoming: Incoming) -> Result<Answer, StoreError> {
        self.ports().store.ready()?;
        let key = DeliveryKey::new(incoming.source.id.as_str(), &incoming.delivery);
        if let Some(answer) = self.answered(key).await? {
            return Ok(answer);
        }
        let receipt = ReceiptId::mint(self.now(), self.ports().entropy.id());
        let lines = evidence_lines(&incoming, receipt, self.now());
        if !lines.is_empty() {
            self.ports().evidence.append(lines).await?;
        }
        self.fetch_named(&named(&incoming)).await?;
        let source = incoming.source.clone();
        self.as_adopted(&mut incoming.source);
        let taken = self.commit(|tx| {
            tx.core.sources.insert(source.id.clone(), source);
            (self.take(tx, &incoming, key, receipt), tx.core.detector.stirred())
        });
        let (answer, stirred) = taken.await?;
        self.look_again(stirred, incoming.replayed).await?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        // The same delivery came in while this one wrote its evidence.
        let answer = self.answered(key).await?;
        answer.ok_or_else(|| StoreError::Busy("this delivery is being answered".to_owned()))
    }

    /// Whether the journal remembers what a delivery was answered.
    pub(crate) fn has_answered(&self, source: &str, delivery: &str) -> bool {
        let key = DeliveryKey::new(source, delivery);
        self.read(|core| core.state.deliveries.get(key).is_some())
    }

    /// What a delivery was answered before, once that is on disk.
    async fn answered(&self, key: DeliveryKey) -> Result<Option<Answer>, StoreError> {
        let Some(known) = self.delivered(key).await? else { return Ok(None) };
        let answer = serde_json::from_value::<Answer>(known.answer).ok();
        Ok(answer.map(|answer| Answer { duplicate: true, ..answer }))
    }

    /// What is remembered of a delivery, once that is on disk.
    pub(crate) async fn delivered(
        &self,
        key: DeliveryKey,
    ) -> Result<Option<Delivered>, StoreError> {
        match self.read(|core| core.state.deliveries.get(key).cloned()) {
            None => Ok(None),
            Some(Known::Here(delivered)) => {
                // It may still be on its way to the disk.
                self.until_written().await?;
                Ok(Some(*delivered))
            }
            Some(Known::Written) => {
                let row = RowKey::Delivery(key).text();
                match self.ports().store.row(&row).await {
                    Ok(value) => value.map(|value| parse(&row, &value)).transpose(),
                    Err(error) => {
                        self.fetch_all(&error).await?;
                        Ok(self.read(|core| match core.state.deliveries.get(key) {
                            Some(Known::Here(delivered)) => Some((**delivered).clone()),
                            _ => None,
                        }))
                    }
                }
            }
        }
    }

    /// `None` if it was answered before.
    fn take(
        &self,
        tx: &mut Tx<'_>,
        incoming: &Incoming,
        key: DeliveryKey,
        receipt: ReceiptId,
    ) -> Option<Answer> {
        if tx.core.state.deliveries.get(key).is_some() {
            return None;
        }
        let mut touched = BTreeSet::new();
        let mut facts: Vec<&Fact> = incoming.facts.iter().collect();
        facts.sort_by_key(|fact| fact.time());
        for fact in facts {
            match fact {
                Fact::Event(event) => self.take_event(tx, incoming, event, &mut touched),
                Fact::Alert(alert) => self.take_alert(tx, incoming, alert, &mut touched),
                Fact::Report(report) => self.take_report(tx, incoming, report, &mut touched),
            }
        }
        for incident in &touched {
            follow_up(self, tx, *incident);
        }
        let incidents = touched
            .into_iter()
            .map(|incident| Touched {
                incident,
                run: tx.core.state.incidents.get(&incident).and_then(|i| i.runs.last().copied()),
            })
            .collect();
        let answer = Answer {
            receipt,
            duplicate: false,
            accepted: incoming.accepted,
            rejected: incoming.rejected.clone(),
            incidents,
            references: references(incoming),
            reply: None,
        };
        // Deliveries of raw events that led to nothing leave their trace in the evidence log only.
        let only_events = incoming.facts.iter().all(|f| matches!(f, Fact::Event(_)));
        if !(only_events && answer.incidents.is_empty()) {
            tx.push(Entry::DeliveryAccepted(DeliveryAccepted {
                receipt,
                source: incoming.source.id.clone(),
                delivery: incoming.delivery.clone(),
                answer: serde_json::to_value(answer.remembered()).unwrap_or(Value::Null),
            }));
        }
        Some(answer)
    }
}

fn references(incoming: &Incoming) -> Vec<String> {
    let reports = incoming.facts.iter().filter_map(|fact| match fact {
        Fact::Report(report) => Some(report.reference()),
        Fact::Event(_) | Fact::Alert(_) => None,
    });
    reports.collect()
}

/// Every name by which a delivery speaks of somebody.
fn named(incoming: &Incoming) -> Vec<Alias> {
    let accounts = incoming.facts.iter().map(|fact| match fact {
        Fact::Event(event) => &event.account,
        Fact::Alert(alert) => &alert.account,
        Fact::Report(report) => &report.account,
    });
    accounts.flat_map(|account| open::aliases(incoming, account)).collect()
}

/// The key of an account's detection windows, for those who fill them again after a restart.
pub(crate) fn window_key(
    source: &SourceView,
    account: &crate::model::event::AccountName,
) -> String {
    let incoming = Incoming::bare(source.clone());
    open::aliases(&incoming, account).first().map(ToString::to_string).unwrap_or_default()
}

/// The raw events of a delivery, as the evidence log keeps them.
fn evidence_lines(incoming: &Incoming, receipt: ReceiptId, now: Time) -> Vec<Value> {
    incoming
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Event(event) => Some(json!({
                "at": crate::model::time::rfc3339(now),
                "receipt": receipt,
                "source": incoming.source.id,
                "delivery": incoming.delivery,
                "event": event,
            })),
            Fact::Alert(_) | Fact::Report(_) => None,
        })
        .collect()
}
