//! The system that is called: answers at once, and notes when each call of each person came.
//!
//! Plain HTTP/1.1 over a socket, so that it costs the machine next to nothing beside what is measured.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::wire::{body_length, head_end};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// When the calls about one person came, and who waits for the last of them.
#[derive(Default)]
struct Seen {
    calls: Vec<(u8, Instant)>,
    waits: Option<(u8, oneshot::Sender<()>)>,
}

/// What was called.
#[derive(Clone, Default)]
pub(crate) struct Vendor(Arc<Mutex<HashMap<u64, Seen>>>);

impl Vendor {
    /// Begins to answer. Returns the port.
    pub(crate) async fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let vendor = self.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                tokio::spawn(vendor.clone().serve(socket));
            }
        });
        port
    }

    /// Resolves when the call `step` about `person` has come.
    pub(crate) fn called(&self, person: u64, step: u8) -> oneshot::Receiver<()> {
        let (told, waits) = oneshot::channel();
        self.0.lock().unwrap().entry(person).or_default().waits = Some((step, told));
        waits
    }

    /// When the call `step` about `person` came first.
    pub(crate) fn when(&self, person: u64, step: u8) -> Option<Instant> {
        let all = self.0.lock().unwrap();
        all.get(&person)?.calls.iter().find(|(called, _)| *called == step).map(|(_, at)| *at)
    }

    /// How many calls came about a person.
    pub(crate) fn count(&self, person: u64) -> usize {
        self.0.lock().unwrap().get(&person).map_or(0, |seen| seen.calls.len())
    }

    pub(crate) fn forget(&self) {
        self.0.lock().unwrap().clear();
    }

    async fn serve(self, mut socket: TcpStream) {
        let mut buffer = Vec::with_capacity(8192);
        loop {
            while let Some(head) = head_end(&buffer) {
                let whole = head + body_length(&buffer[..head]);
                if buffer.len() < whole {
                    break;
                }
                self.note(&buffer[..head]);
                buffer.drain(..whole);
                if socket.write_all(ANSWER).await.is_err() {
                    return;
                }
            }
            match socket.read_buf(&mut buffer).await {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        }
    }

    /// `POST /{step}/{person} HTTP/1.1`
    fn note(&self, head: &[u8]) {
        let at = Instant::now();
        let text = std::str::from_utf8(head).unwrap();
        let path = text.split(' ').nth(1).unwrap();
        let mut parts = path.split('/').skip(1);
        let step: u8 = parts.next().unwrap().parse().unwrap();
        let person: u64 = parts.next().unwrap().parse().unwrap();
        let mut all = self.0.lock().unwrap();
        let seen = all.entry(person).or_default();
        seen.calls.push((step, at));
        if let Some((awaited, told)) = seen.waits.take() {
            if awaited == step {
                // Nobody waits any more when a phase was given up.
                _ = told.send(());
            } else {
                seen.waits = Some((awaited, told));
            }
        }
    }
}
