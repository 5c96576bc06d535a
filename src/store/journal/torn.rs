//! A disk in memory that forgets what was not synced, in the ways that real ones do.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::medium::Medium;
use crate::store::hold::hold;

/// Written whole or not at all. Smaller than a real sector, so that more lines tear.
const SECTOR: usize = 64;

/// Numbers from a seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        usize::try_from(z % u64::try_from(sides).unwrap()).unwrap()
    }
}

#[derive(Clone, Default)]
struct TornFile {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// Its name is on the device too.
    named: bool,
}

#[derive(Clone, Default)]
struct State {
    files: BTreeMap<String, TornFile>,
    /// How many bytes files may still grow by.
    room: Option<usize>,
    /// How many more changes succeed before the power goes.
    power: Option<usize>,
}

impl State {
    fn spend(&mut self) -> io::Result<()> {
        match self.power.as_mut() {
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn file(&mut self, file: &str) -> io::Result<&mut TornFile> {
        self.files.get_mut(file).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// A folder in memory.
#[derive(Clone, Default)]
pub(crate) struct TornMedium(Arc<Mutex<State>>);

impl TornMedium {
    /// The power goes after `changes` more writes and syncs.
    pub(crate) fn cut_after(&self, changes: usize) {
        hold(&self.0).power = Some(changes);
    }

    /// Lets files grow by `bytes` more; `None` = as far as they like.
    pub(crate) fn set_room(&self, bytes: Option<usize>) {
        hold(&self.0).room = bytes;
    }

    /// What is on the disk when the power comes back: of what was not synced, any sectors.
    pub(crate) fn power_cut(&self, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut files = BTreeMap::new();
        for (name, file) in &hold(&self.0).files {
            if !file.named && dice.roll(2) == 0 {
                continue;
            }
            let left = tear(file, &mut dice);
            files.insert(name.clone(), TornFile { now: left.clone(), synced: left, named: true });
        }
        Self(Arc::new(Mutex::new(State { files, room: None, power: None })))
    }

    /// Changes bytes behind everybody's back.
    pub(crate) fn edit(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = hold(&self.0);
        let file = state.file(file).unwrap();
        change(&mut file.now);
        file.synced.clone_from(&file.now);
    }

    pub(crate) fn bytes(&self, file: &str) -> Vec<u8> {
        hold(&self.0).file(file).unwrap().now.clone()
    }
}

fn tear(file: &TornFile, dice: &mut Dice) -> Vec<u8> {
    let short = file.synced.len().min(file.now.len());
    let long = file.synced.len().max(file.now.len());
    let size = short + dice.roll(long - short + 1);
    let mut left = vec![0; size];
    for start in (0..size).step_by(SECTOR) {
        let from = if dice.roll(2) == 0 { &file.now } else { &file.synced };
        let end = (start + SECTOR).min(size).min(from.len());
        if start < end {
            left[start..end].copy_from_slice(&from[start..end]);
        }
    }
    left
}

impl Medium for TornMedium {
    fn create(&self, file: &str) -> io::Result<()> {
        let mut state = hold(&self.0);
        state.spend()?;
        if state.files.contains_key(file) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        state.files.insert(file.to_owned(), TornFile::default());
        Ok(())
    }

    fn write_at(&self, file: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = hold(&self.0);
        state.spend()?;
        let room = state.room;
        let open = state.file(file)?;
        let offset = usize::try_from(offset).unwrap();
        let mut end = offset + bytes.len();
        let grows = end.saturating_sub(open.now.len());
        let lacks = room.map_or(0, |room| grows.saturating_sub(room));
        end -= lacks;
        if end > open.now.len() {
            open.now.resize(end, 0);
        }
        open.now[offset..end].copy_from_slice(&bytes[..end - offset]);
        state.room = room.map(|room| room - (grows - lacks));
        if lacks > 0 { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    fn truncate(&self, file: &str, size: u64) -> io::Result<()> {
        let mut state = hold(&self.0);
        state.spend()?;
        state.file(file)?.now.truncate(usize::try_from(size).unwrap());
        Ok(())
    }

    fn sync(&self, file: &str) -> io::Result<()> {
        let mut state = hold(&self.0);
        state.spend()?;
        let open = state.file(file)?;
        open.synced.clone_from(&open.now);
        Ok(())
    }

    fn read_at(&self, file: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = hold(&self.0);
        let now = &state.file(file)?.now;
        let start = usize::try_from(offset).unwrap().min(now.len());
        let end = (start + into.len()).min(now.len());
        into[..end - start].copy_from_slice(&now[start..end]);
        Ok(end - start)
    }

    fn size(&self, file: &str) -> io::Result<u64> {
        Ok(u64::try_from(hold(&self.0).file(file)?.now.len()).unwrap())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(hold(&self.0).files.keys().cloned().collect())
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        let mut state = hold(&self.0);
        state.spend()?;
        state.files.remove(file);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = hold(&self.0);
        state.spend()?;
        for file in state.files.values_mut() {
            file.named = true;
        }
        Ok(())
    }
}
