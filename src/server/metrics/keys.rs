//! The metrics of transmitters' keys, read off their meters.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::Ordering;

use super::Labels;
use crate::jwks::{Meter, Renewals};
use crate::model::time::Time;

/// One family for each thing that is measured.
#[derive(Default)]
pub(super) struct Keys {
    age: Family<Labels<1>, Gauge>,
    known: Family<Labels<1>, Gauge>,
    failing: Family<Labels<1>, Gauge>,
    reads: Family<Labels<1>, Counter>,
    failures: Family<Labels<2>, Counter>,
}

impl Keys {
    pub(super) fn register(&self, to: &mut Registry) {
        let help = "Since the keys of a transmitter that count now were read";
        to.register_with_unit("jwks_age", help, Unit::Seconds, self.age.clone());
        to.register("jwks_keys", "Keys of a transmitter that are believed", self.known.clone());
        let help = "Failures since the keys of a transmitter were last read";
        to.register("jwks_failing", help, self.failing.clone());
        to.register("jwks_reads", "Key sets of transmitters that were read", self.reads.clone());
        let help = "Key sets that were not read, or not kept, by kind";
        to.register("jwks_failures", help, self.failures.clone());
    }

    pub(super) fn look(&self, renewals: &Renewals, now: Time) {
        for (source, meter) in renewals.meters() {
            self.one(source.as_str(), &meter, now);
        }
    }

    fn one(&self, source: &str, meter: &Meter, now: Time) {
        let label = || [("source", source.to_owned())];
        if let Some(read_at) = meter.read_at {
            self.age.get_or_create(&label()).set((now - read_at).num_seconds().max(0));
        }
        let keys = i64::try_from(meter.keys).unwrap_or(i64::MAX);
        self.known.get_or_create(&label()).set(keys);
        self.failing.get_or_create(&label()).set(i64::from(meter.in_a_row));
        self.reads.get_or_create(&label()).inner().store(meter.reads, Ordering::Relaxed);
        for (kind, count) in &meter.failures {
            let labels = [("source", source.to_owned()), ("kind", (*kind).to_owned())];
            self.failures.get_or_create(&labels).inner().store(*count, Ordering::Relaxed);
        }
    }
}
