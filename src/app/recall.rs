//! What the evidence log says of the time before the start: detection's windows, and answers.

use chrono::TimeDelta;
use serde::Deserialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::config::Config;
use crate::detect::{About, Detector, Rules, Told};
use crate::engine::driver::Engine;
use crate::engine::ingest::{Answer, window_key};
use crate::engine::ports::StoreError;
use crate::engine::state::State;
use crate::model::event::Event;
use crate::model::id::{ReceiptId, SourceId};
use crate::model::time::Time;
use crate::poll::Known;
use crate::server::Answers;
use crate::store::disk::DiskStore;

/// How far back detection looks.
const WINDOW: TimeDelta = TimeDelta::days(30);

/// How long a repeated delivery is answered the same.
const REPEATS: TimeDelta = TimeDelta::hours(24);

/// One line of the evidence log.
#[derive(Deserialize)]
struct Line {
    at: Time,
    receipt: ReceiptId,
    source: SourceId,
    delivery: String,
    event: Event,
}

/// What a provider's clock may be ahead by.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// Evidence this close to the log's end may have been written by a process that died before its
/// journal commit: it is weighed again, not only remembered.
const TAIL: TimeDelta = TimeDelta::seconds(60);

/// Events whose consequences the journal may lack, by source, oldest first.
pub(crate) type Tail = Vec<(SourceId, Event)>;

/// What the evidence log tells at a start.
pub(crate) struct Recalled {
    pub(crate) detector: Detector,
    pub(crate) tail: Tail,
    /// What polled sources have taken in that their next poll is given again.
    pub(crate) known: BTreeMap<SourceId, Known>,
}

/// Has the engine weigh again what its journal may lack.
pub(crate) async fn weigh(engine: &Engine, config: &Config, tail: Tail) -> Result<(), StoreError> {
    for (source, event) in tail {
        if let Some(view) = config.sources.get(&source).map(|s| s.view(&source)) {
            engine.weigh_again(view, event).await?;
        }
    }
    Ok(())
}

/// Detection's windows, what polls know already, and what the deliveries of the last day were answered.
pub(crate) async fn windows(
    config: &Config,
    store: &Arc<DiskStore>,
    rules: Rules,
    (now, state): (Time, &State),
    answers: &Answers,
) -> Result<Recalled, StoreError> {
    let (config, evidence, answers) = (config.clone(), store.evidence(), answers.clone());
    let mut polled = polled(&config, state);
    super::off_runtime(move || {
        let mut detector = Detector::default().under(rules);
        let mut replay = evidence.replay(now - WINDOW)?;
        let mut held: VecDeque<Line> = VecDeque::new();
        for value in replay.by_ref() {
            // A line that an older or newer program wrote costs only itself.
            let Ok(line) = serde_json::from_value::<Line>(value?) else { continue };
            if line.at >= now - REPEATS {
                count(&answers, &line);
            }
            if let Some((from, known)) = polled.get_mut(&line.source)
                && line.at >= *from
            {
                known.event(&line.event.id, line.at);
            }
            held.push_back(line);
            let end = held.back().map_or(now, |l| l.at);
            while held.front().is_some_and(|l| l.at < end - TAIL) {
                if let Some(line) = held.pop_front() {
                    take(&mut detector, &config, &line);
                }
            }
        }
        if replay.torn > 0 {
            tracing::warn!("Passed over {} unreadable lines of the evidence log", replay.torn);
        }
        let tail = held.into_iter().map(|line| (line.source, line.event)).collect();
        let known = polled.into_iter().map(|(source, (_, known))| (source, known)).collect();
        Ok(Recalled { detector, tail, known })
    })
    .await
}

/// Polled sources, each with the receipt from which on its next poll may be given a record again. A record is
/// received after its own time, but for what clocks differ by.
fn polled(config: &Config, state: &State) -> BTreeMap<SourceId, (Time, Known)> {
    let each = config.sources.iter().filter_map(|(id, source)| {
        let (poll, cursor) = (source.poll.as_ref()?, state.polls.get(id)?);
        let from = cursor.through - poll.overlap.delta() - SKEW;
        Some((id.clone(), (from, Known::default())))
    });
    each.collect()
}

/// Signals are dropped: what an event led to is in the journal already.
fn take(detector: &mut Detector, config: &Config, line: &Line) {
    let Some(source) = config.sources.get(&line.source) else { return };
    let source = source.view(&line.source);
    let key = window_key(&source, &line.event.account);
    let told = Told { source: &line.source, may_cause: source.may_cause };
    let about = About { now: line.at, told: Some(told), ..About::default() };
    detector.remember(&key, &line.event, &about);
}

fn count(answers: &Answers, line: &Line) {
    let known = answers.get(&line.source, &line.delivery);
    let mut answer = known.filter(|a| a.receipt == line.receipt).unwrap_or(Answer {
        receipt: line.receipt,
        duplicate: false,
        accepted: 0,
        rejected: Vec::new(),
        incidents: Vec::new(),
        references: Vec::new(),
        reply: None,
    });
    answer.duplicate = false;
    answer.accepted += 1;
    answers.put(&line.source, &line.delivery, answer);
}
