//! What the functions share. Reading order: `job` (what a job is), `queue` (how it moves), `settle` (how it ends),
//! then one owner for each technology.

// Pure: import nothing of the rest but each other.
pub mod endpoint;
pub mod envelope;
pub mod event;
pub mod job;
pub mod lenient;
pub mod number;
pub mod plan;
pub mod pointer;
pub mod priority;
pub mod provenance;
pub mod socket;
pub mod source;
pub mod stage;
pub mod submission;
pub mod track;

// One owner for each technology.
pub mod address;
pub mod audio;
mod aws;
pub mod callback;
pub mod caller;
pub mod config;
pub mod doorbell;
pub mod gateway;
pub mod http;
pub mod keyring;
pub mod metrics;
pub mod models;
pub mod probe;
pub mod problem;
pub mod queue;
pub mod reason;
pub mod store;
pub mod telemetry;
pub mod verifier;

// What several functions do with them.
pub mod audit;
pub mod burial;
pub mod change;
pub mod clients;
pub mod control;
pub mod delivery;
pub mod identity;
pub mod list;
pub mod lookup;
pub mod reconcile;
pub mod settle;
pub mod submit;
pub mod view;
pub mod wait;
pub mod webhook;
