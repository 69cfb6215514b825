//! The figures that `local/bench` prints, one module each. A figure starts its own servers, measures, checks, and ends them.
//!
//! `chaos`: jobs under faults, and a checker that reads the record afterwards. `scale`: what many waiting jobs cost in memory
//! and time. `fleet`: what one Redis core has to do for ten thousand GPUs. `eta`: whether the promised waits come true. `overview`: how
//! long an operator waits for the state of a full queue. `billed`: what a job costs in function time while its model renders. `logins`:
//! whether the time of a refused login tells who exists. `sockets`: how fast a transition reaches those who listen. `doors`: what a
//! caller waits for an answer. `outages`: what it costs that somebody we depend on is away for a while. `recovery`: how long an emptied
//! Redis takes to know all waiting jobs again. `neighbours`: what one tenant can do to another.

pub mod billed;
pub mod chaos;
pub mod doors;
pub mod eta;
pub mod fleet;
pub mod logins;
pub mod neighbours;
pub mod outages;
pub mod overview;
pub mod recovery;
pub mod scale;
pub mod sockets;

mod caller;
mod course;
mod made;

use std::error::Error;

/// What a figure ends with: whether it met its targets, or why it could not be made.
pub type Verdict = Result<bool>;
/// Whatever kept a figure from being made is told as it is.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
