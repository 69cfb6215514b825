//! For operators: is everything there, how busy is it, and the wheel.

pub mod document;
mod form;
mod metrics;
mod ready;
mod routes;
mod setting;

pub use routes::{Document, router};
