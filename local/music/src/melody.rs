//! The tune: each section gets a theme of two motifs and a close, laid out in four-bar phrases that ask and answer.

use crate::score::Score;
use crate::song::{Bar, SECOND_CHORD, Song};
use crate::style::Band;
use crate::theory::{Chord, near};

/// Onsets and lengths in beats.
type Rhythm = &'static [(f64, f64)];

/// A rhythm and how the line moves through it, in steps of the scale.
#[derive(Clone)]
struct Motif {
    rhythm: Rhythm,
    steps: Vec<i32>,
}

/// One section's material.
struct Theme {
    section: String,
    motifs: [Motif; 2],
    close: Rhythm,
    /// Which motif each bar of a phrase takes.
    form: [usize; 3],
    /// Where each bar of a phrase starts, in semitones from the voice's centre.
    heights: [i32; 4],
}

const SPARSE_4: &[Rhythm] = &[
    &[(0.0, 2.0), (2.0, 1.0), (3.0, 1.0)],
    &[(0.0, 1.5), (1.5, 0.5), (2.0, 2.0)],
    &[(0.0, 3.0), (3.0, 1.0)],
    &[(0.0, 1.0), (1.0, 1.0), (2.0, 2.0)],
];
const MEDIUM_4: &[Rhythm] = &[
    &[(0.0, 1.0), (1.0, 0.5), (1.5, 0.5), (2.0, 1.0), (3.0, 1.0)],
    &[(0.0, 0.5), (0.5, 0.5), (1.0, 1.0), (2.0, 1.5), (3.5, 0.5)],
    &[(0.0, 1.5), (1.5, 0.5), (2.0, 1.0), (3.0, 0.5), (3.5, 0.5)],
    &[(0.5, 0.5), (1.0, 1.0), (2.0, 0.5), (2.5, 0.5), (3.0, 1.0)],
];
const DENSE_4: &[Rhythm] = &[
    &[
        (0.0, 0.5),
        (0.5, 0.5),
        (1.0, 0.5),
        (1.5, 1.0),
        (2.5, 0.5),
        (3.0, 1.0),
    ],
    &[
        (0.0, 0.75),
        (0.75, 0.75),
        (1.5, 0.5),
        (2.0, 0.5),
        (2.5, 0.5),
        (3.0, 1.0),
    ],
    &[
        (0.0, 0.5),
        (0.5, 0.5),
        (1.0, 0.5),
        (1.5, 0.5),
        (2.0, 1.0),
        (3.0, 0.5),
        (3.5, 0.5),
    ],
];
const CLOSE_4: &[Rhythm] = &[
    &[(0.0, 3.0)],
    &[(0.0, 1.0), (1.0, 2.0)],
    &[(0.0, 0.5), (0.5, 0.5), (1.0, 2.0)],
];
const SPARSE_3: &[Rhythm] = &[
    &[(0.0, 2.0), (2.0, 1.0)],
    &[(0.0, 3.0)],
    &[(0.0, 1.0), (1.0, 2.0)],
];
const MEDIUM_3: &[Rhythm] = &[
    &[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)],
    &[(0.0, 1.5), (1.5, 0.5), (2.0, 1.0)],
    &[(0.0, 1.0), (1.0, 0.5), (1.5, 0.5), (2.0, 1.0)],
];
const CLOSE_3: &[Rhythm] = &[&[(0.0, 2.5)], &[(0.0, 1.0), (1.0, 1.5)]];

const HEIGHTS: [[i32; 4]; 5] = [
    [0, 3, 5, 1],
    [-2, 0, 3, 0],
    [4, 2, 5, 0],
    [0, -2, 2, -1],
    [5, 3, 1, 0],
];
const FORMS: [[usize; 3]; 3] = [[0, 0, 1], [0, 1, 0], [0, 1, 1]];

/// Writes the tune of every bar but an intro's, and holds the last note over the final chord.
pub(crate) fn write(song: &Song, band: &Band, score: &mut Score, rng: &mut fastrand::Rng) {
    let mut themes: Vec<Theme> = Vec::new();
    let body = song.bars.len() - 1;
    let mut last = band.lead.centre;
    for (number, bar) in song.bars[..body].iter().enumerate() {
        if bar.section.contains("intro") && body > 8 {
            continue;
        }
        let section = theme_name(song, bar);
        let known = themes.iter().position(|t| t.section == section);
        let known = known.unwrap_or_else(|| {
            themes.push(Theme::new(section, song, bar, rng));
            themes.len() - 1
        });
        last = write_bar(song, band, score, &themes[known], number, last);
    }
    let home = near(song.key.tonic, last);
    score.play(band.lead, body, 0.0, song.beats as f64, home, 0.55);
}

/// Numbered verses share a tune, and the outro returns to the first of them.
fn theme_name(song: &Song, bar: &Bar) -> String {
    let name = |bar: &Bar| {
        bar.section
            .trim_end_matches(|c: char| c.is_ascii_digit() || c.is_whitespace())
            .to_owned()
    };
    let returns = bar.section.contains("outro");
    let first = song.bars.iter().find(|b| !b.section.contains("intro"));
    first.filter(|_| returns).map_or_else(|| name(bar), name)
}

impl Theme {
    fn new(section: String, song: &Song, bar: &Bar, rng: &mut fastrand::Rng) -> Self {
        let lively = bar.energy - (song.tempo - 110.0).max(0.0) / 150.0;
        let bank = match (song.beats, lively) {
            (3, l) if l < 0.5 => SPARSE_3,
            (3, _) => MEDIUM_3,
            (_, l) if l < 0.5 => SPARSE_4,
            (_, l) if l < 0.8 => MEDIUM_4,
            _ => DENSE_4,
        };
        let first = rng.usize(..bank.len());
        let second = (first + 1 + rng.usize(..bank.len() - 1)) % bank.len();
        let closes = if song.beats == 3 { CLOSE_3 } else { CLOSE_4 };
        let lift = if bar.section.contains("chorus") { 3 } else { 0 };
        Self {
            section,
            motifs: [first, second].map(|i| Motif::new(bank[i], rng)),
            close: closes[rng.usize(..closes.len())],
            form: FORMS[rng.usize(..FORMS.len())],
            heights: HEIGHTS[rng.usize(..HEIGHTS.len())].map(|h| h + lift),
        }
    }
}

impl Motif {
    /// Mostly steps, the odd leap, and a leap is followed by a step back: the line stays singable.
    fn new(rhythm: Rhythm, rng: &mut fastrand::Rng) -> Self {
        let mut direction = if rng.bool() { 1 } else { -1 };
        let mut leapt = false;
        let steps = (1..rhythm.len())
            .map(|_| {
                if leapt || rng.f64() < 0.3 {
                    direction = -direction;
                }
                leapt = !leapt && rng.f64() < 0.25;
                direction
                    * if leapt {
                        3
                    } else {
                        rng.i32(1..=2).min(rng.i32(1..=2))
                    }
            })
            .collect();
        Self { rhythm, steps }
    }
}

/// Writes one bar and returns the key it ended on.
fn write_bar(
    song: &Song,
    band: &Band,
    score: &mut Score,
    theme: &Theme,
    number: usize,
    mut last: i32,
) -> i32 {
    let bar = &song.bars[number];
    let place = bar.index % 4;
    let closes = place == 3 || bar.index + 1 == bar.of || number + 2 == song.bars.len();
    let motif = theme.form.get(place).map(|m| &theme.motifs[*m]);
    let (rhythm, steps): (Rhythm, &[i32]) = match motif {
        Some(motif) if !closes => (motif.rhythm, &motif.steps),
        _ => (theme.close, &[-1, -1]),
    };
    let centre = band.lead.centre;
    let (low, high) = (centre - 10, centre + 13);
    let target = centre + theme.heights[place];
    for (i, &(beat, beats)) in rhythm.iter().enumerate() {
        let chord = chord_at(bar, beat);
        let strong = beat.fract() == 0.0 && (beat as usize).is_multiple_of(2) || beats >= 1.5;
        let key = if i == 0 {
            nearest_tone(chord, target, last, low, high)
        } else {
            let step = steps.get(i - 1).copied().unwrap_or(0);
            let moved = walk(&song.key.scale_over(chord), last, step, low, high);
            if strong {
                nearest_tone(chord, moved, moved, low, high)
            } else {
                moved
            }
        };
        // The answering phrase comes to rest on the tonic if the harmony lets it.
        let answers = closes && bar.index % 8 == 7 && i + 1 == rhythm.len();
        let key = if answers && chord.tones.contains(&song.key.tonic) {
            near(song.key.tonic, key)
        } else {
            key
        };
        let arc = [0.0, 0.04, 0.07, -0.02][place];
        let accent = if beat == 0.0 { 0.05 } else { 0.0 };
        let loudness = 0.56 + 0.22 * bar.energy + arc + accent;
        score.play(band.lead, number, beat, beats * 0.97, key, loudness);
        last = key;
    }
    last
}

/// The chord that sounds at a beat of a bar.
fn chord_at(bar: &Bar, beat: f64) -> &Chord {
    match bar.chords.as_slice() {
        [_, second, ..] if beat >= SECOND_CHORD => second,
        chords => &chords[0],
    }
}

/// The chord tone in range that is nearest to the target, and not far from the note before.
fn nearest_tone(chord: &Chord, target: i32, last: i32, low: i32, high: i32) -> i32 {
    (low..=high)
        .filter(|key| chord.tones.contains(&key.rem_euclid(12)))
        .min_by_key(|key| {
            let leap = (key - last).abs();
            10 * (key - target).abs() + 7 * leap + 30 * (leap - 7).max(0)
        })
        .unwrap_or(target)
}

/// So many notes of the scale up or down, turned back at the edge of the range.
fn walk(scale: &[i32; 7], from: i32, steps: i32, low: i32, high: i32) -> i32 {
    let mut direction = steps.signum();
    let mut key = from;
    for _ in 0..steps.abs() {
        let next = |key: i32, direction: i32| {
            (1..=4)
                .map(|semitones| key + direction * semitones)
                .find(|k| scale.contains(&k.rem_euclid(12)))
                .unwrap_or(key)
        };
        let mut moved = next(key, direction);
        if moved < low || moved > high {
            direction = -direction;
            moved = next(key, direction);
        }
        key = moved;
    }
    key
}
