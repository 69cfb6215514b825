use bytes::Bytes;

use super::examine;
use super::signals::{STEREO, float, silence, sine, spec, wav};
use super::{FLAC, MP3, OGG, UNTAGGED_MP3};
use crate::audio::Refusal;

#[track_caller]
fn assert_undecodable(file: impl Into<Bytes>) {
    match examine(file.into(), 1.0) {
        Err(refusal @ Refusal::Undecodable(_)) => assert_eq!(refusal.code(), "audio_undecodable"),
        other => panic!("expected to be undecodable: {other:?}"),
    }
}

/// The file with every byte flipped from `from` on, for `len` bytes.
fn damaged(file: &Bytes, from: usize, len: usize) -> Bytes {
    let mut bytes = file.to_vec();
    bytes[from..from + len]
        .iter_mut()
        .for_each(|byte| *byte ^= 0xff);
    bytes.into()
}

#[test]
fn what_is_no_audio_is_undecodable() {
    assert_undecodable("");
    assert_undecodable("<!doctype html><html><body>502 Bad Gateway</body></html>");
    assert_undecodable(r#"{"error":"out of memory"}"#);
    assert_undecodable("ID3\x04\0\0\0\0\0");
    assert_undecodable(b"\x89PNG\r\n\x1a\n".as_slice());
}

#[test]
fn random_bytes_are_refused_whatever_they_start_with() {
    let mut random = fastrand::Rng::with_seed(7);
    for start in [
        b"".as_slice(),
        b"RIFF\xff\xff\0\0WAVE",
        b"fLaC",
        b"OggS",
        b"\xff\xfb\x90\x44",
        b"ID3\x04\0\0\0\0\0\0",
    ] {
        let mut bytes = start.to_vec();
        bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(200_000));
        assert!(examine(bytes.into(), 30.0).is_err(), "{start:?}");
    }
}

#[test]
fn a_header_without_its_samples_is_undecodable() {
    let file = wav(STEREO, &sine(STEREO, 1.0, -12.0));
    for len in 0..=44 {
        assert_undecodable(file.slice(..len));
    }
}

#[test]
fn a_shape_that_no_player_has_is_undecodable() {
    assert_undecodable(wav(spec(9, 44_100, 16), &[0.5; 44_100 * 9]));
    assert_undecodable(wav(spec(1, 400, 16), &[0.5; 400]));
    let mut absurd = wav(STEREO, &sine(STEREO, 1.0, -12.0)).to_vec();
    absurd[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_undecodable(absurd);
}

#[test]
fn a_header_that_the_decoder_panics_on_is_undecodable() {
    // Its frame size exceeds 16 bits: an overflow in symphonia 0.6.1, where overflows are checked.
    let mut file = wav(STEREO, &sine(STEREO, 1.0, -12.0)).to_vec();
    file[22..24].copy_from_slice(&60_000_u16.to_le_bytes());
    assert_undecodable(file);
}

#[test]
fn a_file_without_its_last_quarter_is_too_short() {
    let whole = wav(STEREO, &sine(STEREO, 2.0, -12.0));
    for (file, seconds) in [
        (whole, 2.0),
        (FLAC, 1.0),
        (MP3, 2.0),
        (UNTAGGED_MP3, 2.0),
        (OGG, 4.0),
    ] {
        let refusal = examine(file.slice(..file.len() * 3 / 4), seconds).expect_err("a refusal");
        assert_eq!(refusal.code(), "audio_too_short");
    }
}

#[test]
fn a_wav_that_was_streamed_and_does_not_know_its_length_is_measured() {
    let mut file = wav(STEREO, &sine(STEREO, 2.0, -12.0)).to_vec();
    file[4..8].fill(0xff);
    file[40..44].fill(0xff);
    let measured = examine(file.into(), 2.0).unwrap();
    assert!(
        (1.97..=2.0).contains(&measured.duration_seconds),
        "{}",
        measured.duration_seconds
    );
}

#[test]
fn a_damaged_packet_costs_only_itself() {
    for (name, file, seconds) in [("flac", FLAC, 1.0), ("mp3", MP3, 2.0)] {
        let measured = examine(damaged(&file, file.len() / 2, 20), seconds).unwrap();
        let lost = seconds - measured.duration_seconds;
        assert!((0.0..=0.1).contains(&lost), "{name} lost {lost} s");
    }
}

#[test]
fn a_damaged_ogg_page_is_lost_with_all_its_packets() {
    let refusal = examine(damaged(&OGG, OGG.len() * 2 / 3, 20), 4.0).expect_err("a refusal");
    assert_eq!(refusal.code(), "audio_too_short");
}

#[test]
fn a_file_damaged_all_over_is_undecodable_however_little_was_requested() {
    let file = (MP3.len() / 4..MP3.len() - 8)
        .step_by(80)
        .fold(MP3, |file, at| damaged(&file, at, 8));
    assert_eq!(
        examine(file, 0.1).expect_err("a refusal").to_string(),
        "the file cannot be decoded: too many damaged packets"
    );
}

#[test]
fn no_single_damaged_byte_makes_a_figure_that_is_no_number() {
    let mut random = fastrand::Rng::with_seed(11);
    for file in [FLAC, MP3, OGG] {
        for _ in 0..40 {
            if let Ok(measured) = examine(damaged(&file, random.usize(..file.len()), 1), 1.0) {
                let figures = [
                    measured.peak_dbfs,
                    measured.loudness_lufs,
                    measured.duration_seconds,
                ];
                assert!(
                    figures.iter().all(|figure| figure.is_finite()),
                    "{figures:?}"
                );
            }
        }
    }
}

#[test]
fn samples_that_are_no_numbers_count_as_silence() {
    let mut samples = sine(float(2), 2.0, -12.0);
    samples[1000..1010].fill(f32::NAN);
    samples[2000] = f32::INFINITY;
    samples[2001] = f32::NEG_INFINITY;
    let measured = examine(wav(float(2), &samples), 2.0).unwrap();
    assert!(
        (measured.loudness_lufs + 12.0).abs() < 0.5,
        "{}",
        measured.loudness_lufs
    );
    assert!(
        (measured.peak_dbfs + 12.0).abs() < 0.1,
        "{}",
        measured.peak_dbfs
    );
    assert!(
        measured
            .waveform
            .iter()
            .flatten()
            .all(|sample| sample.is_finite())
    );

    let nothing = vec![f32::NAN; silence(float(2), 2.0).len()];
    assert_eq!(
        examine(wav(float(2), &nothing), 2.0)
            .expect_err("a refusal")
            .code(),
        "audio_silent"
    );
}
