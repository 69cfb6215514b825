//! Jobs: submit, list, read, follow, fetch the audio, cancel, retry, delete.

mod routes;

pub use routes::{Document, router};
