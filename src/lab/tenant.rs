//! Who lives in the tenant, and the credentials that open it. A builder; the same seed gives the same tenant.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

use super::world::{Account, Condition, Factor, Session, System};
use crate::connector::manifest::Rate;
use crate::model::subject::Authority;
use crate::model::time::{Span, Time};

/// One person, with an account in Entra and, if wished, one in Okta.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) authority: Authority,
    pub(crate) privileged: bool,
    pub(crate) in_okta: bool,
    pub(crate) okta_status: String,
}

impl Person {
    /// An ordinary person with accounts in both directories.
    pub(crate) fn ordinary(login: &str, name: &str) -> Self {
        Self {
            login: login.to_owned(),
            name: name.to_owned(),
            authority: Authority::Cloud,
            privileged: false,
            in_okta: true,
            okta_status: "ACTIVE".into(),
        }
    }
}

/// Describes a tenant before it runs.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    seed: String,
    people: Vec<Person>,
    limited: bool,
}

/// What opens the lab's doors. Nobody else knows them.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) app_secret: String,
    pub(crate) admin_app_secret: String,
    pub(crate) okta_token: String,
    pub(crate) okta_admin_token: String,
    pub(crate) duo_secret: String,
    pub(crate) desk_password: String,
    pub(crate) webhook_secret: String,
    pub(crate) slack_token: String,
    pub(crate) teams_sig: String,
    pub(crate) routing_key: String,
    pub(crate) mail_password: String,
}

impl Tenant {
    /// The people that demonstrations and tests are about.
    pub(crate) fn new(seed: &str) -> Self {
        let mut tenant = Self { seed: seed.to_owned(), people: Vec::new(), limited: true };
        tenant.people.push(Person::ordinary("dana.reyes@lab.example", "Dana Reyes"));
        let ada = Person::ordinary("ada.admin@lab.example", "Ada Admin");
        tenant.people.push(Person { privileged: true, ..ada });
        let glass = Person::ordinary("break.glass@lab.example", "Break Glass");
        tenant.people.push(Person { privileged: true, in_okta: false, ..glass });
        let guest = Person::ordinary("gus.guest@partner.example", "Gus Guest");
        tenant.people.push(Person { authority: Authority::Guest, in_okta: false, ..guest });
        let sam = Person::ordinary("sam.synced@lab.example", "Sam Synced");
        tenant.people.push(Person { authority: Authority::Synced, ..sam });
        let lou = Person::ordinary("lou.locked@lab.example", "Lou Locked");
        tenant.people.push(Person { okta_status: "LOCKED_OUT".into(), ..lou });
        tenant
    }

    /// Adds `count` ordinary people, `person-0001@lab.example` and so on.
    #[must_use]
    pub(crate) fn crowd(mut self, count: usize) -> Self {
        self.people.extend((1..=count).map(|n| {
            Person::ordinary(&format!("person-{n:04}@lab.example"), &format!("Person {n:04}"))
        }));
        self
    }

    /// Takes the vendors' documented rate limits away.
    #[must_use]
    pub(crate) fn without_limits(mut self) -> Self {
        self.limited = false;
        self
    }

    pub(crate) fn credentials(&self) -> Credentials {
        let secret = |name: &str| hex::encode(Sha256::digest(format!("{}:{name}", self.seed)));
        Credentials {
            app_secret: secret("app"),
            admin_app_secret: secret("admin-app"),
            okta_token: format!("00{}", &secret("okta")[..40]),
            okta_admin_token: format!("00{}", &secret("okta-admin")[..40]),
            duo_secret: secret("duo")[..40].to_owned(),
            desk_password: secret("desk"),
            slack_token: format!("xoxb-{}", &secret("slack")[..24]),
            teams_sig: secret("teams"),
            routing_key: secret("pagerduty")[..32].to_owned(),
            mail_password: secret("mail"),
            webhook_secret: {
                use base64::Engine as _;
                let key = Sha256::digest(format!("{}:webhook", self.seed));
                format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(key))
            },
        }
    }

    pub(super) fn limits(&self) -> BTreeMap<(System, &'static str), Rate> {
        let rate = |calls, per| Rate { calls, per };
        let documented = [
            ((System::Graph, "risk"), rate(1, Span::seconds(1))),
            ((System::Graph, "list-sign-ins"), rate(5, Span::seconds(10))),
            ((System::Duo, "poll-authentication"), rate(30, Span::minutes(1))),
            ((System::Okta, ""), rate(600, Span::minutes(1))),
        ];
        if self.limited { BTreeMap::from(documented) } else { BTreeMap::new() }
    }

    pub(super) fn accounts(&self, at: Time) -> Vec<Account> {
        let entra = self.people.iter().map(|person| account(person, System::Graph, at));
        let okta = self.people.iter().filter(|person| person.in_okta);
        entra.chain(okta.map(|person| account(person, System::Okta, at))).collect()
    }
}

/// The id that a person's account has in a system.
pub(crate) fn id(system: System, login: &str) -> String {
    let digest = Sha256::digest(format!("{system:?}:{}", login.to_lowercase()));
    let hex = hex::encode(digest);
    match system {
        System::Okta => format!("00u{}", &hex[..17]),
        _ => uuid::Builder::from_random_bytes(digest[..16].try_into().unwrap_or_default())
            .into_uuid()
            .to_string(),
    }
}

fn account(person: &Person, system: System, at: Time) -> Account {
    let past = at - Span::hours(24 * 90).delta();
    let kinds = match system {
        System::Okta => [("push", "Pixel 9"), ("sms", "+1 555 555 0100")],
        _ => [("microsoftAuthenticator", "Pixel 9"), ("phone", "+1 555 555 0100")],
    };
    let login_id = id(system, &person.login);
    let factors = kinds.iter().map(|(kind, name)| Factor {
        id: format!("{kind}-{}", &login_id[login_id.len() - 8..]),
        kind: (*kind).to_owned(),
        name: (*name).to_owned(),
        added_at: past,
        hostile: false,
    });
    let status = if system == System::Okta { person.okta_status.clone() } else { "ACTIVE".into() };
    let condition = Condition {
        status,
        password_changed_at: past,
        sessions_valid_from: past,
        sessions: vec![Session { opened_at: past, hostile: false }],
        factors: factors.collect(),
        groups: BTreeSet::from(["00geveryone".to_owned()]),
        risk: "none".into(),
        password_stolen: false,
    };
    let mut account = Account::new(system, login_id, person.login.clone(), condition, past);
    account.name.clone_from(&person.name);
    account.employee_id = format!("E-{}", &hex::encode(Sha256::digest(&person.login))[..8]);
    account.authority = match (person.authority, system) {
        (Authority::Synced, System::Okta) => Authority::Delegated,
        (authority, _) => authority,
    };
    if person.privileged {
        account.roles = vec![match system {
            System::Okta => ("SUPER_ADMIN".into(), "Super Administrator".into()),
            _ => ("62e90394-69f5-4237-9190-012177145e10".into(), "Global Administrator".into()),
        }];
    }
    account
}
