//! API tokens: `qll_<id>_<secret><crc32>`. Only the secret's SHA-256 is kept.
//!
//! The secret is 256 random bits, so that a plain hash is enough. The checksum lets secret
//! scanners and people tell a token from anything that looks like one.

use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use subtle::ConstantTimeEq as _;

use crate::engine::ports::Entropy;
use crate::engine::state::State;
use crate::model::entry::TokenChanged;
use crate::model::id::{SourceId, TokenId};
use crate::model::text::tame;
use crate::model::time::{Span, Time};

/// No token lives longer.
pub(crate) const LONGEST: Span = Span::hours(90 * 24);

/// Longest name.
pub(crate) const NAME_MAX: usize = 80;

/// What a token may do. None may decide, restore or resume.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    Ingest,
    Read,
    Contain,
    Author,
    Admin,
}

impl Scope {
    pub(crate) const ALL: [Self; 5] =
        [Self::Ingest, Self::Read, Self::Contain, Self::Author, Self::Admin];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Contain => "contain",
            Self::Author => "author",
            Self::Admin => "admin",
        }
    }

    /// What a token with it may do, for whoever is about to make one.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Ingest => {
                "brings what one source has to tell; outside of a lab that ends sessions at most"
            }
            Self::Read => "reads what the API shows: people, cases, runs, sources, deliveries",
            Self::Contain => "starts containing somebody, asks for a restore, notes, and pauses",
            Self::Author => "submits playbooks; outside of a lab a person publishes them",
            Self::Admin => {
                "makes and revokes tokens, takes backups, reads the journal, has the settings read and \
                 refused deliveries judged again, and reads what the API shows"
            }
        }
    }
}

/// When each token was last used since the start. In memory: a line in the journal for each call would say little.
#[derive(Clone, Default)]
pub(crate) struct Used(Arc<Mutex<BTreeMap<TokenId, Time>>>);

impl Used {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<TokenId, Time>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only of tokens that are in force, so that there are no more than were made.
    pub(super) fn note(&self, token: TokenId, at: Time) {
        self.lock().insert(token, at);
    }

    pub(crate) fn last(&self, token: TokenId) -> Option<Time> {
        self.lock().get(&token).copied()
    }
}

/// A new token: what is kept, and the text that is shown once.
pub(crate) struct Minted {
    pub(crate) kept: TokenChanged,
    pub(crate) text: String,
}

/// A token's text, which is shown once, and what is kept of it.
pub(crate) struct Drawn {
    pub(crate) token: TokenId,
    pub(crate) text: String,
    pub(crate) hash: String,
}

/// Draws a secret for a token.
pub(crate) fn draw(entropy: &dyn Entropy, now: Time) -> Drawn {
    let token = TokenId::mint(now, entropy.id());
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    let secret = hex::encode(bytes);
    let body = format!("{}_{secret}", token.0.simple());
    let text = format!("qll_{body}{:08x}", crc32(&body));
    Drawn { token, text, hash: hash(&secret) }
}

/// Makes a token. Who made it is the caller's to say.
pub(crate) fn mint(
    entropy: &dyn Entropy,
    now: Time,
    name: &str,
    scopes: &[Scope],
    source: Option<SourceId>,
    lasts: Span,
) -> Minted {
    let Drawn { token, text, hash } = draw(entropy, now);
    let kept = TokenChanged {
        token,
        name: tame(name, NAME_MAX),
        scopes: scopes.iter().map(|scope| scope.name().to_owned()).collect(),
        hash,
        source,
        expires_at: now + lasts.min(LONGEST).delta(),
        revoked: false,
        by: None,
        revoked_by: None,
    };
    Minted { kept, text }
}

/// Why no token is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("a token has a name and at least one scope")]
    Bare,
    #[error("`expires_in` is more than 0s and at most {LONGEST}")]
    Lasts,
    #[error("the scope `ingest` needs a `source`")]
    NoSource,
    #[error("`source` goes with the scope `ingest` only")]
    Source,
    #[error("there is no source `{0}` in the settings")]
    Unknown(String),
}

/// Whether a token may be so. `known` says whether there is such a source.
pub(crate) fn fits(
    name: &str,
    scopes: &[Scope],
    source: Option<&str>,
    lasts: Span,
    known: impl FnOnce(&str) -> bool,
) -> Result<(), Unfit> {
    if name.trim().is_empty() || scopes.is_empty() {
        return Err(Unfit::Bare);
    }
    if lasts > LONGEST || lasts == Span::seconds(0) {
        return Err(Unfit::Lasts);
    }
    match (source, scopes.contains(&Scope::Ingest)) {
        (None, true) => Err(Unfit::NoSource),
        (Some(_), false) => Err(Unfit::Source),
        (Some(source), true) if !known(source) => Err(Unfit::Unknown(tame(source, 80))),
        _ => Ok(()),
    }
}

/// Why a text is not a token that counts. Callers are told nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadToken {
    #[error("it is not written like a token")]
    Shape,
    #[error("there is no such token, or its secret is wrong")]
    Unknown,
    #[error("the token is revoked")]
    Revoked,
    #[error("the token has expired")]
    Expired,
}

/// Finds the token that a text is. The secret is compared in constant time, also for an unknown id.
pub(crate) fn find(state: &State, text: &str, now: Time) -> Result<TokenChanged, BadToken> {
    let (id, secret) = parts(text).ok_or(BadToken::Shape)?;
    let known = state.tokens.get(&id);
    let kept = known.map_or_else(|| hash(""), |token| token.hash.clone());
    let same = bool::from(kept.as_bytes().ct_eq(hash(secret).as_bytes()));
    match known {
        Some(token) if same && token.revoked => Err(BadToken::Revoked),
        Some(token) if same && token.expires_at <= now => Err(BadToken::Expired),
        Some(token) if same => Ok(token.clone()),
        _ => Err(BadToken::Unknown),
    }
}

fn parts(text: &str) -> Option<(TokenId, &str)> {
    let body = text.strip_prefix("qll_")?;
    let (body, check) = body.split_at_checked(body.len().checked_sub(8)?)?;
    if format!("{:08x}", crc32(body)) != check {
        return None;
    }
    let (id, secret) = body.split_once('_')?;
    (secret.len() == 64).then_some(())?;
    Some((id.parse().ok()?, secret))
}

pub(crate) fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn crc32(text: &str) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(text.as_bytes());
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not random at all.
    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn state(tokens: &[&TokenChanged]) -> State {
        let mut state = State::default();
        for token in tokens {
            state.tokens.insert(token.token, (*token).clone());
        }
        state
    }

    #[test]
    fn a_token_is_found_until_it_expires_or_is_revoked() {
        let now = Time::UNIX_EPOCH;
        let minted = mint(&Fixed, now, "ci", &[Scope::Read], None, Span::hours(1));
        let mut revoked = minted.kept.clone();
        revoked.revoked = true;

        let found = |kept: &TokenChanged, at| find(&state(&[kept]), &minted.text, at);

        assert_eq!(found(&minted.kept, now).unwrap().name, "ci");
        let later = now + Span::hours(2).delta();
        assert_eq!(found(&minted.kept, later).unwrap_err(), BadToken::Expired);
        assert_eq!(found(&revoked, now).unwrap_err(), BadToken::Revoked);
        assert_eq!(find(&state(&[]), &minted.text, now).unwrap_err(), BadToken::Unknown);
    }

    #[test]
    fn a_mistyped_token_is_no_token() {
        let minted = mint(&Fixed, Time::UNIX_EPOCH, "ci", &[], None, Span::hours(9_999));
        let mut typed = minted.text.clone();
        let last = typed.pop().unwrap();
        typed.push(if last == '0' { '1' } else { '0' });

        let state = state(&[&minted.kept]);

        assert_eq!(find(&state, &typed, Time::UNIX_EPOCH).unwrap_err(), BadToken::Shape);
        assert!(minted.kept.expires_at <= Time::UNIX_EPOCH + LONGEST.delta());
    }
}
