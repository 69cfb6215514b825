//! Frames of the streams that have no container: MPEG layer III and ADTS, told by several headers in a row.

/// Frames that must follow one another, because a single header has too few bits to be told from chance.
const IN_A_ROW: usize = 3;

/// A frame's length in bytes, and the bits of its header that are the same in all frames of a stream.
type Frame = (usize, [u8; 2]);

/// Whether a stream of MPEG layer III frames begins here.
pub(super) fn begin_mp3(bytes: &[u8]) -> bool {
    begin(bytes, mp3_frame)
}

/// Whether a stream of AAC frames with ADTS headers begins here.
pub(super) fn begin_adts(bytes: &[u8]) -> bool {
    begin(bytes, adts_frame)
}

fn begin(mut bytes: &[u8], frame: fn(&[u8]) -> Option<Frame>) -> bool {
    let Some((_, first)) = frame(bytes) else {
        return false;
    };
    for seen in 0..IN_A_ROW {
        match frame(bytes) {
            Some((len, kind)) if kind == first => match bytes.get(len..) {
                Some(rest) => bytes = rest,
                // The last frame is cut off.
                None => return seen + 1 == IN_A_ROW,
            },
            _ => return bytes.is_empty() && seen > 1,
        }
    }
    true
}

/// ISO 11172-3 §2.4.1.3 and ISO 13818-3 §2.4.1.3.
fn mp3_frame(bytes: &[u8]) -> Option<Frame> {
    const KBPS_1: [usize; 14] = [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ];
    const KBPS_2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let &[0xff, second, third, _, ..] = bytes else {
        return None;
    };
    // Eleven sync bits, two of version, then layer III.
    if second & 0xe6 != 0xe2 {
        return None;
    }
    let (kbps, samples, halvings) = match second >> 3 & 3 {
        0 => (KBPS_2, 576, 2),
        2 => (KBPS_2, 576, 1),
        3 => (KBPS_1, 1_152, 0),
        _ => return None,
    };
    let kbps = kbps.get(usize::from(third >> 4).checked_sub(1)?)?;
    let rate = [44_100, 48_000, 32_000].get(usize::from(third >> 2 & 3))? >> halvings;
    let len = samples / 8 * kbps * 1_000 / rate + usize::from(third >> 1 & 1);
    Some((len, [second & 0xfe, third & 0x0c]))
}

/// ISO 14496-3 §1.A.2.2.
fn adts_frame(bytes: &[u8]) -> Option<Frame> {
    let &[0xff, second, third, fourth, fifth, sixth, _, ..] = bytes else {
        return None;
    };
    // Twelve sync bits, and a layer of zero; then thirteen indices of sample rates.
    if second & 0xf6 != 0xf0 || third >> 2 & 0xf > 12 {
        return None;
    }
    let [high, middle, low] = [fourth & 3, fifth, sixth].map(usize::from);
    let len = high << 11 | middle << 3 | low >> 5;
    (len > 7).then_some((len, [second & 0xfe, third & 0xfd]))
}
