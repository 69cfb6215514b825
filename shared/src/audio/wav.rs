//! WAV, RF64 and BW64 whose lengths are not those of the bytes that are there. Programs that stream write zeros or
//! placeholders, and some count wrongly; every player passes over that, but strict ones do not.

use std::ops::Range;

use bytes::Bytes;

use super::gate::Refusal;

/// More than this behind the claimed end of the samples, and no chunk, is samples.
const MAX_JUNK: usize = 1024;

/// Format tags of plain samples, whose header is whole after 16 bytes: PCM, float, A-law and µ-law.
const PLAIN: [u16; 4] = [1, 3, 6, 7];
const EXTENSIBLE: u16 = 0xfffe;

/// Chunks that mean nothing in the rewritten file: sizes of 64 bits, padding, and a count of frames.
const LEFT_OUT: [&[u8; 4]; 6] = [b"ds64", b"JUNK", b"junk", b"FLLR", b"PAD ", b"fact"];

/// Chunks that usually stand behind the samples.
const TRAILING: [&[u8; 4]; 8] = [
    b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"_PMX", b"cue ", b"smpl",
];

/// A chunk's name and where its body lies in the file.
type Chunk = ([u8; 4], Range<usize>);

/// Whether a file of this kind begins here.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(bytes.first_chunk(), Some(b"RIFF" | b"RF64" | b"BW64"))
        && bytes.get(8..12) == Some(b"WAVE")
}

/// The file with the lengths that it has, as RIFF; the same bytes where they are right already.
pub(super) fn mended(file: Bytes) -> Result<Bytes, Refusal> {
    let missing = |what| Refusal::Undecodable(format!("the WAV file has no {what}"));
    let parts = Parts::of(&file);
    let format = parts.format.as_ref().ok_or_else(|| missing("format"))?;
    let samples = parts.samples.as_ref().ok_or_else(|| missing("samples"))?;
    let header = header(&file[format.clone()]);
    if parts.are_as_claimed && header == file[format.clone()] {
        return Ok(file);
    }
    let mut mended = Vec::with_capacity(file.len() + 64);
    mended.extend_from_slice(b"RIFF\0\0\0\0WAVE");
    push(&mut mended, b"fmt ", &header);
    for (name, body) in &parts.before {
        push(&mut mended, name, &file[body.clone()]);
    }
    push(&mut mended, b"data", &file[samples.clone()]);
    for (name, body) in &parts.after {
        push(&mut mended, name, &file[body.clone()]);
    }
    let size = length(mended.len() - 8);
    mended[4..8].copy_from_slice(&size);
    Ok(mended.into())
}

/// The parts of a file, found by what is there.
#[derive(Default)]
struct Parts {
    format: Option<Range<usize>>,
    samples: Option<Range<usize>>,
    before: Vec<Chunk>,
    after: Vec<Chunk>,
    /// Every length is right, and nothing stands outside of a chunk.
    are_as_claimed: bool,
}

impl Parts {
    fn of(file: &[u8]) -> Self {
        let mut parts = Self::default();
        let (mut at, mut wide, mut straight) = (12, None, file.starts_with(b"RIFF"));
        while let Some((name, claimed)) = chunk_header(file, at) {
            let start = at + 8;
            if &name == b"data" {
                let claimed = match wide {
                    Some(wide) if claimed == u32::MAX as usize => wide,
                    _ => claimed,
                };
                parts.take_samples(file, start, claimed, straight);
                return parts;
            }
            let end = start.saturating_add(claimed);
            let Some(next) = next_chunk(file, end) else {
                // The length of this one is wrong.
                let is_format = &name == b"fmt ";
                let wanted = match is_format || parts.format.is_some() {
                    true => b"data",
                    false => b"fmt ",
                };
                let Some(found) = find(file, start, wanted) else {
                    return parts;
                };
                if is_format {
                    parts.format = Some(start..found);
                }
                (at, straight) = (found, false);
                continue;
            };
            // The decoder stumbles over odd lists, padded or not.
            straight &= next == end && claimed % 2 == 0;
            match &name {
                b"fmt " => parts.format = Some(start..end),
                b"ds64" => {
                    let size = file
                        .get(start + 8..start + 16)
                        .and_then(|s| s.try_into().ok());
                    wide = size.and_then(|size| u64::from_le_bytes(size).try_into().ok());
                }
                name if LEFT_OUT.contains(&name) => {}
                _ => parts.before.push((name, start..end)),
            }
            at = next;
        }
        let format = parts.format.clone().unwrap_or_default();
        if let Some(at) = find(file, format.end.max(12), b"data")
            && let Some((_, claimed)) = chunk_header(file, at)
        {
            parts.take_samples(file, at + 8, claimed, false);
        }
        parts
    }

    /// The samples run to their claimed end only if what stands there can be no samples.
    fn take_samples(&mut self, file: &[u8], start: usize, claimed: usize, straight: bool) {
        let riff = 8 + chunk_header(file, 0).map_or(0, |(_, len)| len);
        let end = start.saturating_add(claimed);
        let trailing = match file.get(end..) {
            Some(_) if claimed == 0 => None,
            Some(rest) => trailing_chunks(file, end)
                .or_else(|| is_junk(rest).then(|| (Vec::new(), rest.len() == end & 1))),
            None => None,
        };
        let (end, (after, clean)) = match trailing {
            Some(trailing) => (end, trailing),
            None => (file.len(), (Vec::new(), false)),
        };
        let format = self.format.clone().unwrap_or_default();
        let len = end - start;
        let whole = len - len % block_len(&file[format]).max(1);
        self.samples = Some(start..start + whole);
        self.after = after;
        self.are_as_claimed = straight && clean && whole == claimed && riff == file.len();
    }
}

/// The chunks from here to the end of the file, and whether they are whole and padded; `None` if there are none.
fn trailing_chunks(file: &[u8], end: usize) -> Option<(Vec<Chunk>, bool)> {
    let (mut chunks, mut clean, mut at) = (Vec::new(), true, end);
    while let Some(next) = next_chunk(file, at) {
        let (name, claimed) = chunk_header(file, next)?;
        let body = next + 8..(next + 8).saturating_add(claimed).min(file.len());
        let whole = body.len() == claimed;
        // By chance, samples look like a name sooner than like one of these.
        if !whole && !TRAILING.contains(&&name) {
            return None;
        }
        clean &= whole && next == at + (at & 1);
        at = body.end;
        chunks.push((name, body));
    }
    let rest = file.len() - at;
    clean &= rest == at & 1;
    (!chunks.is_empty() && rest <= MAX_JUNK).then_some((chunks, clean))
}

/// Whether what follows the samples can be no samples, though it is no chunk.
fn is_junk(rest: &[u8]) -> bool {
    let tags: [&[u8]; 3] = [b"ID3", b"TAG", b"APETAGEX"];
    rest.len() <= MAX_JUNK
        || tags.iter().any(|tag| rest.starts_with(tag))
        || rest.iter().all(|byte| *byte == 0)
}

/// Where the chunk behind this end begins: some programs write no padding after an odd length.
fn next_chunk(file: &[u8], end: usize) -> Option<usize> {
    let places = [end + (end & 1), end];
    let first = |is: fn(&[u8; 4]) -> bool| {
        let mut places = places.into_iter();
        places.find(|at| chunk_header(file, *at).is_some_and(|(name, _)| is(&name)))
    };
    first(is_known).or_else(|| first(is_name))
}

fn chunk_header(file: &[u8], at: usize) -> Option<([u8; 4], usize)> {
    let header: &[u8; 8] = file.get(at..)?.first_chunk()?;
    let [a, b, c, d, len @ ..] = *header;
    Some(([a, b, c, d], u32::from_le_bytes(len) as usize))
}

/// `ata ` is a name, too.
fn is_known(name: &[u8; 4]) -> bool {
    matches!(name, b"data" | b"fmt ") || TRAILING.contains(&name) || LEFT_OUT.contains(&name)
}

fn is_name(name: &[u8; 4]) -> bool {
    name.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b" _-".contains(byte))
}

fn find(file: &[u8], from: usize, name: &[u8; 4]) -> Option<usize> {
    let mut windows = file.get(from..)?.windows(4);
    windows
        .position(|window| window == name)
        .map(|at| from + at)
}

/// The format chunk, of a length that every reader knows.
fn header(format: &[u8]) -> Vec<u8> {
    let mut header = format.to_vec();
    match tag(format) {
        Some(tag) if PLAIN.contains(&tag) => {
            let is_usual = match format.len() {
                16 | 40 => matches!(tag, 1 | 3),
                18 => format.ends_with(&[0, 0]),
                _ => false,
            };
            if !is_usual {
                header.truncate(16);
                // No extension follows.
                header.extend([0, 0].iter().filter(|_| tag != 1));
            }
        }
        Some(EXTENSIBLE) if format.len() >= 40 => {
            header.truncate(40);
            header[16..18].copy_from_slice(&22_u16.to_le_bytes());
        }
        _ => {}
    }
    header
}

fn tag(format: &[u8]) -> Option<u16> {
    number(format, 0)
}

fn number(format: &[u8], at: usize) -> Option<u16> {
    let bytes = format.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

/// Bytes of one frame of all channels, or of one block of a compressed format.
fn block_len(format: &[u8]) -> usize {
    let field = |at| number(format, at).map_or(0, usize::from);
    match tag(format) {
        Some(tag) if PLAIN.contains(&tag) || tag == EXTENSIBLE => field(2) * field(14).div_ceil(8),
        _ => field(12),
    }
}

fn push(file: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    let len = match name {
        b"data" => body.len(),
        // The padding counts, too.
        _ => body.len().next_multiple_of(2),
    };
    file.extend_from_slice(name);
    file.extend_from_slice(&length(len));
    file.extend_from_slice(body);
    file.resize(file.len().next_multiple_of(2), 0);
}

/// A delivery is far under four gigabytes.
fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()
}
