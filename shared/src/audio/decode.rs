//! Bytes to samples, one packet at a time: memory holds the file and one decoded packet, however long the audio is.

use std::io::Cursor;
use std::sync::LazyLock;

use bytes::Bytes;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_AC3, CODEC_ID_AC4, CODEC_ID_DCA, CODEC_ID_EAC3, CODEC_ID_MP1, CODEC_ID_MP2,
    CODEC_ID_SPEEX,
};
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::packet::Packet;
use symphonia::core::units::Duration;
use symphonia::default::formats::{
    AdtsReader, AiffReader, FlacReader, IsoMp4Reader, MpaReader, OggReader, WavReader,
};
use symphonia::default::register_enabled_codecs;

use super::container::Delivered;
use super::gate::Refusal;
use super::opus::OpusDecoder;
use crate::track::Format;

/// The longest audio that is decoded.
pub(super) const MAX_SECONDS: u32 = 600;
/// Packets that may be lost to damage; a player would drop them too, and a listener hears a click.
const MAX_LOST_PACKETS: u32 = 16;
/// Packets of nothing but padding that an encoder may leave at the end.
const MAX_PADDING: u32 = 2;
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
    /// Packets that were all padding.
    cut: u32,
}

/// The library's codecs and Opus.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs
});

impl Stream {
    /// Reads the header.
    pub(super) fn open(delivered: &Delivered) -> Result<Self, Refusal> {
        let format = delivered.format;
        let refused = |error| match error {
            Error::Unsupported(why) => Refusal::Unsupported(format!("{} ({why})", format.name())),
            error => undecodable(error),
        };
        let reader = read_header(format, delivered.stream.clone()).map_err(refused)?;
        let params = reader.default_track(TrackType::Audio).and_then(|track| {
            let params = track.codec_params.as_ref()?.audio()?;
            Some((track.id, params))
        });
        let (track, params) = params.ok_or_else(|| {
            let codec = ogg_codec(&delivered.stream).unwrap_or("no audio codec that is known");
            unsupported(format, codec)
        })?;
        if CODECS.get_audio_decoder(params.codec).is_none() {
            return Err(unsupported(format, name_of(params.codec)));
        }
        let decoder = CODECS
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .map_err(refused)?;
        Ok(Self {
            format,
            shape: shape(decoder.codec_params())?,
            track,
            reader,
            decoder,
            planes: Vec::new(),
            frames: 0,
            lost: 0,
            cut: 0,
        })
    }

    /// The next packet's samples, finite, one plane a channel, or `None` at the end of what can be read.
    pub(super) fn next_planes(&mut self) -> Result<Option<&[Vec<f32>]>, Refusal> {
        // A reader's error cannot be recovered from (a cut file ends with one), so it ends the audio like the true end
        // does; the gate then sees how much there was.
        while let Ok(Some(mut packet)) = self.reader.next_packet() {
            if packet.track_id != self.track {
                continue;
            }
            self.believe_padding(&mut packet);
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

    /// A header that cuts off more than an encoder pads is wrong about the length, and the audio goes on.
    fn believe_padding(&mut self, packet: &mut Packet) {
        if packet.trim_end > Duration::ZERO && packet.trim_end >= packet.dur {
            self.cut += 1;
        }
        if self.cut > MAX_PADDING {
            packet.trim_end = Duration::ZERO;
        }
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

fn unsupported(format: Format, what: &str) -> Refusal {
    Refusal::Unsupported(format!("{} with {what}", format.name()))
}

/// The codec of the first stream, by the first bytes behind the page's header, where the library knows no such stream.
fn ogg_codec(bytes: &[u8]) -> Option<&'static str> {
    let packet = bytes.get(28..)?;
    [
        (&b"Speex   "[..], "Speex"),
        (b"\x80theora", "Theora"),
        (b"CELT    ", "CELT"),
    ]
    .into_iter()
    .find_map(|(start, name)| packet.starts_with(start).then_some(name))
}

fn name_of(codec: AudioCodecId) -> &'static str {
    match codec {
        CODEC_ID_MP1 | CODEC_ID_MP2 => "MPEG layer I or II",
        CODEC_ID_SPEEX => "Speex",
        CODEC_ID_AC3 | CODEC_ID_EAC3 | CODEC_ID_AC4 => "Dolby Digital",
        CODEC_ID_DCA => "DTS",
        _ => "a codec that is not known",
    }
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

/// Reads forward only where that is possible: with a seekable source the MP3 reader would guess the length and cut off
/// what exceeds its guess. MP4 may keep its index at the end.
fn read_header(format: Format, bytes: Bytes) -> Result<Box<dyn FormatReader>, Error> {
    let source = Cursor::new(bytes);
    let source: Box<dyn MediaSource> = match format {
        Format::M4a => Box::new(source),
        _ => Box::new(ReadOnlySource::new(source)),
    };
    let source = MediaSourceStream::new(source, Default::default());
    let options = FormatOptions::default();
    Ok(match format {
        Format::Wav => Box::new(WavReader::try_new(source, options)?),
        Format::Aiff => Box::new(AiffReader::try_new(source, options)?),
        Format::Flac => Box::new(FlacReader::try_new(source, options)?),
        Format::Mp3 => Box::new(MpaReader::try_new(source, options)?),
        Format::Ogg => Box::new(OggReader::try_new(source, options)?),
        Format::M4a => Box::new(IsoMp4Reader::try_new(source, options)?),
        Format::Aac => Box::new(AdtsReader::try_new(source, options)?),
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
