//! How the muscgen stand-in plays: from a song plan to a WAV file. A crate of its own because it alone must be optimised.
//!
//! Reading order: `song` (the plan as music), `style` (who plays), `melody`,
//! `accompany` and `drums` (what they play), `synth` and `master` (how it sounds), `font` (where the sounds come from).

mod accompany;
mod drums;
pub mod font;
mod master;
mod melody;
mod reading;
mod score;
mod song;
mod style;
mod synth;
mod theory;

use std::sync::Arc;

use rustysynth::SoundFont;
use serde_json::Value;

use score::Score;
use song::Song;
use style::Band;
use synth::{SAMPLE_RATE, Stereo};

/// A track could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("the synthesizer refused: {0}")]
    Synth(#[from] rustysynth::SynthesizerError),
    #[error("the loudness meter refused: {0}")]
    Meter(#[from] ebur128::Error),
    #[error("the WAV file could not be written: {0}")]
    Wav(#[from] hound::Error),
}

/// Plays a plan for exactly `seconds`: 44.1 kHz, 16 bit, stereo. The same plan, prompt, length and seed give the same bytes.
pub fn render(
    font: &Arc<SoundFont>,
    plan: &Value,
    prompt: &str,
    seconds: f64,
    seed: u64,
) -> Result<Vec<u8>, RenderError> {
    let song = Song::read(plan, prompt, seconds, seed);
    let band = Band::of(&song);
    let mut rng = fastrand::Rng::with_seed(seed ^ fingerprint(&song.words));
    let mut score = Score::new(&song, band.feel, rng.fork());
    melody::write(&song, &band, &mut score, &mut rng);
    accompany::write(&song, &band, &mut score, &mut rng);
    drums::write(&song, &band, &mut score);

    let mut track = synth::play(font, &band, &score.notes, frames(seconds))?;
    track.master((song.ending_seconds * 0.6).min(seconds * 0.3))?;
    Ok(master::wav(&track)?)
}

/// A well-formed WAV file with nothing to hear.
pub fn silence(seconds: f64) -> Result<Vec<u8>, RenderError> {
    Ok(master::wav(&Stereo::silent(frames(seconds)))?)
}

fn frames(seconds: f64) -> usize {
    (seconds * f64::from(SAMPLE_RATE)).round() as usize
}

/// FNV-1a: tells texts apart, the same on every machine.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
