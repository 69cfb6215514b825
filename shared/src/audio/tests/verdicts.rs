use hound::WavSpec;

use super::signals::{STEREO, float, silence, sine, spec, wav};
use crate::audio::{Refusal, examine};

#[track_caller]
fn refusal(spec: WavSpec, samples: &[f32], requested: f64) -> Refusal {
    examine(wav(spec, samples), requested).expect_err("a refusal")
}

/// The codes of the warnings, of audio that is as long as requested.
#[track_caller]
fn warnings(spec: WavSpec, samples: &[f32]) -> Vec<String> {
    let seconds = samples.len() as f64 / f64::from(spec.channels) / f64::from(spec.sample_rate);
    let measured = examine(wav(spec, samples), seconds).expect("a track");
    measured
        .warnings
        .into_iter()
        .map(|warning| warning.code)
        .collect()
}

#[test]
fn silence_is_refused() {
    let refusal = refusal(STEREO, &silence(STEREO, 2.0), 2.0);
    assert_eq!(refusal.code(), "audio_silent");
    assert_eq!(
        refusal,
        Refusal::Silent {
            loudness_lufs: -120.0,
            quiet_share: 1.0
        }
    );
}

#[test]
fn a_hum_under_sixty_lufs_is_silence() {
    assert_eq!(
        refusal(float(2), &sine(float(2), 2.0, -62.0), 2.0).code(),
        "audio_silent"
    );
}

#[test]
fn four_parts_of_sound_in_a_hundred_are_refused() {
    let mut samples = sine(STEREO, 0.4, -12.0);
    samples.extend(silence(STEREO, 9.6));
    let Refusal::Silent {
        quiet_share,
        loudness_lufs,
    } = refusal(STEREO, &samples, 10.0)
    else {
        panic!("refused for something else");
    };
    assert!((quiet_share - 0.96).abs() < 1e-9, "{quiet_share}");
    assert!(loudness_lufs > -30.0, "{loudness_lufs}");
}

#[test]
fn a_track_of_long_pauses_is_let_through() {
    let mut samples = sine(STEREO, 1.0, -12.0);
    samples.extend(silence(STEREO, 9.0));
    assert_eq!(warnings(STEREO, &samples), [""; 0]);
}

#[test]
fn less_than_nine_tenths_of_the_request_is_refused() {
    let samples = sine(STEREO, 2.6, -12.0);
    let refusal = refusal(STEREO, &samples, 3.0);
    assert_eq!(
        refusal,
        Refusal::TooShort {
            seconds: 2.6,
            requested: 3.0
        }
    );
    assert_eq!(refusal.code(), "audio_too_short");
    assert_eq!(
        refusal.to_string(),
        "the audio lasts 2.60 s of the 3.00 s requested"
    );
}

#[test]
fn nine_tenths_of_the_request_are_enough() {
    assert!(examine(wav(STEREO, &sine(STEREO, 2.7, -12.0)), 3.0).is_ok());
}

#[test]
fn more_than_eleven_tenths_of_the_request_are_noted() {
    let file = wav(STEREO, &sine(STEREO, 3.0, -12.0));
    let measured = examine(file, 2.5).unwrap();
    assert_eq!(measured.warnings[0].code, "too_long");
    assert_eq!(
        measured.warnings[0].message,
        "The audio lasts 3.0 s, and 2.5 s were requested."
    );
}

#[test]
fn audio_over_ten_minutes_is_too_large() {
    let spec = spec(1, 8_000, 8);
    let refusal = refusal(spec, &vec![0.5; 601 * 8_000], 300.0);
    assert_eq!(refusal, Refusal::TooLarge { limit_seconds: 600 });
    assert_eq!(refusal.code(), "audio_too_large");
}

#[test]
fn cut_off_tops_are_clipping_at_every_depth() {
    for spec in [spec(1, 44_100, 8), STEREO, spec(2, 44_100, 24)] {
        // Three decibels over, at a level that is not too loud once it is diluted.
        let mut samples = sine(spec, 0.2, 3.0);
        samples.extend(sine(spec, 3.0, -20.0));
        assert_eq!(
            warnings(spec, &samples),
            ["clipping"],
            "{} bits",
            spec.bits_per_sample
        );
    }
}

#[test]
fn a_float_file_that_exceeds_full_scale_is_clipping() {
    assert_eq!(
        warnings(float(2), &sine(float(2), 1.0, 3.0)),
        ["clipping", "too_loud"]
    );
}

#[test]
fn a_peak_that_touches_full_scale_is_not_clipping() {
    let mut samples = sine(STEREO, 2.0, -20.0);
    samples[40_000..40_004].fill(1.0);
    assert_eq!(warnings(STEREO, &samples), [""; 0]);
}

#[test]
fn loud_and_quiet_tracks_are_noted_with_their_loudness() {
    assert_eq!(warnings(STEREO, &sine(STEREO, 2.0, -6.0)), ["too_loud"]);
    let measured = examine(wav(STEREO, &sine(STEREO, 2.0, -40.0)), 2.0).unwrap();
    assert_eq!(measured.warnings[0].code, "too_quiet");
    assert_eq!(
        measured.warnings[0].message,
        "The loudness is -40.0 LUFS, under -30."
    );
}

#[test]
fn a_low_sample_rate_is_noted() {
    let spec = spec(2, 22_050, 16);
    assert_eq!(warnings(spec, &sine(spec, 2.0, -12.0)), ["low_sample_rate"]);
}
