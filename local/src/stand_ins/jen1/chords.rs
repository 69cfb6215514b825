//! Keys that lie well under the hand, and chord names for loops in them.

/// A key with the spelled names of its seven notes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tonality {
    minor: bool,
    notes: [&'static str; 7],
}

const MAJORS: [[&str; 7]; 6] = [
    ["C", "D", "E", "F", "G", "A", "B"],
    ["F", "G", "A", "Bb", "C", "D", "E"],
    ["G", "A", "B", "C", "D", "E", "F#"],
    ["D", "E", "F#", "G", "A", "B", "C#"],
    ["Bb", "C", "D", "Eb", "F", "G", "A"],
    ["Eb", "F", "G", "Ab", "Bb", "C", "D"],
];
const MINORS: [[&str; 7]; 6] = [
    ["A", "B", "C", "D", "E", "F", "G"],
    ["D", "E", "F", "G", "A", "Bb", "C"],
    ["E", "F#", "G", "A", "B", "C", "D"],
    ["G", "A", "Bb", "C", "D", "Eb", "F"],
    ["C", "D", "Eb", "F", "G", "Ab", "Bb"],
    ["B", "C#", "D", "E", "F#", "G", "A"],
];

/// Chord loops as degrees of the scale, 0 being the tonic: two for each mode and part of the song.
const MAJOR_VERSE: [[usize; 4]; 4] = [[0, 5, 3, 4], [0, 3, 0, 4], [0, 2, 3, 4], [0, 4, 5, 3]];
const MAJOR_CHORUS: [[usize; 4]; 4] = [[3, 4, 0, 5], [0, 4, 5, 3], [5, 3, 0, 4], [3, 0, 4, 5]];
const MINOR_VERSE: [[usize; 4]; 4] = [[0, 5, 2, 6], [0, 3, 5, 4], [0, 6, 5, 6], [0, 5, 3, 4]];
const MINOR_CHORUS: [[usize; 4]; 4] = [[5, 6, 0, 0], [5, 2, 6, 0], [0, 5, 2, 6], [3, 0, 5, 4]];

/// The two bars that lead from a verse into what follows.
const MAJOR_TURN: [usize; 2] = [1, 4];
const MINOR_TURN: [usize; 2] = [3, 4];

impl Tonality {
    /// One of the common keys of a mode.
    pub(super) fn pick(minor: bool, rng: &mut fastrand::Rng) -> Self {
        let keys = if minor { &MINORS } else { &MAJORS };
        Self {
            minor,
            notes: keys[rng.usize(..keys.len())],
        }
    }

    /// "F major".
    pub(super) fn name(self) -> String {
        let mode = if self.minor { "minor" } else { "major" };
        format!("{} {mode}", self.notes[0])
    }

    /// The chord on a degree. In minor the fifth degree is major, so that it leads home.
    fn chord(self, degree: usize, sevenths: bool) -> String {
        let (triad, seventh) = match (self.minor, degree) {
            (false, 0 | 3) => ("", "maj7"),
            (false, 4) | (true, 4 | 6) => ("", "7"),
            (false, 6) | (true, 1) => ("dim", "m7b5"),
            (false, _) | (true, 0 | 3) => ("m", "m7"),
            (true, _) => ("", "maj7"),
        };
        format!(
            "{}{}",
            self.notes[degree],
            if sevenths { seventh } else { triad }
        )
    }
}

/// Eight bars: a loop, and the loop again with a turn that leads onward.
pub(super) fn verse(key: Tonality, sevenths: bool, rng: &mut fastrand::Rng) -> Vec<String> {
    let loops = if key.minor {
        &MINOR_VERSE
    } else {
        &MAJOR_VERSE
    };
    eight(key, loops[rng.usize(..loops.len())], sevenths, true)
}

/// Eight bars that keep turning.
pub(super) fn chorus(key: Tonality, sevenths: bool, rng: &mut fastrand::Rng) -> Vec<String> {
    let loops = if key.minor {
        &MINOR_CHORUS
    } else {
        &MAJOR_CHORUS
    };
    eight(key, loops[rng.usize(..loops.len())], sevenths, false)
}

fn eight(key: Tonality, round: [usize; 4], sevenths: bool, turns: bool) -> Vec<String> {
    let mut degrees: Vec<usize> = round.into_iter().chain(round).collect();
    if turns {
        degrees[6..].copy_from_slice(if key.minor { &MINOR_TURN } else { &MAJOR_TURN });
    }
    degrees
        .into_iter()
        .map(|degree| key.chord(degree, sevenths))
        .collect()
}
