//! What is written down twice must say the same twice: the template, the laptop's router, the table of variables, the
//! README, the containers, and the map of which code may know of which.
//!
//! `project` and `template` read the files; every other module is a chapter of the contract.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what is wrong by panicking"
)]

mod cloud;
mod containers;
mod deployment;
mod docs;
mod document;
mod features;
mod files;
mod functions;
mod image;
mod layers;
mod policies;
mod project;
mod queue;
mod reach;
mod role;
mod routes;
mod runbook;
mod settings;
mod template;
mod variables;
mod workflows;
