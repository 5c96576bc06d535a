//! Asking the person concerned, out of band, and what their answer does.
//!
//! "No" is a report and raises. "Yes" lowers the severity and lengthens the watch, closes nothing, and after an
//! approved prompt does nothing by itself: whoever holds the account would say it as well. Silence says nothing.

use chrono::TimeDelta;

use super::driver::{Engine, Tx};
use super::people::Refusal;
use super::shelf::About;
use crate::model::asked::{Asked, Channel, OpenAsk, PersonAnswered, PersonAsked, Reply};
use crate::model::entry::Entry;
use crate::model::id::IncidentId;
use crate::model::incident::{ApprovalSeen, Incident, IncidentStatus};
use crate::model::subject::Subject;
use crate::model::time::Time;

/// How long a link opens.
const LIFETIME: TimeDelta = TimeDelta::hours(1);
/// Links about one incident that may be open at once, and that there may be in all.
const OPEN_MAX: usize = 3;
const ALL_MAX: usize = 20;
/// How long somebody who said "it was me" stays watched.
const WATCH: TimeDelta = TimeDelta::hours(24);

/// What the page behind a link needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) incident: Incident,
    pub(crate) name: String,
    pub(crate) expires_at: Time,
}

impl Engine {
    /// Asks the person concerned; whoever holds the secret behind `hash` answers, once.
    pub(crate) async fn ask_person(
        &self,
        incident: IncidentId,
        hash: String,
        by: &str,
        (channel, to): (Channel, &str),
    ) -> Result<Time, Refusal> {
        self.fetch_about(About::Incident(incident)).await?;
        let (result, written) = self.transact(|tx| {
            let case =
                tx.core.state.incidents.get(&incident).ok_or(Refusal::Missing("incident"))?;
            let subject = tx.core.state.subject(case.subject);
            let subject = subject.ok_or(Refusal::Missing("subject"))?;
            self.may_ask(case, subject, by, (channel, to), tx.at)?;
            let expires_at = tx.at + LIFETIME;
            tx.push(Entry::PersonAsked(Box::new(PersonAsked {
                incident,
                hash,
                by: by.to_owned(),
                channel,
                to: to.to_owned(),
                expires_at,
            })));
            Ok(expires_at)
        });
        written.await?;
        self.rearm();
        result
    }

    fn may_ask(
        &self,
        case: &Incident,
        subject: &Subject,
        by: &str,
        (channel, to): (Channel, &str),
        now: Time,
    ) -> Result<(), Refusal> {
        let no = |why: &str| Err(Refusal::Nothing(why.to_owned()));
        if case.status == IncidentStatus::Closed {
            return Err(Refusal::Already("closed"));
        }
        if names(subject).any(|name| name.eq_ignore_ascii_case(by)) {
            return Err(Refusal::Barred(by.to_owned()));
        }
        if !self.policy().ask_through.contains(&channel) {
            return no("`policy.ask_through` does not allow this channel");
        }
        if channel.has_address() && (to.is_empty() || is_under_attack(subject, to)) {
            return no(
                "it has to be an address that is none of the person's own accounts, nor in their domain",
            );
        }
        let open = case.asked.iter().filter(|a| !a.closed && a.expires_at > now).count();
        if open >= OPEN_MAX || case.asked.len() >= ALL_MAX {
            return no("the person has been asked often enough about this");
        }
        Ok(())
    }

    /// The question behind a link that still opens. Changes nothing.
    pub(crate) async fn asked(&self, hash: &str) -> Result<Question, Refusal> {
        let now = self.now();
        let open = self.read(|core| core.state.asks.get(hash).cloned());
        let open = open.filter(|o| o.expires_at > now).ok_or(Refusal::Missing("open question"))?;
        self.fetch_about(About::Incident(open.incident)).await?;
        self.read(|core| {
            let incident = core.state.incidents.get(&open.incident)?;
            let subject = core.state.subject(incident.subject)?;
            let (incident, name) = ((**incident).clone(), subject.name.clone());
            Some(Question { incident, name, expires_at: open.expires_at })
        })
        .ok_or(Refusal::Missing("open question"))
    }

    /// Takes the person's answer; the link is used up.
    pub(crate) async fn answer_asked(&self, hash: &str, reply: Reply) -> Result<(), Refusal> {
        let incident = self.asked(hash).await?.incident.id;
        let (result, written) = self.transact(|tx| {
            let (asked, case) = open(tx, hash).ok_or(Refusal::Already("answered"))?;
            if asked.expires_at <= tx.at {
                return Err(Refusal::Already("expired"));
            }
            if case.status == IncidentStatus::Closed {
                return Err(Refusal::Already("closed"));
            }
            let watch = (reply == Reply::Yes && !was_let_in(&case)).then(|| tx.at + WATCH);
            let channel = asked.channel;
            answered(tx, incident, asked, Some(reply), watch);
            if reply == Reply::No {
                self.disowned(tx, &case, channel);
            }
            Ok(())
        });
        written.await?;
        result
    }

    /// Links whose time is over.
    pub(super) fn asks_expired(&self, now: Time) {
        let due = |open: &OpenAsk| open.expires_at <= now;
        let due: Vec<String> = self.read(|core| {
            let asks = core.state.asks.iter();
            asks.filter(|(_, open)| due(open)).map(|(hash, _)| hash.clone()).collect()
        });
        for hash in due {
            let ((), _written) = self.transact(|tx| {
                let Some((asked, case)) = open(tx, &hash) else { return };
                answered(tx, case.id, asked, None, None);
            });
        }
    }
}

fn open(tx: &Tx<'_>, hash: &str) -> Option<(Asked, Incident)> {
    let state = &tx.core.state;
    let case = state.incidents.get(&state.asks.get(hash)?.incident)?;
    let asked = case.asked.iter().find(|asked| asked.hash == hash && !asked.closed)?;
    Some((asked.clone(), (**case).clone()))
}

fn answered(
    tx: &mut Tx<'_>,
    incident: IncidentId,
    asked: Asked,
    reply: Option<Reply>,
    lowered_watch_until: Option<Time>,
) {
    let Asked { hash, by, channel, .. } = asked;
    tx.push(Entry::PersonAnswered(Box::new(PersonAnswered {
        incident,
        hash,
        by,
        channel,
        reply,
        lowered_watch_until,
    })));
}

/// Whether somebody may be inside: then a "yes" may be theirs.
fn was_let_in(case: &Incident) -> bool {
    case.counts.approved > 0 || case.approval != ApprovalSeen::None
}

fn names(subject: &Subject) -> impl Iterator<Item = &str> {
    let aliases = subject.aliases.iter().filter_map(|alias| alias.0.strip_prefix("login:"));
    let logins = subject.accounts.iter().map(|account| account.login.as_str());
    aliases.chain(logins).chain([subject.name.as_str()])
}

/// Whether an address is one of the person's own, or lies where theirs do: whoever holds the account reads it.
fn is_under_attack(subject: &Subject, to: &str) -> bool {
    let to = to.trim().to_lowercase();
    names(subject).filter(|name| !name.is_empty()).any(|name| {
        let name = name.to_lowercase();
        let domain = name.split_once('@').map(|(_, domain)| domain.to_owned());
        to.contains(&name)
            || domain.is_some_and(|domain| !domain.is_empty() && to.contains(&domain))
    })
}
