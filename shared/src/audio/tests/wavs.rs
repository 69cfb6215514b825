//! WAV files whose lengths are wrong, and what is stored of them.

use super::examine;
use super::signals::{RATE, STEREO, sine, wav};
use crate::audio::recognise;
use crate::track::Format;

const SECONDS: f64 = 2.0;

fn chunk(name: &[u8; 4], claimed: u32, body: &[u8]) -> Vec<u8> {
    [&name[..], &claimed.to_le_bytes(), body].concat()
}

fn pcm() -> Vec<u8> {
    wav(STEREO, &sine(STEREO, SECONDS, -12.0))[44..].to_vec()
}

/// The format chunk of [`STEREO`].
fn format() -> Vec<u8> {
    wav(STEREO, &[])[12..36].to_vec()
}

fn riff(magic: &[u8; 4], claimed: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    [
        &magic[..],
        &claimed.to_le_bytes(),
        b"WAVE",
        &chunks.concat(),
    ]
    .concat()
}

/// Decoded here, stored as a file that a strict reader decodes to the same samples.
#[track_caller]
fn assert_is_mended(what: &str, file: Vec<u8>) {
    let delivered = recognise(file.clone().into()).unwrap();
    assert_eq!(delivered.format, Format::Wav, "{what}");
    let measured = examine(file.into(), SECONDS).unwrap();
    assert!((measured.duration_seconds - SECONDS).abs() < 0.01, "{what}");
    assert!((measured.loudness_lufs + 12.0).abs() < 0.5, "{what}");
    let stored = &delivered.file;
    let size = u32::from_le_bytes(*stored[4..].first_chunk().unwrap());
    assert_eq!(size as usize, stored.len() - 8, "{what}");
    let mut strict = hound::WavReader::new(&stored[..]).unwrap();
    let frames = f64::from(strict.duration());
    assert!((frames / f64::from(RATE) - SECONDS).abs() < 0.01, "{what}");
    assert!(
        strict.samples::<i16>().all(|sample| sample.is_ok()),
        "{what}"
    );
    let again = recognise(stored.clone()).unwrap().file;
    assert_eq!(&again, stored, "{what} is mended once");
}

#[test]
fn lengths_that_are_wrong_are_those_of_the_bytes() {
    let (pcm, format) = (pcm(), format());
    let right = pcm.len() as u32;
    let placeholders = [0, 1, 8, 36, right / 2, right - 8, right + 8, right + 5_000];
    let large = [0x7fff_f000, 2_000_000_000, u32::MAX - 8, u32::MAX];
    for of_riff in placeholders.into_iter().chain(large).chain([36 + right]) {
        for of_data in placeholders.into_iter().chain(large).chain([right]) {
            let data = chunk(b"data", of_data, &pcm);
            let file = riff(b"RIFF", of_riff, &[format.clone(), data]);
            if (of_data, of_riff) != (right, 36 + right) {
                assert_is_mended(&format!("{of_riff} and {of_data}"), file);
            }
        }
    }
}

#[test]
fn a_right_file_is_stored_as_it_came() {
    let list = chunk(b"LIST", 4, b"INFO");
    let data = chunk(b"data", pcm().len() as u32, &pcm());
    for chunks in [
        vec![format(), data.clone()],
        vec![
            chunk(b"JUNK", 2, b"\0\0"),
            format(),
            list.clone(),
            data.clone(),
        ],
        vec![format(), data, list],
    ] {
        let size = 4 + chunks.concat().len() as u32;
        let file = riff(b"RIFF", size, &chunks);
        assert_eq!(recognise(file.clone().into()).unwrap().file, file);
    }
}

#[test]
fn sixty_four_bit_files_are_stored_as_riff() {
    let (pcm, format) = (pcm(), format());
    let list = chunk(b"LIST", 4, b"INFO");
    for of_data in [pcm.len() as u64, 0, u64::MAX] {
        let sizes = [0_u64.to_le_bytes(), of_data.to_le_bytes(), [0; 8]].concat();
        let wide = chunk(b"ds64", 28, &[&sizes[..], &[0; 4]].concat());
        for magic in [b"RF64", b"BW64"] {
            let data = chunk(b"data", u32::MAX, &pcm);
            let chunks = [wide.clone(), format.clone(), data, list.clone()];
            assert_is_mended("RF64", riff(magic, u32::MAX, &chunks));
        }
    }
}

#[test]
fn chunks_with_wrong_lengths_are_passed_over() {
    let (pcm, format) = (pcm(), format());
    let right = pcm.len() as u32;
    let data = || chunk(b"data", right, &pcm);
    let mut wide = format[8..].to_vec();
    wide.extend([0; 6]);
    for (what, chunks) in [
        (
            "an odd list without padding",
            vec![format.clone(), chunk(b"LIST", 5, b"INFOx"), data()],
        ),
        (
            "a list that is too long",
            vec![format.clone(), chunk(b"LIST", 900, b"INFO"), data()],
        ),
        (
            "a list in front of the format",
            vec![chunk(b"LIST", u32::MAX, b"INFO"), format.clone(), data()],
        ),
        (
            "a format of 22 bytes",
            vec![chunk(b"fmt ", 22, &wide), data()],
        ),
        (
            "a format that is too long",
            vec![chunk(b"fmt ", u32::MAX, &format[8..]), data()],
        ),
        (
            "a tag behind",
            vec![format.clone(), data(), chunk(b"id3 ", 9_000, &[7; 3_000])],
        ),
        ("zeros behind", vec![format.clone(), data(), vec![0; 5_000]]),
        (
            "an odd byte",
            vec![format.clone(), chunk(b"data", right + 1, &pcm), vec![1, 0]],
        ),
    ] {
        assert_is_mended(what, riff(b"RIFF", 0, &chunks));
    }
}
