//! What a source says becomes what the engine takes in: clamped to how far the source is trusted, in the
//! order in which it happened.
//!
//! One path for what is posted ([`server`](crate::server)) and what is fetched ([`poll`](crate::poll)).
//!
//! May use `intake` and `engine`. Knows no axum and no HTTP client.

mod kept;

use crate::engine::driver::Engine;
use crate::engine::ingest::{Answer, Fact, Incoming, Rejected};
use crate::engine::policy::SourceView;
use crate::engine::ports::StoreError;
use crate::intake::{Format, Kind, Parsed, Record};
use crate::model::alert::Proof;
use crate::model::event::AccountName;
use crate::model::incident::{MayCause, Stage};

pub(crate) use kept::{Kept, Proved, Shelf};

/// How a source's records are read, and how far its word carries.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) view: SourceView,
    pub(crate) format: Format,
    /// The furthest stage that one alert of it can claim.
    pub(crate) highest_stage: Stage,
    /// The most that its reports may claim to prove.
    pub(crate) proof: Proof,
}

impl Origin {
    /// The same, but its word causes no more than `most`.
    pub(crate) fn held_to(&self, most: MayCause) -> Self {
        let mut held = self.clone();
        held.view.may_cause = held.view.may_cause.min(most);
        held
    }

    /// Takes a delivery in. When it returns, the delivery is on disk and cannot be lost.
    pub(crate) async fn take(
        &self,
        engine: &Engine,
        mut parsed: Parsed,
        delivery: String,
        replayed: bool,
    ) -> Result<Answer, StoreError> {
        parsed.sort_by_time();
        let answer = engine.ingest(self.incoming(delivery, parsed, replayed)).await?;
        tracing::info!(
            source.id = %self.view.id,
            receipt = %answer.receipt,
            duplicate = answer.duplicate,
            "Accepted {} records from `{}`",
            answer.accepted,
            self.view.id,
        );
        Ok(answer)
    }

    fn incoming(&self, delivery: String, parsed: Parsed, replayed: bool) -> Incoming {
        let accepted = parsed.understood + parsed.irrelevant.len();
        let rejected = parsed
            .problems
            .into_iter()
            .map(|(index, problem)| Rejected { index, problem: problem.slug().to_owned() })
            .collect();
        let facts = parsed.records.into_iter().map(|record| self.fact(record)).collect();
        Incoming { source: self.view.clone(), delivery, facts, accepted, rejected, replayed }
    }

    /// A record's claim goes no further than its source is trusted.
    fn fact(&self, record: Record) -> Fact {
        match record {
            Record::Event(event) => Fact::Event(event),
            Record::Alert(mut alert) => {
                alert.stage = alert.stage.min(self.highest_stage);
                Fact::Alert(alert)
            }
            Record::Report(mut report) => {
                // The order of `Proof` goes from the strongest to the weakest.
                report.proof = report.proof.max(self.proof);
                if !self.knows_writer(&mut report.account) {
                    // The chat knows who it is, but nobody has said whose account that is.
                    report.proof = Proof::Relayed;
                }
                Fact::Report(report)
            }
        }
    }

    /// Whether it is said whose account a chat's name for the writer stands for.
    fn knows_writer(&self, writer: &mut AccountName) -> bool {
        match self.format.kind {
            Kind::Slack => {
                writer.login.as_ref().is_some_and(|login| self.view.aliases.contains_key(login))
            }
            // Teams names people as Entra does, and Entra is asked whose that is.
            Kind::Teams => {
                let alias = writer.provider_id.as_ref().and_then(|id| self.view.aliases.get(id));
                writer.login = alias.map(|login| login.to_lowercase());
                writer.login.is_some() || !self.view.connections.is_empty()
            }
            _ => true,
        }
    }
}
