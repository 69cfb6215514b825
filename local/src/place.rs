//! Where things are on this machine: the clone, its private folder, its programs, the tools.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use uuid::Uuid;

use crate::error::{HarnessError, Result};

/// Below the range that operating systems give to outgoing connections, so that a port that was free stays free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The top of this clone.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| clone_of(&std::env::current_exe().unwrap_or_default()))
}

/// The clone in which `program` was built. Cargo does not build anew what was built in a clone that was copied or moved, so where that
/// was counts only for a program outside of any clone.
fn clone_of(program: &Path) -> PathBuf {
    let local = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut around = program.ancestors();
    let clone = around.find(|folder| folder.join("local/prepare.sh").is_file());
    clone.or(local.parent()).unwrap_or(local).to_owned()
}

/// The folder for everything that is made here and never committed.
pub(crate) fn private() -> PathBuf {
    root().join(".local")
}

/// A program of this workspace, built beside the one that runs now (a test runs one folder deeper).
pub fn binary(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().map_err(HarnessError::io("where is this program"))?;
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| HarnessError::NotBuilt(name.to_owned()))
}

/// An installed tool: the private Python environment first, then `PATH`.
pub fn tool(name: &str) -> Result<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    std::iter::once(private().join("venv/bin"))
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| HarnessError::Missing(name.to_owned()))
}

/// Ports that this program gave out: whoever got one may not have bound it yet, so nobody else gets it.
static GIVEN: Mutex<Given> = Mutex::new(Given {
    ports: BTreeSet::new(),
    claims: None,
});

struct Given {
    ports: BTreeSet<u16>,
    /// In this file of the clone a byte is locked for each port, so that no other program of it gives the port out. The system lets go
    /// of a program's locks when it ends, or closes the file once: so it is opened once.
    claims: Option<File>,
}

impl Given {
    fn claim(&mut self, port: u16) -> Result<bool> {
        if !self.ports.insert(port) {
            return Ok(false);
        }
        let claims = match self.claims.take() {
            Some(file) => file,
            None => open_claims()?,
        };
        let byte = libc::flock {
            l_type: libc::F_WRLCK as _,
            l_whence: libc::SEEK_SET as _,
            l_start: port.into(),
            l_len: 1,
            l_pid: 0,
        };
        let claimed = fcntl(&claims, FcntlArg::F_SETLK(&byte)).is_ok();
        self.claims = Some(claims);
        Ok(claimed)
    }
}

fn open_claims() -> Result<File> {
    let path = private().join("ports");
    let about = || format!("open {}", path.display());
    std::fs::create_dir_all(private()).map_err(HarnessError::io(about()))?;
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    file.map_err(HarnessError::io(about()))
}

/// A port of the loopback address on which nothing listens at this moment; never the same twice, in this program or in others of the
/// clone that run at the same time.
pub fn free_port() -> Result<u16> {
    for _ in 0..200 {
        let port = fastrand::u16(PORTS);
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if is_free(port) && given.claim(port)? {
            return Ok(port);
        }
    }
    Err(HarnessError::NoPort)
}

pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The caller's own environment; what it configures is documented with the scripts.
#[allow(
    clippy::disallowed_methods,
    reason = "the harness makes the functions' environment, so it cannot ask theirs"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// A folder of one run; removed with its owner, except when a test that panics might want to read it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one under `.local/run`.
    pub fn new() -> Result<Self> {
        let runs = private().join("run");
        forget_old(&runs);
        let path = runs.join(Uuid::new_v4().to_string());
        std::fs::create_dir_all(&path)
            .map_err(HarnessError::io(format!("make {}", path.display())))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Leaves it, for somebody to read why a run failed.
    pub(crate) fn keep(mut self) {
        self.0 = PathBuf::new();
    }
}

/// Kept folders of failed runs are of no use on another day.
fn forget_old(runs: &Path) {
    let day = Duration::from_secs(24 * 3600);
    for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|about| about.modified());
        if changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > day)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_listened_on() {
        let port = free_port().unwrap();
        assert!(PORTS.contains(&port));
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(taken);
        assert!(is_free(port));
    }

    #[test]
    fn a_port_is_given_out_once() {
        let ports: BTreeSet<u16> = (0..500).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 500);
    }

    #[test]
    fn a_port_that_was_given_out_is_given_out_by_no_other_program() {
        let port = free_port().unwrap();
        let claims = private().join("ports");
        let claim = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(sys.argv[2]))";
        let claimed = |port: u16| {
            let mut python = std::process::Command::new(tool("python3").unwrap());
            python
                .args(["-c", claim])
                .arg(&claims)
                .arg(port.to_string());
            python.output().unwrap().status.success()
        };
        assert!(!claimed(port));
        assert!(claimed(1), "the control");
    }

    #[test]
    fn a_copied_clone_is_its_own_wherever_its_programs_were_built() {
        let copy = Scratch::new().unwrap();
        let folder = copy.path().join("local");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("prepare.sh"), "").unwrap();
        let program = copy.path().join("target/debug/deps/harness");
        assert_eq!(clone_of(&program), copy.path());
        let elsewhere = clone_of(Path::new("/usr/local/bin/harness"));
        assert_eq!(
            elsewhere.join("local"),
            Path::new(env!("CARGO_MANIFEST_DIR"))
        );
    }

    #[test]
    fn a_missing_tool_is_answered_with_how_to_get_it() {
        let error = tool("no-such-tool-anywhere").unwrap_err().to_string();
        assert!(error.contains("./local/install"), "{error}");
    }

    #[test]
    fn a_run_leaves_no_folder_behind() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("file"), "text").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
