//! Webhooks: who is told how a job ended, in which words, how often, and what came of it.
//!
//! Reading order: `register` (the endpoints and secrets of a tenant), `target` (who is told of an
//! end), `message` (what it says), `signing` (its secrets), `send` (one call), `schedule` (when the
//! next one is made), `deliver` (all of it together), `log` (what the owner sees).

mod deliver;
mod log;
mod message;
mod owe;
mod register;
mod schedule;
mod send;
mod signing;
mod target;

pub use deliver::{deliver, due};
pub use log::{AttemptView, DeliveryPage, DeliveryView, page, redeliver};
pub use owe::{owe, restore, ring_due};
pub use register::{
    Disabled, ENDPOINTS_MAX, Hooks, KEEP_DEFAULT, KEEP_MAX, Registered, SECRETS_MAX, Secret,
    change, failing_name, hooks,
};
pub use send::Sender;
