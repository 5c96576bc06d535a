//! The state as the last process left it: rows, and the commits after them.

use super::ports::{Store, StoreError};
use super::shelf::{fetch_for, load_busy};
use super::state::{ALWAYS, Cells, ENDED_RUNS, State};

/// Commits read at once.
const READ: usize = 512;
/// Rows read at once.
const ROWS: usize = 4_096;

/// The state as it stands after the journal's last line.
pub(crate) async fn recall(store: &dyn Store) -> Result<State, StoreError> {
    let projected = store.projected().await?;
    let mut state =
        if projected == 0 { State::default() } else { at_work(store, projected).await? };
    loop {
        let commits = store.commits(state.seq, READ).await?;
        if commits.is_empty() {
            return Ok(state);
        }
        for commit in &commits {
            fetch_for(&mut state, store, commit).await?;
            state.apply(commit);
        }
    }
}

/// What the rows say that stood at `seq`, but for people whom nothing changes by itself.
async fn at_work(store: &dyn Store, seq: u64) -> Result<State, StoreError> {
    let mut state = State::default();
    let mut cells = Cells::new();
    for prefix in ALWAYS {
        let mut after: Option<String> = None;
        loop {
            let some = store.scan(prefix, after.as_deref(), ROWS).await?;
            let Some((last, _)) = some.last() else { break };
            after = Some(last.clone());
            for (key, value) in some {
                state.load(&key, &value, &mut cells)?;
            }
        }
    }
    if let Some(ended) = store.row(ENDED_RUNS).await? {
        state.load(ENDED_RUNS, &ended, &mut cells)?;
    }
    state.loaded(seq, cells);
    load_busy(&mut state, store).await?;
    Ok(state)
}
