//! A person who signs in to the console with a passkey in software, and lets runs go on.

use serde_json::{Value, json};
use webauthn_authenticator_rs::WebauthnAuthenticator;
use webauthn_authenticator_rs::softpasskey::SoftPasskey;

use crate::world::World;

/// As `quell init` calls the first person.
const NAME: &str = "first administrator";

pub(super) struct Operator {
    key: SoftPasskey,
    cookie: String,
}

impl Operator {
    /// Uses up the ticket that `quell init` printed.
    pub(super) async fn enrol(world: &World) -> Self {
        let path = format!("/enrol/{}", world.ticket);
        let begun = post(world, "", &format!("{path}/begin"), &json!({})).await.0;
        let options = serde_json::from_value(begun["options"].clone()).unwrap();
        let mut key = SoftPasskey::new(true);
        let answer = key.do_registration(origin(world), options).unwrap();
        let given = json!({ "ceremony": begun["ceremony"], "answer": answer });
        post(world, "", &format!("{path}/finish"), &given).await;
        Self { key, cookie: String::new() }
    }

    /// Lets a run go on that waits for a person.
    pub(super) async fn resume(&mut self, world: &World, run: &str) {
        if self.cookie.is_empty() {
            self.sign_in(world).await;
        }
        let deed = json!({ "deed": "resume", "run": run });
        let begun = post(world, &self.cookie, "/v1/deeds/begin", &deed).await.0;
        let options = serde_json::from_value(begun["options"].clone()).unwrap();
        let answer = self.key.do_authentication(origin(world), options).unwrap();
        let given = json!({ "ceremony": begun["ceremony"], "answer": answer });
        post(world, &self.cookie, "/v1/deeds/finish", &given).await;
    }

    async fn sign_in(&mut self, world: &World) {
        let begun = post(world, "", "/sign-in/begin", &json!({ "name": NAME })).await.0;
        let options = serde_json::from_value(begun["options"].clone()).unwrap();
        let answer = self.key.do_authentication(origin(world), options).unwrap();
        let given = json!({ "ceremony": begun["ceremony"], "answer": answer });
        let (_, cookie) = post(world, "", "/sign-in/finish", &given).await;
        self.cookie = cookie;
    }
}

/// The address as the settings give it: passkeys are bound to it.
fn origin(world: &World) -> url::Url {
    url::Url::parse(&world.url.replace("127.0.0.1", "localhost")).unwrap()
}

/// Posts as the console's script does. The answer, and the cookie that it set.
async fn post(world: &World, cookie: &str, path: &str, body: &Value) -> (Value, String) {
    let answer = world
        .client
        .post(format!("{}{path}", world.url))
        .header("origin", origin(world).origin().ascii_serialization())
        .header("cookie", cookie)
        .json(body)
        .send()
        .await
        .unwrap();
    let cookie = answer.headers().get("set-cookie").and_then(|c| c.to_str().ok());
    let cookie = cookie.and_then(|c| c.split(';').next()).unwrap_or_default().to_owned();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    (serde_json::from_str(&text).unwrap(), cookie)
}
