//! Refused deliveries, judged once more: kept when they are refused, and let through the same door when somebody who
//! has mended the settings asks for it. Nothing is proved by their word.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::Mutex;

use super::extract::Named;
use super::identity::{Admin, Allowed, Read};
use super::problem::{Kind, Problem};
use super::received::Received;
use super::roster::Roster;
use super::state::{Answers, Api};
use super::views::Page;
use crate::delivery::{Kept, Proved, Shelf};
use crate::engine::driver::Engine;
use crate::engine::ingest::Answer;
use crate::intake;
use crate::model::entry::DeliveryJudged;
use crate::model::id::{ReceiptId, SourceId};
use crate::model::text::tame;
use crate::model::time::rfc3339;

/// What a second judgement needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Again(Arc<Parts>);

struct Parts {
    engine: Engine,
    sources: Roster,
    answers: Answers,
    received: Received,
    shelf: Arc<dyn Shelf>,
    lab: bool,
    /// One at a time: two people may press the same button.
    turn: Mutex<()>,
}

/// A delivery as it came, for the case that it is refused.
pub(super) struct Came<'s> {
    pub(super) source: &'s SourceId,
    pub(super) kind: Option<intake::Kind>,
    pub(super) proof: Proved,
    pub(super) body: Bytes,
}

impl Again {
    pub(crate) fn new(
        engine: Engine,
        (sources, lab): (Roster, bool),
        (answers, received): (Answers, Received),
        shelf: Arc<dyn Shelf>,
    ) -> Self {
        let turn = Mutex::new(());
        Self(Arc::new(Parts { engine, sources, answers, received, shelf, lab, turn }))
    }

    /// Keeps a delivery if the settings may be to blame for its answer. Only then it is asked how it came.
    pub(super) async fn look<'s>(
        &self,
        answered: &Result<Answer, Problem>,
        came: impl FnOnce() -> Option<Came<'s>>,
    ) {
        let (problem, detail, answered) = match answered {
            Err(problem) if problem.is_the_deliverys() => {
                (problem.slug().to_owned(), tame(problem.said(), 300), false)
            }
            // Of what was taken in part only, the rest is its sender's to send again.
            Ok(answer) if answer.accepted == 0 && !answer.duplicate => {
                let Some(first) = answer.rejected.first() else { return };
                let count = answer.rejected.len();
                (first.problem.clone(), format!("none of its {count} records could be used"), true)
            }
            _ => return,
        };
        let Some(Came { source, kind, proof, body }) = came() else { return };
        let (at, random) = (self.0.engine.now(), self.0.engine.ports().entropy.id());
        let id = ReceiptId::mint(at, random);
        let source = source.clone();
        let kept = Kept { id, source, at, kind, problem, detail, proof, answered };
        self.0.shelf.keep(kept, body).await;
    }

    /// The sources that may deliver.
    pub(crate) fn sources(&self) -> Vec<SourceId> {
        self.0.sources.names()
    }

    /// What is kept, the newest first.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        self.0.shelf.all()
    }

    /// Judges one again. What is taken is kept no longer, so that it is taken once.
    pub(crate) async fn judge(&self, id: ReceiptId, by: &str) -> Result<Answer, Problem> {
        let parts = &*self.0;
        let _turn = parts.turn.lock().await;
        let found = parts.shelf.body(id).await;
        let (kept, body) =
            found.ok_or_else(|| Problem::not_found("refused delivery", &id.to_string()))?;
        let judged = self.judged(&kept, body).await;
        let entry = DeliveryJudged {
            source: kept.source.clone(),
            kept: id.to_string(),
            received_at: kept.at,
            by: by.to_owned(),
            accepted: judged.as_ref().map_or(0, |answer| answer.accepted),
            problem: judged.as_ref().err().map(|problem| problem.slug().to_owned()),
        };
        parts.engine.note_judged(entry).await?;
        parts.received.note(kept.source.as_str(), parts.engine.now(), &judged);
        if judged.is_ok() {
            tracing::info!(source.id = %kept.source, "Took a delivery that had been refused, at the word of `{by}`");
            parts.shelf.forget(id).await;
        }
        judged
    }

    async fn judged(&self, kept: &Kept, body: Bytes) -> Result<Answer, Problem> {
        let parts = &*self.0;
        let source = parts.sources.get(&kept.source);
        let source = source.ok_or_else(|| Problem::not_found("source", kept.source.as_str()))?;
        let own = source.origin.format.kind;
        let mut origin = source.origin.clone();
        let (body, delivery, replayed) = match &kept.proof {
            Proved::Signed { headers, .. } => {
                let verifier = source.verifier.as_ref().ok_or(intake::Problem::UnknownSource)?;
                let proved = verifier.verify(own, &as_headers(headers), body, kept.at)?;
                (proved.body().clone(), proved.delivery_id().to_owned(), false)
            }
            Proved::Passed { delivery, by_token, replayed } => {
                if *by_token {
                    origin = origin.by_token(parts.lab);
                }
                (body, delivery.clone(), *replayed)
            }
        };
        // Its own name is taken where it was answered before. What has another is not answered twice, because it is
        // kept no longer once it was taken.
        let delivery = if kept.answered { format!("again:{}", kept.id) } else { delivery };
        let parsed = || {
            let parsed = origin.parse(kept.kind.unwrap_or(own), &body, kept.at)?;
            if parsed.understood + parsed.irrelevant.len() == 0
                && let Some((_, first)) = parsed.problems.first()
            {
                return Err(first.clone().into());
            }
            Ok(parsed)
        };
        parts.answers.take(&parts.engine, &origin, (delivery, replayed), parsed).await
    }
}

fn as_headers(headers: &[(String, String)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value))
        {
            map.append(name, value);
        }
    }
    map
}

/// A refused delivery that is kept; never what is in it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KeptView {
    id: String,
    source: String,
    received_at: String,
    problem: String,
    detail: String,
    /// Its sender had proved it when it came.
    proved: bool,
}

/// Lists refused deliveries that are kept.
#[utoipa::path(get, path = "/v1/deliveries/refused", tag = "deliver",
    responses((status = 200, body = Page<KeptView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(State(api): State<Api>, _: Allowed<Read>) -> Json<Page<KeptView>> {
    let view = |kept: &Kept| KeptView {
        id: kept.id.to_string(),
        source: kept.source.to_string(),
        received_at: rfc3339(kept.at),
        problem: kept.problem.clone(),
        detail: kept.detail.clone(),
        proved: kept.was_proved(),
    };
    Json(Page { items: api.again().kept().iter().map(view).collect(), next: None })
}

/// Judges a refused delivery again, by the settings as they are now. Its sender has to be proved as ever.
#[utoipa::path(post, path = "/v1/deliveries/refused/{id}/judge", tag = "deliver",
    params(("id" = String, Path)),
    responses((status = 202, body = Answer), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn judge(
    State(api): State<Api>,
    caller: Allowed<Admin>,
    Named(id): Named<ReceiptId>,
) -> Result<(StatusCode, Json<Answer>), Problem> {
    if api.engine().is_stopping() {
        return Err(Problem::new(Kind::Busy).detail("the process is ending").retry_after(5));
    }
    let answer = api.again().judge(id, &caller.by()).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
