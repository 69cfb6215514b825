//! Webhooks: which endpoints are told how a job ended, in which words, and how one of them is called.
//!
//! Reading order: `register` (the endpoints and secrets of a tenant), `target` (which are told of an
//! end), `message` (what it says), `signing` (its secrets), `send` (one call).

mod message;
mod register;
mod send;
mod signing;
mod target;

pub(crate) use message::{body, id as message_id, signatures};
pub use register::{
    Disabled, ENDPOINTS_MAX, Hooks, KEEP_DEFAULT, KEEP_MAX, Registered, SECRETS_MAX, Secret,
    change, failing_name, hooks,
};
pub(crate) use register::{disable, hooks_if_any};
pub use send::Sender;
pub(crate) use send::{Message, Verdict};
pub(crate) use signing::hooks_and_secrets;
pub(crate) use target::{Addressed, Nowhere, address, told_of};
