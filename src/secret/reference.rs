//! References to secrets, as configuration writes them, and how each kind is read.
//!
//! May read files and nothing else; the environment comes in as a closure.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SecretString;

/// Where a secret is kept: `credential:NAME`, `file:PATH`, `env:NAME`, `vault:PATH`, or `text:…` in a lab.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(transparent)]
pub(crate) struct Reference(String);

/// The kinds of reference, by prefix.
const KINDS: [&str; 5] = ["credential", "file", "env", "vault", "text"];

impl Reference {
    fn parts(&self) -> (&str, &str) {
        self.0.split_once(':').unwrap_or((&self.0, ""))
    }
}

impl std::str::FromStr for Reference {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        match text.split_once(':') {
            Some((kind, rest)) if KINDS.contains(&kind) && !rest.is_empty() => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(SecretError::NotAReference),
        }
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            // What follows `text:` is the secret itself.
            ("text", _) => f.write_str("text:…"),
            _ => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a secret could not be had. Holds no part of any secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SecretError {
    #[error("a secret is named, not written: use `credential:NAME`, `file:PATH` or `env:NAME`")]
    NotAReference,
    #[error("`{0}` needs a credentials directory, and this process was started without one")]
    NoCredentials(String),
    #[error("`{0}` could not be read: {1}")]
    Unreadable(String, String),
    #[error("`{0}` may be read by others: run `chmod 600` on it")]
    OpenToOthers(String),
    #[error("`{0}` is not set")]
    Unset(String),
    #[error("`{0}` is empty")]
    Empty(String),
    #[error("`{0}`: vault references are not supported yet; use `credential:` or `file:`")]
    NoVault(String),
    #[error("`text:` secrets are for lab deployments only")]
    TextOutsideLab,
}

impl SecretError {
    /// Whether it is wrong wherever Quell runs: the reference itself is at fault, not this machine.
    pub(crate) fn is_everywhere(&self) -> bool {
        matches!(self, Self::NotAReference | Self::NoVault(_) | Self::TextOutsideLab)
    }
}

/// Looks a variable of the environment up.
type Lookup = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where references are looked up.
#[derive(Clone)]
pub(crate) struct Sources {
    credentials: Option<PathBuf>,
    environment: Lookup,
    lab: bool,
}

impl Sources {
    /// `credentials` is the value of `$CREDENTIALS_DIRECTORY`; `lab` admits `text:`.
    pub(crate) fn new(
        credentials: Option<PathBuf>,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        lab: bool,
    ) -> Self {
        Self { credentials, environment: Arc::new(environment), lab }
    }

    /// Sources that know `text:` only.
    pub(crate) fn lab() -> Self {
        Self::new(None, |_| None, true)
    }

    /// Reads the secret. The value's last line break is not part of it.
    pub(crate) fn resolve(&self, reference: &Reference) -> Result<SecretString, SecretError> {
        let shown = reference.to_string();
        let value = match reference.parts() {
            ("credential", name) => self.credential(name, &shown)?,
            ("file", path) => private_file(Path::new(path), &shown)?,
            ("env", name) => {
                (self.environment)(name).ok_or_else(|| SecretError::Unset(shown.clone()))?
            }
            ("text", text) if self.lab => text.to_owned(),
            ("text", _) => return Err(SecretError::TextOutsideLab),
            ("vault", _) => return Err(SecretError::NoVault(shown)),
            _ => return Err(SecretError::NotAReference),
        };
        let value = value.trim_end_matches(['\r', '\n']).to_owned();
        if value.is_empty() {
            return Err(SecretError::Empty(shown));
        }
        Ok(SecretString::new(shown, value))
    }

    fn credential(&self, name: &str, shown: &str) -> Result<String, SecretError> {
        let dir =
            self.credentials.as_ref().ok_or_else(|| SecretError::NoCredentials(shown.into()))?;
        if name.contains('/') || name.starts_with('.') {
            return Err(SecretError::Unreadable(
                shown.into(),
                "the name is not a file name".into(),
            ));
        }
        read(&dir.join(name), shown)
    }
}

fn read(path: &Path, shown: &str) -> Result<String, SecretError> {
    std::fs::read_to_string(path).map_err(|e| SecretError::Unreadable(shown.into(), e.to_string()))
}

fn private_file(path: &Path, shown: &str) -> Result<String, SecretError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let meta = std::fs::metadata(path)
            .map_err(|e| SecretError::Unreadable(shown.into(), e.to_string()))?;
        if meta.permissions().mode() & 0o077 != 0 {
            return Err(SecretError::OpenToOthers(shown.into()));
        }
    }
    read(path, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> Reference {
        text.parse().unwrap()
    }

    #[test]
    fn a_written_out_secret_is_not_a_reference() {
        for text in ["hunter2", "password:hunter2", "env:", ""] {
            assert_eq!(text.parse::<Reference>(), Err(SecretError::NotAReference), "{text}");
        }
    }

    #[test]
    fn text_is_refused_outside_a_lab_and_never_shown() {
        let lab = reference("text:hunter2");
        let outside = Sources::new(None, |_| None, false);

        assert_eq!(outside.resolve(&lab).unwrap_err(), SecretError::TextOutsideLab);
        assert_eq!(Sources::lab().resolve(&lab).unwrap().expose(), "hunter2");
        assert_eq!(format!("{lab} {lab:?}"), "text:… text:…");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "s3cret-value\n").unwrap();
        let sources = Sources::new(Some(dir.path().into()), |_| None, false);
        let file = reference(&format!("file:{}", path.display()));

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(sources.resolve(&file), Err(SecretError::OpenToOthers(_))));

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(sources.resolve(&file).unwrap().expose(), "s3cret-value");
        assert_eq!(
            sources.resolve(&reference("credential:token")).unwrap().expose(),
            "s3cret-value"
        );
        assert!(sources.resolve(&reference("credential:../token")).is_err());
    }

    #[test]
    fn the_environment_is_what_was_handed_in() {
        let sources = Sources::new(None, |name| (name == "A").then(|| "value".into()), false);

        assert_eq!(sources.resolve(&reference("env:A")).unwrap().expose(), "value");
        assert!(matches!(sources.resolve(&reference("env:B")), Err(SecretError::Unset(_))));
        assert!(matches!(sources.resolve(&reference("vault:kv/x")), Err(SecretError::NoVault(_))));
    }
}
