//! The deployment's settings that bear on what runs: `[policy]`. Defaults are the response doctrine's.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::approval::rota::{Options, Rota};
use crate::model::asked::Channel;
use crate::model::id::{ConnectionId, PlaybookName, SourceId};
use crate::model::plan::Mode;
use crate::model::subject::Account;
use crate::model::time::Span;

/// The `[policy]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) mode: Mode,
    pub(crate) ceilings: Ceilings,
    /// Break-glass accounts, by `connection:provider_id`, provider id or sign-in name.
    pub(crate) protected: Vec<String>,
    /// Which playbook contains when several match; those not named follow in name order.
    pub(crate) playbooks: Vec<PlaybookName>,
    /// Publish changed playbook files on load instead of waiting for a person.
    pub(crate) auto_publish: bool,
    /// How long a question stands.
    pub(crate) approval_timeout: Span,
    /// How long people have to say whether what was done at once stands.
    pub(crate) ratify_timeout: Span,
    /// How long after a yes an action may begin.
    pub(crate) grant: Span,
    /// How long an incident is watched after containment, or after its last evidence.
    pub(crate) watch: Span,
    /// From a step's first attempt to its last.
    pub(crate) step_deadline: Span,
    /// Evidence older than this opens incidents but never acts without approval.
    pub(crate) evidence_age: Span,
    /// How old the reading of a subject's accounts may be when a run starts.
    pub(crate) directory_age: Span,
    /// Over which channels the person concerned may be asked.
    pub(crate) ask_through: Vec<Channel>,
    /// Who ends a pause.
    pub(crate) release: Release,
    /// The groups of each approver, by name in lower case: from `[people]`.
    #[serde(skip)]
    pub(crate) groups: BTreeMap<String, Vec<String>>,
    /// Sources whose word may lock somebody out; `None`: their settings decide.
    #[serde(skip)]
    pub(crate) contain: Option<BTreeSet<SourceId>>,
    #[serde(skip)]
    pub(crate) oncall: OnCall,
}

/// How many people end a pause. Anybody on call pulls the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Release {
    /// Whoever may, alone: what a pause holds back is containment.
    #[default]
    One,
    /// As many as change the guardrails.
    Quorum,
}

/// Whose turn it is to be asked, and whether anybody is told: `[oncall]` and `[notify]`, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OnCall {
    pub(crate) rota: Rota,
    /// The connection that names the lower levels.
    pub(crate) pager: Option<ConnectionId>,
    /// What the pager said longer ago is not believed any more.
    pub(crate) stale: Span,
    /// How far ahead gaps are looked for.
    pub(crate) horizon: Span,
    /// Those that are told; with any, what nobody could be told of is known.
    pub(crate) channels: Vec<String>,
}

impl Default for OnCall {
    fn default() -> Self {
        let Options { pager, stale, horizon, .. } = Options::default();
        Self { rota: Rota::default(), pager, stale, horizon, channels: Vec::new() }
    }
}

/// How many account blocks may be done in an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are the settings' and say what is counted"
)]
pub(crate) struct Ceilings {
    pub(crate) automatic_blocks: usize,
    pub(crate) approved_blocks: usize,
    /// For hostile approvals and privileged people only.
    pub(crate) reserved_blocks: usize,
}

impl Default for Ceilings {
    fn default() -> Self {
        Self { automatic_blocks: 5, approved_blocks: 20, reserved_blocks: 10 }
    }
}

impl Ceilings {
    /// The limit behind a ceiling's name, per hour.
    pub(crate) fn limit(&self, name: &str) -> usize {
        match name {
            crate::approval::gate::AUTO_BLOCKS => self.automatic_blocks,
            crate::approval::gate::APPROVED_BLOCKS => self.approved_blocks,
            _ => self.reserved_blocks,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Approve,
            ceilings: Ceilings::default(),
            protected: Vec::new(),
            playbooks: Vec::new(),
            auto_publish: false,
            approval_timeout: Span::minutes(20),
            ratify_timeout: Span::minutes(30),
            grant: Span::minutes(10),
            watch: Span::hours(24),
            step_deadline: Span::minutes(15),
            evidence_age: Span::hours(1),
            directory_age: Span::minutes(15),
            ask_through: vec![Channel::Telephone, Channel::InPerson, Channel::Manager],
            release: Release::One,
            groups: BTreeMap::new(),
            contain: None,
            oncall: OnCall::default(),
        }
    }
}

impl Policy {
    /// Whether an account is on the protected list.
    pub(crate) fn protects(&self, account: &Account) -> bool {
        let key = account.key().to_string();
        self.protected.iter().any(|p| {
            *p == key || *p == account.provider_id || p.eq_ignore_ascii_case(&account.login)
        })
    }
}

/// A source's settings, as far as the engine needs them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SourceView {
    pub(crate) id: SourceId,
    pub(crate) may_cause: crate::model::incident::MayCause,
    /// Connections whose accounts it may name.
    pub(crate) connections: Vec<ConnectionId>,
    /// The source's own names → sign-in names.
    pub(crate) aliases: BTreeMap<String, String>,
}
