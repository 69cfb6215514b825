use super::*;
use crate::place::Scratch;

fn house(scratch: &Scratch) -> Household {
    let log = Log::create(&scratch.path().join("test.log")).unwrap();
    Household::new(Arc::new(log)).unwrap()
}

fn shell(script: &str) -> Program {
    Program::new("shell", "/bin/sh".into()).args(["-c", script])
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), what)
        .await
        .expect("within 10 s")
}

#[tokio::test]
async fn a_killed_process_comes_back_under_another_pid() {
    let scratch = Scratch::new().unwrap();
    let house = house(&scratch);
    let mut deaths = house.deaths.subscribe();
    let kept = Kept::start(shell("exec sleep 600"), &house).unwrap();
    let first = kept.pid().unwrap();
    kept.signal(Signal::SIGKILL).unwrap();
    assert!(
        soon(deaths.recv())
            .await
            .unwrap()
            .status
            .contains("signal: 9")
    );
    let mut pid = kept.pid.clone();
    let second = soon(pid.wait_for(Option::is_some)).await.unwrap().unwrap();
    assert_ne!(first, second);
    soon(kept.stop()).await;
    assert!(!send(second, Signal::SIGKILL), "{second} still runs");
}

#[tokio::test]
async fn a_process_that_ignores_sigterm_is_killed_with_its_own_children() {
    let scratch = Scratch::new().unwrap();
    let mut program =
        shell("trap '' TERM; sleep 600 & echo listening on $!; while :; do wait; done");
    program.announces = true;
    let kept = Kept::start(program, &house(&scratch)).unwrap();
    let grandchild: i32 = soon(kept.address()).await.unwrap().parse().unwrap();
    soon(kept.stop()).await;
    let gone = crate::wait::until(Duration::from_secs(5), async || {
        let state = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    });
    assert!(gone.await.is_some());
}

#[tokio::test]
async fn a_child_sees_only_the_environment_that_it_is_given() {
    let scratch = Scratch::new().unwrap();
    let mut program = shell("echo listening on $GIVEN-$CARGO_PKG_NAME-; exec sleep 600");
    program.announces = true;
    program.env = vec![("GIVEN".into(), "yes".into())];
    let kept = Kept::start(program, &house(&scratch)).unwrap();
    assert_eq!(soon(kept.address()).await.unwrap(), "yes--");
    soon(kept.stop()).await;
}

#[tokio::test]
async fn a_process_that_is_held_down_comes_back_by_itself_and_not_before_its_time() {
    let scratch = Scratch::new().unwrap();
    let house = house(&scratch);
    let kept = Kept::start(shell("exec sleep 600"), &house).unwrap();
    let (mut pid, span) = (kept.pid.clone(), Duration::from_millis(700));
    let held = Instant::now();
    kept.hold_down(span);
    soon(pid.wait_for(Option::is_none)).await.unwrap();
    soon(pid.wait_for(Option::is_some)).await.unwrap();
    assert!(held.elapsed() >= span, "{:?}", held.elapsed());
    soon(kept.stop()).await;
}

#[tokio::test]
async fn a_child_may_open_as_many_files_as_are_needed_where_the_system_allows_it() {
    let scratch = Scratch::new().unwrap();
    let house = house(&scratch);
    let limits = std::process::Command::new("sh")
        .args(["-c", "ulimit -n; ulimit -Hn"])
        .output()
        .unwrap();
    let limits = String::from_utf8(limits.stdout).unwrap();
    let limit = |word: &str| word.parse().unwrap_or(u64::MAX);
    let limits: Vec<u64> = limits.split_whitespace().map(limit).collect();
    assert!(limits[0] >= limits[1].min(OPEN_FILES), "{limits:?}");
    drop(house);
}
