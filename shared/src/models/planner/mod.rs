//! Narrative to song plan.

mod jen1;
mod ollama;

use serde_json::{Map, Value};

use super::Callback;
use crate::job::JobId;
use crate::plan::Planned;

pub use jen1::Jen1;
pub use ollama::Ollama;

/// What a plan is made from.
pub struct PlanRequest<'a> {
    pub job: JobId,
    pub narrative: &'a str,
    /// Seconds.
    pub duration: u32,
    /// As the caller gave them.
    pub options: &'a Map<String, Value>,
    /// The job's; for planners that take one.
    pub seed: u32,
    /// Offered if the service may answer later.
    pub callback: Option<Callback>,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub enum PlanAnswer {
    /// The plan.
    Plan(Box<Planned>),
    /// The service works on it and will report.
    Accepted,
}
