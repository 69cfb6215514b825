//! The services that Tutti calls: planners, generators, whoever serves their audio, and an API with its own job table.
//!
//! Every call carries [`Outgoing`]'s headers, ends within its budget, reads a bounded body, follows no redirect and fails with
//! a [`ModelError`]. No call that asks for work is repeated here: the queue repeats attempts. Only a connection that could not
//! be made is tried once more.

mod api;
mod call;
mod error;
mod fetcher;
mod generator;
mod offer;
mod planner;
#[cfg(test)]
pub(crate) mod testing;
mod verdict;

pub use api::{OrchestratorApi, Report, ReportKind};
pub(crate) use call::builder;
pub use call::{Outgoing, http_client};
pub use error::{Fault, ModelError, Service};
pub use fetcher::Fetcher;
pub use generator::{
    Cog, Generator, Muscgen, NamedInputs, Outcome, Prediction, RenderAnswer, RenderRequest,
};
pub use offer::{Callback, Upload};
pub use planner::{Jen1, Ollama, PlanAnswer, PlanRequest};
pub(crate) use verdict::retry_after;

/// Largest audio that is taken from anybody: 64 MiB.
pub const MAX_AUDIO: usize = 64 << 20;

/// Largest song plan: 1 MiB.
pub const MAX_PLAN: usize = 1 << 20;
