//! Playbooks: what is published, what is submitted, and starting one by hand.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::extract::{Body, Text};
use super::identity::{Allowed, Author, Contain, Read};
use super::problem::{Kind, Problem};
use super::state::{Api, Candidate};
use super::subjects;
use super::views::Page;
use crate::diagnostic::to_json;
use crate::engine::ingest::Touched;
use crate::engine::state::{DeliveryKey, Published, State as Told};
use crate::model::entry::{DeliveryAccepted, Entry};
use crate::model::id::{PlanDigest, PlaybookName, ReceiptId, SourceId};
use crate::model::time::rfc3339;
use crate::playbook::{Checked, Library, own_text};

/// Submitted playbooks that wait for a person at most.
const CANDIDATES_MAX: usize = 100;

/// Where repeated requests for runs are remembered, beside the deliveries of sources.
const RUN_REQUESTS: &str = "api:runs";

/// A playbook.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PlaybookView {
    name: String,
    title: String,
    published: Option<Version>,
    candidate: Option<Version>,
}

/// One text of a playbook.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Version {
    digest: String,
    by: String,
    at: String,
    source: String,
    /// Unified diff to what was published before it.
    #[serde(skip_serializing_if = "String::is_empty")]
    diff: String,
}

fn published(digest: &PlanDigest, kept: &Published) -> Version {
    Version {
        digest: digest.to_string(),
        by: kept.by.clone(),
        at: rfc3339(kept.at),
        source: kept.source.clone(),
        diff: String::new(),
    }
}

fn candidate(kept: &Candidate) -> Version {
    Version {
        digest: kept.checked.digest.to_string(),
        by: kept.by.clone(),
        at: rfc3339(kept.at),
        source: kept.checked.whole_text(),
        diff: kept.diff.clone(),
    }
}

fn view(api: &Api, name: &PlaybookName) -> Option<PlaybookView> {
    let waiting = api.candidates().get(name).cloned();
    api.engine().read(|core| {
        let running = core
            .state
            .published
            .get(name)
            .and_then(|digest| core.state.plans.get(digest).map(|kept| (digest, kept)));
        if running.is_none() && waiting.is_none() {
            return None;
        }
        let title = running
            .map(|(_, kept)| kept.plan.title.clone())
            .or_else(|| waiting.as_ref().map(|c| c.checked.plan.title.clone()));
        Some(PlaybookView {
            name: name.to_string(),
            title: title.unwrap_or_default(),
            published: running.map(|(digest, kept)| published(digest, kept)),
            candidate: waiting.as_ref().map(candidate),
        })
    })
}

/// Lists playbooks: published ones and candidates.
#[utoipa::path(get, path = "/v1/playbooks", tag = "playbooks",
    responses((status = 200, body = Page<PlaybookView>), (status = "4XX", body = Problem)))]
pub(super) async fn list(State(api): State<Api>, _: Allowed<Read>) -> Json<Page<PlaybookView>> {
    let mut names: std::collections::BTreeSet<PlaybookName> =
        api.engine().read(|core| core.state.published.keys().cloned().collect());
    names.extend(api.candidates().keys().cloned());
    let items = names.iter().filter_map(|name| view(&api, name)).collect();
    Json(Page { items, next: None })
}

/// Shows one playbook.
#[utoipa::path(get, path = "/v1/playbooks/{name}", tag = "playbooks",
    params(("name" = String, Path)),
    responses((status = 200, body = PlaybookView), (status = "4XX", body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    _: Allowed<Read>,
    Path(name): Path<String>,
) -> Result<Json<PlaybookView>, Problem> {
    let shown = view(&api, &PlaybookName::new(&*name));
    shown.map(Json).ok_or_else(|| Problem::not_found("playbook", &name))
}

/// Submits a playbook's YAML. Outside a lab it waits until a person publishes it.
#[utoipa::path(post, path = "/v1/playbooks", tag = "playbooks",
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 201, description = "Published: a lab deployment", body = PlaybookView),
        (status = 202, description = "Waits for a person", body = PlaybookView),
        (status = "4XX", body = Problem)))]
pub(super) async fn submit(
    State(api): State<Api>,
    caller: Allowed<Author>,
    Text(text): Text,
) -> Result<(StatusCode, Json<PlaybookView>), Problem> {
    let mut library = library(&api);
    let checked = library.check("playbook.yaml", &text, api.signatures()).map_err(|found| {
        let detail = format!("{} problems; nothing was kept", found.len());
        let errors = found.iter().map(to_json).collect();
        Problem::new(Kind::PlaybookProblems).detail(detail).errors(Value::Array(errors))
    })?;
    let name = checked.plan.name.clone();
    library.put("playbook.yaml", &text);
    let callers = callers(&api, &library, &name);
    let status = take_in(&api, checked, &caller.by()).await?;
    for caller_of in callers {
        take_in(&api, caller_of, &format!("{}, by way of `{name}`", caller.by())).await?;
    }
    let shown = view(&api, &name).ok_or_else(|| Problem::new(Kind::Internal))?;
    Ok((status, Json(shown)))
}

/// Publishes a playbook in a lab; elsewhere it waits for a person.
async fn take_in(api: &Api, checked: Checked, by: &str) -> Result<StatusCode, Problem> {
    let (name, text) = (checked.plan.name.clone(), checked.whole_text());
    let diff = api.engine().read(|core| diff(&core.state, &name, &text));
    let status = if api.is_lab() {
        let by = format!("{by} (lab)");
        api.engine().publish(checked.plan, checked.digest, text, &by, diff).await?;
        StatusCode::CREATED
    } else {
        let kept = Candidate { checked, by: by.to_owned(), at: api.engine().now(), diff };
        let mut candidates = api.candidates();
        if candidates.len() >= CANDIDATES_MAX && !candidates.contains_key(&name) {
            let detail = "as many playbooks wait for a person as may; publish or restart first";
            return Err(Problem::new(Kind::Conflict).detail(detail));
        }
        candidates.insert(name.clone(), kept);
        StatusCode::ACCEPTED
    };
    tracing::info!(playbook.name = %name, "Took in the playbook `{name}`");
    Ok(status)
}

/// What a submitted playbook may call: what is published, else what waits, else what comes with Quell.
fn library(api: &Api) -> Library {
    let mut library = Library::shipped();
    for (name, waiting) in &*api.candidates() {
        library.put(name.as_str(), &waiting.checked.source.text);
    }
    api.engine().read(|core| {
        for (name, digest) in &core.state.published {
            if let Some(kept) = core.state.plans.get(digest) {
                library.put(name.as_str(), &own_text(&kept.source));
            }
        }
    });
    library
}

/// The published playbooks that call one which has changed, as they would be with it.
fn callers(api: &Api, library: &Library, called: &PlaybookName) -> Vec<Checked> {
    let texts: Vec<(String, String)> = api.engine().read(|core| {
        let published = core.state.published.iter();
        let kept = published.filter_map(|(n, digest)| Some((n, core.state.plans.get(digest)?)));
        let calling = kept.filter(|(_, kept)| kept.plan.calls(called));
        calling.map(|(name, kept)| (name.to_string(), own_text(&kept.source))).collect()
    });
    // One that does not fit any more stays as it is published.
    let check = |(name, text): &(String, String)| library.check(name, text, api.signatures()).ok();
    texts.iter().filter_map(check).collect()
}

/// The unified diff from the published text of a playbook to another.
pub(crate) fn diff(state: &Told, name: &PlaybookName, text: &str) -> String {
    let before = state
        .published
        .get(name)
        .and_then(|digest| state.plans.get(digest))
        .map_or("", |kept| kept.source.as_str());
    let diff = similar::TextDiff::from_lines(before, text);
    diff.unified_diff().header("published", "candidate").to_string()
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Whom to contain: a subject's id or a sign-in name.
    subject: String,
    #[serde(default)]
    reason: String,
}

/// Starts containment of a person by hand. The same `Idempotency-Key` starts nothing twice.
#[utoipa::path(post, path = "/v1/playbooks/{name}/runs", tag = "playbooks", request_body = Wanted,
    params(("name" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 202, body = Touched), (status = "4XX", body = Problem)))]
pub(super) async fn run(
    State(api): State<Api>,
    caller: Allowed<Contain>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Touched>), Problem> {
    manual(&api, &name)?;
    let key = idempotency_key(&headers)?.map(|key| format!("{}/{key}", caller.token.token));
    if let Some(known) = repeated(&api, key.as_deref()).await? {
        return Ok((StatusCode::ACCEPTED, Json(known)));
    }
    let subject = subjects::named(&api, &wanted.subject).await?;
    let touched = subjects::start(&api, subject, &caller.by(), &wanted.reason).await?;
    if let Some(key) = key {
        remember(&api, key, &touched).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(touched)))
}

/// Whether a playbook is published and may be started by hand.
fn manual(api: &Api, name: &str) -> Result<(), Problem> {
    use crate::model::plan::Trigger;
    let triggers = api.engine().read(|core| {
        let digest = core.state.published.get(&PlaybookName::new(name))?;
        core.state.plan(digest).map(|plan| plan.triggers.clone())
    });
    match triggers {
        None => Err(Problem::not_found("published playbook", name)),
        Some(triggers) if triggers.contains(&Trigger::Manual) => Ok(()),
        Some(_) => Err(Problem::new(Kind::Conflict)
            .detail(format!("the playbook `{name}` has no trigger `manual`"))),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= 200);
    let detail = "`Idempotency-Key` is plain text of 1 to 200 characters";
    key.map(Some).ok_or_else(|| Problem::new(Kind::BadRequest).detail(detail))
}

async fn repeated(api: &Api, key: Option<&str>) -> Result<Option<Touched>, Problem> {
    let Some(key) = key else { return Ok(None) };
    let known = api.engine().delivered(DeliveryKey::new(RUN_REQUESTS, key)).await?;
    Ok(known.and_then(|known| serde_json::from_value(known.answer).ok()))
}

async fn remember(api: &Api, key: String, touched: &Touched) -> Result<(), Problem> {
    let engine = api.engine();
    let entropy = engine.ports().entropy.clone();
    let answer = serde_json::to_value(touched).unwrap_or_default();
    engine
        .commit(|tx| {
            tx.push(Entry::DeliveryAccepted(DeliveryAccepted {
                receipt: ReceiptId::mint(tx.at, entropy.id()),
                source: SourceId::new(RUN_REQUESTS),
                delivery: key,
                answer,
            }));
        })
        .await?;
    Ok(())
}
