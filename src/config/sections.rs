//! The sections that have no module of their own to define them, and the file as a whole.
//!
//! Plain data: what is typed, not what it leads to.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::source::Source;
use crate::approval::rota::Options as Rota;
use crate::connector::options::Options as ConnectionOptions;
use crate::engine::guardrails::Guardrails;
use crate::engine::policy::{OnCall, Policy};
use crate::model::id::{ConnectionId, SourceId};
use crate::model::incident::MayCause;
use crate::model::time::Span;
use crate::notify::{Address, KnownAs, Options as Notify};

/// Everything that `quell.toml` can say.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) policy: Policy,
    pub(crate) sources: BTreeMap<SourceId, Source>,
    pub(crate) connections: BTreeMap<ConnectionId, ConnectionOptions>,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) notify: Notify,
    pub(crate) oncall: Rota,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oidc: Option<crate::people::oidc::Options>,
}

impl Config {
    /// What these settings would have guard everybody.
    pub(crate) fn guardrails(&self) -> Guardrails {
        let people = self.people.iter().filter(|(_, person)| !person.groups.is_empty());
        let groups = people.map(|(name, person)| (name.to_lowercase(), person.groups.clone()));
        let contain = self.sources.iter().filter(|(_, s)| s.may_cause == MayCause::Contain);
        Guardrails {
            policy: self.policy.clone(),
            groups: groups.collect(),
            contain: contain.map(|(id, _)| id.clone()).collect(),
        }
    }

    /// The policy, with whose turn it is to be asked.
    pub(crate) fn policy_with_rota(&self) -> Policy {
        // What is wrong with it keeps Quell from starting, so that nothing is passed over here.
        let (rota, _) = self.oncall.read();
        let oncall = OnCall {
            rota,
            pager: self.oncall.pager.clone(),
            stale: self.oncall.stale,
            horizon: self.oncall.horizon,
            channels: self.notified().channels.into_keys().collect(),
        };
        Policy { oncall, ..self.policy.clone() }
    }

    /// Whom to tell, with people's own addresses.
    pub(crate) fn notified(&self) -> Notify {
        let people = self.people.iter().map(|(name, person)| (name.as_str(), &person.tell[..]));
        self.notify.clone().with_people(people)
    }

    /// How the pager knows each person.
    pub(crate) fn known_to_pager(&self) -> Vec<KnownAs> {
        let people = self.people.iter().map(|(name, person)| KnownAs {
            name: name.clone(),
            pager: person.pager.clone(),
            mail: person.mail.clone(),
        });
        people.collect()
    }
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    /// The address that people type; passkeys are bound to its host.
    pub(crate) public_url: url::Url,
    pub(crate) lab: bool,
    /// A filter, such as `info,quell::engine=debug`.
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7040)),
            public_url: "http://localhost:7040".parse().unwrap_or_else(|_| unreachable!()),
            lab: false,
            log: "info".to_owned(),
            log_format: LogFormat::Json,
        }
    }
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    #[default]
    Json,
    Pretty,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) path: PathBuf,
    /// How long raw events are kept.
    pub(crate) retention: Span,
    /// How long cases are kept after the last thing that happened in them; zero: for good.
    pub(crate) journal_retention: Span,
    /// Room that stays free on the folder's disk, in MiB, for what was accepted already.
    pub(crate) reserve_mib: u64,
    /// Playbooks laid over those compiled in; empty: none.
    pub(crate) playbooks: PathBuf,
    /// Connector manifests laid over those compiled in; empty: none.
    pub(crate) connectors: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: "data".into(),
            retention: Span::hours(30 * 24),
            journal_retention: Span::hours(0),
            reserve_mib: 64,
            playbooks: PathBuf::new(),
            connectors: PathBuf::new(),
        }
    }
}

/// `[people.NAME]`: what somebody may do once they have a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Person {
    pub(crate) roles: Vec<String>,
    pub(crate) groups: Vec<String>,
    /// Their address, as the pager has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mail: Option<String>,
    /// Their id at the pager; with one, the address does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pager: Option<String>,
    /// Where they themselves are told that a question is put to them: the first address, the next if that fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tell: Vec<Address>,
}
