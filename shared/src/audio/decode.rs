//! Bytes to samples, one packet at a time: memory holds the file and one decoded packet, however long the audio is.

use std::io::Cursor;

use bytes::Bytes;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};
use symphonia::default::formats::{FlacReader, MpaReader, OggReader, WavReader};
use symphonia::default::get_codecs;

use super::gate::Refusal;
use crate::track::Format;

/// The longest audio that is decoded.
pub(super) const MAX_SECONDS: u32 = 600;
/// Packets that may be lost to damage; a player would drop them too, and a listener hears a click.
const MAX_LOST_PACKETS: u32 = 16;
const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;
const MAX_CHANNELS: usize = 8;

/// What every packet of a stream has in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Hz.
    pub(super) rate: u32,
    pub(super) channels: usize,
    /// The smallest magnitude that counts as full scale: the highest code of the stored depth, or of 16 bits for floats
    /// and lossy codecs, which have none.
    pub(super) full_scale: f32,
}

/// A file that is being decoded.
pub(super) struct Stream {
    pub(super) format: Format,
    pub(super) shape: Shape,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    planes: Vec<Vec<f32>>,
    frames: u64,
    lost: u32,
}

/// The container of a file, by its first bytes; whether it can be decoded is another question.
pub fn format_of(bytes: &Bytes) -> Option<Format> {
    sniff(&after_id3(bytes.clone()))
}

impl Stream {
    /// Recognises the container by its first bytes and reads its header.
    pub(super) fn open(bytes: Bytes) -> Result<Self, Refusal> {
        let bytes = after_id3(bytes);
        let format =
            sniff(&bytes).ok_or_else(|| undecodable("not a WAV, FLAC, MP3 or Ogg file"))?;
        let reader = read_header(format, bytes).map_err(undecodable)?;
        let track = reader
            .default_track(TrackType::Audio)
            .ok_or_else(|| undecodable("no audio track"))?;
        let params = track
            .codec_params
            .as_ref()
            .and_then(|params| params.audio())
            .ok_or_else(|| undecodable("no audio codec"))?;
        let decoder = get_codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .map_err(undecodable)?;
        Ok(Self {
            format,
            shape: shape(decoder.codec_params())?,
            track: track.id,
            reader,
            decoder,
            planes: Vec::new(),
            frames: 0,
            lost: 0,
        })
    }

    /// The next packet's samples, finite, one plane a channel, or `None` at the end of what can be read.
    pub(super) fn next_planes(&mut self) -> Result<Option<&[Vec<f32>]>, Refusal> {
        // A reader's error cannot be recovered from (a cut file ends with one), so it ends the audio like the true end
        // does; the gate then sees how much there was.
        while let Ok(Some(packet)) = self.reader.next_packet() {
            if packet.track_id != self.track {
                continue;
            }
            let decoded = match self.decoder.decode(&packet) {
                Ok(decoded) if self.shape.fits(decoded.spec()) => decoded,
                Ok(_) | Err(Error::DecodeError(_) | Error::IoError(_)) => {
                    self.lost += 1;
                    if self.lost > MAX_LOST_PACKETS {
                        return Err(undecodable("too many damaged packets"));
                    }
                    continue;
                }
                Err(error) => return Err(undecodable(error)),
            };
            self.frames += decoded.frames() as u64;
            if self.frames > u64::from(MAX_SECONDS) * u64::from(self.shape.rate) {
                return Err(Refusal::TooLarge {
                    limit_seconds: MAX_SECONDS,
                });
            }
            if !decoded.is_empty() {
                decoded.copy_to_vecs_planar(&mut self.planes);
                self.planes
                    .iter_mut()
                    .for_each(|plane| silence_non_finite(plane));
                return Ok(Some(&self.planes));
            }
        }
        Ok(None)
    }
}

impl Shape {
    fn fits(&self, spec: &symphonia::core::audio::AudioSpec) -> bool {
        spec.rate() == self.rate && spec.channels().count() == self.channels
    }
}

fn undecodable(why: impl ToString) -> Refusal {
    Refusal::Undecodable(why.to_string())
}

fn shape(params: &AudioCodecParameters) -> Result<Shape, Refusal> {
    let rate = params.sample_rate.unwrap_or(0);
    let channels = params.channels.as_ref().map_or(0, |map| map.count());
    // The loudness meter's buffer grows with both, and a header can claim anything.
    if !SAMPLE_RATES.contains(&rate) || !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(undecodable(format_args!(
            "{rate} Hz with {channels} channels is outside what is accepted"
        )));
    }
    let bits = params.bits_per_sample.unwrap_or(16).clamp(2, 16);
    Ok(Shape {
        rate,
        channels,
        full_scale: 1.0 - 1.0 / (1_u32 << (bits - 1)) as f32,
    })
}

/// The container that starts at the first byte: no scanning, so that no text or picture passes for a stray MP3 frame.
fn sniff(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ] => Some(Format::Wav),
        [b'f', b'L', b'a', b'C', ..] => Some(Format::Flac),
        [b'O', b'g', b'g', b'S', ..] => Some(Format::Ogg),
        // Eleven sync bits, two of version, then layer III.
        [0xff, second, ..] if second & 0xe6 == 0xe2 => Some(Format::Mp3),
        _ => None,
    }
}

/// Cuts off a leading ID3v2 tag (id3.org, ID3v2.4 §3.1: ten bytes of header, the size in four bytes of seven bits).
fn after_id3(bytes: Bytes) -> Bytes {
    let [b'I', b'D', b'3', _, _, _, a, b, c, d, ..] = bytes[..] else {
        return bytes;
    };
    let size = [a, b, c, d]
        .into_iter()
        .fold(0, |size, seven| size << 7 | usize::from(seven & 0x7f));
    bytes.slice((10 + size).min(bytes.len())..)
}

/// Reads forward only: with a seekable source the MP3 reader would guess the length and cut off what exceeds its guess.
fn read_header(format: Format, bytes: Bytes) -> Result<Box<dyn FormatReader>, Error> {
    let source = Box::new(ReadOnlySource::new(Cursor::new(bytes)));
    let source = MediaSourceStream::new(source, Default::default());
    let options = FormatOptions::default();
    Ok(match format {
        Format::Wav => Box::new(WavReader::try_new(source, options)?),
        Format::Flac => Box::new(FlacReader::try_new(source, options)?),
        Format::Mp3 => Box::new(MpaReader::try_new(source, options)?),
        Format::Ogg => Box::new(OggReader::try_new(source, options)?),
    })
}

/// Float files may hold NaN and infinities, and one of them would spoil every sum after it.
fn silence_non_finite(samples: &mut [f32]) {
    for sample in samples {
        if !sample.is_finite() {
            *sample = 0.0;
        }
    }
}
