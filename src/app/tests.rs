//! A whole Quell in this process: real store in a temporary folder, no network but loopback.

use std::path::Path;

use super::*;
use crate::connector::outbound::dial;

/// Settings of a lab in `folder`, listening wherever there is room, with more TOML behind.
pub(crate) fn lab(folder: &Path, more: &str) -> Settings {
    let path = folder.join("data");
    let text = format!(
        "[server]\nlab = true\nlisten = '127.0.0.1:0'\n[store]\npath = '{}'\n{more}",
        path.display()
    );
    let layers = crate::config::Layers {
        file: Some(("quell.toml".into(), text)),
        ..crate::config::Layers::default()
    };
    let config = crate::config::load(&layers).unwrap().config;
    settings(config)
}

pub(crate) fn settings(config: Config) -> Settings {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let (secrets, scrubber) = (Secrets::lab(), Scrubber::default());
    let plugs = connect(&config, clock.clone(), entropy.clone(), &secrets, &scrubber, dial())
        .unwrap()
        .into();
    Settings { config, clock, entropy, secrets, scrubber, plugs, console: None }
}

#[tokio::test]
async fn a_restart_knows_what_was_published_before() {
    let folder = tempfile::tempdir().unwrap();
    let first = Quell::start(lab(folder.path(), "")).await.unwrap();
    let published = first.engine.read(|core| core.state.published.clone());
    let seq = first.engine.read(|core| core.state.seq);
    first.stop().await.unwrap();

    let again = Quell::start(lab(folder.path(), "")).await.unwrap();

    assert!(published.len() >= 2);
    assert_eq!(again.engine.read(|core| core.state.published.clone()), published);
    assert_eq!(again.engine.read(|core| core.state.seq), seq, "nothing was published twice");
    again.stop().await.unwrap();
}

/// Nobody could ever prove what it signs.
#[tokio::test]
async fn another_deployments_key_is_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&folder, &other] {
        Quell::start(lab(folder.path(), "")).await.unwrap().stop().await.unwrap();
    }
    let key = |folder: &tempfile::TempDir| folder.path().join("data/keys/checkpoint.pk8");
    std::fs::copy(key(&other), key(&folder)).unwrap();

    let refused = Quell::start(lab(folder.path(), "")).await.err().unwrap();

    assert!(matches!(refused, BootError::Key { .. }), "{refused}");
}

/// A lab publishes by itself and admits secrets in plain text: no real deployment may turn into one.
#[tokio::test]
async fn a_lab_stays_a_lab() {
    let folder = tempfile::tempdir().unwrap();
    Quell::start(lab(folder.path(), "")).await.unwrap().stop().await.unwrap();
    let mut real = lab(folder.path(), "");
    real.config.server.lab = false;

    let refused = Quell::start(real).await.err().unwrap();

    assert!(matches!(refused, BootError::Lab { deployment: true, .. }), "{refused}");
}

#[tokio::test]
async fn a_real_deployment_is_never_made_by_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut real = lab(folder.path(), "");
    real.config.server.lab = false;

    assert!(matches!(Quell::start(real).await, Err(BootError::NoFolder(_))));
}
