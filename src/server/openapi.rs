//! The API's description, made from the handlers themselves.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};

use super::{
    again, control, deliveries, files, incidents, oncall, ops, playbooks, runs, settings, sources,
    story, stream, subjects,
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Quell", description = "Automated response to MFA fatigue: alerts in, verified containment out. No token decides; people do, with passkeys, on the console."),
    paths(
        deliveries::hook, deliveries::challenge, deliveries::handshake, deliveries::events, deliveries::alerts, deliveries::reports,
        again::list, again::judge,
        incidents::list, incidents::show, incidents::timeline, story::story, incidents::note, incidents::request_restore, incidents::containments,
        subjects::show, subjects::contain,
        playbooks::list, playbooks::show, playbooks::submit, playbooks::run,
        runs::list, runs::show, runs::journal, runs::approvals, runs::approval,
        oncall::show, sources::list,
        control::pause_shown, control::pause, control::tokens, control::create_token, control::revoke_token,
        settings::reload,
        files::backup, files::export,
        stream::stream, stream::journal,
        ops::healthz, ops::readyz, ops::metrics, ops::openapi,
    ),
    modifiers(&Tokens),
    security(("token" = [])),
)]
pub(super) struct Described;

struct Tokens;

impl utoipa::Modify for Tokens {
    fn modify(&self, api: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("qll_<id>_<secret><crc32>")
            .build();
        api.components
            .get_or_insert_with(Components::new)
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}
