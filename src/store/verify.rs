//! Proves a folder: that no line was changed, and that the rows are what the lines say.
//!
//! [`audit`] needs nothing but the journal's files and, to prove that they were not all
//! written anew, a public key from elsewhere. It changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use bytes::Bytes;
use serde::Serialize;

use super::anchor::Anchor;
use super::checkpoint;
use super::export::walk;
use super::journal::{Checked, Head, OpenError, Place, Raw, TornTail, parse, to_u64};
use crate::engine::ports::{Store, StoreError};
use crate::model::entry::{Commit, Entry};

/// Hashes remembered for checkpoints, which come every hundred lines or so.
const REMEMBERED: usize = 10_000;

/// Keys named in a report of rows; all are counted.
const NAMED: usize = 100;

/// Commits or rows read at once.
const READ: usize = 512;

/// A line that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BadEntry {
    pub(crate) place: Place,
    pub(crate) why: String,
}

/// What `audit verify` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct AuditReport {
    pub(crate) segments: u64,
    pub(crate) lines: u64,
    pub(crate) entries: u64,
    pub(crate) checkpoints: u64,
    pub(crate) head: u64,
    pub(crate) head_hash: String,
    /// The key that checkpoints were held against first.
    pub(crate) key: Option<String>,
    /// Where the journal was taken over by a copy of the deployment, and the copy's own key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) restored: Vec<Restored>,
    /// Everything up to here is covered by a signature.
    pub(crate) signed_up_to: u64,
    /// Checkpoints kept elsewhere that the journal agrees with; absent if it was not held against any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) anchors: Option<u64>,
    /// Everything up to here is as it was when it was signed, whoever had the folder since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) anchored_up_to: Option<u64>,
    /// Bytes of a write that was never acknowledged.
    pub(crate) torn: Option<TornTail>,
    /// Lines up to here are older than `store.journal_retention`, and were dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dropped_up_to: Option<u64>,
    pub(crate) first_bad: Option<BadEntry>,
}

/// A copy's beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Restored {
    pub(crate) seq: u64,
    pub(crate) key: String,
}

/// What else an entry must hold, such as a decision's signature.
pub(crate) type Also<'a> = &'a mut dyn FnMut(&Entry) -> Result<(), String>;

/// Walks the journal of the folder at `path`, or the export that it is. Without `keys`, those that
/// the journal itself names are believed. Blocks.
pub(crate) fn audit(
    path: &Path,
    keys: &[String],
    also: Also<'_>,
) -> Result<AuditReport, StoreError> {
    audit_anchored(path, keys, &[], also)
}

/// [`audit`] that also holds the journal against checkpoints kept elsewhere. Blocks.
pub(crate) fn audit_anchored(
    path: &Path,
    keys: &[String],
    anchors: &[Anchor],
    also: Also<'_>,
) -> Result<AuditReport, StoreError> {
    let mut audit = Audit {
        trusted: keys.to_vec(),
        believing: keys.is_empty(),
        anchors: anchors.iter().map(|a| (a.seq, a)).collect(),
        ..Audit::default()
    };
    audit.report.anchors = (!anchors.is_empty()).then_some(0);
    audit.report.key = keys.first().cloned();
    let scanned = walk(path, &mut |place, raw, checked| audit.line(place, raw, checked, also));
    if scanned.is_ok() {
        audit.missing_anchor();
        audit.missing_start();
    }
    let mut report = audit.report;
    if let Some(head) = audit.recent.pop_back() {
        report.head = head.seq;
        report.head_hash = head.hash;
    }
    match scanned {
        Ok(torn) => report.torn = torn,
        Err(OpenError::Damaged { place, why }) => {
            report.first_bad.get_or_insert(BadEntry { place, why });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(report)
}

#[derive(Default)]
struct Audit<'a> {
    report: AuditReport,
    trusted: Vec<String>,
    /// No key was given from elsewhere.
    believing: bool,
    recent: VecDeque<Head>,
    segment: String,
    /// Those that no line was held against yet.
    anchors: BTreeMap<u64, &'a Anchor>,
    last: Option<Place>,
    /// The line before the first: its lines were dropped. With the first line's place.
    start: Option<(Head, Place)>,
    /// A signature says that they might be.
    start_is_signed: bool,
}

impl Audit<'_> {
    fn line(&mut self, place: &Place, raw: &Raw, checked: &Checked, also: Also<'_>) {
        if self.segment != place.segment {
            self.segment.clone_from(&place.segment);
            self.report.segments += 1;
        }
        if self.report.lines == 0 && checked.seq > 1 {
            let before = Head { seq: checked.seq - 1, hash: checked.prev.clone() };
            self.report.dropped_up_to = Some(before.seq);
            self.start = Some((before, place.clone()));
        }
        self.report.lines += 1;
        match parse(&raw.bytes) {
            Ok(commit) => {
                self.entries(place, &commit);
                for entry in &commit.entries {
                    if let Err(why) = also(entry) {
                        self.bad(place, why);
                    }
                }
            }
            Err(bad) => self.bad(place, bad.to_string()),
        }
        self.anchor(place, checked);
        self.last = Some(place.clone());
        self.recent.push_back(Head { seq: checked.seq, hash: checked.hash.clone() });
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
    }

    fn entries(&mut self, place: &Place, commit: &Commit) {
        for entry in &commit.entries {
            self.report.entries += 1;
            match entry {
                Entry::DeploymentCreated(created) => self.named(&created.key),
                Entry::DeploymentRestored(restored) => {
                    self.named(&restored.key);
                    let began = Restored { seq: commit.seq, key: restored.key.clone() };
                    self.report.restored.push(began);
                }
                Entry::JournalPruned { through, head, key, signature } => {
                    if let Err(why) = self.pruned(*through, head, key, signature) {
                        self.bad(place, format!("dropping lines up to {through}: {why}"));
                    }
                }
                Entry::Checkpoint { head, seq, key, signature } => {
                    self.report.checkpoints += 1;
                    if self.start.is_some() && self.trusted.is_empty() {
                        // Its first line, which names the key, was dropped.
                        self.named(key);
                    }
                    match self.checkpoint(*seq, head, key, signature) {
                        Ok(()) => self.report.signed_up_to = *seq,
                        Err(why) => self.bad(place, format!("the checkpoint of line {seq}: {why}")),
                    }
                }
                _ => {}
            }
        }
    }

    /// The journal names a key of its own.
    fn named(&mut self, key: &str) {
        if self.believing {
            self.trusted.push(key.to_owned());
            self.report.key.get_or_insert_with(|| key.to_owned());
        }
    }

    fn signed(&self, seq: u64, head: &str, key: &str, signature: &str) -> Result<(), String> {
        let known = self.trusted.iter().find(|trusted| *trusted == key);
        let trusted = known.or_else(|| self.trusted.first());
        let trusted = trusted.ok_or("no key is known to hold it against")?;
        checkpoint::verify(trusted, key, seq, head, signature).map_err(|bad| bad.to_string())
    }

    /// Lines may be dropped: what is left of the journal may begin behind them.
    fn pruned(&mut self, to: u64, head: &str, key: &str, signature: &str) -> Result<(), String> {
        if self.start.is_some() && self.trusted.is_empty() {
            self.named(key);
        }
        self.signed(to, head, key, signature)?;
        if let Some((start, _)) = &self.start {
            if start.seq == to && start.hash != head {
                return Err("the first line left names another hash than was signed".to_owned());
            }
            self.start_is_signed |= start.seq <= to;
        }
        Ok(())
    }

    /// Lines are missing at the beginning, and nobody signed that they may.
    fn missing_start(&mut self) {
        if let Some((start, place)) = self.start.take().filter(|_| !self.start_is_signed) {
            let why = format!(
                "the journal begins with line {}, and no signature in it says that older ones were dropped",
                start.seq + 1
            );
            self.bad(&place, why);
        }
    }

    fn checkpoint(&self, seq: u64, head: &str, key: &str, signature: &str) -> Result<(), String> {
        self.signed(seq, head, key, signature)?;
        let line = self.recent.iter().rev().find(|line| line.seq == seq);
        match line {
            Some(line) if line.hash == head => Ok(()),
            Some(_) => Err("the line has another hash than was signed".to_owned()),
            None if self.start.as_ref().is_some_and(|(start, _)| seq <= start.seq) => Ok(()),
            None => Err("the line is not before it, or too far before it".to_owned()),
        }
    }

    fn anchor(&mut self, place: &Place, checked: &Checked) {
        let Some(anchor) = self.anchors.remove(&checked.seq) else { return };
        if anchor.head != checked.hash {
            let why = "the line has another hash than the anchor says: history was rewritten";
            return self.bad(place, why.to_owned());
        }
        if self.report.first_bad.is_none() {
            self.report.anchors = self.report.anchors.map(|n| n + 1);
            self.report.anchored_up_to = Some(checked.seq);
        }
    }

    /// An anchor beyond the last line: the end of the journal is gone.
    fn missing_anchor(&mut self) {
        if let Some((start, _)) = &self.start {
            // What anchors say of dropped lines cannot be held against anything any more.
            self.anchors = self.anchors.split_off(&(start.seq + 1));
        }
        let (Some((seq, _)), Some(last)) = (self.anchors.pop_first(), self.last.clone()) else {
            return;
        };
        let why = format!("the journal ends at line {}, but the anchor knows line {seq}", last.seq);
        self.bad(&Place { seq: last.seq + 1, ..last }, why);
    }

    fn bad(&mut self, place: &Place, why: String) {
        self.report.first_bad.get_or_insert_with(|| BadEntry { place: place.clone(), why });
    }
}

/// How rows differ from those expected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct RowsReport {
    /// The sequence that the rows stand at.
    pub(crate) projected: u64,
    pub(crate) rows: u64,
    pub(crate) differences: u64,
    /// The first keys that are expected and not there.
    pub(crate) missing: Vec<String>,
    /// The first keys that are there and not expected.
    pub(crate) unexpected: Vec<String>,
    /// The first keys with another value.
    pub(crate) different: Vec<String>,
}

/// Hands `fold` every commit up to the sequence that the rows stand at, and says which that is.
pub(crate) async fn fold_journal(
    store: &dyn Store,
    mut fold: impl FnMut(&Commit) + Send,
) -> Result<u64, StoreError> {
    let projected = store.projected().await?;
    let mut at = 0;
    while at < projected {
        let commits = store.commits(at, READ).await?;
        if commits.is_empty() {
            return Err(StoreError::Read(format!("the journal has no line {}", at + 1)));
        }
        for commit in commits.iter().filter(|commit| commit.seq <= projected) {
            fold(commit);
        }
        at = commits.last().map_or(projected, |commit| commit.seq);
    }
    Ok(projected)
}

/// Compares the store's rows with those that the fold expects.
pub(crate) async fn compare_rows(
    store: &dyn Store,
    mut expected: BTreeMap<String, Bytes>,
) -> Result<RowsReport, StoreError> {
    let mut report = RowsReport { projected: store.projected().await?, ..RowsReport::default() };
    let mut after: Option<String> = None;
    loop {
        let rows = store.scan("", after.as_deref(), READ).await?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        report.rows += to_u64(rows.len());
        for (key, value) in rows {
            match expected.remove(&key) {
                Some(wanted) if wanted == value => {}
                Some(_) => name(&mut report.differences, &mut report.different, key),
                None => name(&mut report.differences, &mut report.unexpected, key),
            }
        }
    }
    for key in expected.into_keys() {
        name(&mut report.differences, &mut report.missing, key);
    }
    Ok(report)
}

fn name(count: &mut u64, names: &mut Vec<String>, key: String) {
    *count += 1;
    if names.len() < NAMED {
        names.push(key);
    }
}
