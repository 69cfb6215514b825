//! The queue against a real Redis. `rig` has the verbs, and after each of them `check` looks at what must always hold;
//! `model` compares all of it with a queue in plain Rust, and the other modules mirror `shared/src/queue`. `QUEUE_REDIS=tls` or
//! `=cluster` runs it all over TLS with a password, or on a cluster; `REDIS_ENGINE=redis`, `=valkey-8.1` or `=valkey-9.1` on that program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by a panic"
)]

mod adopt;
mod attempt;
mod breaker;
mod broken_off;
mod care;
mod check;
mod chunks;
mod connection;
mod control;
mod delivery;
mod entry;
mod fairness;
mod fairness_long;
mod finish;
mod full;
mod identity;
mod kept;
mod lease;
mod lines;
mod lists;
mod model;
mod names;
mod notes;
mod owner;
mod progress;
mod proxy;
mod reads;
mod redeliver;
mod redis;
mod report;
mod restore;
mod retry;
mod rig;
mod room;
mod sides;
mod signs;
mod site;
mod sockets;
mod waiting;
mod walk;
mod webhook;
mod worker;
