//! Drum patterns on a grid of sixteenths: `x` is struck, `o` is touched, `.` is a rest.

use crate::score::Score;
use crate::song::{Bar, Song};
use crate::style::{Band, Feel, Voice};
use crate::theory::near;

const KICK: i32 = 36;
const RIM: i32 = 37;
const SNARE: i32 = 38;
const LOW_TOM: i32 = 45;
const HIGH_TOM: i32 = 48;
const CLOSED_HAT: i32 = 42;
const OPEN_HAT: i32 = 46;
const CRASH: i32 = 49;
const RIDE: i32 = 51;
const TAMBOURINE: i32 = 54;
const SHAKER: i32 = 82;

type Lanes = &'static [(i32, &'static str)];

const POP: Lanes = &[
    (KICK, "x.......x.x....."),
    (SNARE, "....x.......x..."),
    (CLOSED_HAT, "x.o.x.o.x.o.x.o."),
];
const ROCK: Lanes = &[
    (KICK, "x.....x.x......."),
    (SNARE, "....x.......x..o"),
    (CLOSED_HAT, "x.x.x.x.x.x.x.x."),
];
const SWING: Lanes = &[
    (RIDE, "x...x.o.x...x.o."),
    (CLOSED_HAT, "....o.......o..."),
    (KICK, "o.......o......."),
    (SNARE, "..........o....."),
];
const BOSSA: Lanes = &[
    (KICK, "x.....o.x.....o."),
    (RIM, "x.....x.....x..."),
    (CLOSED_HAT, "o.o.o.o.o.o.o.o."),
];
const LAZY: Lanes = &[
    (KICK, "x.........x....."),
    (SNARE, "....x.......x..."),
    (CLOSED_HAT, "o.o.o.oo.oo.o.o."),
];
const FOUR: Lanes = &[
    (KICK, "x...x...x...x..."),
    (SNARE, "....x.......x..."),
    (OPEN_HAT, "..o...o...o...o."),
    (CLOSED_HAT, "o.oooo.ooo.ooo.o"),
];
const FOLK: Lanes = &[
    (SHAKER, "o.o.x.o.o.o.x.o."),
    (TAMBOURINE, "....o.......o..."),
    (KICK, "o.......o......."),
];
const WALTZ: Lanes = &[
    (KICK, "x..........."),
    (RIM, "....o...o..."),
    (CLOSED_HAT, "o...o...o.o."),
];
const BREATH: Lanes = &[(CLOSED_HAT, "o...o...o...o...")];

/// Writes the drums, if the band has any: thinner in quiet sections, a fill where a section ends.
pub(crate) fn write(song: &Song, band: &Band, score: &mut Score) {
    let Some(kit) = band.drums else { return };
    let body = song.bars.len() - 1;
    for (number, bar) in song.bars[..body].iter().enumerate() {
        if band.feel == Feel::Orchestral {
            timpani(score, kit, number, bar, song.beats);
            continue;
        }
        let fills = (bar.index + 1 == bar.of && bar.of >= 4 || number + 1 == body)
            && bar.energy > 0.5
            && song.beats == 4;
        let lanes = lanes(band.feel, song.beats, bar.energy);
        for &(key, steps) in lanes {
            for (i, step) in steps.bytes().enumerate() {
                let beat = i as f64 / 4.0;
                if step == b'.' || fills && beat >= 3.0 {
                    continue;
                }
                let force = if step == b'x' { 0.56 } else { 0.34 };
                score.play(kit, number, beat, 0.25, key, force + 0.24 * bar.energy);
            }
        }
        if fills {
            for (i, key) in [SNARE, HIGH_TOM, HIGH_TOM, LOW_TOM].into_iter().enumerate() {
                let loudness = 0.45 + 0.06 * i as f64 + 0.15 * bar.energy;
                score.play(kit, number, 3.0 + i as f64 / 4.0, 0.25, key, loudness);
            }
        }
        if bar.index == 0 && bar.energy > 0.7 && band.feel != Feel::Jazz {
            score.play(kit, number, 0.0, 1.0, CRASH, 0.6);
        }
    }
    if song.energy > 0.55 && band.feel != Feel::Orchestral {
        score.play(kit, body, 0.0, 1.0, KICK, 0.7);
        score.play(kit, body, 0.0, 2.0, CRASH, 0.55);
    }
}

fn lanes(feel: Feel, beats: usize, energy: f64) -> Lanes {
    if beats == 3 {
        return WALTZ;
    }
    match feel {
        Feel::Jazz => SWING,
        Feel::Bossa => BOSSA,
        Feel::Folk => FOLK,
        Feel::LoFi => LAZY,
        _ if energy < 0.4 => BREATH,
        Feel::Rock => ROCK,
        Feel::Electronic => FOUR,
        _ => POP,
    }
}

/// A stroke where a chord of weight begins, and a swell of eighths into the next section.
fn timpani(score: &mut Score, kit: Voice, number: usize, bar: &Bar, beats: usize) {
    let key = near(bar.chords[0].bass, 47);
    if bar.index.is_multiple_of(2) {
        score.play(kit, number, 0.0, 2.0, key, 0.4 + 0.3 * bar.energy);
    }
    if bar.index + 1 == bar.of {
        for i in 0..4 {
            let beat = beats as f64 - 2.0 + 0.5 * f64::from(i);
            score.play(kit, number, beat, 0.5, key, 0.3 + 0.09 * f64::from(i));
        }
    }
}
