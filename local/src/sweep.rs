//! The schedule's stand-in: invokes `sweep` at a fixed pace.

use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::invoke::Invoker;
use crate::log::Log;
use crate::process::Death;

/// The function's time-out in the cloud.
const LIMIT: Duration = Duration::from_secs(60);

const FUNCTION: &str = "sweep";

/// As the scheduler sends it when the target names no input of its own.
pub(crate) fn scheduled_event() -> Value {
    json!({
        "version": "0",
        "id": Uuid::new_v4(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": "000000000000",
        "time": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": "us-east-1",
        "resources": ["arn:aws:scheduler:us-east-1:000000000000:schedule/default/sweep"],
        "detail": {},
    })
}

/// The first sweep comes at once: it finds what an earlier run left.
pub(crate) async fn run(
    invoker: Invoker,
    every: Duration,
    deaths: broadcast::Receiver<Death>,
    log: Arc<Log>,
) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Those of before do not concern this round.
        let died = death(deaths.resubscribe());
        let event = scheduled_event();
        let trouble = tokio::select! {
            answer = timeout(LIMIT, invoker.invoke(FUNCTION, &event)) => match answer {
                Ok(Ok(_)) => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", LIMIT.as_secs()),
            },
            // The emulator never answers for a process that died.
            () = died => "its process died".to_owned(),
        };
        log.line("WARN", "a sweep failed", json!({"error": trouble}));
    }
}

/// Until the function's process dies.
async fn death(mut deaths: broadcast::Receiver<Death>) {
    loop {
        match deaths.recv().await {
            Ok(death) if death.name == FUNCTION => return,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes::{compare, recorded};

    #[test]
    fn a_round_is_asked_for_in_the_shape_that_the_scheduler_has() {
        compare(&scheduled_event(), &recorded("sweep"), &[]);
        assert_eq!(scheduled_event()["source"], recorded("sweep")["source"]);
    }
}
