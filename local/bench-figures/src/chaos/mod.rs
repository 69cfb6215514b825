//! Jobs under faults: workers killed and frozen, bells lost and doubled, Redis restarted, emptied and out of reach, models that
//! fail, are late or never answer. Afterwards a checker reads the record.
//!
//! Reading order: `options` and `schedule` (drawn from a seed), `run` (one run), `callers`, `board`, `samples`, `inject` (who acts
//! and who looks), `collect` and `history` (the record), `check` (the verdict), `table` and `report` (what is printed).

mod api;
mod board;
mod callers;
pub mod check;
mod collect;
pub mod history;
mod inject;
pub mod options;
mod report;
mod run;
mod samples;
pub mod schedule;
mod table;

pub(crate) use api::Api;
pub(crate) use inject::Injector;
pub use options::Options;
pub use report::violations;
pub use run::{Outcome, run};
pub(crate) use schedule::Fault;
pub use table::figures;
