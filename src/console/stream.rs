//! Tells open pages that something moved. They fetch what they show themselves.

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum_extra::extract::CookieJar;
use futures::Stream;
use std::convert::Infallible;
use std::time::Duration;

use super::ConsoleState;
use super::signed_in::{SignedIn, secret};

/// A burst of commits is one message.
const BREATH: Duration = Duration::from_millis(400);

/// One `moved` message at once and after every change, with the journal's sequence as its id.
pub(super) async fn stream(
    State(state): State<ConsoleState>,
    _by: SignedIn,
    jar: CookieJar,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let moved = state.engine.watch();
    let key = secret(&state, &jar).unwrap_or_default();
    let stream = futures::stream::unfold(
        (state, moved, key, true),
        |(state, mut moved, key, first)| async move {
            if !first {
                moved.changed().await.ok()?;
                tokio::time::sleep(BREATH).await;
            }
            // Ends with the session; the page then finds out when it asks again.
            state.people.session(&key, false)?;
            let seq = state.engine.read(|core| core.state.seq);
            moved.mark_unchanged();
            let event = Event::default().event("moved").id(seq.to_string()).data(seq.to_string());
            Some((Ok(event), (state, moved, key, false)))
        },
    );
    Sse::new(stream).keep_alive(KeepAlive::default())
}
