//! Finds the action that implements a name on a connection, for a target. Pure.

use serde_json::json;

use super::catalogue::Catalogue;
use super::expr;
use super::manifest::{Action, Exclusion, Verify};
use crate::model::action::{ActionSpec, Proof, Reversal, Target, Unavailable};
use crate::model::id::{ActionId, Capability};
use crate::model::subject::Authority;

/// What is asked of one connection.
pub(crate) struct Asked<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) connector: &'a str,
    pub(crate) settings: &'a serde_json::Value,
    pub(crate) target: Option<&'a Target>,
}

impl Asked<'_> {
    /// The first action whose `applies_to` admits the target, or the best reason why none does.
    pub(crate) fn resolve(&self, name: &str) -> Result<ActionSpec, Unavailable> {
        let actions = self.catalogue.implementing(self.connector, name);
        // Who names an action (an undo, say) knows better than the status that was read before.
        let named = name.contains('/');
        let mut why = None;
        for action in actions {
            match self.refusal(action, named) {
                None => return Ok(self.spec(action)),
                Some(reason) => why = Some(weightier(why, reason)),
            }
        }
        Err(why.unwrap_or_else(|| {
            Unavailable::Unsupported(format!("{} offers no {name}", self.connector))
        }))
    }

    fn refusal(&self, action: &Action, named: bool) -> Option<Unavailable> {
        for setting in &action.requires_settings {
            if self.settings[setting].is_null() {
                let reason = format!("{} needs the setting `{setting}`", action.action);
                return Some(Unavailable::Unsupported(reason));
            }
        }
        let target = self.target?;
        let applies = &action.applies_to;
        // An account whose status nobody has read yet is most likely active; the provider knows better.
        let status = if target.status.is_empty() { "active" } else { target.status.as_str() };
        let admitted = admits(&applies.authority, target.authority)
            && (named || admits_text(&applies.status, status));
        let excluded = applies.exclude.iter().find(|e| excludes(e, target));
        match (excluded, admitted) {
            (None, true) => None,
            (Some(exclusion), _) => Some(reason(exclusion, target)),
            (None, false) => Some(Unavailable::Unsupported(format!(
                "{} is not for accounts that are {} and {status}",
                action.action,
                target.authority.name()
            ))),
        }
    }

    fn spec(&self, action: &Action) -> ActionSpec {
        let own = format!("{}/{}", self.connector, action.action);
        let declared = action.implements.as_ref().and_then(|c| self.catalogue.capabilities.get(c));
        let proof = match &action.verify {
            Some(Verify::Look(look)) => Proof::ReadBack(look.strength),
            Some(Verify::None { none }) => Proof::None(none.clone()),
            None => Proof::None("it changes nothing".into()),
        };
        let undo = action.undo.as_ref().map(|u| ActionId::new(format!("{}/{u}", self.connector)));
        ActionSpec {
            capability: Capability::new(action.implements.clone().unwrap_or_else(|| own.clone())),
            id: ActionId::new(own),
            effect: action.effect,
            repeat: action.repeat,
            reversal: declared.map_or(Reversal::None, |c| c.reversal),
            point_in_time: declared.is_some_and(|c| c.point_in_time),
            proof,
            undo,
            residual: action.residual.clone(),
            assume_done: action.assume_done,
            timeout: action.limits.timeout,
        }
    }
}

fn admits(listed: &[Authority], own: Authority) -> bool {
    listed.is_empty() || listed.contains(&own)
}

fn admits_text(listed: &[String], own: &str) -> bool {
    listed.is_empty() || listed.iter().any(|l| l.eq_ignore_ascii_case(own))
}

fn excludes(exclusion: &Exclusion, target: &Target) -> bool {
    let named = !exclusion.authority.is_empty() || !exclusion.status.is_empty();
    named
        && admits(&exclusion.authority, target.authority)
        && admits_text(&exclusion.status, &target.status)
}

fn reason(exclusion: &Exclusion, target: &Target) -> Unavailable {
    let ctx = json!({"account": {
        "id": target.account.provider_id,
        "connection": target.account.connection,
        "authority": target.authority.name(),
        "status": target.status,
    }});
    let say = |text: &String| expr::render_text(text, &ctx).unwrap_or_else(|_| text.clone());
    match (&exclusion.elsewhere, &exclusion.not_applicable) {
        (Some(step), _) => Unavailable::ElsewhereUnreachable(say(step)),
        (None, Some(why)) => Unavailable::NotApplicable(say(why)),
        (None, None) => Unavailable::Unsupported("excluded without a reason".into()),
    }
}

/// A step that a person must take weighs more than "means nothing", and that more than "not offered".
fn weightier(one: Option<Unavailable>, other: Unavailable) -> Unavailable {
    let weight = |u: &Unavailable| match u {
        Unavailable::ElsewhereUnreachable(_) => 2,
        Unavailable::NotApplicable(_) => 1,
        Unavailable::Unsupported(_) => 0,
    };
    match one {
        Some(one) if weight(&one) >= weight(&other) => one,
        _ => other,
    }
}
