//! Stand-ins for the model services, so that everything runs on one machine without a GPU. Reading order: `jen1`
//! (narrative → plan), `ollama` (the same in Ollama's protocol), `muscgen` (plan → audio; crate `music` plays it), then
//! what they share: `faults` and `calls` (told to fail, and what was asked), `chance` (told to fail now and then), `exchange` (one
//! call as it comes in), `report` (callbacks), `bulk` (answers too long to read), `serve` (the process).

mod bulk;
pub mod calls;
pub mod chance;
pub mod exchange;
pub mod faults;
pub mod jen1;
pub mod muscgen;
pub mod ollama;
pub mod report;
pub mod serve;

#[cfg(test)]
mod testing;
