//! Rows and timelines, in sled: quick to ask, and never trusted.
//!
//! sled may lag behind the journal, lose what it has, panic or refuse to open. None of that
//! loses anything, because every key here can be made again from the journal. So each batch
//! carries the sequence it stands at, and an index that cannot be used is set aside.
//!
//! One tree with prefixed keys: `r/` rows, `t/<incident>/<sequence>` timelines (the value
//! holds the sequences that follow),
//! `m/position`. sled wants small values: a longer one is kept as parts behind its key.
//!
//! All methods block. Nothing here is called on a runtime's own threads.

mod keys;
mod open;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use sled::{Batch, Db};

pub(crate) use open::{IndexState, open, remove};

use crate::engine::ports::{RowChange, StoreError};
use crate::model::id::IncidentId;
use keys::Stored;

/// Commits of one incident that one key may hold.
const STRETCH: usize = 256;

/// Keys that one batch may hold when there is much to write.
const BATCH: usize = 1024;

/// The open index.
pub(crate) struct Index {
    /// sled has no snapshots, and a row may be in parts: nobody reads while a batch is applied.
    /// `None` while a failed sled could not be replaced.
    pub(super) db: RwLock<Option<Db>>,
    /// A write failed. sled gives the same error from then on, whatever becomes of the disk.
    failed: AtomicBool,
    dir: PathBuf,
    cache_bytes: u64,
}

impl Index {
    fn new(db: Db, dir: PathBuf, cache_bytes: u64) -> Self {
        Self { db: RwLock::new(Some(db)), failed: AtomicBool::new(false), dir, cache_bytes }
    }

    fn reading(&self) -> RwLockReadGuard<'_, Option<Db>> {
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Option<Db>> {
        self.db.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a write failed since it was opened or made anew.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Puts an empty index in the place of one that failed. It counts as failed until
    /// [`Index::renewed`]: its timelines have to be made first.
    pub(crate) fn renew(&self) -> Result<(), StoreError> {
        let mut db = self.writing();
        // Gone before its files are: it may write some more as it ends.
        drop(db.take());
        match std::fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(unread(&e)),
            _ => {}
        }
        *db = Some(open::empty(&self.dir, self.cache_bytes)?);
        Ok(())
    }

    /// What [`Index::renew`] began is complete.
    pub(crate) fn renewed(&self) {
        self.failed.store(false, Ordering::Release);
    }

    /// The sequence that the rows stand at.
    pub(crate) fn position(&self) -> Result<u64, StoreError> {
        position(there(self.reading().as_ref())?)
    }

    /// Writes rows as they stand after `seq`, with the timelines that `touched` adds to.
    pub(crate) fn project(
        &self,
        seq: u64,
        rows: Vec<RowChange>,
        touched: &[(u64, Vec<IncidentId>)],
    ) -> Result<(), StoreError> {
        let held = self.writing();
        let written = there(held.as_ref()).and_then(|db| write(db, seq, rows, touched));
        if written.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        written
    }

    /// Adds to timelines only: for commits that were read back at the start.
    pub(crate) fn add_timelines(
        &self,
        touched: &[(u64, Vec<IncidentId>)],
    ) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        add_timelines(&mut batch, touched);
        there(self.reading().as_ref())?.apply_batch(batch).map_err(|e| unread(&e))
    }

    /// Fills an empty index with all rows as they stand after `seq`.
    pub(crate) fn fill(
        &self,
        seq: u64,
        rows: impl Iterator<Item = (String, Bytes)>,
    ) -> Result<(), StoreError> {
        let mut some = Vec::new();
        for (key, value) in rows {
            some.push((key, Some(value)));
            if some.len() == BATCH {
                // Position 0 until all are there: a half-filled index is filled again.
                self.project(0, std::mem::take(&mut some), &[])?;
            }
        }
        self.project(seq, some, &[])
    }

    /// The rows under `keys`, in their order.
    pub(crate) fn rows(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let held = self.reading();
        let db = there(held.as_ref())?;
        let one = |key: &String| {
            let main = keys::row(key);
            let stored = db.get(&main).map_err(|e| unread(&e))?;
            stored.map(|stored| whole(db, &main, &stored)).transpose()
        };
        keys.iter().map(one).collect()
    }

    /// One row.
    #[cfg(test)]
    pub(crate) fn row(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows(&[key.to_owned()])?.pop().flatten())
    }

    /// Rows whose key starts with `prefix`, in key order, after the key `after`.
    pub(crate) fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        let held = self.reading();
        let db = there(held.as_ref())?;
        let prefix = keys::row(prefix);
        let mut from = Bound::Included(prefix.clone());
        if let Some(after) = after.map(keys::row)
            && after >= prefix
        {
            from = Bound::Excluded(after);
        }
        take(db, db.range::<Vec<u8>, _>((from, Bound::Unbounded)), &prefix, limit)
    }

    /// The same backwards: keys before the key `before`, the last one first.
    pub(crate) fn scan_back(
        &self,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, StoreError> {
        let held = self.reading();
        let db = there(held.as_ref())?;
        let prefix = keys::row(prefix);
        let end = keys::behind(&prefix);
        let to = match before.map(keys::row) {
            Some(before) if before < end => before,
            _ => end,
        };
        if to <= prefix {
            return Ok(Vec::new());
        }
        take(db, db.range(prefix.clone()..to).rev(), &prefix, limit)
    }

    /// Sequences of the commits that hold an entry of `incident`.
    pub(crate) fn timeline(
        &self,
        incident: IncidentId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let (first, last) = (keys::moment(incident, 0), keys::moment(incident, u64::MAX));
        // What comes next may be behind the first sequence of the stretch that `after` is in.
        let near = keys::moment(incident, after);
        let held = self.reading();
        let db = there(held.as_ref())?;
        let stretch = db.range(first.clone()..=near).next_back().transpose();
        let from = stretch.map_err(|e| unread(&e))?.map_or(first, |(key, _)| key.to_vec());
        let mut seqs = Vec::new();
        for item in db.range(from..=last) {
            let (key, more) = item.map_err(|e| unread(&e))?;
            let stretch = keys::moment_seq(&key).into_iter().chain(keys::numbers(&more));
            seqs.extend(stretch.filter(|seq| *seq > after));
            if seqs.len() >= limit {
                break;
            }
        }
        seqs.truncate(limit);
        Ok(seqs)
    }

    /// Rows and the bytes of their keys and values.
    pub(crate) fn count(&self) -> Result<(u64, u64), StoreError> {
        let (mut rows, mut bytes) = (0, 0);
        for item in there(self.reading().as_ref())?.scan_prefix(keys::ROWS) {
            let (key, stored) = item.map_err(|e| unread(&e))?;
            rows += u64::from(!keys::is_part(&key));
            bytes += super::journal::to_u64(key.len() + stored.len());
        }
        Ok((rows, bytes))
    }

    pub(crate) fn size_on_disk(&self) -> Result<u64, StoreError> {
        there(self.reading().as_ref())?.size_on_disk().map_err(|e| unread(&e))
    }
}

/// The first `limit` whole rows of `items`, as far as they start with `prefix`.
fn take(
    db: &Db,
    items: impl Iterator<Item = sled::Result<(sled::IVec, sled::IVec)>>,
    prefix: &[u8],
    limit: usize,
) -> Result<Vec<(String, Bytes)>, StoreError> {
    let mut rows = Vec::new();
    if limit == 0 {
        return Ok(rows);
    }
    for item in items {
        let (key, stored) = item.map_err(|e| unread(&e))?;
        if !key.starts_with(prefix) {
            break;
        }
        if keys::is_part(&key) {
            continue;
        }
        rows.push((keys::name(&key), whole(db, &key, &stored)?));
        if rows.len() == limit {
            break;
        }
    }
    Ok(rows)
}

fn there(held: Option<&Db>) -> Result<&Db, StoreError> {
    held.ok_or_else(|| unread(&"it failed and could not be made anew"))
}

fn position(db: &Db) -> Result<u64, StoreError> {
    let value = db.get(keys::POSITION).map_err(|e| unread(&e))?;
    Ok(value.and_then(|value| keys::number(&value)).unwrap_or(0))
}

fn write(
    db: &Db,
    seq: u64,
    rows: Vec<RowChange>,
    touched: &[(u64, Vec<IncidentId>)],
) -> Result<(), StoreError> {
    let position = position(db)?;
    if seq < position {
        return Err(StoreError::OutOfOrder { head: position, got: seq });
    }
    let mut batch = Batch::default();
    // The last change of a key counts.
    let rows: BTreeMap<String, Option<Bytes>> = rows.into_iter().collect();
    for (key, value) in &rows {
        change(db, &mut batch, key, value.as_deref())?;
    }
    add_timelines(&mut batch, touched);
    batch.insert(keys::POSITION, seq.to_be_bytes().to_vec());
    db.apply_batch(batch).map_err(|e| unread(&e))
}

fn change(db: &Db, batch: &mut Batch, key: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
    if key.contains('\0') {
        return Err(StoreError::Read(format!("row key {key:?} holds a NUL")));
    }
    let main = keys::row(key);
    let had = match db.get(&main).map_err(|e| unread(&e))? {
        Some(stored) => keys::parts(&stored),
        None => 0,
    };
    let has = if let Some(value) = value {
        let (stored, parts) = keys::split(value)
            .ok_or_else(|| StoreError::Read(format!("row `{key}` is too long")))?;
        for (n, part) in parts.iter().enumerate() {
            batch.insert(keys::part(&main, n), *part);
        }
        batch.insert(main.clone(), stored);
        parts.len()
    } else {
        batch.remove(main.clone());
        if let Some(incident) = keys::incident(key) {
            for item in db.scan_prefix(keys::timeline(incident)).keys() {
                batch.remove(item.map_err(|e| unread(&e))?);
            }
        }
        0
    };
    for n in has..had {
        batch.remove(keys::part(&main, n));
    }
    Ok(())
}

/// The value that `stored` says is behind `key`.
fn whole(db: &Db, key: &[u8], stored: &[u8]) -> Result<Bytes, StoreError> {
    let count = match keys::stored(stored) {
        Stored::Whole(value) => return Ok(Bytes::copy_from_slice(value)),
        Stored::Parts(count) => count,
        Stored::Unknown => return Err(unread(&"a row is not in a known form")),
    };
    let mut value = Vec::new();
    for n in 0..count {
        let part = db.get(keys::part(key, n)).map_err(|e| unread(&e))?;
        let part =
            part.ok_or_else(|| unread(&format!("row `{}` has lost a part", keys::name(key))))?;
        value.extend_from_slice(&part);
    }
    Ok(Bytes::from(value))
}

fn add_timelines(batch: &mut Batch, touched: &[(u64, Vec<IncidentId>)]) {
    let mut stretches: BTreeMap<IncidentId, Vec<u64>> = BTreeMap::new();
    for (seq, incidents) in touched {
        for incident in incidents {
            stretches.entry(*incident).or_default().push(*seq);
        }
    }
    for (incident, mut seqs) in stretches {
        seqs.sort_unstable();
        for stretch in seqs.chunks(STRETCH) {
            let more: Vec<u8> = stretch[1..].iter().flat_map(|seq| seq.to_be_bytes()).collect();
            batch.insert(keys::moment(incident, stretch[0]), more);
        }
    }
}

fn unread(why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Read(format!("the index could not be read or written: {why}"))
}
