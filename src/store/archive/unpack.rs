//! Reads an archive: believes nothing in it that its manifest does not bear out.

use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use tar::{Archive, EntryType};

use super::{Digesting, FORMAT, MANIFEST, Manifest, Member, VERSION, belongs};
use crate::engine::ports::StoreError;
use crate::store::folder;

/// Longest manifest that is read.
const MANIFEST_MAX: u64 = 64 << 20;

/// Reads an archive to its end and returns its manifest, which holds. Blocks.
pub(crate) fn check(archive: &Path) -> Result<Manifest, StoreError> {
    read(archive, &mut |_, from| io::copy(from, &mut io::sink()).map(drop))
}

/// Puts the members of an archive into the empty folder `to`. An error may leave some there. Blocks.
pub(crate) fn unpack(archive: &Path, to: &Path) -> Result<Manifest, StoreError> {
    read(archive, &mut |path, from| {
        let path = to.join(path);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        io::copy(from, &mut file)?;
        file.sync_all()
    })
}

type Keep<'k> = dyn FnMut(&str, &mut dyn Read) -> io::Result<()> + 'k;

fn read(archive: &Path, keep: &mut Keep<'_>) -> Result<Manifest, StoreError> {
    let refuse = |why: String| {
        StoreError::Read(format!("`{}` is not a whole backup: {why}", archive.display()))
    };
    let file = File::open(archive).map_err(|e| {
        StoreError::Read(format!("`{}` could not be opened: {e}", archive.display()))
    })?;
    let mut tar = Archive::new(GzDecoder::new(BufReader::new(file)));
    let (manifest, found) = members(&mut tar, keep).map_err(|e| refuse(e.to_string()))?;
    // Up to here the trailer, which has the whole stream's sum, was not looked at.
    let rest = io::copy(&mut tar.into_inner(), &mut io::sink());
    rest.map_err(|e| refuse(e.to_string()))?;
    let manifest = manifest.ok_or_else(|| refuse("it ends before its manifest".to_owned()))?;
    borne_out(&manifest, found).map_err(refuse)?;
    Ok(manifest)
}

type Found = BTreeMap<String, Member>;

fn members(
    tar: &mut Archive<impl Read>,
    keep: &mut Keep<'_>,
) -> io::Result<(Option<Manifest>, Found)> {
    let (mut manifest, mut found) = (None, Found::new());
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let strange = || Err(io::Error::other(format!("it holds `{path}`, which is none of ours")));
        if manifest.is_some() || entry.header().entry_type() != EntryType::Regular {
            return strange();
        }
        if path == MANIFEST {
            let mut text = Vec::new();
            entry.take(MANIFEST_MAX).read_to_end(&mut text)?;
            manifest = Some(serde_json::from_slice(&text)?);
            continue;
        }
        if !belongs(&path) || found.contains_key(&path) {
            return strange();
        }
        let mut from = Digesting::new(&mut entry);
        if path == FORMAT {
            let mut format = String::new();
            from.read_to_string(&mut format)?;
            if format != folder::FORMAT {
                let why = format!("it is of the format {:?}", format.trim());
                return Err(io::Error::other(why));
            }
        } else {
            keep(&path, &mut from)?;
        }
        found.insert(path.clone(), from.member(path));
    }
    Ok((manifest, found))
}

fn borne_out(manifest: &Manifest, mut found: Found) -> Result<(), String> {
    if manifest.v != VERSION {
        return Err(format!("its version is {}, which this program does not know", manifest.v));
    }
    for member in &manifest.members {
        match found.remove(&member.path) {
            None => return Err(format!("`{}` is missing", member.path)),
            Some(is) if is != *member => {
                return Err(format!("`{}` is not what the manifest says", member.path));
            }
            Some(_) => {}
        }
    }
    match found.pop_first() {
        Some((path, _)) => Err(format!("`{path}` is not in the manifest")),
        None => Ok(()),
    }
}
