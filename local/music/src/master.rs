//! The last step: fades, one loudness for every track, no clipping, and the WAV file.

use std::io::Cursor;

use crate::RenderError;
use crate::synth::{SAMPLE_RATE, Stereo};

/// Integrated loudness aimed at, in LUFS.
const LOUDNESS: f64 = -16.0;
/// How far from it a track may stay.
const NEAR_ENOUGH: f64 = 0.5;
/// Sample peak that the limiter keeps, in dBFS; under -1 so that rounding cannot pass it.
const CEILING_DB: f64 = -1.2;
const ATTACK_SECONDS: f32 = 0.004;
const RELEASE_SECONDS: f32 = 0.12;

impl Stereo {
    /// Fades the edges, sets the loudness and limits the peaks.
    pub(crate) fn master(&mut self, fade_seconds: f64) -> Result<(), RenderError> {
        fade(&mut self.left, fade_seconds);
        fade(&mut self.right, fade_seconds);
        // Limiting lowers the loudness again, so it takes a few rounds to arrive.
        for _ in 0..4 {
            let missing = LOUDNESS - self.loudness()?;
            if !missing.is_finite() {
                return Ok(());
            }
            if missing.abs() > NEAR_ENOUGH {
                let gain = decibels(missing);
                let both = self.left.iter_mut().chain(self.right.iter_mut());
                both.for_each(|sample| *sample *= gain);
            }
            limit(&mut self.left, &mut self.right);
            if missing.abs() <= NEAR_ENOUGH {
                break;
            }
        }
        Ok(())
    }
}

fn decibels(db: f64) -> f32 {
    10_f64.powf(db / 20.0) as f32
}

/// A click-free start and a fall to zero at the very end.
fn fade(samples: &mut [f32], out_seconds: f64) {
    let rate = f64::from(SAMPLE_RATE);
    let start = ((0.003 * rate) as usize).min(samples.len());
    for (i, sample) in samples[..start].iter_mut().enumerate() {
        *sample *= i as f32 / start as f32;
    }
    let out = ((out_seconds * rate) as usize).clamp(1, samples.len().max(1));
    let from = samples.len().saturating_sub(out);
    for (i, sample) in samples[from..].iter_mut().enumerate() {
        let angle = std::f32::consts::FRAC_PI_2 * i as f32 / out as f32;
        *sample *= angle.cos();
    }
    if let Some(last) = samples.last_mut() {
        *last = 0.0;
    }
}

/// Turns down what passes the ceiling, easing in before a peak and out after it, both channels alike.
fn limit(left: &mut [f32], right: &mut [f32]) {
    let ceiling = decibels(CEILING_DB);
    let mut gain: Vec<f32> = left
        .iter()
        .zip(right.iter())
        .map(|(l, r)| (ceiling / l.abs().max(r.abs()).max(ceiling)).min(1.0))
        .collect();
    let rate = SAMPLE_RATE as f32;
    let (attack, release) = (
        1.0 / (ATTACK_SECONDS * rate),
        1.0 / (RELEASE_SECONDS * rate),
    );
    let mut ahead = 1.0_f32;
    for g in gain.iter_mut().rev() {
        *g = g.min(ahead + attack);
        ahead = *g;
    }
    let mut behind = 1.0_f32;
    for ((g, l), r) in gain.iter().zip(left.iter_mut()).zip(right.iter_mut()) {
        behind = g.min(behind + release);
        *l *= behind;
        *r *= behind;
    }
}

/// A 16-bit stereo WAV file.
pub(crate) fn wav(track: &Stereo) -> Result<Vec<u8>, hound::Error> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut file = Cursor::new(Vec::with_capacity(track.left.len() * 4 + 64));
    let mut writer = hound::WavWriter::new(&mut file, spec)?;
    let mut frames = writer.get_i16_writer((track.left.len() * 2) as u32);
    for (l, r) in track.left.iter().zip(&track.right) {
        frames.write_sample((l.clamp(-1.0, 1.0) * 32_767.0).round() as i16);
        frames.write_sample((r.clamp(-1.0, 1.0) * 32_767.0).round() as i16);
    }
    frames.flush()?;
    writer.finalize()?;
    Ok(file.into_inner())
}
