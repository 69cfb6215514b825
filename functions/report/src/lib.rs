//! Where model services report and upload. Apart from `jobs`, so that waiting callers never starve them.

mod body;
pub mod document;
mod hook;
mod report;
mod routes;
mod speaker;
mod upload;

pub use routes::router;
