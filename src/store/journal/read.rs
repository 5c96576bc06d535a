//! Reads commits back. Never past the last durable one, so it needs no lock with the writer.

use std::sync::Arc;

use super::line;
use super::lines::Lines;
use super::medium::Medium;
use super::segment;
use super::shared::Shared;
use crate::engine::ports::StoreError;
use crate::model::entry::Commit;
use crate::store::hold::hold;

/// A handle to read with. Its methods block.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) medium: Arc<dyn Medium>,
    pub(crate) shared: Arc<Shared>,
}

impl Reader {
    /// Commits after `after`, oldest first.
    pub(crate) fn commits(&self, after: u64, limit: usize) -> Result<Vec<Commit>, StoreError> {
        let durable = self.shared.durable();
        let mut found = Vec::new();
        if limit == 0 || after >= durable {
            return Ok(found);
        }
        // Older lines were dropped.
        let first = hold(&self.shared.map).first();
        let mut cursor = self.cursor((after + 1).max(first))?;
        while found.len() < limit && cursor.next <= durable {
            found.push(self.step(&mut cursor)?);
        }
        Ok(found)
    }

    /// The commits of these sequences, in the order given; those not durable yet are left out, and
    /// those that were dropped.
    pub(crate) fn pick(&self, seqs: &[u64]) -> Result<Vec<Commit>, StoreError> {
        let durable = self.shared.durable();
        let mut found = Vec::with_capacity(seqs.len());
        let first = hold(&self.shared.map).first();
        for seq in seqs.iter().filter(|seq| (first..=durable).contains(seq)) {
            let mut cursor = self.cursor(*seq)?;
            found.push(self.step(&mut cursor)?);
        }
        Ok(found)
    }

    /// The line of `seq` as it is chained, if it is there.
    pub(crate) fn check(&self, seq: u64) -> Result<Option<line::Checked>, StoreError> {
        let mut cursor = self.cursor(seq)?;
        let raw = cursor.lines.next_line().map_err(|e| unread(seq, &e))?;
        raw.map(|raw| line::check(&raw.bytes).map_err(|e| unread(seq, &e))).transpose()
    }

    /// Stands before the line of `seq`, which must be durable.
    fn cursor(&self, seq: u64) -> Result<Cursor<'_>, StoreError> {
        let near = hold(&self.shared.map).near(seq);
        let (mut at, first, offset) =
            near.ok_or_else(|| StoreError::Read(format!("line {seq} is not in the journal")))?;
        let mut lines = Lines::new(self.medium.as_ref(), &segment::name(first), offset);
        while at < seq {
            // Between two marks there is no end of a segment: its first line is a mark.
            lines.next_line().map_err(|e| unread(at, &e))?;
            at += 1;
        }
        Ok(Cursor { next: seq, segment: first, lines })
    }

    fn step<'r>(&'r self, cursor: &mut Cursor<'r>) -> Result<Commit, StoreError> {
        let seq = cursor.next;
        if seq != cursor.segment && hold(&self.shared.map).segments.contains_key(&seq) {
            cursor.segment = seq;
            cursor.lines = Lines::new(self.medium.as_ref(), &segment::name(seq), 0);
        }
        let raw = cursor.lines.next_line().map_err(|e| unread(seq, &e))?;
        let raw = raw.ok_or_else(|| unread(seq, &"it is not there"))?;
        let commit = line::parse(&raw.bytes).map_err(|e| unread(seq, &e))?;
        if commit.seq != seq {
            return Err(unread(seq, &format!("line {} stands there", commit.seq)));
        }
        cursor.next += 1;
        Ok(commit)
    }
}

struct Cursor<'r> {
    next: u64,
    segment: u64,
    lines: Lines<'r>,
}

fn unread(seq: u64, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Read(format!("line {seq} of the journal could not be read: {why}"))
}
