use super::signals::{RATE, STEREO, float, silence, sine, spec, wav};
use super::{FLAC, MP3, OGG, UNTAGGED_MP3};
use crate::audio::examine;
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
    assert_near("the peak", measured.peak_dbfs, -12.0, 0.5);
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
