//! The stories' journals on the real writer: the chain holds over a power cut, and what comes back is what was acknowledged.

use std::sync::Arc;

use super::play::Play;
use super::story::Story;
use crate::model::entry::Commit;
use crate::store::journal::torn::TornMedium;
use crate::store::journal::{Journal, JournalOptions};

fn journal_of(seed: u64) -> Vec<Commit> {
    let story = Story::draw(seed);
    super::in_virtual_time(async {
        let mut play = Play::begin(&story, false).await;
        Box::pin(play.all()).await;
        play.outside.disk.journal()
    })
}

#[test]
fn a_storys_journal_is_one_valid_chain_after_a_power_cut() {
    for seed in 0..12 {
        let story = journal_of(seed);
        let medium = TornMedium::default();
        let open = |medium: &TornMedium| {
            Journal::open(Arc::new(medium.clone()), JournalOptions::default()).unwrap().0
        };
        let journal = open(&medium);
        for commit in &story {
            futures::executor::block_on(journal.submit(commit)).unwrap();
        }
        drop(journal);

        // Opening walks the chain and refuses a line that does not follow the one before.
        let again = open(&medium.power_cut(seed));

        assert_eq!(again.reader.commits(0, usize::MAX).unwrap(), story, "seed {seed}");
    }
}
