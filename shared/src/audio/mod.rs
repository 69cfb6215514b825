//! Audio that came back from a model: decoded, measured, let through or refused. Reading order: `decode` (bytes to
//! samples), `meter` and `waveform` (samples to figures, by `extremes`), `gate` (figures to a verdict), `examine` (all of it).

mod decode;
mod examine;
mod extremes;
mod gate;
mod meter;
mod waveform;

#[cfg(test)]
mod tests;

pub use decode::format_of;
pub use examine::examine;
pub use gate::Refusal;
