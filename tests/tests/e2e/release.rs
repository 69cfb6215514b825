//! What a deployment does before callers reach its new versions.

use std::time::Duration;

use tokio::process::Command;

use crate::app::{App, PATIENCE};
use crate::doors::quiet;

/// What the check of the template tells CodeDeploy of the functions that run here.
async fn verdict(app: &App) -> String {
    let script = local::root().join("tests/template/hook.py");
    let mut command = Command::new(local::tool("python").unwrap());
    command.arg(script).arg(app.stack.api()).kill_on_drop(true);
    let ended = tokio::time::timeout(Duration::from_secs(120), command.output());
    let output = ended.await.unwrap().unwrap();
    let (shown, errors) = (&output.stdout, &output.stderr);
    let text = String::from_utf8_lossy(shown).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(errors)
    );
    text
}

#[tokio::test]
async fn versions_that_cannot_work_are_refused_before_callers_reach_them() {
    let app = App::with(quiet()).await;
    let well = verdict(&app).await;
    assert!(well.contains("\nSucceeded\n"), "{well}");
    // As if the new versions had the wrong address of Redis.
    app.stack.redis().unwrap().stop().await;
    // The page of before holds for a moment.
    let ill = local::until(PATIENCE, async || {
        let told = verdict(&app).await;
        told.contains("\nFailed\n").then_some(told)
    });
    let ill = ill.await.expect("it is refused");
    assert!(ill.contains("admin /health/ready"), "{ill}");
}
