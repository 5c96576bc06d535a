//! Machines deliver: hooks with their source's own proof, tools with a token.
//!
//! One road for both: bucket, cap, turn, proof, parse, clamp, commit, `202`.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::BytesMut;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admission::Room;
use super::again::Came;
use super::extract::Asked;
use super::identity::{Allowed, Ingest};
use super::problem::{Kind, Problem};
use super::state::{Api, Source};
use crate::delivery::{Origin, Proved};
use crate::engine::ingest::Answer;
use crate::intake::{self, Auth, Verified, Verifier};
use crate::jwks::{self, Renewal};
use crate::model::text::tame_field;

type Answered = Result<(StatusCode, Json<Answer>), Problem>;

/// Receives one delivery of a configured source.
///
/// `202 Accepted` means that what it says is on disk; runs start after the answer. A repeated
/// delivery gets the same receipt and starts nothing twice. A transmitter of security event tokens is
/// answered as RFC 8935 says: `202` without a body, or `400` with `err` and `description`.
#[utoipa::path(post, path = "/v1/hooks/{source}", tag = "deliver",
    params(("source" = String, Path, description = "The name of a `[sources.NAME]` section")),
    responses((status = 202, body = Answer), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn hook(
    State(api): State<Api>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let held = api.source(&name).filter(|source| source.verifier.is_some());
    let source = held.as_deref();
    let pushes_tokens = source.is_some_and(|s| s.verifier.as_ref().is_some_and(Verifier::is_set));
    // A stranger's names never become labels.
    let label = source.map_or("unknown", |source| source.origin.view.id.as_str()).to_owned();
    let answered = match api.bucket(source) {
        Ok(()) => hooked(&api, source, request).await,
        Err(problem) => Err(problem),
    };
    let answered = tell(&api, &label, answered);
    match source.map(|source| source.origin.format.kind) {
        _ if pushes_tokens => to_transmitter(answered),
        Some(intake::Kind::Slack) => to_chat(answered, |text| {
            // Shown to whoever gave the command, and to nobody else.
            json!({"response_type": "ephemeral", "text": text})
        }),
        // Shown to all who read the channel.
        Some(intake::Kind::Teams) => {
            to_chat(answered, |text| json!({"type": "message", "text": text}))
        }
        _ => answered.into_response(),
    }
}

/// What a chat shows as the answer.
fn to_chat(answered: Answered, message: fn(String) -> Value) -> Response {
    let answer = match answered {
        Ok((_, Json(answer))) => answer,
        Err(problem) => return problem.into_response(),
    };
    let unread = "Nothing could be taken from this. Call the help desk if you get prompts that you did not ask for.";
    let text = answer.reply.unwrap_or_else(|| unread.to_owned());
    Json(message(text)).into_response()
}

/// RFC 8935, sections 2.2 and 2.4. What is not the token's fault (too much, too early) stays a problem
/// with its own status, so that the token is sent again.
fn to_transmitter(answered: Answered) -> Response {
    let Err(problem) = answered else { return StatusCode::ACCEPTED.into_response() };
    let Some(error) = intake::SetError::of_slug(problem.slug()) else {
        return problem.into_response();
    };
    let body = json!({"err": error.code(), "description": problem.said()});
    (StatusCode::BAD_REQUEST, [(header::CONTENT_LANGUAGE, "en")], Json(body)).into_response()
}

async fn hooked(api: &Api, source: Option<&Source>, request: Request) -> Result<Answer, Problem> {
    // Without a source the smallest cap counts, and everything is read as if there were one.
    let kind = source.map_or(intake::Kind::Alerts, |source| source.origin.format.kind);
    let (parts, body) = request.into_parts();
    // A stranger's names share one place, however many they are.
    let name = source.map_or("", |source| source.origin.view.id.as_str());
    let mut room = api.admission().room(name);
    let raw = read(&parts.headers, body, kind.body_cap(), &mut room).await?;
    let turn = api.admission().turn(name, raw.len()).await?;
    // The settings may have been read again while the body came: a secret that was replaced proves nothing any more.
    let held = source.and_then(|source| api.source(source.origin.view.id.as_str()));
    let Some((source, verifier)) =
        held.as_deref().and_then(|s| s.verifier.as_ref().map(|v| (s, v)))
    else {
        return Err(intake::Problem::UnknownSource.into());
    };
    let kind = source.origin.format.kind;
    let id = &source.origin.view.id;
    let signed = || verifier.signed_headers(&parts.headers);
    let came = |proof, body| Some(Came { source: id, kind: None, proof, body });
    let verify = || verifier.verify(kind, &parts.headers, raw.clone(), api.engine().now());
    let (proved, _turn) = match verify() {
        Err(intake::Problem::UnknownKey { .. }) if let Some(keys) = api.keys().get(id) => {
            // Nobody else is kept waiting meanwhile.
            drop(turn);
            let proved = with_new_keys(keys, verify).await?;
            (proved, api.admission().turn(name, raw.len()).await?)
        }
        proved => (proved, turn),
    };
    let proved = match proved {
        Ok(proved) => proved,
        Err(problem) => {
            let may_be_ours = problem.is_about_the_secret();
            let refused = Err(problem.into());
            // A signature may be proved by another secret; a secret that is wrong is thrown away.
            let unproved = || {
                let headers = signed().filter(|_| may_be_ours)?;
                came(Proved::Signed { headers, held: false }, raw)
            };
            api.again().look(&refused, unproved).await;
            return refused;
        }
    };
    let delivery = proved.delivery_id().to_owned();
    let answered =
        accept(api, &source.origin, kind, &proved, delivery.clone(), Sent::default()).await;
    let proved_once = || {
        if let Some(headers) = signed() {
            return came(Proved::Signed { headers, held: true }, raw);
        }
        let proof = Proved::Passed { delivery, by_token: false, replayed: false };
        came(proof, proved.body().clone())
    };
    api.again().look(&answered, proved_once).await;
    if answered.is_ok()
        && verifier.is_set()
        && let Some(said) = intake::of_stream(proved.body())
    {
        tracing::info!(source.id = name, "The transmitter of `{name}` said of its stream: {said}");
        api.received().of_stream(name, api.engine().now(), said);
    }
    answered
}

/// Proves a token once more, when its transmitter's keys were read again. It is refused for good only by keys that were
/// read after it had come; until then its sender is told to come back.
async fn with_new_keys(
    keys: &Renewal,
    verify: impl Fn() -> Result<Verified, intake::Problem>,
) -> Result<Result<Verified, intake::Problem>, Problem> {
    let asked = keys.look_again().await;
    match (verify(), asked) {
        (Err(intake::Problem::UnknownKey { .. }), jwks::Asked::Later(wait)) => {
            let detail = "no key that is known proves this token, and the transmitter's keys could not be read since it came";
            let seconds = u64::try_from(wait.delta().num_seconds()).unwrap_or(1);
            Err(Problem::new(Kind::Busy).detail(detail).retry_after(seconds))
        }
        (proved, _) => Ok(proved),
    }
}

/// Okta's one-time check of a hook's address.
#[utoipa::path(get, path = "/v1/hooks/{source}", tag = "deliver",
    params(("source" = String, Path)),
    responses((status = 200, body = Object), (status = 404, body = Problem)))]
pub(super) async fn challenge(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let is_okta = api.source(&name).is_some_and(|s| s.origin.format.kind == intake::Kind::Okta);
    let answer = intake::okta_challenge(&headers).filter(|_| is_okta);
    let nothing = || Problem::new(Kind::NotFound).detail("deliveries are sent here with POST");
    answer.map(Json).ok_or_else(nothing)
}

/// What a sender of `CloudEvents` asks once, before it sends: whether it may.
///
/// Anybody is told so who names a source of that kind, for asking proves nothing; a delivery is proved by itself.
#[utoipa::path(options, path = "/v1/hooks/{source}", tag = "deliver",
    params(("source" = String, Path)),
    responses((status = 200), (status = 404, body = Problem)))]
pub(super) async fn handshake(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let takes =
        |source: &Source| source.verifier.is_some() && source.origin.format.kind.is_cloudevents();
    let origin = headers
        .get("webhook-request-origin")
        .filter(|_| api.source(&name).is_some_and(|s| takes(&s)));
    let origin = origin
        .cloned()
        .ok_or_else(|| Problem::new(Kind::NotFound).detail("deliveries are sent here with POST"))?;
    let heads = [
        ("webhook-allowed-origin", origin),
        ("webhook-allowed-rate", HeaderValue::from_static("*")),
        ("allow", HeaderValue::from_static("POST")),
    ];
    Ok((StatusCode::OK, heads.map(|(name, value)| (HeaderName::from_static(name), value)))
        .into_response())
}

/// How a tool's delivery is to be taken.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Sent {
    /// Records in a product's own format, by the name of its kind of source: `okta`, `entra`, `duo` …
    /// `mapping` is the source's own.
    #[param(value_type = Option<String>)]
    kind: Option<intake::Kind>,
    /// The records are old ones sent again: they open incidents but act only with approval.
    #[serde(default)]
    replayed: bool,
    /// Moves every record's time by so many milliseconds. For lab deployments only.
    #[serde(default)]
    shift_ms: i64,
}

/// Receives identity events.
#[utoipa::path(post, path = "/v1/events", tag = "deliver", params(Sent),
    responses((status = 202, body = Answer), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn events(
    State(api): State<Api>,
    caller: Allowed<Ingest>,
    Asked(sent): Asked<Sent>,
    request: Request,
) -> Answered {
    let kind = sent.kind.unwrap_or(intake::Kind::Events);
    by_token(&api, &caller, kind, sent, request).await
}

/// Receives what detectors assert.
#[utoipa::path(post, path = "/v1/alerts", tag = "deliver", params(Sent),
    responses((status = 202, body = Answer), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn alerts(
    State(api): State<Api>,
    caller: Allowed<Ingest>,
    Asked(sent): Asked<Sent>,
    request: Request,
) -> Answered {
    by_token(&api, &caller, intake::Kind::Alerts, sent, request).await
}

/// Receives what people report.
#[utoipa::path(post, path = "/v1/reports", tag = "deliver", params(Sent),
    responses((status = 202, body = Answer), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn reports(
    State(api): State<Api>,
    caller: Allowed<Ingest>,
    Asked(sent): Asked<Sent>,
    request: Request,
) -> Answered {
    by_token(&api, &caller, intake::Kind::Reports, sent, request).await
}

async fn by_token(
    api: &Api,
    caller: &Allowed<Ingest>,
    kind: intake::Kind,
    sent: Sent,
    request: Request,
) -> Answered {
    let bound = caller.token.source.as_ref();
    let held = bound.and_then(|id| api.source(id.as_str()));
    let Some(source) = held.as_deref() else {
        let detail = "the token is bound to no source that is configured; `quell token create --source NAME` binds one";
        return Err(Problem::new(Kind::MissingScope).detail(detail));
    };
    let answered = match api.bucket(Some(source)) {
        Ok(()) => tokened(api, source, kind, sent, request).await,
        Err(problem) => Err(problem),
    };
    tell(api, source.origin.view.id.as_str(), answered)
}

async fn tokened(
    api: &Api,
    source: &Source,
    kind: intake::Kind,
    sent: Sent,
    request: Request,
) -> Result<Answer, Problem> {
    if sent.shift_ms != 0 && !api.is_lab() {
        return Err(Problem::new(Kind::LabOnly).detail("`shift_ms` rewrites evidence"));
    }
    let (parts, body) = request.into_parts();
    let mut room = api.admission().room(source.origin.view.id.as_str());
    let raw = read(&parts.headers, body, kind.body_cap(), &mut room).await?;
    let _turn = api.admission().turn(source.origin.view.id.as_str(), raw.len()).await?;
    // The token has proved the sender; what is left to do is to inflate and name the delivery.
    let open = Verifier::new(Auth::None, Vec::new()).map_err(|_| Problem::new(Kind::Internal))?;
    let verified = open.verify(kind, &parts.headers, raw, api.engine().now())?;
    let mut keys = parts.headers.get_all("idempotency-key").iter().map(|key| key.to_str());
    let delivery = match (keys.next(), keys.next()) {
        (None, _) => verified.delivery_id().to_owned(),
        (Some(Ok(key)), None) if !key.is_empty() && key.len() <= 200 => tame_field(key),
        _ => {
            let detail = "`Idempotency-Key` is one plain text of 1 to 200 characters";
            return Err(Problem::new(Kind::BadRequest).detail(detail));
        }
    };
    let held = source.origin.by_token(api.is_lab());
    let answered = accept(api, &held, kind, &verified, delivery.clone(), sent).await;
    if sent.shift_ms == 0 {
        let came = || {
            let proof = Proved::Passed { delivery, by_token: true, replayed: sent.replayed };
            let (source, body) = (&held.view.id, verified.body().clone());
            Some(Came { source, kind: Some(kind), proof, body })
        };
        api.again().look(&answered, came).await;
    }
    answered
}

/// Reads a body up to its cap, and only while there is room for it.
async fn read(
    headers: &HeaderMap,
    body: Body,
    cap: usize,
    room: &mut Room,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::from(intake::Problem::BodyTooLarge { cap });
    let declared: Option<usize> =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length| length > cap) {
        return Err(too_large());
    }
    let mut body = Limited::new(body, cap);
    let mut raw = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| match error {
            error if is::<LengthLimitError>(&*error) => too_large(),
            error if is::<tower_http::timeout::TimeoutError>(&*error) => {
                Problem::new(Kind::Timeout).detail("the body did not arrive in time")
            }
            _ => Problem::new(Kind::BadRequest).detail("the body ended too early"),
        })?;
        // Trailers say nothing that is asked for.
        if let Ok(data) = frame.into_data() {
            room.grow(data.len())?;
            raw.extend_from_slice(&data);
        }
    }
    Ok(raw.freeze())
}

/// Whether an error, or what is behind it, is of this type.
fn is<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(<dyn std::error::Error>::is::<E>)
}

async fn accept(
    api: &Api,
    origin: &Origin,
    kind: intake::Kind,
    verified: &Verified,
    delivery: String,
    sent: Sent,
) -> Result<Answer, Problem> {
    let parsed = || {
        let mut parsed = origin.parse(kind, verified.body(), api.engine().now())?;
        if sent.shift_ms != 0 {
            parsed.shift(sent.shift_ms, api.engine().now())?;
        }
        Ok(parsed)
    };
    api.answers().take(api.engine(), origin, (delivery, sent.replayed), parsed).await
}

/// Counts the answer and gives it.
fn tell(api: &Api, source: &str, answered: Result<Answer, Problem>) -> Answered {
    let result = match &answered {
        Ok(answer) if answer.duplicate => "duplicate",
        Ok(_) => "accepted",
        Err(problem) => problem.slug(),
    };
    api.metrics().delivery(source, result);
    api.received().note(source, api.engine().now(), &answered);
    answered.map(|answer| (StatusCode::ACCEPTED, Json(answer.replying())))
}
