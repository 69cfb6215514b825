//! Nothing outlives its owner, not even when the owner is killed.
//!
//! `kill_on_drop` does not run on SIGKILL, and asking the kernel for a parent-death signal needs unsafe code. So each owner
//! has one small shell that reads, on its standard input, which process groups run. When the owner ends, however it ends,
//! the kernel closes that pipe, and the shell ends the groups that are still on its list: SIGTERM, so that `cargo lambda watch`
//! can end the functions that it started in groups of their own, and SIGKILL after two seconds.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;

use crate::error::{HarnessError, Result};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
alive=
while read -r sign group; do
  kept=
  for one in $alive; do [ "$one" = "$group" ] || kept="$kept $one"; done
  case $sign in
    +) alive="$kept $group" ;;
    -) alive=$kept ;;
  esac
done
send() { for one in $alive; do kill -s "$1" -- "-$one" 2>/dev/null; done; }
send TERM
for tenth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  left=
  for one in $alive; do kill -s 0 -- "-$one" 2>/dev/null && left=1; done
  [ -n "$left" ] || exit 0
  sleep 0.1
done
send KILL
exit 0
"#;

/// The owner's end of the pipe.
#[derive(Debug)]
pub(crate) struct Guard {
    pipe: Mutex<Option<ChildStdin>>,
    shell: Option<Child>,
}

impl Guard {
    pub(crate) fn start() -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C in the terminal must not reach it.
            .process_group(0)
            .spawn()
            .map_err(HarnessError::io("start sh"))?;
        Ok(Self {
            pipe: Mutex::new(shell.stdin.take()),
            shell: Some(shell),
        })
    }

    /// The process group `group` runs, and is to be killed with the owner.
    pub(crate) fn add(&self, group: u32) {
        self.tell('+', group);
    }

    /// The process group `group` has ended; its number may soon belong to somebody else.
    pub(crate) fn remove(&self, group: u32) {
        self.tell('-', group);
    }

    fn tell(&self, sign: char, group: u32) {
        if let Ok(mut pipe) = self.pipe.lock()
            && let Some(pipe) = pipe.as_mut()
        {
            // A guard that is gone cannot be told; `kill_on_drop` is left then.
            let _ = pipe.write_all(format!("{sign} {group}\n").as_bytes());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Ok(mut pipe) = self.pipe.lock() {
            pipe.take();
        }
        if let Some(mut shell) = self.shell.take() {
            // Only so that no zombie stays.
            std::thread::spawn(move || shell.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::until;
    use std::io::Read;
    use std::os::unix::process::ExitStatusExt;
    use std::time::Duration;

    fn sleeper() -> Child {
        Command::new("sleep")
            .arg("600")
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn what_still_runs_dies_with_the_guard_and_what_was_removed_does_not() {
        let guard = Guard::start().unwrap();
        let (mut kept, mut removed) = (sleeper(), sleeper());
        guard.add(kept.id());
        guard.add(removed.id());
        guard.remove(removed.id());
        drop(guard);
        let ended = until(Duration::from_secs(5), async || kept.try_wait().unwrap()).await;
        assert_eq!(ended.expect("it is killed").signal(), Some(15));
        assert!(removed.try_wait().unwrap().is_none());
        removed.kill().unwrap();
        removed.wait().unwrap();
    }

    #[tokio::test]
    async fn what_ignores_sigterm_is_killed() {
        let guard = Guard::start().unwrap();
        let mut stubborn = Command::new("sh")
            .args([
                "-c",
                "trap '' TERM; echo ready; while :; do sleep 600; done",
            ])
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        stubborn
            .stdout
            .take()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        guard.add(stubborn.id());
        drop(guard);
        let ended = until(Duration::from_secs(10), async || {
            stubborn.try_wait().unwrap()
        })
        .await;
        assert_eq!(ended.expect("it is killed").signal(), Some(9));
    }
}
