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
use crate::intake::{self, Format, Kind, Parsed, Problem, Record};
use crate::model::alert::Proof;
use crate::model::event::AccountName;
use crate::model::incident::{MayCause, Stage};
use crate::model::time::Time;

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
    fn held_to(&self, most: MayCause) -> Self {
        let mut held = self.clone();
        held.view.may_cause = held.view.may_cause.min(most);
        held
    }

    /// The same at the word of a token. It can be stolen and signs nothing: outside of a lab it locks nobody out by itself,
    /// whatever its source may cause.
    pub(crate) fn by_token(&self, lab: bool) -> Self {
        self.held_to(if lab { MayCause::Contain } else { MayCause::Revoke })
    }

    /// Reads a body of its own format, or of another kind by its own mapping.
    pub(crate) fn parse(&self, kind: Kind, body: &[u8], at: Time) -> Result<Parsed, Problem> {
        intake::parse(Format { kind, mapping: self.format.mapping.clone() }, body, at)
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
                if !self.resolve_writer(&mut report.account) {
                    // The chat knows who it is, but nobody has said whose account that is.
                    report.proof = Proof::Relayed;
                }
                Fact::Report(report)
            }
        }
    }

    /// Puts whose account it is for a chat's name for the writer; whether anybody has said.
    fn resolve_writer(&self, writer: &mut AccountName) -> bool {
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
