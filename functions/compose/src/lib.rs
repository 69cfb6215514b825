//! Narrative in, track out: submits a job and waits for it a little.

mod capabilities;
mod routes;

pub use routes::{Document, router};
