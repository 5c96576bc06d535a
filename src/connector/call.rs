//! Makes calls and looks at what came of them: the engine's `Actions` port in all but name.
//!
//! What decides is elsewhere and pure (`request`, `response`, `proof`), and what sends is
//! `exchange`; this file strings them together. Knows no HTTP.

use serde_json::Value;
use zeroize::Zeroizing;

use super::catalogue::Described;
use super::connections::{Connection, Connections, Ports};
use super::exchange::{Came, Sending};
use super::input;
use super::manifest::{Action, Look, Verify};
use super::proof;
use super::request::{self, Given};
use crate::model::action::{Applied, Call, CallResult, Outcome, ReadBack, Repeat};
use crate::model::time::Time;
use crate::secret::{Scrubber, SecretString};

impl Connections {
    /// Makes a call. Returns within the action's timeout, whatever happens.
    pub(crate) async fn call(&self, call: &Call) -> CallResult {
        let result = self.attempt(call, (self.ports.clock)()).await;
        self.scrubbed(result)
    }

    /// Reads back whether `applied` is so. For `repeat: verify` in doubt, looks for what the call would have made.
    pub(crate) async fn read_back(&self, applied: &Applied) -> ReadBack {
        let unread = |problem: String| ReadBack::Unread { problem, retry_after: None };
        let Some((connection, described, action)) = self.find(&applied.call) else {
            return unread(missing(&applied.call));
        };
        let in_doubt = applied.output.is_null() && action.repeat == Repeat::Verify;
        let look = match (&action.find, &action.verify) {
            (Some(find), _) if in_doubt => find,
            (_, Some(Verify::Look(look))) => look,
            (_, Some(Verify::None { none })) => return unread(none.clone()),
            (_, None) => return unread("it changes nothing".into()),
        };
        match given(connection, described, action, &applied.call, applied.sent_at) {
            Ok(given) => self.look(connection, described, look, &given, &applied.output).await,
            Err(problem) => unread(problem),
        }
    }

    /// Whether what the call would bring about already is so; `None` if it cannot be told.
    pub(crate) async fn already_so(&self, call: &Call) -> Option<bool> {
        let (connection, described, action) = self.find(call)?;
        let look = action.already_so.as_ref()?;
        let given = given(connection, described, action, call, (self.ports.clock)()).ok()?;
        match self.look(connection, described, look, &given, &Value::Null).await {
            ReadBack::Holds { .. } => Some(true),
            ReadBack::Fails { .. } => Some(false),
            ReadBack::Unread { .. } => None,
        }
    }

    fn find(&self, call: &Call) -> Option<(&Connection, &Described, &Action)> {
        let connection = self.get(&call.connection)?;
        if call.action.connector() != connection.options.connector {
            return None;
        }
        let (described, action) = self.catalogue.action(call.action.as_str())?;
        Some((connection, described, action))
    }

    async fn attempt(&self, call: &Call, now: Time) -> CallResult {
        let Some((connection, described, action)) = self.find(call) else {
            return CallResult::failed(Outcome::NotSent, missing(call));
        };
        if let Some(wait) = paced(connection, described, action, now) {
            return wait;
        }
        let mut given = match given(connection, described, action, call, now) {
            Ok(given) => given,
            Err(problem) => return CallResult::failed(Outcome::Refused, problem),
        };
        let password = request::makes_password(action).then(|| password(&self.ports));
        given.password = password.as_ref().map(|p| p.as_str());
        let sending = Sending { connection, given };
        let limit = action.limits.timeout.duration();
        let whole = async {
            match (self.send(&sending).await, &action.already_so) {
                (Came::Unclear(refused), Some(look)) => {
                    self.settle(connection, described, look, &sending.given, refused).await
                }
                (Came::Final(result) | Came::Unclear(result), _) => result,
            }
        };
        let result = tokio::time::timeout(limit, whole).await.unwrap_or_else(|_| {
            let why = format!("no answer within {}", action.limits.timeout);
            CallResult::failed(Outcome::Unknown, why)
        });
        match &password {
            // Known here and nowhere else, so it is taken out here and then forgotten.
            Some(password) => {
                let once = Scrubber::default();
                once.register(&SecretString::new("generated-password", password.to_string()));
                scrub(&once, result)
            }
            None => result,
        }
    }

    /// A refusal that may mean "it is so already": looks, and believes what it sees.
    async fn settle(
        &self,
        connection: &Connection,
        described: &Described,
        look: &Look,
        given: &Given<'_>,
        refused: CallResult,
    ) -> CallResult {
        match self.look(connection, described, look, given, &Value::Null).await {
            ReadBack::Holds { .. } => CallResult {
                outcome: Outcome::Unchanged,
                status: refused.status,
                ..CallResult::done(Value::Object(serde_json::Map::new()))
            },
            ReadBack::Fails { .. } => refused,
            ReadBack::Unread { .. } => CallResult { outcome: Outcome::Unknown, ..refused },
        }
    }

    /// Reads with another action of the same connector, and judges what it shows.
    async fn look(
        &self,
        connection: &Connection,
        described: &Described,
        look: &Look,
        given: &Given<'_>,
        applied: &Value,
    ) -> ReadBack {
        let unread = |problem: String| ReadBack::Unread { problem, retry_after: None };
        let Some(read) = described.actions.get(&look.action) else {
            return unread(format!("there is no action `{}`", look.action));
        };
        let inputs = match proof::inputs(look, given, applied, read.inputs.contains_key("account"))
        {
            Ok(inputs) => inputs,
            Err(error) => return unread(error.to_string()),
        };
        let call = Call {
            connection: connection.id.clone(),
            action: format!("{}/{}", connection.options.connector, read.action).as_str().into(),
            inputs,
            key: given.key.to_owned(),
        };
        let read = Box::pin(self.attempt(&call, (self.ports.clock)())).await;
        proof::judge(look, given, applied, self.scrubbed(read))
    }

    /// Takes every known secret out of what leaves the connector.
    fn scrubbed(&self, result: CallResult) -> CallResult {
        scrub(&self.ports.scrubber, result)
    }
}

fn scrub(scrubber: &Scrubber, mut result: CallResult) -> CallResult {
    result.output = scrubber.value(result.output);
    result.problem = result.problem.map(|problem| scrubber.text(&problem));
    result
}

/// The wait that the vendor's rate asks for, if it is used up.
fn paced(
    connection: &Connection,
    described: &Described,
    action: &Action,
    now: Time,
) -> Option<CallResult> {
    let own = action.limits.rate.map(|rate| (action.action.as_str(), rate));
    let all = described.manifest.limits.rate.map(|rate| ("", rate));
    let early = |(under, rate)| connection.pace.admit(under, rate, now).err();
    let why = "held back to keep the rate that the vendor allows";
    let (wait, held_back) = match own.and_then(early) {
        Some(wait) => (wait, true),
        None => (all.and_then(early)?, false),
    };
    let throttled = CallResult::failed(Outcome::Throttled, why);
    Some(CallResult { retry_after: Some(wait), held_back, ..throttled })
}

fn missing(call: &Call) -> String {
    format!("the connection `{}` has no action `{}`", call.connection, call.action)
}

fn given<'a>(
    connection: &'a Connection,
    described: &'a Described,
    action: &'a Action,
    call: &'a Call,
    sent_at: Time,
) -> Result<Given<'a>, String> {
    Ok(Given {
        connector: &described.manifest,
        action,
        settings: &connection.settings,
        inputs: input::complete(&action.inputs, &call.inputs)?,
        key: &call.key,
        sent_at,
        password: None,
    })
}

/// A password that nobody will ever see: long, unique, of every class that policies ask for.
fn password(ports: &Ports) -> Zeroizing<String> {
    const CLASSES: [&[u8]; 4] =
        [b"ABCDEFGHJKLMNPQRSTUVWXYZ", b"abcdefghijkmnopqrstuvwxyz", b"23456789", b"!#%*+-=?@_"];
    let mut random = Zeroizing::new([0_u8; 48]);
    (ports.entropy)(random.as_mut());
    let text = random.iter().enumerate().map(|(n, byte)| {
        let class = CLASSES[n % CLASSES.len()];
        char::from(class[usize::from(*byte) % class.len()])
    });
    Zeroizing::new(text.collect())
}
