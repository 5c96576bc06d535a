//! Settings: compiled-in defaults → file → environment → flags, and where each value came from.
//!
//! Sections are each module's own options; this module reads them, joins the layers and says
//! what is wrong with them, at its line. Secrets stay references until [`secrets`] looks them up.
//!
//! The only module that reads the process's environment.

mod check;
mod layers;
mod oncall;
mod sections;
mod source;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Source as Text};
use crate::secret;
use layers::{Merged, typed};

pub(crate) use check::check;
pub(crate) use layers::{Layers, Origins};
pub(crate) use oncall::coverage;
pub(crate) use sections::{Config, LogFormat, Server, Store};
pub(crate) use source::Source;

/// The defaults with their explanations; `quell init` writes them out.
pub(crate) const DEFAULT: &str = include_str!("config/default.toml");

/// The file that is read where none is named.
pub(crate) const FILE: &str = "quell.toml";

/// Settings that were understood.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) origins: Origins,
    /// All layers as one table, for `config show`.
    pub(crate) table: toml::Table,
    /// The file that people would change.
    pub(crate) text: Arc<Text>,
}

impl Layers {
    /// The layers of a real process. A file that is named must be there; the usual one may be missing.
    pub(crate) fn of_process(
        file: Option<&Path>,
        flags: Vec<(&'static str, String, &'static str)>,
    ) -> std::io::Result<Self> {
        let path = file.unwrap_or_else(|| Path::new(FILE));
        let file = match std::fs::read_to_string(path) {
            Ok(text) => Some((path.to_owned(), text)),
            Err(e) if file.is_none() && e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        Ok(Self { file, environment: std::env::vars().collect(), flags })
    }
}

/// Reads all layers. Problems in the file carry their place in it.
pub(crate) fn load(layers: &Layers) -> Result<Loaded, Vec<Diagnostic>> {
    let (path, text) = match &layers.file {
        Some((path, text)) => (path.display().to_string(), text.as_str()),
        None => (FILE.to_owned(), ""),
    };
    let text = Text::new(path, text);
    // Alone first: here an error knows its line.
    let table: toml::Table = toml::from_str::<Config>(&text.text)
        .and_then(|_| toml::from_str(&text.text))
        .map_err(|error| vec![at_its_place(&text, &error)])?;
    let defaults = toml::from_str(DEFAULT).unwrap_or_default();
    let mut merged = Merged::new(defaults);
    merged.lay(&format!("file {}", text.path), table);
    for (name, value) in &layers.environment {
        if let Some(path) = merged.path_of(name) {
            merged.set(&path, typed(value), &format!("environment {name}"));
        }
    }
    for (key, value, flag) in &layers.flags {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        merged.set(&path, typed(value), &format!("flag {flag}"));
    }
    let config = Config::try_from_table(&merged.table).map_err(|error| {
        let from = "a variable `QUELL_…` of the environment or a flag";
        let message = format!("{from} does not fit: {}", error.message());
        vec![Diagnostic::error("C001", &text, 0..0, message, "")]
    })?;
    Ok(Loaded { config, origins: merged.origins, table: merged.table, text })
}

impl Config {
    fn try_from_table(table: &toml::Table) -> Result<Self, toml::de::Error> {
        table.clone().try_into()
    }
}

fn at_its_place(text: &Arc<Text>, error: &toml::de::Error) -> Diagnostic {
    let at = error.span().unwrap_or(0..0);
    let message = error.message().lines().next().unwrap_or_default().to_owned();
    let found = Diagnostic::error("C001", text, at, message, "here");
    found.help("`quell config show` prints every key with its default")
}

/// Where a key stands in a file: its value, else the nearest section above, else the start.
pub(crate) fn place(text: &str, path: &[&str]) -> Range<usize> {
    let Ok(root) = DeTable::parse(text) else { return 0..0 };
    let mut table = root.get_ref();
    let mut at = 0..0;
    let mut parts = path.iter().peekable();
    while let Some(part) = parts.next() {
        let Some((key, mut value)) = table.iter().find(|(key, _)| key.get_ref() == part) else {
            break;
        };
        at = key.span();
        // One of a list, such as `[[oncall.shifts]]`, is named by its number.
        while let DeValue::Array(items) = value.get_ref()
            && let Some(item) =
                parts.peek().and_then(|n| n.parse::<usize>().ok()).and_then(|n| items.get(n))
        {
            parts.next();
            at = item.span();
            value = item;
        }
        match value.get_ref() {
            DeValue::Table(below) => table = below,
            _ => return value.span(),
        }
    }
    at
}

/// Where secrets are looked up: systemd's credentials, private files, the environment.
#[expect(clippy::disallowed_methods, reason = "references to secrets may name variables")]
pub(crate) fn secrets(lab: bool) -> secret::Sources {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    secret::Sources::new(credentials, |name| std::env::var(name).ok(), lab)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Colour, render};

    fn layers(file: &str, environment: &[(&str, &str)]) -> Layers {
        Layers {
            file: Some(("quell.toml".into(), file.to_owned())),
            environment: environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            flags: Vec::new(),
        }
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let documented: Config = toml::from_str(DEFAULT).unwrap();
        let built_in = Config::default();

        assert_eq!(documented.server, built_in.server);
        assert_eq!(documented.store, built_in.store);
        assert_eq!(documented.policy, built_in.policy);
        assert_eq!(documented.notify, built_in.notify);
        assert_eq!(documented.oncall, built_in.oncall);
    }

    #[test]
    fn each_layer_covers_the_one_below_and_says_so() {
        let mut layers = layers(
            "[server]\nlisten = '127.0.0.1:1'\nlab = true\n",
            &[("QUELL_SERVER__LISTEN", "127.0.0.1:2"), ("QUELL_POLICY__MODE", "auto")],
        );
        layers.flags.push(("server.listen", "127.0.0.1:3".into(), "--listen"));

        let loaded = load(&layers).unwrap();

        assert_eq!(loaded.config.server.listen.port(), 3);
        assert_eq!(loaded.origins["server.listen"], "flag --listen");
        assert_eq!(loaded.origins["server.lab"], "file quell.toml");
        assert_eq!(loaded.origins["policy.mode"], "environment QUELL_POLICY__MODE");
        assert_eq!(loaded.origins["policy.watch"], "default");
    }

    #[test]
    fn an_unknown_key_is_shown_at_its_line() {
        let problems = load(&layers("[server]\nlisen = '127.0.0.1:1'\n", &[])).unwrap_err();

        let shown = render(&problems, Colour::Plain);

        assert!(shown.contains("quell.toml:2:1"), "{shown}");
        assert!(shown.contains("lisen"), "{shown}");
    }
}
