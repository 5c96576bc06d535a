//! Bytes that change behind the store's back: found, named with segment, byte and sequence, and never gone on over.
//!
//! The index may be lost: it is made anew. What somebody rewrote who has the folder and the signing key as
//! well is found only by checkpoints that were kept elsewhere.

mod folder;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Burst, SETTINGS, told};
use crate::world::{World, quell};
use folder::{Copy, Line, edit, files, forge, lines, split};

const ALERTS: usize = 40;
const SEED: u64 = 7;
const FLIPS: usize = 60;
const INDEX_FLIPS: usize = 30;

/// A stopped server's folder in three segments, and the checkpoints that were exported while it ran.
struct Crime {
    world: World,
    anchor: PathBuf,
}

impl Crime {
    async fn scene() -> Self {
        let mut world = World::new(ALERTS, SETTINGS);
        let receipts = Burst::of(&world, 1..=ALERTS).end().await;
        assert_eq!(receipts.len(), ALERTS);
        world.quiet().await;
        let anchor = world.folder.path().join("elsewhere.ndjson");
        let exported = exported(&world);
        std::fs::write(&anchor, exported).unwrap();
        world.stop();
        let texts: Vec<String> = lines(&world.data()).into_iter().map(|l| l.text).collect();
        let third = u64::try_from(texts.len() / 3).unwrap();
        split(&world.data().join("journal"), &texts, &[1, third, 2 * third]);
        world.prove(&["store", "verify"]);
        Self { world, anchor }
    }

    fn audit(&self, data: &Path, with: &[&str]) -> (i32, Value) {
        let mut command = quell(self.world.folder.path());
        let ran = command.args(["audit", "verify", "--format", "json"]).args(with).arg(data);
        let (code, text) = told(ran);
        (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn store_verify(&self, data: &Path) -> (i32, Value) {
        let mut command = quell(self.world.folder.path());
        let (code, text) = told(command.args(["store", "verify", "--format", "json"]).arg(data));
        (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// Serves the folder: the exit code, or `None` if it serves.
    fn serve(&mut self, data: &Path) -> (Option<i32>, String) {
        let before = self.world.log().len();
        self.world.spawn_with(&["--data", data.to_str().unwrap()]);
        let ended = self.world.ends_or_serves();
        if ended.is_none() {
            self.world.kill();
        }
        (ended, self.world.log()[before..].to_owned())
    }
}

/// What an operator would fetch from another machine, once there is a checkpoint.
fn exported(world: &World) -> String {
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    loop {
        let args =
            ["audit", "export", "--checkpoints", "--url", &world.url, "--token", &world.token];
        let (code, text) = told(quell(world.folder.path()).args(args));
        assert_eq!(code, 0, "{text}");
        if !text.is_empty() {
            return text;
        }
        assert!(std::time::Instant::now() < deadline, "no checkpoint was signed");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// What is done to the texts of lines.
type Change<'a> = &'a dyn Fn(&mut Vec<String>);

/// A line of the table.
fn say(what: &str, found: &str) {
    println!("damage | {what:<58} | {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_the_journal_is_named_at_its_first_bad_line_and_stops_the_start() {
    let mut crime = Crime::scene().await;
    let data = crime.world.data();
    let all = lines(&data);
    let mut dice = StdRng::seed_from_u64(SEED);

    for n in 0..FLIPS {
        let copy = Copy::of(&data);
        let line = &all[dice.random_range(0..all.len() * 9 / 10)];
        let (byte, bit) = (dice.random_range(0..line.text.len()), dice.random_range(0..8));
        let file = copy.data().join("journal").join(line.segment.file_name().unwrap());
        edit(&file, |bytes| bytes[line.offset + byte] ^= 1 << bit);
        named(&mut crime, &copy, line, n % 6 == 0);
    }
    say(
        &format!("{FLIPS} bits flipped in lines of all segments (seed {SEED})"),
        "all named, no start",
    );
    lines_changed(&mut crime, &data, &all);
    segments_changed(&mut crime, &data, &all);
    last_line_changed(&mut crime, &data, &all);
}

fn lines_changed(crime: &mut Crime, data: &Path, all: &[Line]) {
    let (early, middle) = (all.len() / 6, all.len() / 2);
    let cases: [(&str, usize, Change); 4] = [
        ("two lines of an old segment swapped", early, &|t| t.swap(early, early + 1)),
        ("the hash of a middle line changed", middle, &|t| {
            let at = t[middle].len() - 10;
            let other = if &t[middle][at..=at] == "0" { "1" } else { "0" };
            t[middle].replace_range(at..=at, other);
        }),
        ("a line cut in the middle", middle, &|t| {
            let half = t[middle].len() / 2;
            t[middle].truncate(half);
        }),
        ("a line emptied", early, &|t| t[early].clear()),
    ];
    for (what, at, change) in cases {
        let copy = Copy::of(data);
        let mut texts: Vec<String> = all.iter().map(|l| l.text.clone()).collect();
        change(&mut texts);
        copy.rewrite(&texts);
        named(crime, &copy, &all[at], true);
        say(what, &format!("named: sequence {}", all[at].seq));
    }
}

fn segments_changed(crime: &mut Crime, data: &Path, all: &[Line]) {
    let copy = Copy::of(data);
    let segments = files(&copy.data().join("journal"));
    std::fs::remove_file(&segments[1]).unwrap();
    let third = all.iter().rfind(|l| l.offset == 0).unwrap();
    let expected = all.iter().filter(|l| l.offset == 0).nth(1).unwrap();
    named(
        crime,
        &copy,
        &Line { segment: third.segment.clone(), offset: 0, ..expected.clone() },
        true,
    );
    say("the middle segment removed", &format!("named: sequence {}", expected.seq));

    let copy = Copy::of(data);
    let segments = files(&copy.data().join("journal"));
    edit(&segments[0], |bytes| bytes.truncate(bytes.len() / 2));
    let cut = lines(data)
        .into_iter()
        .rfind(|l| {
            l.offset < usize::try_from(std::fs::metadata(&segments[0]).unwrap().len()).unwrap()
                && l.segment.file_name() == segments[0].file_name()
        })
        .unwrap();
    named(crime, &copy, &cut, true);
    say("an old segment truncated", &format!("named: sequence {}", cut.seq));
}

fn last_line_changed(crime: &mut Crime, data: &Path, all: &[Line]) {
    let copy = Copy::of(data);
    let last = all.last().unwrap();
    let segments = files(&copy.data().join("journal"));
    edit(&segments[2], |bytes| bytes[last.offset + last.text.len() - 20] ^= 1);
    let (code, report) = crime.audit(&copy.data(), &[]);
    assert_eq!((code, report["torn"]["place"]["seq"].as_u64()), (0, Some(last.seq)), "{report}");
    let (ended, log) = crime.serve(&copy.data());
    assert!(ended.is_none() && log.contains("half-written"), "{log}");
    say("the very last line changed", "said as a torn tail: a power cut leaves the same");
}

/// `audit verify` names this line, and if asked `store verify` and a start, too.
fn named(crime: &mut Crime, copy: &Copy, line: &Line, start: bool) {
    let segment = line.segment.file_name().unwrap().to_str().unwrap();
    let (code, report) = crime.audit(&copy.data(), &[]);
    let place = &report["first_bad"]["place"];
    let found = (code, place["segment"].as_str(), place["seq"].as_u64());
    assert_eq!(found, (1, Some(segment), Some(line.seq)), "{line:?}: {report}");
    assert!(place["offset"].is_u64());
    if start {
        let (code, report) = crime.store_verify(&copy.data());
        assert_eq!((code, &report["journal"]["first_bad"]["place"]), (1, place));
        let (ended, log) = crime.serve(&copy.data());
        let newest = files(&copy.data().join("journal")).pop().unwrap();
        if ended.is_none() && line.segment.file_name() != newest.file_name() {
            // Of older segments the start reads the two ends; the rest is proved while it serves,
            // and found damage stops the next start (`store::journal::proof_tests`).
            return;
        }
        assert_eq!(ended, Some(2), "{log}");
        assert!(log.contains(&format!("sequence {}", line.seq)) && log.contains(segment), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rewritten_history_is_caught_by_signatures_or_by_an_anchor_kept_elsewhere() {
    let crime = Crime::scene().await;
    let data = crime.world.data();
    let texts: Vec<String> = lines(&data).into_iter().map(|l| l.text).collect();
    let (key, anchor) = (crime.world.key.clone(), crime.anchor.to_str().unwrap().to_owned());
    let (code, report) = crime.audit(&data, &["--key", &key, "--anchor", &anchor]);
    assert_eq!(code, 0, "{report}");
    assert!(report["anchored_up_to"].as_u64() >= Some(100), "{report}");

    let copy = Copy::of(&data);
    let mut without = texts.clone();
    without.remove(20);
    copy.rewrite(&forge(&without, None));
    let (code, report) = crime.audit(&copy.data(), &["--key", &key]);
    let why = report["first_bad"]["why"].as_str().unwrap_or_default();
    // Where the signing line itself moved up to the place that it signs, it is not behind it any more.
    let caught = ["another hash than was signed", "the line is not before it"];
    assert!(code == 1 && caught.iter().any(|c| why.contains(c)), "{code} {report}");
    say("a line removed, chain made anew without the key", "caught by a signed checkpoint");

    let copy = Copy::of(&data);
    let at = texts.iter().position(|t| t.contains("6 prompts denied")).unwrap();
    let mut other = texts.clone();
    other[at] = other[at].replace("6 prompts denied", "1 prompt accepted");
    copy.rewrite(&forge(&other, Some(&copy.data().join("keys/checkpoint.pk8"))));
    let (code, report) = crime.audit(&copy.data(), &["--key", &key]);
    assert_eq!(code, 0, "signed with the right key, nothing shows: {report}");
    let (code, report) = crime.audit(&copy.data(), &["--key", &key, "--anchor", &anchor]);
    let why = report["first_bad"]["why"].as_str().unwrap_or_default();
    assert!(code == 1 && why.contains("history was rewritten"), "{code} {report}");
    say(
        "history altered and signed again with the stolen key",
        "not caught by --key; caught by --anchor",
    );

    let copy = Copy::of(&data);
    copy.rewrite(&texts[..50]);
    assert_eq!(crime.audit(&copy.data(), &["--key", &key]).0, 0);
    let (code, report) = crime.audit(&copy.data(), &["--key", &key, "--anchor", &anchor]);
    let why = report["first_bad"]["why"].as_str().unwrap_or_default();
    assert!(code == 1 && why.contains("the journal ends at line 50"), "{code} {report}");
    let (code, report) = crime.store_verify(&copy.data());
    assert_eq!((code, report["index_opened"]["set_aside"].is_object()), (1, true), "{report}");
    say("the end of the journal cut off", "caught by --anchor, and by an index that is ahead");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_or_evidence_log_never_keeps_the_service_down() {
    let mut crime = Crime::scene().await;
    let data = crime.world.data();
    let mut dice = StdRng::seed_from_u64(SEED);
    let mut tally: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..INDEX_FLIPS {
        let copy = Copy::of(&data);
        let index = files(&copy.data().join("index"));
        let file = &index[dice.random_range(0..index.len())];
        edit(file, |bytes| {
            let at = dice.random_range(0..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.random_range(0..8);
            }
        });
        let (ended, log) = crime.serve(&copy.data());
        assert_eq!(ended, None, "{file:?}: {log}");
        let (code, report) = crime.store_verify(&copy.data());
        // Damage in a row that no start reads: it serves, and the check names it.
        let named = code == 1 && report["index"]["damaged"].is_string();
        assert!(code == 0 || named, "{file:?}: {report} {log}");
        let found = match log.contains("Set the index aside") {
            true => "set aside, made anew",
            false if named => "named by the check",
            false => "harmless",
        };
        *tally.entry(found).or_default() += 1;
    }
    say(
        &format!("{INDEX_FLIPS} bits flipped in files of the index"),
        &format!("{tally:?}; always serves"),
    );

    for (what, change) in [("removed", None), ("emptied", Some(0)), ("cut in half", Some(2))] {
        let copy = Copy::of(&data);
        let index = copy.data().join("index");
        match change {
            None => std::fs::remove_dir_all(&index).unwrap(),
            Some(part) => {
                edit(&index.join("db"), |b| b.truncate(b.len().checked_div(part).unwrap_or(0)));
            }
        }
        let (ended, log) = crime.serve(&copy.data());
        assert_eq!(ended, None, "{log}");
        let (code, report) = crime.store_verify(&copy.data());
        assert_eq!(code, 0, "{what}: {report}");
        say(&format!("the index {what}"), "made anew, serves, fold and rows agree");
    }

    let copy = Copy::of(&data);
    let log = files(&copy.data().join("evidence")).pop().unwrap();
    edit(&log, |bytes| bytes[0] = b'x');
    let (ended, log) = crime.serve(&copy.data());
    assert_eq!(ended, None, "{log}");
    assert!(log.contains("unreadable lines of the evidence log"), "{log}");
    say("a line of the evidence log made unreadable", "said, passed over, serves");
}
