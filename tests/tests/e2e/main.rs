//! The whole system through its public doors: real function processes under `cargo lambda`, a real Redis, stand-in models over
//! real HTTP. One module for each promise; `app` has the verbs.
//!
//! `contract_…` are for authors of model services (docs/models.md): they hold one service against what Tutti expects of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what is wrong by panicking"
)]

mod alarms;
mod app;
mod attacks;
mod auth;
mod authorization;
mod breaker;
mod cache;
mod cog;
mod connection;
mod contract_cog;
mod contract_jen1;
mod contract_muscgen;
mod contract_ollama;
mod correlation;
mod crash;
mod document;
mod doors;
mod faults;
mod full;
mod live;
mod loss;
mod models;
mod ollama;
mod outside;
mod receiver;
mod recorded;
mod recovery;
mod release;
mod rollback;
mod rotation;
mod routes;
mod secrets;
mod steer;
mod track;
mod webhooks;
