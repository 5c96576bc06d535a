//! What the attacker does in the lab, so that a response has something to respond to.

use super::Lab;
use super::logs::{AUDIT, SIGN_IN};
use super::world::{Factor, LogRecord, QUARANTINE, Session, System};

/// Where the attacker comes from.
pub(crate) const ATTACKER_IP: &str = "203.0.113.66";

impl Lab {
    /// The attacker learns the password.
    pub(crate) fn attacker_steals_password(&self, login: &str) {
        self.each(login, |condition| condition.password_stolen = true);
    }

    /// The attacker enrols a factor of their own, and gets its id in each directory.
    pub(crate) fn attacker_enrols_factor(&self, login: &str) -> Vec<(System, String)> {
        self.attacker_enrols_factor_at(login, &[System::Graph, System::Okta])
    }

    /// The same, in some of the directories.
    pub(crate) fn attacker_enrols_factor_at(
        &self,
        login: &str,
        systems: &[System],
    ) -> Vec<(System, String)> {
        let now = (self.clock)();
        let mut world = self.world();
        let serial = world.next();
        let mut made = Vec::new();
        for system in systems.iter().copied() {
            let Some(account) = world.account_mut(system, login) else { continue };
            let kind = if system == System::Okta { "push" } else { "microsoftAuthenticator" };
            let id = format!("hostile-{serial}-{kind}");
            let factor = Factor {
                id: id.clone(),
                kind: kind.into(),
                name: "Unknown phone".into(),
                added_at: now,
                hostile: true,
            };
            account.change(now, |condition| condition.factors.push(factor));
            let (kind, detail) = match system {
                System::Okta => ("user.mfa.factor.activate", ""),
                _ => (AUDIT, "User registered security info"),
            };
            let record = LogRecord::new(system, now, &account.id.clone(), kind);
            world.log(LogRecord {
                succeeded: true,
                detail: detail.into(),
                ip: ATTACKER_IP.into(),
                ..record
            });
            made.push((system, id));
        }
        made
    }

    /// The attacker bombs the person with prompts, each of which is denied.
    pub(crate) fn attacker_pushes(&self, login: &str, prompts: usize) {
        for _ in 0..prompts {
            self.note(login, false, "MFA denied; user declined the authentication");
        }
    }

    /// The attacker tries to sign in with the stolen password; says in which directories it worked.
    pub(crate) fn attacker_signs_in(&self, login: &str) -> Vec<System> {
        let now = (self.clock)();
        let mut opened = Vec::new();
        {
            let mut world = self.world();
            for system in [System::Graph, System::Okta] {
                let Some(account) = world.account_mut(system, login) else { continue };
                if account.open(QUARANTINE) && account.now().password_stolen {
                    let session = Session { opened_at: now, hostile: true };
                    account.change(now, |condition| condition.sessions.push(session));
                    opened.push(system);
                }
            }
        }
        self.note(login, !opened.is_empty(), "MFA successfully completed");
        opened
    }

    fn each(&self, login: &str, change: impl Fn(&mut super::world::Condition)) {
        let now = (self.clock)();
        let mut world = self.world();
        for system in [System::Graph, System::Okta] {
            if let Some(account) = world.account_mut(system, login) {
                account.change(now, &change);
            }
        }
    }

    fn note(&self, login: &str, succeeded: bool, detail: &str) {
        let now = (self.clock)();
        let mut world = self.world();
        for system in [System::Graph, System::Okta] {
            let Some(id) = world.account(system, login).map(|a| a.id.clone()) else { continue };
            let kind = match system {
                System::Okta => "user.authentication.auth_via_mfa",
                _ => SIGN_IN,
            };
            let record = LogRecord::new(system, now, &id, kind);
            world.log(LogRecord {
                succeeded,
                detail: detail.to_owned(),
                ip: ATTACKER_IP.into(),
                ..record
            });
        }
    }
}
