//! The metrics of telling people: what each channel was told, of what nobody could be told, and who says who is on call.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::Ordering;

use super::{Labels, whole};
use crate::approval::rota::Source;
use crate::engine::driver::Engine;
use crate::model::approval::ApprovalState;
use crate::notify::Meters;

/// One family for each thing that is measured.
#[derive(Default)]
pub(super) struct People {
    notices: Family<Labels<2>, Counter>,
    untold: Gauge,
    /// 1 for whichever names the lower levels.
    source: Family<Labels<1>, Gauge>,
    age: Family<Labels<1>, Gauge>,
}

impl People {
    pub(super) fn register(&self, to: &mut Registry) {
        let help = "What channels were told, by what came of it";
        to.register("notices", help, self.notices.clone());
        let help = "Questions that wait and stand longer because nobody could be told of them";
        to.register("approvals_untold", help, self.untold.clone());
        let help = "Who says who is on call at the lower levels: 1 for `pager` or `rota`";
        to.register("oncall_source", help, self.source.clone());
        let help = "Since the pager last said who is on call";
        to.register_with_unit("oncall_age", help, Unit::Seconds, self.age.clone());
    }

    pub(super) fn look(&self, engine: &Engine, notices: &Meters) {
        for ((channel, result), count) in notices.all() {
            let labels = [("channel", channel), ("result", result.to_owned())];
            self.notices.get_or_create(&labels).inner().store(count, Ordering::Relaxed);
        }
        let oncall = &engine.policy().oncall;
        let now = engine.now();
        let (untold, source) = engine.read(|core| {
            let pending = core.state.approvals.values();
            let untold = pending.filter(|q| q.state == ApprovalState::Pending && q.untold > 0);
            (untold.count(), core.roster.source(oncall.stale, now))
        });
        self.untold.set(whole(untold));
        let Some(pager) = &oncall.pager else { return };
        let (believed, at) = match source {
            Source::Pager { at } => (1, Some(at)),
            Source::Fallback { at, .. } => (0, at),
        };
        for (name, value) in [("pager", believed), ("rota", 1 - believed)] {
            self.source.get_or_create(&[("source", name.to_owned())]).set(value);
        }
        if let Some(at) = at {
            let label = [("connection", pager.to_string())];
            self.age.get_or_create(&label).set((now - at).num_seconds().max(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn notices_are_counted_by_channel_and_result() {
        let people = People::default();
        let mut registry = Registry::with_prefix("quell");
        people.register(&mut registry);
        let labels = [("channel", "soc".to_owned()), ("result", "failed".to_owned())];
        people.notices.get_or_create(&labels).inc();

        let mut text = String::new();
        encode(&mut text, &registry).unwrap();

        let line = r#"quell_notices_total{channel="soc",result="failed"} 1"#;
        assert!(text.contains(line) && text.contains("quell_approvals_untold 0"), "{text}");
    }
}
