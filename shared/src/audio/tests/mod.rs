//! Whole files through `examine`. The fixtures hold a stereo 997 Hz sine at −12 dBFS, 32 kHz, made by
//! `sox -D -n -r 32000 -c 2 -b 16 tone.wav synth SECONDS sine 997 sine 997 gain -12` and the encoder named.

mod containers;
mod damage;
mod signals;
mod verdicts;
mod wavs;

use bytes::Bytes;

use super::Refusal;
use crate::track::Measurement;

/// Recognises and examines.
fn examine(file: Bytes, requested: f64) -> Result<Measurement, Refusal> {
    super::examine(&super::recognise(file)?, requested)
}

/// One second, by `flac -8 --no-padding -b 2048`.
const FLAC: Bytes = Bytes::from_static(include_bytes!("../fixtures/tone.flac"));
/// Two seconds, by `lame -b 64 --resample 32 --add-id3v2 --tt tone`: an ID3v2 tag, then a header that tells the padding.
const MP3: Bytes = Bytes::from_static(include_bytes!("../fixtures/tone.mp3"));
/// Two seconds, by `lame -V 5 --resample 32 -t`: variable bit rate and no header that tells the length.
const UNTAGGED_MP3: Bytes = Bytes::from_static(include_bytes!("../fixtures/untagged.mp3"));
/// Four seconds, by `oggenc -q 7`.
const OGG: Bytes = Bytes::from_static(include_bytes!("../fixtures/tone.ogg"));
/// Two seconds at 48 kHz, by `ffmpeg -c:a libopus -b:a 64k`.
const OPUS: Bytes = Bytes::from_static(include_bytes!("../fixtures/opus.ogg"));
/// Two seconds, by `ffmpeg -c:a aac -b:a 96k`.
const AAC: Bytes = Bytes::from_static(include_bytes!("../fixtures/tone.m4a"));
/// Two seconds, by `ffmpeg -c:a aac -b:a 96k -f adts`.
const ADTS: Bytes = Bytes::from_static(include_bytes!("../fixtures/tone.aac"));
/// One second, by `ffmpeg -sample_fmt s16p -c:a alac`.
const ALAC: Bytes = Bytes::from_static(include_bytes!("../fixtures/alac.m4a"));
