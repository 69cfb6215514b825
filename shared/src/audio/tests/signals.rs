//! Signals and the WAV files that hold them, in memory.

use std::f64::consts::TAU;
use std::io::Cursor;

use bytes::Bytes;
use hound::{SampleFormat, WavSpec, WavWriter};

pub(super) const RATE: u32 = 44_100;

/// 16-bit PCM at 44.1 kHz.
pub(super) const STEREO: WavSpec = spec(2, RATE, 16);

/// A sine of 997 Hz, at whose frequency K-weighting is neutral, with its peak at `dbfs`; the same in every channel.
pub(super) fn sine(spec: WavSpec, seconds: f64, dbfs: f64) -> Vec<f32> {
    let amplitude = 10_f64.powf(dbfs / 20.0);
    let step = TAU * 997.0 / f64::from(spec.sample_rate);
    let frames = (seconds * f64::from(spec.sample_rate)).round() as usize;
    (0..frames)
        .map(|frame| (amplitude * (step * frame as f64).sin()) as f32)
        .flat_map(|sample| std::iter::repeat_n(sample, spec.channels.into()))
        .collect()
}

pub(super) fn silence(spec: WavSpec, seconds: f64) -> Vec<f32> {
    sine(spec, seconds, f64::NEG_INFINITY)
}

/// A WAV file of these samples, cut off at full scale if they are stored as integers.
pub(super) fn wav(spec: WavSpec, samples: &[f32]) -> Bytes {
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).expect("a spec that hound can write");
    let scale = (1_i64 << (spec.bits_per_sample - 1)) as f32;
    for &sample in samples {
        match spec.sample_format {
            SampleFormat::Float => writer.write_sample(sample),
            SampleFormat::Int => {
                writer.write_sample((sample * scale).round().clamp(-scale, scale - 1.0) as i32)
            }
        }
        .expect("a sample that fits");
    }
    writer.finalize().expect("a finished file");
    file.into_inner().into()
}

pub(super) const fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16) -> WavSpec {
    WavSpec {
        channels,
        sample_rate,
        bits_per_sample,
        sample_format: SampleFormat::Int,
    }
}

pub(super) const fn float(channels: u16) -> WavSpec {
    WavSpec {
        channels,
        sample_rate: RATE,
        bits_per_sample: 32,
        sample_format: SampleFormat::Float,
    }
}
