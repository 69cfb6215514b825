//! The schedule's stand-in: invokes `sweep` at a fixed pace.

use std::sync::Arc;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::invoke::Invoker;
use crate::log::Log;

/// The function's time-out in the cloud.
const LIMIT: Duration = Duration::from_secs(60);

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
pub(crate) async fn run(invoker: Invoker, every: Duration, log: Arc<Log>) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let trouble = match timeout(LIMIT, invoker.invoke("sweep", &scheduled_event())).await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", LIMIT.as_secs()),
        };
        log.line("WARN", "a sweep failed", json!({"error": trouble}));
    }
}
