//! A running server is told by a signal to read its settings again.

use serde_json::json;
use std::time::{Duration, Instant};

use crate::world::{PATIENCE, SECRET, World};

const SCANNER: &str = "[sources.scanner]\nkind = \"alerts\"\nauth = \"bearer\"\n";

/// Returns once the server has said this so often.
async fn told(world: &World, what: &str, times: usize) {
    let deadline = Instant::now() + PATIENCE;
    while world.log().matches(what).count() < times {
        assert!(Instant::now() < deadline, "it never said `{what}`:\n{}", world.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_hang_up_has_mended_settings_taken_and_a_mistake_leaves_all_as_it_was() {
    let secret = |secret: &str| format!("{SCANNER}secrets = [\"text:{secret}\"]\n");
    let mut world = World::new(0, &secret("another-secret"));
    let file = world.folder.path().join("quell.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let mended = settings.replace("another-secret", SECRET);
    let alert = |id: &str| json!({"id": id, "kind": "mfa_fatigue", "account": "nobody@example.com", "stage": "noted", "reason": "x"});
    assert_eq!(world.post("scanner", &alert("1")).await.unwrap().0, 401);

    std::fs::write(&file, format!("{mended}\n[nonsense]\n")).unwrap();
    world.hang_up();
    told(&world, "took nothing", 1).await;
    assert!(world.log().contains("nonsense"), "the line is shown: {}", world.log());
    assert_eq!(world.post("scanner", &alert("1")).await.unwrap().0, 401);

    std::fs::write(&file, mended).unwrap();
    world.hang_up();
    told(&world, "took sources.scanner", 1).await;
    assert_eq!(world.post("scanner", &alert("1")).await.unwrap().0, 202);
    world.stop();
    world.prove(&["audit", "verify"]);
}
