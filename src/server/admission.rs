//! Who may be served next: a share for each source, so that a flood waits behind its own kind.
//!
//! Two gates, both bounded. A body is read only as far as its bytes fit ([`Admission::room`]); what
//! was read waits its turn ([`Admission::turn`]), and the source that was given least goes
//! first. Beyond either, the sender is told to come back. Knows no HTTP and no engine.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Bytes of bodies held at once, being read, waiting or served: 64 MiB.
const BYTES: usize = 64 << 20;
/// Of these, what one source may hold: half.
const BYTES_PER_SOURCE: usize = BYTES / 2;
/// Weight that is served at once. A delivery weighs 1, and 1 more for every 64 KiB.
const SERVED: usize = 128;
/// Of this, what one source may use: three quarters, so that another always finds room.
pub(super) const SERVED_PER_SOURCE: usize = SERVED / 4 * 3;
/// Deliveries of one source that wait.
pub(super) const WAITING_PER_SOURCE: usize = 256;

/// Why a delivery is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// No room for another body.
    Bytes,
    /// As many of its source's deliveries wait as may.
    Queue,
}

/// The two gates. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Admission(Arc<Mutex<Desk>>);

#[derive(Default)]
struct Desk {
    bytes: usize,
    served: usize,
    /// By source. A source without anything here is forgotten, so there are as many as are active.
    shares: BTreeMap<String, Share>,
}

#[derive(Default)]
struct Share {
    bytes: usize,
    served: usize,
    waiting: VecDeque<Waiting>,
    /// All weight that it was given; newcomers begin where the least of the others is.
    given: usize,
}

struct Waiting {
    weight: usize,
    told: oneshot::Sender<Turn>,
}

/// Room for a body; given back when it is dropped.
#[must_use]
pub(super) struct Room {
    at: Admission,
    source: String,
    bytes: usize,
}

/// A place among those that are served; given back when it is dropped.
#[must_use]
pub(super) struct Turn {
    at: Admission,
    source: String,
    weight: usize,
}

impl Admission {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a body of which nothing is read yet. What is declared takes no room, so that
    /// promises which are not kept keep nobody out.
    pub(super) fn room(&self, source: &str) -> Room {
        Room { at: self.clone(), source: source.to_owned(), bytes: 0 }
    }

    /// Returns when a delivery of `bytes` may be served: at once while there is room.
    pub(super) async fn turn(&self, source: &str, bytes: usize) -> Result<Turn, Full> {
        let told = self.queue(source, bytes)?;
        // The other end is dropped only with the desk, and this holds the desk.
        told.await.map_err(|_| Full::Queue)
    }

    /// Stands in the queue; the receiver has the turn as soon as it is given.
    fn queue(&self, source: &str, bytes: usize) -> Result<oneshot::Receiver<Turn>, Full> {
        let weight = (1 + bytes / (64 << 10)).min(SERVED_PER_SOURCE);
        let (told, turn) = oneshot::channel();
        let mut desk = self.desk();
        let share = desk.share(source);
        if share.waiting.len() >= WAITING_PER_SOURCE {
            return Err(Full::Queue);
        }
        share.waiting.push_back(Waiting { weight, told });
        drop(desk);
        self.serve();
        Ok(turn)
    }

    /// Gives turns away as long as there are any.
    fn serve(&self) {
        loop {
            let next = self.desk().next();
            let Some((source, waiting)) = next else { return };
            let turn = Turn { at: self.clone(), source, weight: waiting.weight };
            // Whoever went away meanwhile gives it back by not taking it.
            drop(waiting.told.send(turn));
        }
    }
}

impl Desk {
    fn share(&mut self, source: &str) -> &mut Share {
        if !self.shares.contains_key(source) {
            // One less, so that whoever comes anew goes before those that were here.
            let given = self.shares.values().map(|s| s.given).min().unwrap_or_default();
            let given = given.saturating_sub(1);
            self.shares.insert(source.to_owned(), Share { given, ..Share::default() });
        }
        self.shares.entry(source.to_owned()).or_default()
    }

    /// The first of the source that was given least, if its weight fits.
    fn next(&mut self) -> Option<(String, Waiting)> {
        let room = SERVED - self.served;
        let (source, share) = self
            .shares
            .iter_mut()
            .filter(|(_, share)| {
                let first = share.waiting.front();
                first.is_some_and(|w| share.served + w.weight <= SERVED_PER_SOURCE)
            })
            .min_by_key(|(_, share)| share.given)?;
        // What does not fit now is not overtaken by what is lighter: it would wait for ever.
        let waiting = share.waiting.pop_front_if(|first| first.weight <= room)?;
        share.served += waiting.weight;
        share.given += waiting.weight;
        self.served += waiting.weight;
        Some((source.clone(), waiting))
    }

    fn tidy(&mut self, source: &str) {
        let idle = |s: &Share| s.bytes == 0 && s.served == 0 && s.waiting.is_empty();
        if self.shares.get(source).is_some_and(idle) {
            self.shares.remove(source);
        }
    }
}

impl Room {
    /// Makes room for so many bytes more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let mut desk = self.at.desk();
        let held = desk.bytes + bytes;
        let share = desk.share(&self.source);
        if share.bytes + bytes > BYTES_PER_SOURCE || held > BYTES {
            desk.tidy(&self.source);
            return Err(Full::Bytes);
        }
        share.bytes += bytes;
        desk.bytes = held;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut desk = self.at.desk();
        desk.bytes -= self.bytes;
        desk.share(&self.source).bytes -= self.bytes;
        desk.tidy(&self.source);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut desk = self.at.desk();
        desk.served -= self.weight;
        desk.share(&self.source).served -= self.weight;
        desk.tidy(&self.source);
        drop(desk);
        self.at.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Queues as long as there is room; gives what was served and what waits.
    fn flood(
        at: &Admission,
        source: &str,
        bytes: usize,
    ) -> (Vec<Turn>, Vec<oneshot::Receiver<Turn>>) {
        let (mut served, mut waiting) = (Vec::new(), Vec::new());
        while let Ok(mut turn) = at.queue(source, bytes) {
            match turn.try_recv() {
                Ok(turn) => served.push(turn),
                Err(_) => waiting.push(turn),
            }
        }
        (served, waiting)
    }

    fn given(waiting: &mut [oneshot::Receiver<Turn>]) -> Vec<Turn> {
        waiting.iter_mut().filter_map(|turn| turn.try_recv().ok()).collect()
    }

    #[test]
    fn one_flooding_source_leaves_room_for_everybody_else_at_once() {
        let at = Admission::default();

        let (served, waiting) = flood(&at, "flood", 200);
        let mut report = at.queue("reports", 200).unwrap();

        assert_eq!(served.len(), SERVED_PER_SOURCE);
        assert_eq!(waiting.len(), WAITING_PER_SOURCE);
        assert!(report.try_recv().is_ok(), "no delivery of the flood goes first");
    }

    #[test]
    fn when_floods_have_taken_everything_a_report_is_the_next_to_be_served() {
        let at = Admission::default();
        let (mut first, mut behind) = flood(&at, "flood", 200);
        let (mut second, mut more) = flood(&at, "another", 200);
        assert_eq!(first.len() + second.len(), SERVED);

        let mut report = at.queue("reports", 200).unwrap();
        assert!(report.try_recv().is_err());
        drop(first.pop());

        let turn = report.try_recv();
        assert!(turn.is_ok(), "none of the floods' deliveries went before it");
        assert!(given(&mut behind).is_empty() && given(&mut more).is_empty());
        second.clear();
    }

    #[test]
    fn heavy_batches_count_for_more_than_one() {
        let at = Admission::default();

        let (served, _waiting) = flood(&at, "flood", 4 << 20);

        assert_eq!(served.len(), 1, "65 of 96");
        assert!(at.queue("reports", 200).unwrap().try_recv().is_ok());
    }

    #[test]
    fn two_floods_of_unequal_weight_are_given_the_same() {
        let at = Admission::default();
        let (mut served, mut light) = flood(&at, "light", 200);
        let (more, mut heavy) = flood(&at, "heavy", 640 << 10);
        served.extend(more);

        let (mut of_light, mut of_heavy) = (0, 0);
        for _ in 0..200 {
            drop(served.pop());
            for (queue, sum) in [(&mut light, &mut of_light), (&mut heavy, &mut of_heavy)] {
                for turn in given(queue) {
                    *sum += turn.weight;
                    served.insert(0, turn);
                }
            }
        }

        assert!(of_light > 0 && of_heavy > 0, "{of_light} {of_heavy}");
        assert!(of_light.abs_diff(of_heavy) <= SERVED, "{of_light} {of_heavy}");
    }

    #[test]
    fn a_body_without_room_is_turned_away_unread_and_room_comes_back() {
        let at = Admission::default();

        let body = |source: &str, bytes| {
            let mut room = at.room(source);
            room.grow(bytes).map(|()| room)
        };
        let held: Vec<Room> = std::iter::from_fn(|| body("flood", 4 << 20).ok()).collect();
        let other = body("reports", 256 << 10);

        assert_eq!(held.len(), BYTES_PER_SOURCE / (4 << 20));
        assert!(other.is_ok());
        drop((held, other));
        assert!(body("flood", 4 << 20).is_ok());
        assert!(at.desk().shares.is_empty(), "an idle source leaves nothing behind");
    }

    #[test]
    fn whoever_goes_away_while_waiting_holds_nothing() {
        let at = Admission::default();
        let (served, waiting) = flood(&at, "flood", 200);

        drop((waiting, served));

        assert_eq!(at.desk().served, 0);
        assert!(at.desk().shares.is_empty());
    }
}
