//! Keys and chords as pitch classes, read from the names that people and language models write.

/// A tonic and a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// 0 is C.
    pub tonic: i32,
    pub minor: bool,
}

/// A chord as pitch classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chord {
    pub root: i32,
    /// The note under the chord; the root unless the name has a slash.
    pub bass: i32,
    /// Root first, then upwards.
    pub tones: Vec<i32>,
}

const MAJOR: [i32; 7] = [0, 2, 4, 5, 7, 9, 11];
const MINOR: [i32; 7] = [0, 2, 3, 5, 7, 8, 10];

impl Key {
    /// Reads "F major", "c# minor", "Bbm", "D dorian"; modes with a minor third count as minor.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (tonic, rest) = note(text.trim())?;
        let mode = rest.trim_start();
        let lower = mode.to_lowercase();
        let minor = mode == "m"
            || ["min", "dor", "phr", "aeo", "loc"]
                .iter()
                .any(|m| lower.starts_with(m));
        Some(Self { tonic, minor })
    }

    /// The seven pitch classes, the tonic first.
    pub(crate) fn scale(self) -> [i32; 7] {
        let steps = if self.minor { MINOR } else { MAJOR };
        steps.map(|s| (self.tonic + s).rem_euclid(12))
    }

    /// The scale bent to a chord: a scale note gives way to a foreign chord note a semitone from it, so that
    /// a melody over E7 in A minor sings G sharp.
    pub(crate) fn scale_over(self, chord: &Chord) -> [i32; 7] {
        let mut scale = self.scale();
        for &tone in &chord.tones {
            if scale.contains(&tone) {
                continue;
            }
            // Rather raise the note below than lower the one above, and leave the tonic alone.
            let bent = [1, 11].into_iter().find_map(|up| {
                scale
                    .iter()
                    .skip(1)
                    .position(|&s| !chord.tones.contains(&s) && (tone - s).rem_euclid(12) == up)
            });
            if let Some(bent) = bent {
                scale[bent + 1] = tone;
            }
        }
        scale
    }

    /// The triad on a degree of the scale, 0 being the tonic; `dominant` makes the fifth degree a major seventh chord.
    pub(crate) fn triad(self, degree: usize) -> Chord {
        let scale = self.scale();
        let tones: Vec<i32> = [0, 2, 4].map(|s| scale[(degree + s) % 7]).to_vec();
        Chord {
            root: tones[0],
            bass: tones[0],
            tones,
        }
    }

    /// The chord that wants to go home: the major triad with a minor seventh on the fifth degree.
    pub(crate) fn dominant(self) -> Chord {
        let root = (self.tonic + 7).rem_euclid(12);
        Chord::of(root, &[0, 4, 7, 10])
    }
}

impl Chord {
    fn of(root: i32, intervals: &[i32]) -> Self {
        Self {
            root,
            bass: root,
            tones: intervals
                .iter()
                .map(|i| (root + i).rem_euclid(12))
                .collect(),
        }
    }

    /// Reads "F", "Gm7", "Bbmaj7", "C#dim", "Dsus4", "Am7b5", "F/A"; `None` if the name starts with no note.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (name, bass) = match name.trim().split_once('/') {
            Some((chord, bass)) => (chord.to_owned(), note(bass).map(|(pitch, _)| pitch)),
            None => (name.trim().to_owned(), None),
        };
        let (root, quality) = note(&name)?;
        let major_seventh = ["maj7", "maj9", "M7", "M9", "Δ"]
            .iter()
            .any(|m| quality.contains(m));
        let lower = quality.to_lowercase();
        let minor = (quality.starts_with('m') && !lower.starts_with("maj"))
            || lower.starts_with("min")
            || quality.starts_with('-');
        let half_diminished = lower.contains("b5") || lower.contains('ø');
        let diminished = lower.starts_with("dim") || lower.starts_with('°');
        let mut intervals = if diminished || (minor && half_diminished) {
            vec![0, 3, 6]
        } else if lower.starts_with("aug") || lower.starts_with('+') {
            vec![0, 4, 8]
        } else if lower.contains("sus2") {
            vec![0, 2, 7]
        } else if lower.contains("sus") {
            vec![0, 5, 7]
        } else if minor {
            vec![0, 3, 7]
        } else if lower == "5" {
            vec![0, 7]
        } else {
            vec![0, 4, 7]
        };
        if lower.contains("add9") {
            intervals.push(2);
        } else if major_seventh {
            intervals.push(11);
        } else if diminished && lower.contains('7') {
            intervals.push(9);
        } else if ["7", "9", "11", "13"].iter().any(|n| lower.contains(n)) {
            intervals.push(10);
        } else if lower.contains('6') {
            intervals.push(9);
        }
        let chord = Self::of(root, &intervals);
        Some(Self {
            bass: bass.unwrap_or(root),
            ..chord
        })
    }

    /// The pitch class a fifth, or whatever stands for it, above the root.
    pub(crate) fn fifth(&self) -> i32 {
        self.tones
            .iter()
            .copied()
            .find(|t| matches!((t - self.root).rem_euclid(12), 6..=8))
            .unwrap_or(self.root)
    }
}

/// The nearest MIDI key of a pitch class to `around`.
pub(crate) fn near(pitch_class: i32, around: i32) -> i32 {
    let up = (pitch_class - around).rem_euclid(12);
    if up > 6 {
        around + up - 12
    } else {
        around + up
    }
}

/// A note name at the start of `text`, and what follows it.
fn note(text: &str) -> Option<(i32, &str)> {
    let letter = text.chars().next()?;
    let pitch = match letter.to_ascii_uppercase() {
        'C' => 0,
        'D' => 2,
        'E' => 4,
        'F' => 5,
        'G' => 7,
        'A' => 9,
        'B' => 11,
        _ => return None,
    };
    let mut rest = &text[1..];
    let mut shift = 0_i32;
    while let Some(c) = rest.chars().next() {
        shift += match c {
            '#' | '♯' => 1,
            'b' | '♭' => -1,
            _ => break,
        };
        rest = &rest[c.len_utf8()..];
    }
    Some(((pitch + shift).rem_euclid(12), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_people_write_them() {
        let cases = [
            ("F major", 5, false),
            ("c# minor", 1, true),
            ("Bbm", 10, true),
            ("D dorian", 2, true),
            ("G", 7, false),
            ("A♭ Major", 8, false),
        ];
        for (text, tonic, minor) in cases {
            assert_eq!(Key::parse(text), Some(Key { tonic, minor }), "{text}");
        }
        assert_eq!(Key::parse("unknown"), None);
        assert_eq!(Key::parse(""), None);
    }

    #[test]
    fn chords_are_read_as_people_write_them() {
        let cases: [(&str, &[i32], i32); 10] = [
            ("F", &[5, 9, 0], 5),
            ("Gm7", &[7, 10, 2, 5], 7),
            ("Bbmaj7", &[10, 2, 5, 9], 10),
            ("C#dim", &[1, 4, 7], 1),
            ("Dsus4", &[2, 7, 9], 2),
            ("Am7b5", &[9, 0, 3, 7], 9),
            ("F/A", &[5, 9, 0], 9),
            ("Cadd9", &[0, 4, 7, 2], 0),
            ("E7", &[4, 8, 11, 2], 4),
            ("A5", &[9, 4], 9),
        ];
        for (name, tones, bass) in cases {
            let chord = Chord::parse(name).unwrap();
            assert_eq!(
                (chord.tones.as_slice(), chord.bass),
                (tones, bass),
                "{name}"
            );
        }
        assert_eq!(Chord::parse("N.C."), None);
    }

    #[test]
    fn the_scale_bends_to_a_foreign_chord() {
        let key = Key::parse("A minor").unwrap();
        let over = key.scale_over(&key.dominant());
        assert!(
            over.contains(&8) && over.contains(&9) && !over.contains(&7),
            "{over:?}"
        );
    }
}
