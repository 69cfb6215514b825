//! The whole system through its public doors: real function processes under `cargo lambda`, a real Redis, stand-in models over
//! real HTTP. One module for each promise; `app` has the verbs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what is wrong by panicking"
)]

mod app;
mod cache;
mod cog;
mod connection;
mod contract_cog;
mod correlation;
mod crash;
mod doors;
mod loss;
mod models;
mod rollback;
mod steer;
mod track;
