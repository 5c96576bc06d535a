//! Refused deliveries, a file each: one line that says what it is, and the body as it came.
//!
//! No truth lies here. What cannot be read is passed over, what does not fit is dropped, nothing is synced,
//! and no backup has it.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::task::spawn_blocking;

use super::hold::hold;
use crate::delivery::{Kept, Shelf};
use crate::model::id::{ReceiptId, SourceId};
use crate::model::time::Time;

/// Of one source, proved ones and others apart.
const COUNT: usize = 20;
const BYTES: u64 = 16 << 20;
/// Of what nobody proved: how long one may be, and how many of a source are written in a minute. Anybody may send such.
const UNPROVED_BYTES: usize = 256 << 10;
const UNPROVED_A_MINUTE: usize = 6;
/// Older ones are not kept: the settings are mended by then, or nobody looks.
const OLDEST: TimeDelta = TimeDelta::days(7);

/// The folder and what is in it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Refused(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    known: Mutex<BTreeMap<ReceiptId, (Kept, u64)>>,
}

impl Refused {
    /// Reads what earlier processes kept. Blocks.
    pub(crate) fn open(dir: &Path, now: Time) -> Self {
        let mut known = BTreeMap::new();
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match read(&entry.path()) {
                Some((kept, body)) if kept.at + OLDEST > now => {
                    known.insert(kept.id, (kept, super::journal::to_u64(body.len())));
                }
                _ => remove(&entry.path()),
            }
        }
        Self(Arc::new(Inner { dir: dir.to_owned(), known: Mutex::new(known) }))
    }
}

impl Inner {
    fn path(&self, id: ReceiptId) -> PathBuf {
        self.dir.join(format!("{id}.delivery"))
    }

    /// Whether there is room for it, and which go for it.
    fn admit(&self, kept: &Kept, bytes: u64) -> Option<Vec<ReceiptId>> {
        let known = hold(&self.known);
        let proved = kept.was_proved();
        let same = |other: &Kept| is_of(other, &kept.source, proved);
        let minute = kept.at - TimeDelta::minutes(1);
        let lately = known.values().filter(|(k, _)| same(k) && k.at > minute).count();
        if !proved
            && (bytes > super::journal::to_u64(UNPROVED_BYTES) || lately >= UNPROVED_A_MINUTE)
        {
            return None;
        }
        let old = known.values().filter(|(k, _)| k.at + OLDEST <= kept.at).map(|(k, _)| k.id);
        let mut gone: Vec<ReceiptId> = old.collect();
        let (mut count, mut total) = (1, bytes);
        // The newest first: their ids sort by time.
        for (id, (_, size)) in known.iter().rev().filter(|(_, (k, _))| same(k)) {
            (count, total) = (count + 1, total + size);
            if count > COUNT || total > BYTES {
                gone.push(*id);
            }
        }
        Some(gone)
    }

    fn write(&self, kept: &Kept, body: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let mut bytes = serde_json::to_vec(kept)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        let path = self.path(kept.id);
        let part = path.with_extension("part");
        std::fs::write(&part, bytes)?;
        std::fs::rename(part, path)
    }
}

fn is_of(kept: &Kept, source: &SourceId, proved: bool) -> bool {
    kept.source == *source && kept.was_proved() == proved
}

/// The line, and the body behind it.
fn read(path: &Path) -> Option<(Kept, Bytes)> {
    if path.extension().is_none_or(|extension| extension != "delivery") {
        return None;
    }
    let bytes = Bytes::from(std::fs::read(path).ok()?);
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let kept = serde_json::from_slice(&bytes[..end]).ok()?;
    Some((kept, bytes.slice(end + 1..)))
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!("Could not remove a refused delivery that was kept: {error}");
    }
}

#[async_trait]
impl Shelf for Refused {
    async fn keep(&self, kept: Kept, body: Bytes) {
        let inner = self.0.clone();
        let kept_at = spawn_blocking(move || {
            let bytes = super::journal::to_u64(body.len());
            let Some(gone) = inner.admit(&kept, bytes) else { return Ok(()) };
            inner.write(&kept, &body)?;
            hold(&inner.known).insert(kept.id, (kept, bytes));
            for id in gone {
                hold(&inner.known).remove(&id);
                remove(&inner.path(id));
            }
            Ok::<(), std::io::Error>(())
        });
        if let Ok(Err(error)) = kept_at.await {
            tracing::warn!("Could not keep a refused delivery: {error}");
        }
    }

    fn all(&self) -> Vec<Kept> {
        hold(&self.0.known).values().rev().map(|(kept, _)| kept.clone()).collect()
    }

    async fn body(&self, id: ReceiptId) -> Option<(Kept, Bytes)> {
        let inner = self.0.clone();
        hold(&inner.known).contains_key(&id).then_some(())?;
        spawn_blocking(move || read(&inner.path(id))).await.ok()?
    }

    async fn forget(&self, id: ReceiptId) {
        let inner = self.0.clone();
        if hold(&inner.known).remove(&id).is_some() {
            // It ends only if the process does.
            _ = spawn_blocking(move || remove(&inner.path(id))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Proved;

    fn kept(n: u64, proved: bool) -> Kept {
        let at = Time::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(n.cast_signed());
        let mut random = [0; 10];
        random[2..].copy_from_slice(&n.to_be_bytes());
        Kept {
            id: ReceiptId::mint(at, random),
            source: "siem".into(),
            at,
            kind: None,
            problem: "unknown-shape".to_owned(),
            detail: String::new(),
            proof: Proved::Signed { headers: Vec::new(), held: proved },
            answered: false,
        }
    }

    #[tokio::test]
    async fn what_is_kept_is_there_after_a_restart_until_it_is_forgotten_or_old() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (kept(1, true), kept(2, true));
        let shelf = Refused::open(dir.path(), first.at);
        shelf.keep(first.clone(), Bytes::from_static(b"one\ntwo")).await;
        shelf.keep(second.clone(), Bytes::new()).await;

        let again = Refused::open(dir.path(), second.at);
        assert_eq!(again.all(), [second.clone(), first.clone()]);
        let (what, body) = again.body(first.id).await.unwrap();
        assert_eq!((what, &body[..]), (first.clone(), &b"one\ntwo"[..]));
        again.forget(first.id).await;
        assert!(again.body(first.id).await.is_none());
        let again = Refused::open(dir.path(), second.at);
        assert_eq!(again.all(), std::slice::from_ref(&second));

        assert!(Refused::open(dir.path(), second.at + OLDEST).all().is_empty());
    }

    #[tokio::test]
    async fn strangers_push_out_nothing_that_was_proved_and_write_little() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Refused::open(dir.path(), kept(0, true).at);
        shelf.keep(kept(1, true), Bytes::new()).await;
        for n in 2..102 {
            shelf.keep(kept(n, false), Bytes::new()).await;
        }
        let strangers = |shelf: &Refused| shelf.all().iter().filter(|k| !k.was_proved()).count();

        assert!(shelf.all().contains(&kept(1, true)));
        assert!(strangers(&shelf) <= 12, "{}", strangers(&shelf));
        let long = Bytes::from(vec![b'x'; UNPROVED_BYTES + 1]);
        let before = strangers(&shelf);
        shelf.keep(kept(900, false), long.clone()).await;
        assert_eq!(strangers(&shelf), before);

        for n in 1_000..1_100 {
            shelf.keep(kept(n, true), long.clone()).await;
        }
        let files = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!((shelf.all().len(), files), (COUNT + before, COUNT + before));
        assert_eq!(shelf.all()[0], kept(1_099, true));
    }

    #[test]
    fn what_is_no_delivery_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.part", "b.delivery"] {
            std::fs::write(dir.path().join(name), b"{}").unwrap();
        }

        assert!(Refused::open(dir.path(), Time::UNIX_EPOCH).all().is_empty());
    }
}
