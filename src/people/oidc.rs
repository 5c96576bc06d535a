//! Signing in through the organisation's identity provider: `OpenID` Connect, code flow with PKCE, state and nonce.
//!
//! What it opens is a session with the roles that the provider's groups map to. It is never enough to decide:
//! the provider is what is under attack, so decisions and acts that loosen take a passkey enrolled here,
//! and the roles that were given here.
//!
//! `OpenID` Connect Core 1.0 §3.1; RFC 7636 (PKCE); RFC 9700 (what a client checks).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ipnet::IpNet;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl,
    Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::ceremony::Ceremonies;
use super::{People, lock};
use crate::connector::outbound::{Limits, Transport, TransportError};
use crate::model::entry::PersonEnrolled;
use crate::model::id::PersonId;
use crate::model::text::tame;
use crate::model::time::Time;
use crate::secret::{Reference, SecretString};

/// How long what the provider says about itself is believed.
const METADATA_AGE: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// `[oidc]`: the provider, and what its groups may do here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Exactly as the provider calls itself.
    pub(crate) issuer: IssuerUrl,
    pub(crate) client_id: String,
    /// A reference; none for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<Reference>,
    /// Asked for besides `openid`.
    #[serde(default = "scopes")]
    pub(crate) scopes: Vec<String>,
    /// The claim that names the person.
    #[serde(default = "name_claim")]
    pub(crate) name_claim: String,
    /// The claim that lists their groups.
    #[serde(default = "groups_claim")]
    pub(crate) groups_claim: String,
    /// Group → roles. Whoever is in none of them is not let in.
    pub(crate) roles: BTreeMap<String, Vec<String>>,
    /// Private ranges that the provider may be in.
    #[serde(default)]
    pub(crate) allow_networks: Vec<IpNet>,
}

fn scopes() -> Vec<String> {
    ["profile", "email"].map(str::to_owned).to_vec()
}

fn name_claim() -> String {
    "preferred_username".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OidcError {
    #[error(
        "this sign-in was begun too long ago, in another browser, or was used already; begin again"
    )]
    Begun,
    #[error("the identity provider said no: {0}")]
    Refused(String),
    #[error("the identity provider could not be asked: {0}")]
    Provider(String),
    #[error("what the identity provider says does not hold: {0}")]
    Token(String),
    #[error("the identity provider does not say who this is (`{0}`)")]
    Name(String),
    #[error("none of your groups may sign in here")]
    Groups,
}

/// Whom the provider says it is, and what that allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provided {
    pub(crate) name: String,
    pub(crate) roles: Vec<String>,
}

/// The provider of one deployment.
pub(crate) struct Oidc {
    options: Options,
    secret: Option<SecretString>,
    transport: Arc<dyn Transport>,
    redirect: Url,
    begun: Mutex<Ceremonies<Begun>>,
    metadata: Mutex<Option<(Time, CoreProviderMetadata)>>,
}

struct Begun {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

/// Where the browser goes, and what it has to bring back besides the provider's answer.
pub(crate) struct Sent {
    pub(crate) to: Url,
    /// For a cookie: whoever finishes is whoever began.
    pub(crate) login: String,
}

impl Oidc {
    /// `public_url` is where this deployment is reached; the provider has to know `…/sign-in/oidc/back`.
    pub(crate) fn new(
        options: Options,
        secret: Option<SecretString>,
        transport: Arc<dyn Transport>,
        public_url: &Url,
    ) -> Self {
        let mut redirect = public_url.clone();
        redirect.set_path("/sign-in/oidc/back");
        Self {
            options,
            secret,
            transport,
            redirect,
            begun: Mutex::new(Ceremonies::new(1024, 1024)),
            metadata: Mutex::default(),
        }
    }

    async fn metadata(&self, now: Time) -> Result<CoreProviderMetadata, OidcError> {
        let known = lock(&self.metadata).clone();
        if let Some((at, metadata)) = known
            && now - at < METADATA_AGE
        {
            return Ok(metadata);
        }
        let issuer = self.options.issuer.clone();
        let http = |request| ask(self.transport.clone(), request);
        let metadata = CoreProviderMetadata::discover_async(issuer, &http)
            .await
            .map_err(|error| OidcError::Provider(told(&error)))?;
        *lock(&self.metadata) = Some((now, metadata.clone()));
        Ok(metadata)
    }

    /// Starts a sign-in.
    pub(crate) async fn begin(&self, people: &People) -> Result<Sent, OidcError> {
        let now = people.now();
        let client = CoreClient::from_provider_metadata(
            self.metadata(now).await?,
            ClientId::new(self.options.client_id.clone()),
            None,
        )
        .set_redirect_uri(RedirectUrl::from_url(self.redirect.clone()));
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut asked = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        for scope in &self.options.scopes {
            asked = asked.add_scope(Scope::new(scope.clone()));
        }
        let (to, state, nonce) = asked.set_pkce_challenge(challenge).url();
        let login = people.secret();
        let begun = Begun { state, nonce, verifier };
        lock(&self.begun).begin(login.clone(), "", now, begun);
        Ok(Sent { to, login })
    }

    /// Exchanges the code, verifies the ID token and opens a session; who it is and the session's secret.
    pub(crate) async fn finish(
        &self,
        people: &People,
        login: &str,
        state: &str,
        code: String,
        agent: &str,
    ) -> Result<(Provided, String), OidcError> {
        let now = people.now();
        let begun = lock(&self.begun).take(login, now).ok_or(OidcError::Begun)?;
        if !bool::from(begun.state.secret().as_bytes().ct_eq(state.as_bytes())) {
            return Err(OidcError::Begun);
        }
        let secret = self.secret.as_ref().map(|s| ClientSecret::new(s.expose().clone()));
        let client = CoreClient::from_provider_metadata(
            self.metadata(now).await?,
            ClientId::new(self.options.client_id.clone()),
            secret,
        )
        .set_redirect_uri(RedirectUrl::from_url(self.redirect.clone()));
        let http = |request| ask(self.transport.clone(), request);
        let token = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| OidcError::Provider(told(&error)))?
            .set_pkce_verifier(begun.verifier)
            .request_async(&http)
            .await
            .map_err(|error| OidcError::Provider(told(&error)))?;
        let id_token = token
            .extra_fields()
            .id_token()
            .ok_or_else(|| OidcError::Token("no ID token".into()))?;
        // Signature, issuer, audience, times and nonce.
        let claims = id_token
            .claims(&client.id_token_verifier(), &begun.nonce)
            .map_err(|error| OidcError::Token(told(&error)))?;
        let who = self.who(&payload(&id_token.to_string()))?;
        let id = person_id(self.options.issuer.as_str(), claims.subject().as_str());
        Ok((who.clone(), people.open_provided(id, who, agent)))
    }

    /// Name and roles from the claims of a token that was verified.
    fn who(&self, claims: &Value) -> Result<Provided, OidcError> {
        let name = claims[&self.options.name_claim].as_str().unwrap_or_default();
        let name = tame(name.trim(), 120);
        if name.is_empty() {
            return Err(OidcError::Name(self.options.name_claim.clone()));
        }
        let groups = match &claims[&self.options.groups_claim] {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            Value::String(one) => vec![one.as_str()],
            _ => Vec::new(),
        };
        let mut roles: Vec<String> = groups
            .into_iter()
            .filter_map(|group| self.options.roles.get(group))
            .flatten()
            .cloned()
            .collect();
        roles.sort();
        roles.dedup();
        if roles.is_empty() { Err(OidcError::Groups) } else { Ok(Provided { name, roles }) }
    }
}

/// The claims of a compact JWT, unverified: for a token that the library has verified before.
fn payload(jwt: &str) -> Value {
    let middle = jwt.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(middle).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The same person of the same provider always has the same id, which no enrolled person has.
fn person_id(issuer: &str, subject: &str) -> PersonId {
    let mut hash = Sha256::new();
    hash.update(b"quell/oidc/v1\0");
    hash.update(issuer);
    hash.update([0]);
    hash.update(subject);
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    PersonId(uuid::Builder::from_custom_bytes(id).into_uuid())
}

async fn ask(
    transport: Arc<dyn Transport>,
    request: HttpRequest,
) -> Result<HttpResponse, TransportError> {
    let (parts, body) = request.into_parts();
    let request = http::Request::from_parts(parts, Bytes::from(body));
    let (parts, body) = transport.send(request, Limits::default()).await?.into_parts();
    Ok(http::Response::from_parts(parts, body.to_vec()))
}

/// An error with what is behind it: the library's own say little.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |e| e.source());
    tame(&all.map(ToString::to_string).collect::<Vec<_>>().join(": "), 400)
}

impl People {
    /// Whose session it is: somebody enrolled, or somebody whom the provider vouches for.
    pub(crate) fn signed_in(&self, session: &super::Session) -> Option<PersonEnrolled> {
        let Some(provided) = &session.provided else { return self.person(session.person) };
        Some(PersonEnrolled {
            person: session.person,
            name: provided.name.clone(),
            roles: provided.roles.clone(),
            passkey: Value::Null,
            user_handle: session.person.0,
            ticket: String::new(),
            enrolled_at: None,
        })
    }

    fn open_provided(&self, id: PersonId, who: Provided, agent: &str) -> String {
        // With a passkey of their own they are themselves, and may sign.
        let known = self.named(&who.name);
        self.open(known.unwrap_or(id), Some(who), agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn oidc() -> Oidc {
        let options = json!({
            "issuer": "https://idp.example", "client_id": "quell",
            "roles": { "soc": ["analyst"], "leads": ["analyst", "viewer"] },
        });
        let options = serde_json::from_value(options).unwrap();
        let here = Url::parse("https://quell.example/").unwrap();
        let way = crate::connector::outbound::Way { networks: &[], native: None };
        Oidc::new(options, None, crate::connector::outbound::dial()(way).unwrap(), &here)
    }

    #[test]
    fn groups_become_roles_and_whoever_is_in_none_stays_out() {
        let oidc = oidc();
        let who = |groups: Value| {
            oidc.who(&json!({ "preferred_username": "mia\u{202e}", "groups": groups }))
        };

        let both = who(json!(["soc", "leads", "admins", 7])).unwrap();
        assert_eq!(both.roles, ["analyst", "viewer"]);
        assert!(!both.name.contains('\u{202e}'));
        assert_eq!(who(json!("soc")).unwrap().roles, ["analyst"]);
        for none in [json!([]), json!(["admin"]), json!(null), json!({ "soc": true })] {
            assert!(matches!(who(none), Err(OidcError::Groups)));
        }
        let nobody = oidc.who(&json!({ "groups": ["soc"], "preferred_username": " " }));
        assert!(matches!(nobody, Err(OidcError::Name(_))));
    }

    #[test]
    fn a_person_of_the_provider_is_nobody_who_is_enrolled() {
        let id = person_id("https://idp.example", "1");
        assert_eq!(id, person_id("https://idp.example", "1"));
        assert_ne!(id, person_id("https://idp.example", "2"));
        assert_ne!(id, person_id("https://idp.example1", ""));
        assert_eq!(id.0.get_version_num(), 8, "enrolled people have time-ordered ids");
    }
}
