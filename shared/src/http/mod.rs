//! What every HTTP function needs around its routes.
//!
//! `edge` finishes a router (request ids, problems, access log), `serve` runs it on Lambda, `form` reads the fields of a body; the rest are extractors.

mod body;
mod cors;
mod edge;
mod fields;
mod form;
mod params;
mod prefer;
mod proxy;
mod quota;
mod request_id;
mod serve;
mod tag;
mod trace;

pub use body::{Body, LenientBody, Object, parse_json};
pub use edge::{MAX_BODY, finish_router};
pub use form::Form;
pub use params::{IdPath, JobPath, Query};
pub use prefer::Wait;
pub use proxy::ClientAddress;
pub use quota::Quota;
pub use request_id::RequestId;
pub use serve::{serve, serve_long};
pub use tag::matches;
pub use trace::{note_trace, traceparent};

#[cfg(test)]
mod tests;
