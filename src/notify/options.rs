//! `[notify]`: whom to tell about what, in which order, and how much of it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::model::id::ConnectionId;
use crate::model::notice::Topic;
use crate::model::oncall::Level;
use crate::model::time::Span;

/// `[notify]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// Messages of their own that one channel gets within `per`; what is more is gathered into one.
    pub(crate) budget: usize,
    pub(crate) per: Span,
    /// Who is next while a question stands unanswered, or when a channel cannot be told.
    pub(crate) ladder: Vec<Rung>,
    pub(crate) channels: BTreeMap<String, Channel>,
    /// Whether the tickets that runs open are told what people decide, and how containment goes.
    pub(crate) tickets: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            budget: 4,
            per: Span::minutes(10),
            ladder: Vec::new(),
            channels: BTreeMap::new(),
            tickets: true,
        }
    }
}

/// `[notify.channels.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Channel {
    pub(crate) connection: ConnectionId,
    /// The channel or person, as the connection's system names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    #[serde(default = "usual")]
    pub(crate) on: Vec<Topic>,
    /// How; left out: the first of these that the connection can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    /// Whose own address it is: they are told what is put to them, and of nothing else.
    #[serde(skip)]
    pub(super) own: Option<Own>,
}

/// A person's address among theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) person: String,
    /// The first is told; the next if that one cannot be.
    pub(super) turn: usize,
}

/// One of `tell` in `[people.NAME]`: where a person themselves is told that a question is put to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    pub(crate) connection: ConnectionId,
    /// The person, as the connection's system names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
}

impl Address {
    /// Why it cannot be told, if that is so. `can` is as in [`Options::problems`].
    pub(crate) fn problem(
        &self,
        can: impl Fn(&ConnectionId, &str) -> Option<bool>,
    ) -> Option<String> {
        let connection = &self.connection;
        if can(connection, "").is_none() {
            return Some(format!("the connection `{connection}` is not configured"));
        }
        let channel = Channel::from(self);
        match channel.kind(|capability| can(connection, capability) == Some(true)) {
            None | Some(Kind::Ticket) => {
                Some(format!("the connection `{connection}` cannot tell a person anything"))
            }
            // A connection's own place is everybody's.
            Some(Kind::Mail | Kind::Message) if self.to.is_none() => {
                Some(format!("the address at `{connection}` needs `to`, the person's own"))
            }
            Some(_) => None,
        }
    }
}

impl From<&Address> for Channel {
    fn from(address: &Address) -> Self {
        let Address { connection, to, kind } = address.clone();
        Self { connection, to, on: Vec::new(), kind, own: None }
    }
}

fn usual() -> Vec<Topic> {
    use Topic::{Approval, Breached, Expired, Parked, Pause, Refused, Undelivered};
    vec![Approval, Expired, Breached, Parked, Refused, Pause, Undelivered]
}

/// How a channel is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Message,
    Page,
    Mail,
    /// Into the ticket that a run opened for the case.
    Ticket,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Message, Self::Page, Self::Mail];

    /// The capability by which a connection tells so.
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Self::Message => "notify.message",
            Self::Page => "notify.page",
            Self::Mail => "notify.mail",
            Self::Ticket => "ticket.comment",
        }
    }
}

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rung {
    pub(crate) channel: String,
    /// How long a question stands before this channel is told of it.
    #[serde(default = "at_once")]
    pub(crate) after: Span,
    /// It is told once a question is put to this level of the rota, or to everybody, instead of after a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<Level>,
}

fn at_once() -> Span {
    Span::seconds(0)
}

impl Channel {
    /// How it is told, given what its connection `can`.
    pub(crate) fn kind(&self, can: impl Fn(&str) -> bool) -> Option<Kind> {
        match self.kind {
            Some(kind) => can(kind.capability()).then_some(kind),
            None => Kind::ALL.into_iter().find(|kind| can(kind.capability())),
        }
    }
}

impl Options {
    /// The channels that need no settings: a case's ticket hears of it, at every connection that takes comments.
    pub(crate) fn with_tickets(mut self, connections: Vec<ConnectionId>) -> Self {
        use Topic::{Breached, Contained, Decided, Expired};
        let known = |options: &Self, connection: &ConnectionId| {
            let mut channels = options.channels.values();
            channels.any(|c| c.connection == *connection && c.kind == Some(Kind::Ticket))
        };
        for connection in connections {
            if self.tickets && !known(&self, &connection) {
                let on = vec![Decided, Expired, Breached, Contained];
                let kind = Some(Kind::Ticket);
                let name = format!("ticket at {connection}");
                self.channels.insert(name, Channel { connection, to: None, on, kind, own: None });
            }
        }
        self
    }

    /// The channels that are people's own.
    pub(crate) fn with_people<'p>(
        mut self,
        people: impl IntoIterator<Item = (&'p str, &'p [Address])>,
    ) -> Self {
        for (person, addresses) in people {
            for (turn, address) in addresses.iter().enumerate() {
                let own = Some(Own { person: person.to_lowercase(), turn });
                let mut name = format!("{person} at {}", address.connection);
                if self.channels.contains_key(&name) {
                    name = format!("{name} ({})", turn + 1);
                }
                self.channels.insert(name, Channel { own, ..Channel::from(address) });
            }
        }
        self
    }

    /// A person's own channels, in the order in which they are told.
    pub(super) fn of_person(&self, person: &str) -> Vec<&String> {
        let own = |channel: &Channel| {
            channel.own.as_ref().filter(|own| own.person == person).map(|own| own.turn)
        };
        let mut found: Vec<(usize, &String)> =
            self.channels.iter().filter_map(|(name, c)| Some((own(c)?, name))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, name)| name).collect()
    }

    /// Whether a channel is a case's ticket.
    pub(super) fn is_ticket(&self, channel: &str) -> bool {
        self.channels.get(channel).is_some_and(|c| c.kind == Some(Kind::Ticket))
    }

    /// What is wrong, as a path below `notify` and words. `can` says whether a connection implements a
    /// capability; none: there is no such connection.
    pub(crate) fn problems(
        &self,
        can: impl Fn(&ConnectionId, &str) -> Option<bool>,
    ) -> Vec<(Vec<String>, String)> {
        let mut found = Vec::new();
        for (name, channel) in &self.channels {
            let at = |key: &str| vec!["channels".to_owned(), name.clone(), key.to_owned()];
            let connection = &channel.connection;
            if can(connection, "").is_none() {
                let text = format!(
                    "the channel `{name}` names the connection `{connection}`, which is not configured"
                );
                found.push((at("connection"), text));
                continue;
            }
            match channel.kind(|capability| can(connection, capability) == Some(true)) {
                None => {
                    let how = channel.kind.map_or("tell anybody", Kind::capability);
                    let text =
                        format!("the channel `{name}`: the connection `{connection}` cannot {how}");
                    found.push((at("connection"), text));
                }
                Some(Kind::Mail) if channel.to.is_none() => {
                    found.push((
                        at("connection"),
                        format!("the channel `{name}` needs `to`, an address"),
                    ));
                }
                Some(_) => {}
            }
        }
        self.ladder_problems(&mut found);
        if self.budget == 0 {
            found.push((vec!["budget".to_owned()], "`notify.budget` is at least 1".to_owned()));
        }
        found
    }

    fn ladder_problems(&self, found: &mut Vec<(Vec<String>, String)>) {
        let at = || vec!["ladder".to_owned()];
        let mut before = None;
        for (n, rung) in self.ladder.iter().enumerate() {
            let name = &rung.channel;
            if !self.channels.contains_key(name) {
                found.push((
                    at(),
                    format!("the ladder names the channel `{name}`, which is not configured"),
                ));
            }
            if self.is_ticket(name) {
                let text = format!("the ladder names `{name}`, a ticket: nobody is woken by one");
                found.push((at(), text));
            }
            if self.ladder[..n].iter().any(|earlier| earlier.channel == *name) {
                let text = format!(
                    "the ladder names `{name}` twice: the next one is told, not the same one again"
                );
                found.push((at(), text));
            }
            if rung.level.is_some() && !rung.after.delta().is_zero() {
                let text = format!("the rung `{name}` has both `after` and `level`: give one");
                found.push((at(), text));
            }
            if rung.level.is_none() && before.is_some_and(|before| rung.after < before) {
                found.push((
                    at(),
                    format!("the ladder goes up: `{name}` is told earlier than the rung before it"),
                ));
            }
            before = rung.level.map_or(Some(rung.after), |_| before);
        }
    }
}
