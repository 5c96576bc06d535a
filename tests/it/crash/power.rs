//! Power cuts of a real file system: ext4 on a loop device is shut down under load, so that whatever was not
//! synced is gone, then the process is killed and the disk mounted again.
//!
//! Needs root, loop devices and a tool that can ask for the shutdown. Where one is missing this says so; the
//! store's own tests then carry what they can without a kernel (`store::journal`).

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::operator::Operator;
use super::{Burst, Mount, SETTINGS, prove, run};
use crate::world::World;

const ALERTS: usize = 160;
const CUTS: usize = 40;
const SEED: u64 = 40;

/// `EXT4_IOC_SHUTDOWN` with "no log flush", as a one-liner for those without `xfs_io`. The file system
/// must be asked at its root.
const PERL: &str =
    "open my $at, '<', $ARGV[0] or die $!; ioctl($at, 0x8004587d, pack('L', 2)) or die $!";

/// A disk with a plug.
struct Disk {
    image: PathBuf,
    at: PathBuf,
    mount: Option<Mount>,
}

impl Disk {
    fn new(folder: &Path) -> Result<Self, String> {
        let (image, at) = (folder.join("disk.img"), folder.join("disk"));
        let file = std::fs::File::create(&image).map_err(|e| e.to_string())?;
        file.set_len(192 << 20).map_err(|e| e.to_string())?;
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        let mut disk = Self { image, at, mount: None };
        disk.plug_in()?;
        // A machine that only pretends to cut would let every test pass.
        disk.cut()?;
        if std::fs::write(disk.at.join("after"), "the cut").is_ok() {
            return Err("the file system went on after it was shut down".to_owned());
        }
        disk.pull_out();
        disk.plug_in()?;
        Ok(disk)
    }

    fn plug_in(&mut self) -> Result<(), String> {
        let image = self.image.to_str().unwrap_or_default().to_owned();
        self.mount = Some(Mount::new(self.at.clone(), &["-o", "loop", &image])?);
        Ok(())
    }

    /// From here on nothing reaches the disk, not even what the kernel has in its hands.
    fn cut(&self) -> Result<(), String> {
        let asked = run(Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.at));
        asked.or_else(|why| {
            run(Command::new("perl").args(["-e", PERL]).arg(&self.at))
                .map_err(|other| format!("{why}; {other}"))
        })
    }

    fn pull_out(&mut self) {
        self.mount = None;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_power_cuts_in_a_burst_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = match Disk::new(folder.path()) {
        Ok(disk) => disk,
        Err(why) => {
            println!("MISSING: ext4 on a loop device that can be shut down ({why})");
            println!(
                "power cuts: 0 of {CUTS} (missing, see above); the store's torn medium carries"
            );
            return;
        }
    };
    let began = Instant::now();
    let home = tempfile::tempdir().unwrap();
    let mut world = World::on(home, disk.at.join("data"), ALERTS, SETTINGS);
    let mut operator = Operator::enrol(&world).await;
    let mut dice = StdRng::seed_from_u64(SEED);
    let mut burst = Burst::of(&world, 1..=ALERTS);

    for _ in 0..CUTS {
        for _ in 0..dice.random_range(1..=6) {
            if burst.acks.recv().await.is_none() {
                break;
            }
        }
        tokio::time::sleep(Duration::from_micros(dice.random_range(0..20_000))).await;
        disk.cut().unwrap();
        world.kill();
        disk.pull_out();
        disk.plug_in().unwrap();
        world.start();
    }
    let receipts = burst.end().await;
    let proof = prove(&mut world, &mut operator, &receipts).await;

    println!(
        "power cuts (seed {SEED}): {CUTS} of {CUTS}, {} torn tails cut; {} alerts acknowledged, {} runs ended \
         ({} resumed by a person), {} effects, {} doubled, {} lost; {} s",
        world.log().matches("half-written").count(),
        proof.acknowledged,
        proof.runs,
        proof.resumed,
        proof.effects,
        proof.doubled,
        proof.lost,
        began.elapsed().as_secs(),
    );
    assert_eq!((proof.acknowledged, proof.lost, proof.doubled), (ALERTS, 0, 0));
}
