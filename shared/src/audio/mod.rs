//! Audio that came back from a model: decoded, measured, let through or refused. Reading order: `container`
//! (what was delivered, by `frames`, `wav`, `aiff`), `decode` (bytes to samples, by `opus`), `meter` and `waveform` (samples to figures, by `extremes`), `gate` (figures to a verdict), `examine` (all of it).

mod aiff;
mod container;
mod decode;
mod examine;
mod extremes;
mod frames;
mod gate;
mod meter;
mod opus;
mod wav;
mod waveform;

#[cfg(test)]
mod tests;

pub use container::{Delivered, recognise};
pub use examine::examine;
pub use gate::Refusal;
