//! Signing in, and who may: sessions of users, users, tokens of services.

pub mod document;
mod form;
mod origin;
mod routes;

pub use routes::router;
