//! AIFF whose lengths are not those of the bytes that are there, as programs that stream leave them.

use bytes::Bytes;

/// Offset and block size, in front of the samples.
const SOUND_HEADER: usize = 8;

/// The file with the lengths that it has; the same bytes where they are right already.
pub(super) fn mended(file: Bytes) -> Bytes {
    let (mut at, mut common) = (12, None);
    while let Some((name, claimed)) = chunk(&file, at) {
        let start = at + 8;
        if &name == b"SSND" {
            let left = file.len() - start;
            let len = match claimed > SOUND_HEADER {
                true => claimed.min(left),
                false => left,
            };
            let whole = file.len() - 8;
            let mut lengths = vec![(4, whole), (at + 4, len)];
            // Only where a frame is what it seems: AIFF-C may compress.
            if let Some((at, frame)) = common.filter(|_| &file[8..12] == b"AIFF") {
                let samples = len.saturating_sub(SOUND_HEADER);
                lengths.push((at, samples.checked_div(frame).unwrap_or(0)));
            }
            return with(file, &lengths);
        }
        if &name == b"COMM" {
            common = file.get(start..start + 8).map(|body| {
                let channels = usize::from(u16::from_be_bytes([body[0], body[1]]));
                let bits = usize::from(u16::from_be_bytes([body[6], body[7]]));
                (start + 2, channels * bits.div_ceil(8))
            });
        }
        at = start.saturating_add(claimed + (claimed & 1));
    }
    file
}

fn chunk(file: &[u8], at: usize) -> Option<([u8; 4], usize)> {
    let header: &[u8; 8] = file.get(at..)?.first_chunk()?;
    let [a, b, c, d, len @ ..] = *header;
    Some(([a, b, c, d], u32::from_be_bytes(len) as usize))
}

/// The file with these numbers at these places.
fn with(file: Bytes, lengths: &[(usize, usize)]) -> Bytes {
    let places = lengths.iter().map(|&(at, len)| {
        let len = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
        (at..at + 4, len)
    });
    if places.clone().all(|(place, len)| file[place] == len) {
        return file;
    }
    let mut mended = file.to_vec();
    places.for_each(|(place, len)| mended[place].copy_from_slice(&len));
    mended.into()
}
