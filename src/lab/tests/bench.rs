//! What the lab's tests work at: a lab, connections to it, and a clock that they move.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::connector::catalogue::Catalogue;
use crate::connector::connections::{Connections, Now, Ports};
use crate::lab::Lab;
use crate::lab::fault::{Fault, Switch};
use crate::lab::tenant::Tenant;
use crate::lab::world::System;
use crate::model::action::{Applied, Call, CallResult, ReadBack, Target};
use crate::model::subject::AccountKey;
use crate::model::time::Time;
use crate::secret::{Scrubber, Sources};

/// A lab, connections to it, and a clock that moves only when told to.
pub(super) struct Bench {
    pub(super) lab: Lab,
    pub(super) connections: Connections,
    seconds: Arc<AtomicI64>,
}

pub(super) fn bench() -> Bench {
    let seconds = Arc::new(AtomicI64::new(1_777_975_200));
    let held = seconds.clone();
    let clock: Now =
        Arc::new(move || Time::from_timestamp(held.load(Ordering::SeqCst), 0).unwrap());
    let lab = Lab::new(&Tenant::new("test"), clock.clone());
    let ports = Ports {
        clock,
        entropy: Arc::new(|bytes| bytes.fill(9)),
        sources: Sources::lab(),
        scrubber: Scrubber::default(),
        dial: lab.dial(),
    };
    let catalogue = Arc::new(Catalogue::builtin().unwrap());
    let options = lab.connections("http://127.0.0.1:8088");
    let connections = Connections::new(catalogue, options, ports).unwrap();
    Bench { lab, connections, seconds }
}

impl Bench {
    pub(super) fn wait(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(super) fn now(&self) -> Time {
        (self.lab.clock)()
    }

    pub(super) fn account(&self, connection: &str, login: &str) -> Value {
        let system = if connection == "okta" { System::Okta } else { System::Graph };
        let oracle = self.lab.oracle();
        let account = oracle.account(system, login).unwrap();
        json!({"connection": connection, "id": account.id, "login": login, "name": account.name,
            "status": account.now().status.to_lowercase(), "authority": account.authority,
            "privileged": account.privileged()})
    }

    pub(super) fn target(account: &Value) -> Target {
        Target {
            account: AccountKey {
                connection: account["connection"].as_str().unwrap().into(),
                provider_id: account["id"].as_str().unwrap().into(),
            },
            authority: serde_json::from_value(account["authority"].clone()).unwrap(),
            status: account["status"].as_str().unwrap().into(),
            privileged: account["privileged"].as_bool().unwrap(),
        }
    }

    pub(super) fn call(&self, capability: &str, account: &Value, more: Value) -> Call {
        let connection = account["connection"].as_str().unwrap().into();
        let target = Self::target(account);
        let spec = self.connections.resolve(capability, &connection, Some(&target)).unwrap();
        let mut inputs: std::collections::BTreeMap<String, Value> =
            serde_json::from_value(more).unwrap();
        let item = self.connections.signatures()[capability].item_input().unwrap().0.to_owned();
        inputs.entry(item).or_insert_with(|| account.clone());
        Call { connection, action: spec.id, inputs, key: "key-0123456789abcdef".into() }
    }

    pub(super) async fn apply(&self, call: &Call) -> (CallResult, ReadBack) {
        let sent_at = self.now();
        let result = self.connections.call(call).await;
        let applied = Applied { call: call.clone(), sent_at, output: result.output.clone() };
        (result, self.connections.read_back(&applied).await)
    }

    pub(super) fn desk(action: &str, inputs: Value) -> Call {
        Call {
            connection: "servicenow".into(),
            action: format!("servicenow/{action}").as_str().into(),
            inputs: serde_json::from_value(inputs).unwrap(),
            key: "key-0123456789abcdef".into(),
        }
    }

    pub(super) fn fault(&self, system: System, operation: &str, fault: Fault) {
        let operation = Some(operation.to_owned());
        self.lab.fault(Switch { system, operation, fault, times: Some(1) });
    }
}
