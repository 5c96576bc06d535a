//! The metrics of polled sources, read off their meters.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::Ordering;

use super::Labels;
use crate::model::time::Time;
use crate::poll::{Meter, Meters};

/// One family for each thing that is measured.
#[derive(Default)]
pub(super) struct Polls {
    age: Family<Labels<1>, Gauge>,
    lag: Family<Labels<1>, Gauge>,
    late: Family<Labels<1>, Gauge>,
    failing: Family<Labels<1>, Gauge>,
    records: Family<Labels<2>, Counter>,
    pages: Family<Labels<1>, Counter>,
    failures: Family<Labels<2>, Counter>,
}

impl Polls {
    pub(super) fn register(&self, to: &mut Registry) {
        let help = "Since a polled log was last read to its end, or since the start";
        to.register_with_unit("poll_success_age", help, Unit::Seconds, self.age.clone());
        let help = "Receipt less the newest record's time, when there last was a new one";
        to.register_with_unit("poll_lag", help, Unit::Seconds, self.lag.clone());
        let help = "The latest that a record came behind newer ones: keep the overlap above it";
        to.register_with_unit("poll_late", help, Unit::Seconds, self.late.clone());
        to.register("poll_failing", "Failures since a log was last read", self.failing.clone());
        let help = "What polled records state: new, known from an earlier poll, or not understood";
        to.register("poll_records", help, self.records.clone());
        to.register("poll_pages", "Pages of polled logs", self.pages.clone());
        to.register("poll_failures", "Polls that failed, by kind", self.failures.clone());
    }

    pub(super) fn look(&self, meters: &Meters, now: Time) {
        for (source, meter) in meters.all() {
            self.one(source.as_str(), &meter, now);
        }
    }

    fn one(&self, source: &str, meter: &Meter, now: Time) {
        let label = || [("source", source.to_owned())];
        if let Some(since) = meter.succeeded_at.or(meter.began_at) {
            self.age.get_or_create(&label()).set((now - since).num_seconds().max(0));
        }
        if let Some(lag) = meter.lag {
            self.lag.get_or_create(&label()).set(lag.delta().num_seconds());
        }
        if let Some(late) = meter.late {
            self.late.get_or_create(&label()).set(late.delta().num_seconds());
        }
        self.failing.get_or_create(&label()).set(i64::from(meter.in_a_row));
        let results = [("new", meter.taken), ("known", meter.known), ("rejected", meter.rejected)];
        for (result, count) in results {
            let labels = [("source", source.to_owned()), ("result", result.to_owned())];
            self.records.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
        }
        self.pages.get_or_create(&label()).inner().store(meter.pages, Ordering::Relaxed);
        for (kind, count) in &meter.failures {
            let labels = [("source", source.to_owned()), ("kind", (*kind).to_owned())];
            self.failures.get_or_create(&labels).inner().store(*count, Ordering::Relaxed);
        }
    }
}
