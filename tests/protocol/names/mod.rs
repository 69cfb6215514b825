//! The life of names around one `Idempotency-Key`: the claim, the refusal, the tombstone, markers
//! and manifests by generation.
//!
//! A second, small model beside that of queue and bells. Every store operation and every script is
//! one step, anything may come between two steps, and whoever takes a step may die before the next.
//! Reading order: `setting`, `state`, then what is done (`submit`, `find`, `settle`, `change`,
//! `sweep`), `action`, `properties`, and the tests: `holds` and `mutants`.

mod action;
mod change;
mod find;
mod holds;
mod mutants;
mod properties;
mod setting;
mod settle;
mod state;
mod submit;
mod sweep;
