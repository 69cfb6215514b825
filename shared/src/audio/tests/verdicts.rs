use hound::WavSpec;

use super::examine;
use super::signals::{STEREO, float, silence, sine, spec, wav};
use crate::audio::Refusal;
use crate::queue::Cause;

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
            loudness_lufs: -120.0
        }
    );
}

#[test]
fn only_what_follows_from_the_service_is_a_lasting_cause() {
    let lasting = |refusal: Refusal| refusal.cause() == Cause::Lasting;
    assert!(lasting(Refusal::Unsupported("Speex".to_owned())));
    assert!(lasting(refusal(STEREO, &sine(STEREO, 1.0, -12.0), 3.0)));
    assert!(!lasting(refusal(STEREO, &silence(STEREO, 3.0), 3.0)));
    assert!(!lasting(Refusal::Undecodable("damaged".to_owned())));
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
    let refusal = refusal(STEREO, &samples, 10.0);
    assert_eq!(refusal.code(), "audio_silent");
    assert_eq!(
        refusal.to_string(),
        "the audio is silent for 96 % of the 10.00 s requested"
    );
}

#[test]
fn silence_behind_the_length_requested_is_no_silence() {
    let mut samples = sine(STEREO, 2.0, -12.0);
    samples.extend(silence(STEREO, 45.0));
    let measured = examine(wav(STEREO, &samples), 2.0).unwrap();
    let codes: Vec<_> = measured
        .warnings
        .iter()
        .map(|warning| &warning.code)
        .collect();
    assert_eq!(codes, ["too_long"]);
    assert_eq!(measured.duration_seconds, 47.0);
}

#[test]
fn noise_behind_the_length_requested_does_not_spoil_the_loudness() {
    let mut samples = sine(STEREO, 2.0, -12.0);
    samples.extend(sine(STEREO, 20.0, 6.0));
    let measured = examine(wav(STEREO, &samples), 2.0).unwrap();
    assert!((measured.loudness_lufs + 12.0).abs() < 0.5);
    assert_eq!(measured.warnings.len(), 1, "{:?}", measured.warnings);
}

#[test]
fn music_behind_the_length_requested_is_no_music() {
    let mut samples = silence(STEREO, 2.0);
    samples.extend(sine(STEREO, 20.0, -12.0));
    assert_eq!(refusal(STEREO, &samples, 2.0).code(), "audio_silent");
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
