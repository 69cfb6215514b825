//! The figures that `local/bench` prints, one module each. A figure starts its own stack, measures, checks, and ends it.
//!
//! `chaos`: jobs under faults, and a checker that reads the record afterwards.

pub mod chaos;
