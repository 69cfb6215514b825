//! Opus (RFC 6716) as a decoder of the media library, which has none of its own.

use opus_decoder::OpusMultistreamDecoder;
use symphonia::core::audio::{
    AsGenericAudioBufferRef, AudioBuffer, AudioMut, AudioSpec, GenericAudioBufferRef,
};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{
    AudioCodecParameters, AudioDecoder, AudioDecoderOptions, FinalizeResult,
};
use symphonia::core::codecs::registry::{RegisterableAudioDecoder, SupportedAudioCodec};
use symphonia::core::errors::{Error, Result, unsupported_error};
use symphonia::core::packet::PacketRef;

/// Opus is always decoded at this rate.
const RATE: u32 = 48_000;
/// 120 ms, the longest packet.
const MAX_FRAMES: usize = 5_760;

pub(super) struct OpusDecoder {
    params: AudioCodecParameters,
    head: Head,
    decoder: OpusMultistreamDecoder,
    /// Frames at the beginning that only warm the decoder up.
    skip: usize,
    pcm: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

/// The identification header (RFC 7845 §5.1).
#[derive(Clone)]
struct Head {
    pre_skip: usize,
    /// A factor that a player applies.
    gain: f32,
    streams: usize,
    coupled: usize,
    mapping: Vec<u8>,
}

impl Head {
    fn of(extra: Option<&[u8]>, channels: usize) -> Option<Self> {
        let plain = |pre_skip, gain| Self {
            pre_skip,
            gain,
            streams: 1,
            coupled: channels.saturating_sub(1),
            mapping: (0..channels as u8).collect(),
        };
        let stereo = (1..=2).contains(&channels);
        let Some(head) = extra.and_then(|extra| extra.strip_prefix(b"OpusHead")) else {
            return stereo.then(|| plain(0, 1.0));
        };
        let [_, _, low, high, _, _, _, _, gain @ .., family] = head.first_chunk::<11>()?;
        let pre_skip = usize::from(u16::from_le_bytes([*low, *high]));
        let gain = 10_f32.powf(f32::from(i16::from_le_bytes(*gain)) / (20.0 * 256.0));
        match (family, &head[11..]) {
            (0, _) => stereo.then(|| plain(pre_skip, gain)),
            (_, [streams, coupled, mapping @ ..]) => Some(Self {
                pre_skip,
                gain,
                streams: usize::from(*streams),
                coupled: usize::from(*coupled),
                mapping: mapping.get(..channels)?.to_vec(),
            }),
            _ => None,
        }
    }

    fn decoder(&self) -> Result<OpusMultistreamDecoder> {
        let channels = self.mapping.len();
        OpusMultistreamDecoder::new(RATE, channels, self.streams, self.coupled, &self.mapping)
            .map_err(|_| Error::DecodeError("opus: channel mapping"))
    }
}

impl RegisterableAudioDecoder for OpusDecoder {
    fn try_registry_new(
        params: &AudioCodecParameters,
        _: &AudioDecoderOptions,
    ) -> Result<Box<dyn AudioDecoder>> {
        let Some(channels) = params.channels.clone() else {
            return unsupported_error("opus: no channels");
        };
        let count = channels.count();
        let Some(head) = Head::of(params.extra_data.as_deref(), count) else {
            return unsupported_error("opus: channel mapping");
        };
        let mut params = params.clone();
        params.with_sample_rate(RATE);
        Ok(Box::new(Self {
            decoder: head.decoder()?,
            skip: head.pre_skip,
            head,
            params,
            pcm: vec![0.0; MAX_FRAMES * count],
            buffer: AudioBuffer::new(AudioSpec::new(RATE, channels), MAX_FRAMES),
        }))
    }

    fn supported_codecs() -> &'static [SupportedAudioCodec] {
        const OPUS: SupportedAudioCodec = SupportedAudioCodec {
            id: CODEC_ID_OPUS,
            info: CodecInfo {
                short_name: "opus",
                long_name: "Opus",
                profiles: &[],
            },
        };
        &[OPUS]
    }
}

impl AudioDecoder for OpusDecoder {
    fn reset(&mut self) {
        self.decoder.reset();
        self.skip = self.head.pre_skip;
    }

    fn codec_info(&self) -> &CodecInfo {
        &Self::supported_codecs()[0].info
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.params
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        self.buffer.clear();
        let frames = self
            .decoder
            .decode_float(packet.data, &mut self.pcm, false)
            .map_err(|_| Error::DecodeError("opus: damaged packet"))?;
        self.buffer.render_uninit(Some(frames));
        let samples = &mut self.pcm[..frames * self.head.mapping.len()];
        if self.head.gain != 1.0 {
            samples
                .iter_mut()
                .for_each(|sample| *sample *= self.head.gain);
        }
        self.buffer.copy_from_slice_interleaved(&samples);
        let skipped = self.skip.min(frames);
        self.skip -= skipped;
        let end = (packet.trim_end.get() as usize).min(frames - skipped);
        self.buffer.trim(skipped, end);
        Ok(self.buffer.as_generic_audio_buffer_ref())
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}
