//! The whole listen: decode, measure, judge.

use std::panic::catch_unwind;

use super::container::Delivered;
use super::decode::Stream;
use super::gate::{self, Refusal};
use super::meter::Meter;
use super::waveform::Waveform;
use crate::track::Measurement;

/// What stands in for −∞ decibels, which JSON cannot hold.
const FLOOR_DB: f64 = -120.0;

/// Everything the finish stage must know about a file, or why it is refused. Blocks the thread while it decodes.
pub fn examine(delivered: &Delivered, requested_seconds: f64) -> Result<Measurement, Refusal> {
    // The decoders panic on some damaged headers (seen: a division by zero in Vorbis, an overflow in WAV). That says
    // something about the file and must not take the worker with it.
    catch_unwind(|| listen(delivered, requested_seconds))
        .unwrap_or_else(|_| Err(Refusal::Undecodable("the decoder panicked".to_owned())))
}

fn listen(delivered: &Delivered, requested_seconds: f64) -> Result<Measurement, Refusal> {
    let mut stream = Stream::open(delivered)?;
    let shape = stream.shape;
    // What a model renders beyond the length asked for is no part of the music.
    let asked = (requested_seconds * f64::from(shape.rate)).ceil() as u64;
    let mut meter = Meter::new(shape, asked).map_err(unmeasurable)?;
    let mut waveform = Waveform::new();
    while let Some(planes) = stream.next_planes()? {
        meter.add(planes).map_err(unmeasurable)?;
        waveform.add(planes);
    }
    let mut reading = meter.finish().map_err(unmeasurable)?;
    reading.loudness = reading.loudness.max(FLOOR_DB);
    let seconds = reading.frames as f64 / f64::from(shape.rate);
    gate::admit(&reading, seconds, requested_seconds)?;
    Ok(Measurement {
        format: stream.format,
        duration_seconds: round(seconds),
        sample_rate: shape.rate,
        channels: shape.channels as u32,
        peak_dbfs: round((20.0 * f64::from(reading.peak).log10()).max(FLOOR_DB)),
        loudness_lufs: round(reading.loudness),
        waveform: waveform.finish(),
        warnings: gate::warnings(&reading, shape, seconds, requested_seconds),
    })
}

fn unmeasurable(error: ebur128::Error) -> Refusal {
    Refusal::Undecodable(format!("its loudness cannot be measured: {error}"))
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0 + 0.0
}
