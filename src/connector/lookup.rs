//! Finds the accounts behind names, over all given connections: the engine's `Directory` port in all but name.
//!
//! Accounts are linked by what administrators control: an immutable id, a sign-in name, an
//! employee id. A mail address alone links weakly, and is marked so.

use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;

use super::connections::{Connection, Connections};
use crate::model::action::{Call, CallResult, Outcome};
use crate::model::id::ConnectionId;
use crate::model::subject::{Account, Alias, Authority, Link};
use crate::model::time::{Span, Time};

/// The longest that one connection takes part in a look-up's stage: several calls' time.
const PATIENCE: Span = Span::seconds(30);
/// The same where somebody waits for what the others know.
const SOON: Span = Span::seconds(3);

/// What looking names up gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Looked {
    pub(crate) name: Option<String>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) aliases: Vec<Alias>,
    /// Connections that could not be asked, with why.
    pub(crate) unread: Vec<(ConnectionId, String)>,
}

/// An account with what further look-ups link by.
#[derive(Debug, Clone)]
struct Hit {
    account: Account,
    employee_id: Option<String>,
    mail: Option<String>,
}

/// What one connection answered.
#[derive(Default)]
struct Answers {
    hits: Vec<Hit>,
    unread: Vec<String>,
}

impl Connections {
    /// The accounts that `aliases` name on `connections`, and those that are linked to them.
    pub(crate) async fn look_up(&self, aliases: &[Alias], connections: &[ConnectionId]) -> Looked {
        self.looked_up(aliases, connections, PATIENCE).await
    }

    /// The same, but a connection that takes long to answer is told as unread.
    pub(crate) async fn look_up_soon(
        &self,
        aliases: &[Alias],
        connections: &[ConnectionId],
    ) -> Looked {
        self.looked_up(aliases, connections, SOON).await
    }

    async fn looked_up(
        &self,
        aliases: &[Alias],
        connections: &[ConnectionId],
        patience: Span,
    ) -> Looked {
        let asked: Vec<&Connection> = connections
            .iter()
            .filter_map(|id| self.get(id))
            .filter(|c| {
                !self.catalogue.implementing(&c.options.connector, "identity.get_user").is_empty()
            })
            .collect();
        let named = asked.iter().map(|c| within(patience, self.by_alias(c, aliases)));
        let mut answers = join_all(named).await;
        let known: Vec<Hit> = answers.iter().flat_map(|a| a.hits.clone()).collect();
        let linked = asked.iter().zip(&answers).map(|(connection, answer)| async {
            // Who has not answered once is not asked a second time.
            if answer.hits.is_empty() && answer.unread.is_empty() {
                within(patience, self.by_link(connection, &known)).await
            } else {
                Answers::default()
            }
        });
        let linked = join_all(linked).await;
        for (answer, more) in answers.iter_mut().zip(linked) {
            answer.hits.extend(more.hits);
            answer.unread.extend(more.unread);
        }
        let roles = asked.iter().zip(&mut answers).map(|(c, answer)| async {
            let read = tokio::time::timeout(patience.duration(), self.with_roles(c, answer)).await;
            if read.is_err() {
                answer.unread.push(format!("roles: no answer within {patience}"));
            }
        });
        join_all(roles).await;
        collect(&asked, answers)
    }

    async fn by_alias(&self, connection: &Connection, aliases: &[Alias]) -> Answers {
        let mut out = Answers::default();
        let own = format!("id:{}:", connection.id);
        for alias in aliases {
            if let Some(login) = alias.0.strip_prefix("login:") {
                let inputs = [("login", json!(login))];
                self.list(connection, inputs, Link::Strong, &mut out).await;
            } else if let Some(id) = alias.0.strip_prefix(&own) {
                let inputs = [("account", json!({"connection": connection.id, "id": id}))];
                let result = self.read(connection, "identity.get_user", inputs).await;
                match succeeded(&result) {
                    Ok(()) => out.hits.extend(self.hit(connection, &result.output, Link::Strong)),
                    Err(_) if result.status == Some(404) => {}
                    Err(why) => out.unread.push(why),
                }
            }
        }
        dedupe(&mut out.hits);
        out
    }

    /// Accounts linked to those already found elsewhere: by employee id, else weakly by mail address.
    async fn by_link(&self, connection: &Connection, known: &[Hit]) -> Answers {
        let mut out = Answers::default();
        for hit in known {
            if let Some(employee) = &hit.employee_id {
                let inputs = [("employee_id", json!(employee))];
                self.list(connection, inputs, Link::Strong, &mut out).await;
            }
        }
        if out.hits.is_empty() {
            for mail in known.iter().filter_map(|hit| hit.mail.as_ref()) {
                self.list(connection, [("mail", json!(mail))], Link::Weak, &mut out).await;
            }
        }
        dedupe(&mut out.hits);
        out
    }

    async fn list<const N: usize>(
        &self,
        connection: &Connection,
        inputs: [(&str, Value); N],
        link: Link,
        out: &mut Answers,
    ) {
        let result = self.read(connection, "identity.list_accounts", inputs).await;
        match succeeded(&result) {
            Ok(()) => {
                let found = result.output["accounts"].as_array().into_iter().flatten();
                out.hits.extend(found.filter_map(|a| self.hit(connection, a, link)));
            }
            Err(why) => out.unread.push(why),
        }
    }

    async fn with_roles(&self, connection: &Connection, answer: &mut Answers) {
        for hit in &mut answer.hits {
            let account = json!({"connection": connection.id, "id": hit.account.provider_id});
            let result = self.read(connection, "identity.list_roles", [("account", account)]).await;
            match succeeded(&result) {
                Ok(()) => hit.account.privileged = result.output["privileged"] == Value::Bool(true),
                Err(why) => answer.unread.push(format!("roles: {why}")),
            }
        }
    }

    async fn read<const N: usize>(
        &self,
        connection: &Connection,
        capability: &str,
        inputs: [(&str, Value); N],
    ) -> CallResult {
        match self.resolve(capability, &connection.id, None) {
            Err(_) => CallResult::failed(Outcome::NotSent, format!("{capability} is not offered")),
            Ok(spec) => {
                let inputs: BTreeMap<String, Value> =
                    inputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                let connection = connection.id.clone();
                self.call(&Call { connection, action: spec.id, inputs, key: "look-up".into() })
                    .await
            }
        }
    }

    fn hit(&self, connection: &Connection, output: &Value, link: Link) -> Option<Hit> {
        hit(&connection.id, output, link, (self.ports.clock)())
    }
}

/// What came in time; the others' answers are not kept waiting.
async fn within(patience: Span, asking: impl Future<Output = Answers>) -> Answers {
    tokio::time::timeout(patience.duration(), asking).await.unwrap_or_else(|_| Answers {
        hits: Vec::new(),
        unread: vec![format!("no answer within {patience}")],
    })
}

fn succeeded(result: &CallResult) -> Result<(), String> {
    match result.outcome {
        Outcome::Done | Outcome::Unchanged => Ok(()),
        _ => Err(result.problem.clone().unwrap_or_else(|| "it could not be read".into())),
    }
}

fn hit(connection: &ConnectionId, output: &Value, link: Link, read_at: Time) -> Option<Hit> {
    let text = |name: &str| output[name].as_str().filter(|t| !t.is_empty()).map(str::to_owned);
    let authority = serde_json::from_value::<Authority>(output["authority"].clone());
    let account = Account {
        connection: connection.clone(),
        provider_id: text("provider_id")?,
        login: text("login").unwrap_or_default(),
        name: text("name").unwrap_or_default(),
        authority: authority.unwrap_or_default(),
        status: text("status").unwrap_or_default(),
        privileged: false,
        protected: false,
        link,
        roles_unread: false,
        read_at,
    };
    Some(Hit { account, employee_id: text("employee_id"), mail: text("mail") })
}

fn dedupe(hits: &mut Vec<Hit>) {
    let mut seen = std::collections::BTreeSet::new();
    hits.retain(|hit| seen.insert(hit.account.provider_id.clone()));
}

fn collect(asked: &[&Connection], answers: Vec<Answers>) -> Looked {
    let mut out = Looked::default();
    for (connection, answer) in asked.iter().zip(answers) {
        for hit in answer.hits {
            let account = hit.account;
            if out.name.is_none() && !account.name.is_empty() {
                out.name = Some(account.name.clone());
            }
            // A weak link finds an account; its names must not pull further records in.
            if account.link == Link::Strong {
                out.aliases.push(Alias::account(&account.key()));
                if !account.login.is_empty() {
                    out.aliases.push(Alias::login(&account.login));
                }
            }
            out.accounts.push(account);
        }
        if !answer.unread.is_empty() {
            out.unread.push((connection.id.clone(), answer.unread.join("; ")));
        }
    }
    out.aliases.sort();
    out.aliases.dedup();
    out
}
