//! The local harness: the whole system on one machine, for `local/up`, `local/demo` and the tests.
//!
//! Reading order: `stack` (what runs and in which order), `process` and `guard` (how it is kept and how it ends), `pump`
//! (bells become invocations), `gateway` (sockets), `parts` (what runs alone in a container), then what each program needs. `proxy`
//! and the options of `pump` and `stand_ins` are for faults.

mod browser;
mod error;
mod guard;
mod key_pair;
mod log;
mod place;
mod process;
mod proxy;
#[cfg(test)]
mod shapes;
mod socket_client;
mod wait;

mod beside;
mod emulator;
mod environment;
mod gateway;
mod invoke;
mod models;
mod options;
mod parts;
mod password;
mod pump;
mod stack;
mod sweep;
mod token;

pub mod api;
pub mod cog;
pub mod demo;
pub mod moto;
pub mod redis;
pub mod schemathesis;
pub mod stand_ins;
pub mod up;

pub use beside::Beside;
pub use browser::Browser;
pub use cog::{Cog, CogOptions};
pub use error::{HarnessError, Result};
pub use invoke::http_event;
pub use key_pair::KeyPair;
pub use log::Log;
pub use moto::Moto;
pub use nix::sys::signal::Signal;
pub use options::{
    Artifacts, BellFaults, Bells, OllamaChoice, Ports, RedisChoice, SocketLimits, StackOptions,
};
pub use parts::{Functions, beside};
pub use password::{LocalAdmin, hash_password};
pub use place::{Scratch, binary, free_port, root, tool};
pub use proxy::Proxy;
pub use redis::{Redis, RedisKind};
pub use socket_client::{Heard, Opening, SocketClient};
pub use stack::Stack;
pub use token::{mint, signing_secret};
pub use wait::until;
