//! Metrics in the `OpenMetrics` text format, under the names that dashboards rely on.
//!
//! They are read off the engine's state when they are asked for; only what leaves no state is
//! counted as it happens.

mod keys;
mod people;
mod polls;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::driver::{Core, Engine, Standing};
use crate::jwks::Renewals;
use crate::model::approval::ApprovalState;
use crate::model::run::RunStatus;
use crate::model::time::Time;
use crate::notify::Meters as Notices;
use crate::poll::Meters;
use keys::Keys;
use people::People;
use polls::Polls;

type Labels<const N: usize> = [(&'static str, String); N];

/// All metrics. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    time_to_contain: Histogram,
    deliveries: Family<Labels<2>, Counter>,
    runs: Family<Labels<1>, Gauge>,
    attempts: Family<Labels<3>, Counter>,
    approvals_open: Gauge,
    commit: Histogram,
    queue: Family<Labels<1>, Gauge>,
    breakers: Family<Labels<1>, Gauge>,
    stored: Family<Labels<1>, Gauge>,
    index_behind: Gauge,
    panics: Counter,
    polls: Polls,
    keys: Keys,
    people: People,
    /// Containments that were counted.
    contained: Mutex<u64>,
}

impl Metrics {
    /// Containments before this process were counted by the one that ran then.
    pub(crate) fn new() -> Self {
        let time_to_contain =
            Histogram::new([1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0]);
        let commit =
            Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0]);
        let mut inner = Inner {
            registry: Registry::with_prefix("quell"),
            time_to_contain,
            deliveries: Family::default(),
            runs: Family::default(),
            attempts: Family::default(),
            approvals_open: Gauge::default(),
            commit,
            queue: Family::default(),
            breakers: Family::default(),
            stored: Family::default(),
            index_behind: Gauge::default(),
            panics: Counter::default(),
            polls: Polls::default(),
            keys: Keys::default(),
            people: People::default(),
            contained: Mutex::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// A delivery was answered.
    pub(crate) fn delivery(&self, source: &str, result: &str) {
        let labels = [("source", source.to_owned()), ("result", result.to_owned())];
        self.0.deliveries.get_or_create(&labels).inc();
    }

    /// A commit reached the disk.
    pub(crate) fn committed(&self, took: Duration) {
        self.0.commit.observe(took.as_secs_f64());
    }

    /// The data folder's parts, in bytes.
    pub(crate) fn stored(&self, parts: &[(&'static str, u64)]) {
        for (part, bytes) in parts {
            let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
            self.0.stored.get_or_create(&[("part", (*part).to_owned())]).set(bytes);
        }
    }

    /// Whether the index was given up until a restart.
    pub(crate) fn index_behind(&self, behind: bool) {
        self.0.index_behind.set(i64::from(behind));
    }

    /// Everything, as it stands now.
    pub(crate) fn text(
        &self,
        engine: &Engine,
        (polls, keys): (&Meters, &Renewals),
        notices: &Notices,
    ) -> String {
        self.0.polls.look(polls, engine.now());
        self.0.keys.look(keys, engine.now());
        self.0.people.look(engine, notices);
        self.0.panics.inner().store(engine.tasks().panicked(), Ordering::Relaxed);
        engine.read(|core| self.0.look(core, engine.now()));
        let mut out = String::new();
        // Writing to a string cannot fail.
        _ = encode(&mut out, &self.0.registry);
        out
    }
}

impl Inner {
    fn register(&mut self) {
        let seconds = || Unit::Seconds;
        let to = &mut self.registry;
        let help =
            "From an incident's opening, or its being opened again, to its verified containment";
        to.register_with_unit("time_to_contain", help, seconds(), self.time_to_contain.clone());
        to.register("deliveries", "Deliveries by source and result", self.deliveries.clone());
        to.register("runs", "Runs by status", self.runs.clone());
        to.register("step_attempts", "Attempts by what came of them", self.attempts.clone());
        to.register("approvals_open", "Questions that wait", self.approvals_open.clone());
        let help = "From handing a commit over to its being on disk";
        to.register_with_unit("commit", help, seconds(), self.commit.clone());
        to.register("queue_depth", "Runs that wait for a connection", self.queue.clone());
        let help = "0: it answers; 1: its breaker is open; 2: it asked to wait";
        to.register("breaker_state", help, self.breakers.clone());
        let help = "The data folder's parts";
        to.register_with_unit("store", help, Unit::Bytes, self.stored.clone());
        let help = "1 while the index is given up until a restart";
        to.register("index_behind", help, self.index_behind.clone());
        let help = "Errors in Quell itself that something under way met; 0 unless there is a bug";
        to.register("panics", help, self.panics.clone());
        self.polls.register(to);
        self.keys.register(to);
        self.people.register(to);
    }

    fn look(&self, core: &Core, now: Time) {
        let state = &core.state;
        let statuses = [
            RunStatus::Running,
            RunStatus::Waiting,
            RunStatus::Succeeded,
            RunStatus::Failed,
            RunStatus::Cancelled,
        ];
        let mut runs: BTreeMap<RunStatus, i64> = statuses.into_iter().map(|s| (s, 0)).collect();
        for run in state.live.iter().filter_map(|id| state.runs.get(id)) {
            *runs.entry(run.status).or_default() += 1;
        }
        for (status, count) in &state.ended {
            *runs.entry(*status).or_default() += i64::try_from(*count).unwrap_or(i64::MAX);
        }
        for (status, count) in runs {
            self.runs.get_or_create(&[("status", status.name().to_owned())]).set(count);
        }
        let open = state.approvals.values().filter(|a| a.state == ApprovalState::Pending).count();
        self.approvals_open.set(whole(open));
        for ((connector, action, outcome), count) in &core.tally {
            let labels = [
                ("connector", connector.clone()),
                ("action", action.clone()),
                ("outcome", outcome.clone()),
            ];
            self.attempts.get_or_create(&labels).inner().store(*count, Ordering::Relaxed);
        }
        for (severity, depth) in core.desk.depths() {
            let labels = [("priority", severity.name().to_owned())];
            self.queue.get_or_create(&labels).set(whole(depth));
        }
        for (connection, lane) in core.desk.connections() {
            let labels = [("connection", connection.to_string())];
            self.breakers.get_or_create(&labels).set(match lane.standing(now) {
                Standing::Answering => 0,
                Standing::NotAnswering => 1,
                Standing::AskedToWait => 2,
            });
        }
        self.containments(core);
    }

    fn containments(&self, core: &Core) {
        let mut counted = self.contained.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, took) = &core.contained;
        let new = usize::try_from(count - *counted).unwrap_or(usize::MAX);
        for took in took.iter().rev().take(new) {
            self.time_to_contain.observe(took.to_std().unwrap_or_default().as_secs_f64());
        }
        *counted = *count;
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_promised_names() {
        let metrics = Metrics::new();
        metrics.delivery("okta", "accepted");
        metrics.committed(Duration::from_millis(3));
        metrics.stored(&[("journal", 7)]);
        metrics.0.runs.get_or_create(&[("status", "running".to_owned())]).set(1);

        let mut text = String::new();
        encode(&mut text, &metrics.0.registry).unwrap();

        for line in [
            r#"quell_deliveries_total{source="okta",result="accepted"} 1"#,
            "quell_commit_seconds_count 1",
            r#"quell_store_bytes{part="journal"} 7"#,
            "quell_index_behind 0",
            "quell_panics_total 0",
            "quell_time_to_contain_seconds_count 0",
            "quell_approvals_open 0",
            r#"quell_runs{status="running"} 1"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
