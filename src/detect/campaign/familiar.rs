//! How many people sign in from a place with devices that their provider vouches for. Names and places are digests.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::super::habits::digest;
use crate::model::time::{Span, Time};

/// Places that are kept; those of one person go first.
const PLACES_MAX: usize = 100_000;
/// People that are counted of one place.
const PEOPLE_MAX: usize = 32;
/// As long as contexts are remembered.
const MEMORY: Span = Span::hours(30 * 24);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Place {
    people: Vec<u64>,
    last: Time,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Familiar {
    places: BTreeMap<u64, Place>,
}

impl Familiar {
    pub(super) fn note(&mut self, key: &str, person: &str, at: Time) {
        let key = digest("place", key);
        if self.places.len() >= PLACES_MAX && !self.places.contains_key(&key) {
            self.make_room(at);
        }
        let place = self.places.entry(key).or_default();
        place.last = place.last.max(at);
        let person = digest("person", person);
        if place.people.len() < PEOPLE_MAX && !place.people.contains(&person) {
            place.people.push(person);
        }
    }

    pub(super) fn people(&self, key: &str) -> usize {
        self.places.get(&digest("place", key)).map_or(0, |place| place.people.len())
    }

    fn make_room(&mut self, now: Time) {
        self.places.retain(|_, place| now.signed_duration_since(place.last) <= MEMORY.delta());
        if self.places.len() >= PLACES_MAX {
            self.places.retain(|_, place| place.people.len() > 1);
        }
        let mut odd = false;
        while self.places.len() >= PLACES_MAX {
            self.places.retain(|_, _| {
                odd = !odd;
                odd
            });
        }
    }
}
