//! The whole system through its public doors: real function processes under `cargo lambda`, a real Redis, stand-in models over
//! real HTTP. One module for each promise; `app` has the verbs.

mod app;
mod correlation;
mod crash;
mod doors;
mod loss;
mod models;
mod track;
