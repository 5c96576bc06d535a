//! How far polls got, and what came of trying connections.

use super::State;
use super::rows::RowKey;
use crate::model::entry::Entry;

impl State {
    pub(super) fn apply_upkeep(&mut self, entry: &Entry) {
        match entry {
            Entry::PollAdvanced(e) => {
                self.polls.insert(e.source.clone(), (**e).clone());
                self.touch(RowKey::Poll(e.source.clone()));
            }
            Entry::ConnectionTested(e) => {
                self.tests.insert(e.connection.clone(), (**e).clone());
                self.touch(RowKey::Test(e.connection.clone()));
            }
            _ => {}
        }
    }
}
