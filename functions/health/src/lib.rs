//! Whether the API answers at all, and what it is. Asks nobody: no Redis, no store, no configuration.

mod document;
mod routes;

pub use routes::{Document, router};
