//! Tells open pages that something moved. They fetch what they show themselves.

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum_extra::extract::CookieJar;
use futures::Stream;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch::Receiver;
use tokio::time::{sleep, timeout};

use super::ConsoleState;
use super::signed_in::{SignedIn, secret};

/// A burst of commits is one message.
const BREATH: Duration = Duration::from_millis(400);
/// How long an idle stream may outlive its session, or hold up a stop.
const LOOK: Duration = Duration::from_secs(3);

struct Listening {
    state: ConsoleState,
    moved: Receiver<u64>,
    /// The session's secret; empty never opens anything.
    key: String,
    first: bool,
}

impl Listening {
    /// The next sequence to tell of; none when the stream is over.
    async fn next(&mut self) -> Option<u64> {
        while !std::mem::take(&mut self.first) {
            match timeout(LOOK, self.moved.changed()).await {
                Ok(changed) => {
                    changed.ok()?;
                    sleep(BREATH).await;
                    break;
                }
                Err(_) => self.goes_on()?,
            }
        }
        self.goes_on()?;
        Some(*self.moved.borrow_and_update())
    }

    fn goes_on(&self) -> Option<()> {
        let session = self.state.people.session(&self.key, false);
        session.filter(|_| !self.state.engine.is_stopping()).map(|_| ())
    }
}

/// One `moved` message at once and after every change, with the journal's sequence as its id.
pub(super) async fn stream(
    State(state): State<ConsoleState>,
    _by: SignedIn,
    jar: CookieJar,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let moved = state.engine.watch();
    let key = secret(&state, &jar).unwrap_or_default();
    let listening = Listening { state, moved, key, first: true };
    let stream = futures::stream::unfold(listening, |mut listening| async move {
        let seq = listening.next().await?.to_string();
        let event = Event::default().event("moved").id(&seq).data(&seq);
        Some((Ok(event), listening))
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}
