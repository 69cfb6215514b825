//! What was delivered: its container, told by looking, and the file that becomes of it in the store.

use bytes::Bytes;

use super::gate::Refusal;
use super::{aiff, frames, wav};
use crate::track::Format;

/// How far behind the tags the audio may begin. Players skip as much, and most of it is zeros.
const REACH: usize = 1 << 20;

/// Containers and codecs that are known by their first bytes and not taken.
const NOT_TAKEN: [(&[u8], &str); 13] = [
    (b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (b"RIFX", "big-endian WAV (RIFX)"),
    (b"caff", "CAF"),
    (b".snd", "AU"),
    (b"wvPk", "WavPack"),
    (b"MAC ", "Monkey's Audio"),
    (b"TTA1", "True Audio"),
    (b"MPCK", "Musepack"),
    (b"DSD ", "DSF"),
    (b"FRM8", "DSDIFF"),
    (b"#!AMR", "AMR"),
    (b"0&\xb2u", "Windows Media"),
    (b"MThd", "MIDI"),
];

/// A recognised file. Whether it can be decoded is another question.
#[derive(Debug, Clone)]
pub struct Delivered {
    pub format: Format,
    /// The file as it is stored: one that strict players take. Junk before the audio is cut off, and lengths in a WAV
    /// or AIFF header are those of the bytes that are there.
    pub file: Bytes,
    /// The file without the tag in front.
    pub(super) stream: Bytes,
}

/// Recognises the container and mends what only a lenient player would read.
pub fn recognise(bytes: Bytes) -> Result<Delivered, Refusal> {
    let tags = Tags::before(&bytes);
    if let Some(name) = not_taken(&bytes[tags.end..]) {
        return Err(Refusal::Unsupported(name.to_owned()));
    }
    // A tag's size may be wrong, too: then the audio begins within the tag, or far behind its end.
    let within = 0..bytes.len().min(tags.end + REACH);
    let (start, format) = std::iter::once(tags.end)
        .chain(within)
        .find_map(|at| Some((at, begins_with(&bytes[at..])?)))
        .ok_or_else(|| {
            Refusal::Undecodable("not a WAV, AIFF, FLAC, MP3, Ogg, MP4 or AAC file".to_owned())
        })?;
    let stream = bytes.slice(start..);
    // Its metadata, which is part of the format.
    let tagged = matches!(format, Format::Mp3 | Format::Aac) && start == tags.end;
    let file = match format {
        Format::Wav => wav::mended(stream)?,
        Format::Aiff => aiff::mended(stream),
        _ => stream,
    };
    Ok(Delivered {
        format,
        stream: file.clone(),
        file: match tagged {
            true => bytes.slice(tags.last..),
            false => file,
        },
    })
}

/// Where the tags before the audio end, and where the last of them begins.
struct Tags {
    last: usize,
    end: usize,
}

impl Tags {
    /// ID3v2.4 §3.1: ten bytes of header, and the size in four bytes of seven bits.
    fn before(bytes: &[u8]) -> Self {
        let (mut last, mut end) = (0, 0);
        while let [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] = bytes[end..] {
            let size = [a, b, c, d]
                .into_iter()
                .fold(0, |size, seven| size << 7 | usize::from(seven & 0x7f));
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            last = end;
            end = (end + 10 + size + footer).min(bytes.len());
        }
        Self { last, end }
    }
}

fn not_taken(bytes: &[u8]) -> Option<&'static str> {
    let mut all = NOT_TAKEN.iter();
    all.find(|(start, _)| bytes.starts_with(start))
        .map(|(_, name)| *name)
}

/// By signatures of at least six bytes, or several frames in a row, so that no text or picture passes for audio.
fn begins_with(bytes: &[u8]) -> Option<Format> {
    match bytes {
        [0xff, ..] if frames::begin_mp3(bytes) => Some(Format::Mp3),
        [0xff, ..] if frames::begin_adts(bytes) => Some(Format::Aac),
        [b'R' | b'B', ..] if wav::begins(bytes) => Some(Format::Wav),
        [
            b'F',
            b'O',
            b'R',
            b'M',
            _,
            _,
            _,
            _,
            b'A',
            b'I',
            b'F',
            b'F' | b'C',
            ..,
        ] => Some(Format::Aiff),
        // The first block is of type 0 and 34 bytes long.
        [b'f', b'L', b'a', b'C', kind, 0, 0, 34, ..] if kind & 0x7f == 0 => Some(Format::Flac),
        // The first page of a stream, of version 0.
        [b'O', b'g', b'g', b'S', 0, flags, ..] if flags & 2 != 0 => Some(Format::Ogg),
        [0, 0, _, _, b'f', b't', b'y', b'p', ..] => Some(Format::M4a),
        _ => None,
    }
}
