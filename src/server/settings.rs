//! Has the settings read again while Quell runs: what is only about intake is taken.

use async_trait::async_trait;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::identity::{Admin, Allowed};
use super::problem::{Kind, Problem};
use super::state::Api;
use crate::diagnostic::{Colour, Diagnostic, render, to_json};
use crate::engine::ports::StoreError;

/// What came of reading the settings again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Reread {
    /// Names what intake goes by from here on, exactly.
    pub(crate) digest: String,
    /// What is otherwise than before, and holds now.
    pub(crate) taken: Vec<String>,
    /// What is otherwise in the file than in this process, and waits for a restart.
    pub(crate) restart: Vec<String>,
    /// What waits for people to sign it.
    pub(crate) waiting: Vec<String>,
}

/// Why nothing was taken.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Unread {
    #[error("the settings have {} problems", .0.len())]
    Problems(Vec<Diagnostic>),
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Unread {
    /// With each problem at its line.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Problems(found) => {
                format!("{self}; nothing was changed\n{}", render(found, Colour::Plain))
            }
            other => format!("{other}; nothing was changed"),
        }
    }
}

/// Whoever has the settings.
#[async_trait]
pub(crate) trait Rereads: Send + Sync {
    async fn reread(&self, by: &str) -> Result<Reread, Unread>;
}

/// Reads the settings again, and takes what is only about intake: sources, their secrets and mappings, and playbooks. What else has
/// changed is named, and waits for a restart. With a mistake in any of it nothing changes.
#[utoipa::path(post, path = "/v1/settings/reload", tag = "control",
    responses((status = 200, body = Reread), (status = "4XX", body = Problem), (status = 503, body = Problem)))]
pub(super) async fn reload(
    State(api): State<Api>,
    caller: Allowed<Admin>,
) -> Result<Json<Reread>, Problem> {
    if api.engine().is_stopping() {
        return Err(Problem::new(Kind::Busy).detail("the process is ending").retry_after(5));
    }
    Ok(Json(api.rereads().reread(&caller.by()).await?))
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        let told = unread.told();
        match unread {
            Unread::Store(error) => error.into(),
            Unread::Failed(_) => Self::new(Kind::SettingsProblems).detail(told),
            Unread::Problems(found) => {
                let errors = found.iter().map(to_json).collect();
                Self::new(Kind::SettingsProblems).detail(told).errors(Value::Array(errors))
            }
        }
    }
}
