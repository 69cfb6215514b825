//! For operators: is everything there, how busy is it, and the wheel.

mod metrics;
mod ready;
mod routes;
mod setting;

pub use routes::{Document, router};
