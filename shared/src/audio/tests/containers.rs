use bytes::Bytes;

use super::signals::{RATE, STEREO, float, silence, sine, spec, wav};
use super::{AAC, ADTS, ALAC, FLAC, MP3, OGG, OPUS, UNTAGGED_MP3, examine};
use crate::audio::{Refusal, recognise};
use crate::track::{Format, Measurement};

#[track_caller]
fn assert_near(what: &str, measured: f64, expected: f64, tolerance: f64) {
    assert!(
        (measured - expected).abs() <= tolerance,
        "{what} is {measured}, not {expected}"
    );
}

#[track_caller]
fn assert_is_the_tone(measured: &Measurement, format: Format) {
    assert_eq!(measured.format, format);
    assert_eq!((measured.sample_rate, measured.channels), (32_000, 2));
    assert_near("the loudness", measured.loudness_lufs, -12.0, 0.5);
    // AAC overshoots where the tone begins.
    assert_near("the peak", measured.peak_dbfs, -12.0, 1.0);
    assert_eq!(measured.warnings, []);
}

#[test]
fn a_stereo_sine_has_the_length_peak_and_loudness_it_was_made_with() {
    let spec = spec(2, 32_000, 16);
    let measured = examine(wav(spec, &sine(spec, 3.0, -12.0)), 3.0).unwrap();
    assert_is_the_tone(&measured, Format::Wav);
    assert_near("the duration", measured.duration_seconds, 3.0, 0.0);
    assert_near("the peak", measured.peak_dbfs, -12.0, 0.01);
}

#[test]
fn flac_is_measured_exactly() {
    let measured = examine(FLAC, 1.0).unwrap();
    assert_is_the_tone(&measured, Format::Flac);
    assert_near("the duration", measured.duration_seconds, 1.0, 0.0);
}

#[test]
fn mp3_behind_an_id3_tag_loses_its_padding() {
    let measured = examine(MP3, 2.0).unwrap();
    assert_is_the_tone(&measured, Format::Mp3);
    assert_near("the duration", measured.duration_seconds, 2.0, 0.0);
}

#[test]
fn mp3_of_unknown_length_is_decoded_to_its_end() {
    let measured = examine(UNTAGGED_MP3, 2.0).unwrap();
    assert_is_the_tone(&measured, Format::Mp3);
    // With the encoder's delay and padding, which nothing in the file tells.
    assert_near("the duration", measured.duration_seconds, 2.05, 0.05);
}

#[test]
fn ogg_vorbis_is_measured_to_its_last_sample() {
    let measured = examine(OGG, 4.0).unwrap();
    assert_is_the_tone(&measured, Format::Ogg);
    assert_near("the duration", measured.duration_seconds, 4.0, 0.0);
}

#[test]
fn opus_loses_its_pre_skip_and_its_padding() {
    let measured = examine(OPUS, 2.0).unwrap();
    assert_eq!(measured.format, Format::Ogg);
    assert_eq!((measured.sample_rate, measured.channels), (48_000, 2));
    assert_near("the loudness", measured.loudness_lufs, -12.0, 0.5);
    assert_near("the peak", measured.peak_dbfs, -12.0, 0.5);
    assert_near("the duration", measured.duration_seconds, 2.0, 0.001);
}

#[test]
fn aac_and_alac_are_measured_in_their_containers() {
    for (file, format, seconds) in [
        (AAC, Format::M4a, 2.0),
        (ADTS, Format::Aac, 2.0),
        (ALAC, Format::M4a, 1.0),
    ] {
        let measured = examine(file, seconds).unwrap();
        assert_is_the_tone(&measured, format);
        assert_near("the duration", measured.duration_seconds, seconds, 0.1);
    }
}

/// Two seconds of 16 bits, with these in place of the right lengths: of the file, frames, and of the samples.
fn aiff(wrong: Option<[u32; 3]>) -> Vec<u8> {
    let samples = sine(STEREO, 2.0, -12.0);
    let pcm = samples.iter().map(|sample| (sample * 32_768.0) as i16);
    let pcm: Vec<u8> = pcm.flat_map(i16::to_be_bytes).collect();
    let (frames, sound) = (pcm.len() as u32 / 4, pcm.len() as u32 + 8);
    let [form, frames, sound] = wrong.unwrap_or([4 + 26 + 8 + sound, frames, sound]);
    [
        &b"FORM"[..],
        &form.to_be_bytes(),
        b"AIFFCOMM\0\0\0\x12\0\x02",
        &frames.to_be_bytes(),
        // Bits, and 44,100 in 80 bits.
        b"\0\x10\x40\x0e\xac\x44\0\0\0\0\0\0SSND",
        &sound.to_be_bytes(),
        &[0; 8],
        &pcm,
    ]
    .concat()
}

#[test]
fn aiff_is_measured_by_the_bytes_that_are_there() {
    let right = aiff(None);
    assert_eq!(recognise(right.clone().into()).unwrap().file, right);
    for wrong in [[0; 3], [u32::MAX; 3], [46, 0, 8]] {
        let file: Bytes = aiff(Some(wrong)).into();
        let measured = examine(file.clone(), 2.0).unwrap();
        assert_eq!(measured.format, Format::Aiff);
        assert_near("the duration", measured.duration_seconds, 2.0, 0.0);
        assert_near("the peak", measured.peak_dbfs, -12.0, 0.01);
        assert_eq!(recognise(file).unwrap().file, right);
    }
}

/// A tag of ID3v2.4 with this body, and the size that it claims.
fn id3(body: &[u8], claimed: usize) -> Vec<u8> {
    let size = [21, 14, 7, 0].map(|shift| (claimed >> shift & 0x7f) as u8);
    [b"ID3\x04\0\0", &size[..], body].concat()
}

#[test]
fn audio_behind_tags_padding_and_junk_is_found() {
    let cover = vec![0x7f; 300_000];
    let starts = [
        [id3(b"first", 5), id3(b"second", 6)].concat(),
        [id3(b"first", 5), vec![0; 2_000]].concat(),
        id3(&cover, 100),
        id3(b"short", 3_000),
        b"\xff\xfb\x90\x44 no frame \r\n".to_vec(),
    ];
    for start in starts {
        for (file, format, seconds) in [
            (UNTAGGED_MP3, Format::Mp3, 2.0),
            (ADTS, Format::Aac, 2.0),
            (FLAC, Format::Flac, 1.0),
            (OGG, Format::Ogg, 4.0),
            (AAC, Format::M4a, 2.0),
        ] {
            let whole = [&start[..], &file].concat();
            let measured = examine(whole.into(), seconds).unwrap();
            assert_is_the_tone(&measured, format);
            let off = measured.duration_seconds - seconds;
            assert!((-0.001..0.1).contains(&off), "{format:?}: {off}");
        }
    }
}

#[test]
fn mp3_is_stored_from_its_last_tag_on() {
    let [first, second] = [id3(b"first", 5), id3(b"second", 6)];
    let whole = [&first[..], &second, &UNTAGGED_MP3].concat();
    let stored = recognise(whole.into()).unwrap().file;
    assert_eq!(stored, [&second[..], &UNTAGGED_MP3].concat());
    let junk = [&first[..], &[0; 50], &UNTAGGED_MP3].concat();
    assert_eq!(recognise(junk.into()).unwrap().file, UNTAGGED_MP3);
}

#[test]
fn mp3_goes_on_behind_the_length_that_its_header_claims() {
    let twice = [MP3, MP3].concat();
    let measured = examine(twice.into(), 4.0).unwrap();
    assert_near("the duration", measured.duration_seconds, 4.0, 0.2);
}

#[test]
fn tags_behind_mp3_are_no_audio() {
    for tag in [
        [b"TAG".to_vec(), vec![b' '; 125]].concat(),
        [b"APETAGEX".to_vec(), vec![0; 500]].concat(),
    ] {
        let whole = [&MP3[..], &tag].concat();
        let measured = examine(whole.into(), 2.0).unwrap();
        assert_near("the duration", measured.duration_seconds, 2.0, 0.0);
    }
}

#[test]
fn a_kind_that_is_not_taken_is_named() {
    let mut compressed = wav(STEREO, &sine(STEREO, 1.0, -12.0)).to_vec();
    compressed[20] = 0x31;
    for (file, name) in [
        (b"\x1aE\xdf\xa3 webm".to_vec(), "WebM"),
        (b"wvPk and the rest".to_vec(), "WavPack"),
        (compressed, "WAV"),
    ] {
        let refusal = examine(file.into(), 1.0).unwrap_err();
        assert_eq!(refusal.code(), "audio_unsupported", "{refusal}");
        assert!(refusal.to_string().contains(name), "{refusal}");
        assert!(matches!(refusal, Refusal::Unsupported(_)));
    }
}

#[test]
fn the_container_is_told_from_its_bytes_and_not_from_its_tag() {
    let mut tagged_wav = b"ID3\x04\0\0\0\0\0\x03abc".to_vec();
    tagged_wav.extend_from_slice(&wav(STEREO, &sine(STEREO, 1.0, -12.0)));
    let measured = examine(tagged_wav.into(), 1.0).unwrap();
    assert_eq!(measured.format, Format::Wav);
}

#[test]
fn mono_is_three_decibels_less_loud_than_the_same_in_two_channels() {
    let mono = spec(1, 48_000, 16);
    let measured = examine(wav(mono, &sine(mono, 2.0, -12.0)), 2.0).unwrap();
    assert_eq!((measured.sample_rate, measured.channels), (48_000, 1));
    assert_near("the loudness", measured.loudness_lufs, -15.0, 0.5);
    assert_near("the duration", measured.duration_seconds, 2.0, 0.0);
}

#[test]
fn six_channels_are_measured() {
    let surround = spec(6, 48_000, 16);
    let measured = examine(wav(surround, &sine(surround, 2.0, -18.0)), 2.0).unwrap();
    assert_eq!(measured.channels, 6);
    assert_near("the peak", measured.peak_dbfs, -18.0, 0.01);
    assert_near("the duration", measured.duration_seconds, 2.0, 0.0);
}

#[test]
fn every_depth_of_samples_gives_the_same_figures() {
    for spec in [
        spec(2, RATE, 8),
        spec(2, RATE, 24),
        spec(2, RATE, 32),
        float(2),
    ] {
        let measured = examine(wav(spec, &sine(spec, 2.0, -12.0)), 2.0).unwrap();
        let depth = format!("{} bits", spec.bits_per_sample);
        assert_near(&depth, measured.peak_dbfs, -12.0, 0.2);
        assert_near(&depth, measured.loudness_lufs, -12.0, 0.5);
        assert_near(&depth, measured.duration_seconds, 2.0, 0.0);
    }
}

#[test]
fn the_waveform_follows_the_signal_in_four_hundred_equal_spans() {
    let mut samples = sine(STEREO, 3.0, -6.02);
    samples.extend(silence(STEREO, 1.0));
    let waveform = examine(wav(STEREO, &samples), 4.0).unwrap().waveform;
    assert_eq!(waveform.len(), 400);
    for (at, [low, high]) in waveform.iter().enumerate() {
        // The span on the edge may hold a piece of either.
        match at {
            0..299 => assert!(
                (low + 0.5).abs() < 0.005 && (high - 0.5).abs() < 0.005,
                "{at}: {low} {high}"
            ),
            301.. => assert_eq!([*low, *high], [0.0, 0.0], "{at}"),
            _ => {}
        }
    }
}

#[test]
fn figures_fit_into_json_without_losing_any() {
    let measured = examine(FLAC, 1.0).unwrap();
    let json = serde_json::to_string(&measured).unwrap();
    assert_eq!(
        serde_json::from_str::<Measurement>(&json).unwrap(),
        measured
    );
    assert!(json.len() < 8_000, "{} bytes", json.len());
}
