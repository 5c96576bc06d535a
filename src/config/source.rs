//! `[sources.NAME]`: who sends, how that is proved, and how far its word carries.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::engine::policy::SourceView;
use crate::intake::{Auth, Kind};
use crate::model::alert::Proof;
use crate::model::id::{ConnectionId, SourceId};
use crate::model::incident::{MayCause, Stage};
use crate::poll;

/// One source. Without `auth` it takes deliveries with a token only; with `poll` they are fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Typed")]
pub(crate) struct Source {
    pub(crate) kind: Kind,
    /// The file that describes its records, where its kind is `mapping`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mapping: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) auth: Option<Auth>,
    pub(crate) may_cause: MayCause,
    pub(crate) connections: Vec<ConnectionId>,
    pub(crate) aliases: BTreeMap<String, String>,
    /// The most that its reports may claim to prove.
    pub(crate) proof: Proof,
    /// Deliveries a minute; more are answered 429.
    pub(crate) per_minute: u32,
    /// Its records are fetched from a provider's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) poll: Option<poll::Options>,
}

/// A source as it is typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    kind: Kind,
    mapping: Option<PathBuf>,
    auth: Option<toml::Value>,
    #[serde(default)]
    secrets: Vec<String>,
    may_cause: Option<MayCause>,
    #[serde(default)]
    connections: Vec<ConnectionId>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    proof: Option<Proof>,
    #[serde(default = "per_minute")]
    per_minute: u32,
    poll: Option<poll::Typed>,
}

fn per_minute() -> u32 {
    600
}

impl TryFrom<Typed> for Source {
    type Error = String;

    fn try_from(typed: Typed) -> Result<Self, String> {
        let auth = typed.auth.map(|auth| with_secrets(auth, &typed.secrets)).transpose()?;
        if auth.is_none() && !typed.secrets.is_empty() {
            return Err("`secrets` are given without `auth`, which says how they are used".into());
        }
        if typed.mapping.is_some() != (typed.kind == Kind::Mapping) {
            return Err("`mapping` names the file of a source whose `kind` is `mapping`".into());
        }
        if typed.per_minute == 0 {
            return Err("`per_minute` is at least 1".into());
        }
        let poll = typed.poll.map(|poll| poll::Options::of(typed.kind, poll)).transpose()?;
        let mut connections = typed.connections;
        if let Some(poll) = &poll
            && !connections.contains(&poll.connection)
        {
            // Its log names the accounts of the connection by their ids.
            connections.insert(0, poll.connection.clone());
        }
        let may_cause = typed.may_cause.unwrap_or_else(|| typed.kind.default_may_cause());
        let proof =
            if vouched(auth.as_ref(), may_cause) { Proof::SelfProved } else { Proof::Relayed };
        Ok(Self {
            kind: typed.kind,
            mapping: typed.mapping,
            auth,
            may_cause,
            connections,
            aliases: typed.aliases,
            proof: typed.proof.unwrap_or(proof),
            per_minute: typed.per_minute,
            poll,
        })
    }
}

/// Whether the sender's word is taken as it is: it signs what it says, or sends with a token of
/// ours, or is the provider whom we asked ourselves, or somebody has written down that it may cause containment. A header that anybody on
/// the way may copy is not enough.
fn vouched(auth: Option<&Auth>, may_cause: MayCause) -> bool {
    may_cause == MayCause::Contain || auth.is_none_or(Auth::signs_body)
}

/// `auth = "bearer"`, or `auth = { bearer = {…} }`, each with the section's own `secrets`.
fn with_secrets(auth: toml::Value, secrets: &[String]) -> Result<Auth, String> {
    let list = toml::Value::Array(secrets.iter().map(|s| s.as_str().into()).collect());
    let auth = match auth {
        toml::Value::String(name) if name == "none" => toml::Value::String(name),
        toml::Value::String(name) => {
            let inner = toml::Table::from_iter([("secrets".to_owned(), list)]);
            toml::Value::Table(toml::Table::from_iter([(name, toml::Value::Table(inner))]))
        }
        toml::Value::Table(mut table) => {
            for (_, inner) in &mut table {
                if let toml::Value::Table(inner) = inner {
                    inner.entry("secrets").or_insert_with(|| list.clone());
                }
            }
            toml::Value::Table(table)
        }
        other => other,
    };
    auth.try_into().map_err(|e: toml::de::Error| format!("`auth`: {}", e.message()))
}

impl Source {
    /// What the engine needs to know of it.
    pub(crate) fn view(&self, id: &SourceId) -> SourceView {
        SourceView {
            id: id.clone(),
            may_cause: self.may_cause,
            connections: self.connections.clone(),
            aliases: self.aliases.clone(),
        }
    }

    /// The furthest stage that one alert of it can claim.
    pub(crate) fn highest_stage(&self) -> Stage {
        match self.may_cause {
            MayCause::Record => Stage::Noted,
            _ if vouched(self.auth.as_ref(), self.may_cause) => Stage::Confirmed,
            _ => Stage::Suspected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, check, load};
    use crate::model::time::Span;
    use crate::secret;

    fn source(text: &str) -> Result<Source, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn secrets_stand_beside_auth_or_inside_it() {
        let beside = source("kind='okta'\nauth={header={name='authorization'}}\nsecrets=['env:H']");
        let inside = source("kind='okta'\nauth={header={name='authorization',secrets=['env:H']}}");
        let short = source("kind='alerts'\nauth='bearer'\nsecrets=['env:H']").unwrap();

        assert_eq!(beside.unwrap(), inside.unwrap());
        assert_eq!(short.auth, Some(Auth::Bearer { secrets: vec!["env:H".into()] }));
    }

    #[test]
    fn a_polled_source_needs_no_auth_and_names_its_connections_accounts() {
        let polled = source("kind='entra'\npoll={connection='entra', log='sign_ins'}").unwrap();

        assert_eq!(polled.auth, None);
        assert_eq!(polled.connections, ["entra".into()]);
        assert_eq!(polled.highest_stage(), Stage::Confirmed);
        let options = polled.poll.unwrap();
        assert_eq!(options.schedule.to_string(), "* * * * *");
        assert_eq!((options.overlap, options.look_back), (Span::minutes(30), Span::hours(1)));
    }

    #[test]
    fn what_is_wrong_with_a_poll_is_said() {
        let why = |text: &str| source(text).unwrap_err().message().to_owned();
        for (text, says) in [
            ("kind='splunk'\npoll={connection='x'}", "no log gives records of the kind `splunk`"),
            (
                "kind='entra'\npoll={connection='x'}",
                "`poll` needs `log`: one of `sign_ins`, `sign_ins_beta`, `audits`",
            ),
            (
                "kind='okta'\npoll={connection='x', log='sign_ins'}",
                "`sign_ins` is no log of `okta`: use `system`",
            ),
            ("kind='okta'\npoll={connection='x', overlap='13h'}", "`overlap` is `13h`: 1m to 12h"),
            ("kind='entra'\npoll={connection='x', log='audits', overlap='4h'}", "at most 3h"),
            ("kind='okta'\npoll={connection='x', look_back='30d'}", "`look_back` is `30d`"),
            ("kind='okta'\npoll={connection='x', schedule='0 */1 * * * *'}", "has 6 fields"),
        ] {
            assert!(why(text).contains(says), "{text}: {}", why(text));
        }
    }

    /// Two places would be one too many: what one withdraws the other would still believe.
    #[test]
    fn keys_are_given_or_read_and_not_both() {
        let set = |more: &str| {
            source(&format!(
                "kind='shared-signals'\nauth={{set={{issuer='i',audience='a'{more}}}}}"
            ))
        };

        let read = set(",jwks_uri='https://i/keys'").unwrap();
        assert_eq!(read.auth.as_ref().unwrap().place().unwrap().jwks_uri, "https://i/keys");
        assert_eq!(read.highest_stage(), Stage::Confirmed);
        assert_eq!(set(",secrets=['env:K']").unwrap().auth.unwrap().secrets(), ["env:K"]);
        for (more, says) in [
            (",jwks_uri='https://i/keys',secrets=['env:K']", "`jwks_uri` and `secrets` both"),
            (",allow_networks=['10.0.0.0/8']", "`allow_networks` says where `jwks_uri` may be"),
            (",jwks_url='https://i/keys'", "unknown field `jwks_url`"),
        ] {
            let why = set(more).unwrap_err();
            assert!(why.message().contains(says), "{more}: {}", why.message());
        }
    }

    /// A header can be copied by anybody who sees one delivery.
    #[test]
    fn an_unsigned_source_can_neither_prove_a_report_nor_confirm_an_alert() {
        let unsigned = source("kind='reports'\nauth='bearer'\nsecrets=['env:H']").unwrap();

        assert_eq!(unsigned.proof, Proof::Relayed);
        assert_eq!(unsigned.highest_stage(), Stage::Suspected);
    }

    #[test]
    fn where_keys_are_not_read_is_told_at_the_address_itself() {
        let text = "
[sources.a]
kind = 'shared-signals'
auth = { set = { issuer = 'https://a.example', audience = 'q', jwks_uri = 'http://a.example/keys' } }
[sources.b]
kind = 'shared-signals'
[sources.b.auth.set]
issuer = 'https://b.example'
audience = 'q'
jwks_uri = 'https://10.1.2.3/keys'
[sources.c]
kind = 'shared-signals'
auth = { set = { issuer = 'https://c.example', audience = 'q' } }
[sources.d]
kind = 'shared-signals'
auth = { set = { issuer = 'https://d.example', audience = 'q', jwks_uri = 'https://10.1.2.3/keys', allow_networks = ['10.1.0.0/16'] } }
";
        let file = Some(("quell.toml".into(), text.to_owned()));
        let loaded = load(&Layers { file, ..Layers::default() }).unwrap();

        let problems = check(&loaded, &secret::Sources::lab());

        let own = problems.iter().filter(|p| p.message.contains("source"));
        let told: Vec<_> = own.map(|p| (&text[p.primary.at.clone()], p.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (
                    "'http://a.example/keys'",
                    "the source `a`: `jwks_uri`: plain HTTP goes to loopback only, not to `a.example`"
                ),
                (
                    "'https://10.1.2.3/keys'",
                    "the source `b`: `jwks_uri`: `10.1.2.3` is not public: if that is meant, add its network to `allow_networks`"
                ),
                ("auth", "the source `c` has no secret"),
            ]
        );
    }
}
