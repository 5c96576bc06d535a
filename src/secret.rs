//! Secrets: values that are never printed and never serialised, the references that
//! name them in configuration, and the scrubber that takes them out of text.
//!
//! A secret is resolved where it is used and forgotten there. Whatever leaves Quell
//! (a log line, a journal entry, an error) passes the [`Scrubber`] first, so that a
//! vendor which echoes a credential cannot make us keep it.
//!
//! Knows no HTTP and no clock; `reference` alone reads the files that references name.

mod reference;
mod scrub;

pub(crate) use reference::{Reference, SecretError, Sources};
pub(crate) use scrub::Scrubber;

use serde::{Serialize, Serializer};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A value that shows only its name, and is wiped when it is dropped.
#[derive(Clone)]
pub(crate) struct Secret<T: Zeroize> {
    name: String,
    value: Zeroizing<T>,
}

/// The usual secret: a text.
pub(crate) type SecretString = Secret<String>;

impl<T: Zeroize> Secret<T> {
    /// `name` says where the value comes from, such as `credential:okta`; it is what gets printed.
    pub(crate) fn new(name: impl Into<String>, value: T) -> Self {
        Self { name: name.into(), value: Zeroizing::new(value) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The value itself. Every call of this is a place to look at in review.
    pub(crate) fn expose(&self) -> &T {
        &self.value
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "‹secret:{}›", self.name)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T: Zeroize> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_its_name_and_nothing_else() {
        let secret = SecretString::new("env:TOKEN", "hunter2hunter2".into());

        assert_eq!(format!("{secret} {secret:?}"), "‹secret:env:TOKEN› ‹secret:env:TOKEN›");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"‹secret:env:TOKEN›\"");
        assert_eq!(secret.expose(), "hunter2hunter2");
    }
}
