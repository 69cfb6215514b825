//! A child process that is started again when it dies, until it is told to stop.

mod program;

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use crate::error::{HarnessError, Result};
use crate::guard::Guard;
use crate::log::Log;
use crate::wait::Backoff;

pub(crate) use program::Program;

/// How long a process may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

/// A process that ran this long was well; its next death starts the backoff anew.
const WELL: Duration = Duration::from_secs(10);

/// A child ended although nobody stopped it.
#[derive(Debug, Clone)]
pub(crate) struct Death {
    pub(crate) name: String,
    pub(crate) status: String,
}

/// What all children of one owner share.
#[derive(Debug, Clone)]
pub(crate) struct Household {
    pub(crate) log: Arc<Log>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) deaths: broadcast::Sender<Death>,
}

/// Open files that a process needs at most.
const OPEN_FILES: u64 = 65_536;

/// For this process and its children. A thousand sockets and their client, or an emulator to which each of six functions keeps 256
/// connections, need more open files than the 1,024 that a system allows an ordinary user at first.
pub(crate) fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = soft.max(hard.min(OPEN_FILES));
        // Where it cannot be raised, less is served at a time.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
}

impl Household {
    pub(crate) fn new(log: Arc<Log>) -> Result<Self> {
        raise_open_files();
        let guard = Arc::new(Guard::start()?);
        let (deaths, _) = broadcast::channel(64);
        Ok(Self { log, guard, deaths })
    }

    /// What `starting` gives, or the error that one of the children ended meanwhile.
    pub(crate) async fn unless_one_ends<T>(
        &self,
        starting: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let mut deaths = self.deaths.subscribe();
        tokio::select! {
            started = starting => started,
            Ok(Death { name, status }) = deaths.recv() => Err(HarnessError::Ended {
                name,
                status,
                log: self.log.path().to_owned(),
                tail: self.log.tail(8),
            }),
        }
    }
}

/// A running program and the one that keeps it running.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) program: Program,
    pid: watch::Receiver<Option<u32>>,
    address: watch::Receiver<Option<String>>,
    stop: watch::Sender<bool>,
    /// It is not started before this.
    down_until: watch::Sender<Option<Instant>>,
    keeper: JoinHandle<()>,
}

impl Kept {
    /// Starts it; the first start must go well, later ones are tried again.
    pub(crate) fn start(program: Program, house: &Household) -> Result<Self> {
        let child = program.spawn(&house.log)?;
        let (pid_sender, pid) = watch::channel(child.id());
        let (address_sender, address) = watch::channel(None);
        let (stop, stopped) = watch::channel(false);
        let (down_until, held_down) = watch::channel(None);
        let keeper = Keeper {
            program: program.clone(),
            house: house.clone(),
            pid: pid_sender,
            address: address_sender,
            stopped,
            held_down,
        };
        let keeper = tokio::spawn(keeper.keep(child));
        Ok(Self {
            program,
            pid,
            address,
            stop,
            down_until,
            keeper,
        })
    }

    /// `None` between a death and the next start.
    pub(crate) fn pid(&self) -> Option<u32> {
        *self.pid.borrow()
    }

    /// What it announced, once it has.
    pub(crate) async fn address(&self) -> Option<String> {
        let mut address = self.address.clone();
        let known = address.wait_for(Option::is_some).await.ok()?;
        known.clone()
    }

    /// Sends `signal` to the process and its own children.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let missing = || HarnessError::NoSuchProcess {
            name: self.program.name.clone(),
            index: self.program.index,
        };
        let pid = self.pid().ok_or_else(missing)?;
        send(pid, signal).then_some(()).ok_or_else(missing)
    }

    /// Kills it, and starts it again only after `span`, counted from now; returns at once.
    pub(crate) fn hold_down(&self, span: Duration) {
        self.down_until.send_replace(Some(Instant::now() + span));
        // One that has just died by itself stays down as long.
        let _ = self.signal(Signal::SIGKILL);
    }

    /// SIGTERM, after 3 s SIGKILL; returns when it is gone.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = (&mut self.keeper).await;
    }
}

/// The keeper's own child has `kill_on_drop`, so an owner that is dropped leaves nothing running.
impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

struct Keeper {
    program: Program,
    house: Household,
    pid: watch::Sender<Option<u32>>,
    address: watch::Sender<Option<String>>,
    stopped: watch::Receiver<bool>,
    held_down: watch::Receiver<Option<Instant>>,
}

impl Keeper {
    async fn keep(mut self, first: Child) {
        let mut backoff = Backoff::new(Duration::from_millis(50), self.program.comeback);
        let mut next = Some(first);
        loop {
            if let Some(child) = next.take() {
                let started = Instant::now();
                let Some(status) = self.watch_over(child).await else {
                    return;
                };
                self.report(
                    &status.map_or_else(|error| error.to_string(), |status| status.to_string()),
                );
                if started.elapsed() > WELL {
                    backoff.reset();
                }
            }
            tokio::select! {
                () = pause(backoff.take(), &mut self.held_down) => {}
                () = until_stopped(&mut self.stopped) => return,
            }
            match self.program.spawn(&self.house.log) {
                Ok(child) => next = Some(child),
                Err(error) => self.report(&error.to_string()),
            }
        }
    }

    /// Until the child ended by itself (its status), or was stopped (`None`).
    async fn watch_over(&mut self, mut child: Child) -> Option<std::io::Result<ExitStatus>> {
        let group = child.id().unwrap_or_default();
        self.house.guard.add(group);
        self.pid.send_replace(Some(group));
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(relay(stdout, self.house.log.clone(), self.address.clone()));
        }
        let ended = tokio::select! {
            status = child.wait() => Some(status),
            () = until_stopped(&mut self.stopped) => None,
        };
        if ended.is_none() {
            end(&mut child, group).await;
        }
        self.pid.send_replace(None);
        // What the child itself left running goes with it.
        send(group, Signal::SIGKILL);
        self.house.guard.remove(group);
        ended
    }

    fn report(&self, status: &str) {
        let Program { name, index, .. } = &self.program;
        let fields = json!({"process": name, "index": index, "status": status});
        self.house
            .log
            .line("WARN", "a process ended and is started again", fields);
        let _ = self.house.deaths.send(Death {
            name: name.clone(),
            status: status.to_owned(),
        });
    }
}

/// Waits for `span`, and until it may be started.
async fn pause(span: Duration, held_down: &mut watch::Receiver<Option<Instant>>) {
    tokio::time::sleep(span).await;
    loop {
        let until = *held_down.borrow_and_update();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match left.filter(|left| !left.is_zero()) {
            Some(left) => tokio::time::sleep(left).await,
            None => return,
        }
    }
}

/// Also when nobody is left who could stop it.
async fn until_stopped(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn end(child: &mut Child, group: u32) {
    send(group, Signal::SIGTERM);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        send(group, Signal::SIGKILL);
        let _ = child.wait().await;
    }
}

/// To a whole process group; false when there is none.
fn send(group: u32, signal: Signal) -> bool {
    let group = i32::try_from(group).unwrap_or_default();
    // Group 0 would be the harness's own.
    group > 0 && killpg(Pid::from_raw(group), signal).is_ok()
}

/// Copies a child's standard output to the log, and takes the address out of its first line.
async fn relay(stdout: ChildStdout, log: Arc<Log>, address: watch::Sender<Option<String>>) {
    let Ok(file) = log.handle() else { return };
    let mut file = tokio::fs::File::from_std(file);
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(found) = line.strip_prefix("listening on ") {
            address.send_replace(Some(found.trim().to_owned()));
        }
        let written = file.write_all(format!("{line}\n").as_bytes()).await;
        if written.is_err() || file.flush().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
