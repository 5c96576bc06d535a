//! What is measured: the floor or Quell, each a process of its own over a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that takes alerts on a port.
pub(crate) struct Side {
    pub(crate) port: u16,
    pub(crate) folder: tempfile::TempDir,
    child: Child,
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Returns once something listens.
fn up(port: u16, child: &mut Child) {
    let began = Instant::now();
    while !listens(port) {
        assert!(child.try_wait().unwrap().is_none(), "the process ended");
        assert!(began.elapsed() < Duration::from_mins(1), "nothing listens on {port}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// On the disk that the build is on: a folder in memory would make every sync free.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub(crate) fn binary() -> PathBuf {
    std::env::var_os("QUELL_BENCH_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_quell").into(), PathBuf::from)
}

impl Side {
    pub(crate) fn floor(vendor: u16) -> Self {
        let folder = folder();
        let port = free_port();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("floor")
            .arg(port.to_string())
            .arg(vendor.to_string())
            .arg(folder.path())
            .spawn()
            .unwrap();
        up(port, &mut child);
        Self { port, folder, child }
    }

    pub(crate) fn quell(vendor: u16) -> Self {
        let folder = folder();
        let port = free_port();
        let deployment = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/deployment");
        copy(&deployment, folder.path());
        let config = std::fs::read_to_string(deployment.join("quell.toml")).unwrap();
        let config =
            config.replace("PORT", &port.to_string()).replace("VENDOR", &vendor.to_string());
        std::fs::write(folder.path().join("quell.toml"), config).unwrap();
        let made = quell(folder.path()).args(["init", "--lab", "--format", "json"]).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let child = serve(folder.path());
        let mut side = Self { port, folder, child };
        up(port, &mut side.child);
        side
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As if the power of this one process went; then starts it again. Returns how long until it listened.
    pub(crate) fn kill_and_start(&mut self) -> Duration {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.start()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn start(&mut self) -> Duration {
        let began = Instant::now();
        self.child = serve(self.folder.path());
        up(self.port, &mut self.child);
        began.elapsed()
    }

    /// Lines of Quell's journal, one a durable commit.
    pub(crate) fn commits(&self) -> usize {
        let journal = self.folder.path().join("data/journal");
        let mut lines = 0;
        for segment in std::fs::read_dir(journal).unwrap() {
            let bytes = std::fs::read(segment.unwrap().path()).unwrap();
            // A checkpoint is on nobody's path.
            let counts = |line: &&[u8]| !line.is_empty() && !contains(line, b"\"checkpoint\"");
            lines += bytes.split(|b| *b == b'\n').filter(counts).count();
        }
        lines
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|w| w == what)
}

impl Drop for Side {
    fn drop(&mut self) {
        // Already gone is as good.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn quell(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    command.current_dir(folder).env_remove("QUELL_URL").env_remove("QUELL_TOKEN");
    command
}

fn serve(folder: &Path) -> Child {
    let log = std::fs::File::create(folder.join("server.log")).unwrap();
    quell(folder).arg("serve").stdout(Stdio::null()).stderr(Stdio::from(log)).spawn().unwrap()
}
