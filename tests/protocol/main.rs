//! The protocol of queue and doorbell as a model, every state of which is looked at.
//!
//! Reading order: `setting` (what is checked), `state` and `worker`, `redis` and `scripts` (one method a Lua script), `steps` (what workers,
//! requests and the sweep do), `action` (what can happen), `world` (what it makes of a state), `properties`, then the tests:
//! `holds`, and `mutants`, which must fail. `names` is a model of its own. `docs/protocol.md` says what is covered and what is not.
//!
//! That every job ends is checked as two invariants. The checker's own `eventually` is met by no path that runs into a circle,
//! and this model has circles: bells that are handed over, a sweep that never tires. So: (1) in a state in which nothing moves
//! by itself any more, all accepted jobs have ended and are settled; (2) from every state a schedule that gives everybody a
//! turn, with no further fault, ends them all. What neither shows: that no unfair schedule goes in circles for ever.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what is wrong by panicking"
)]

mod action;
mod check;
mod holds;
mod mutants;
mod names;
mod properties;
mod redis;
mod scripts;
mod setting;
mod state;
mod steps;
mod worker;
mod world;
