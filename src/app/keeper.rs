//! Hands the store's files out to the API, as streams that end when they are whole.

use bytes::Bytes;
use futures::stream;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread::Builder;
use tokio::sync::{Semaphore, mpsc};

use crate::engine::ports::{Clock, StoreError};
use crate::server::{Download, Files, Standing};
use crate::store::disk::DiskStore;
use crate::store::journal::Proof;

/// Parts of this size are sent.
const PART: usize = 64 << 10;
/// Parts that may wait for a slow reader.
const WAITING: usize = 8;

pub(super) struct Keeper {
    store: Arc<DiskStore>,
    clock: Arc<dyn Clock>,
    turn: Turn,
}

/// Whoever reads all files, or drops some, has it meanwhile.
pub(super) type Turn = Arc<Semaphore>;

impl Keeper {
    pub(super) fn new(store: Arc<DiskStore>, clock: Arc<dyn Clock>, turn: Turn) -> Self {
        Self { store, clock, turn }
    }

    /// A thread of its own, not one of the runtime's: it waits for whoever reads.
    fn send(
        &self,
        write: impl FnOnce(&DiskStore, &mut Pipe) -> io::Result<()> + Send + 'static,
    ) -> Result<Download, StoreError> {
        let busy = || StoreError::Busy("another backup or export is under way".to_owned());
        let turn = self.turn.clone().try_acquire_owned().map_err(|_| busy())?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let store = self.store.clone();
        let work = move || {
            let _turn = turn;
            let mut pipe = Pipe { sender, part: Vec::with_capacity(PART) };
            let done = write(&store, &mut pipe).and_then(|()| pipe.flush());
            if let Err(error) = done {
                if error.kind() != io::ErrorKind::BrokenPipe {
                    tracing::error!("Broke off a backup or export: {error}");
                }
                // The reader learns that what it has is not whole.
                _ = pipe.sender.blocking_send(Err(error));
            }
        };
        let started = Builder::new().name("store-files".to_owned()).spawn(work);
        started.map_err(|e| StoreError::Read(format!("the files cannot be read: {e}")))?;
        Ok(Box::pin(stream::unfold(receiver, |mut receiver| async move {
            let part = receiver.recv().await?;
            Some((part, receiver))
        })))
    }
}

impl Files for Keeper {
    fn standing(&self) -> Standing {
        let journal = match self.store.proof() {
            Proof::Pending => "being_proved",
            Proof::Whole => "whole",
            Proof::Damaged(_) => "damaged",
        };
        let index = if self.store.index_behind().is_some() { "behind" } else { "kept" };
        Standing { journal, index }
    }

    fn backup(&self) -> Result<Download, StoreError> {
        let at = self.clock.now();
        self.send(move |store, pipe| store.pack(pipe, at).map(drop))
    }

    fn export(&self) -> Result<Download, StoreError> {
        self.send(|store, pipe| store.export(pipe).map(drop))
    }
}

/// What is written into it comes out of the stream.
struct Pipe {
    sender: mpsc::Sender<io::Result<Bytes>>,
    part: Vec<u8>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::replace(&mut self.part, Vec::with_capacity(PART)));
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(part)).map_err(gone)
    }
}
