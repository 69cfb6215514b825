//! Who plays and how: a feel from the genre's words, and General MIDI voices from the instruments' names.

use crate::song::Song;

/// The manner of accompaniment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feel {
    Ballad,
    Folk,
    Pop,
    Rock,
    Jazz,
    Bossa,
    LoFi,
    Electronic,
    Orchestral,
    Ambient,
}

/// One channel's sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Voice {
    pub channel: u8,
    /// General MIDI program; on the drum channel the kit.
    pub program: u8,
    /// The MIDI key about which the voice likes to play.
    pub centre: i32,
    /// Loudness in the mix, in dB against the tune's.
    pub level: f64,
    /// 64 is the middle.
    pub pan: u8,
    pub reverb: u8,
}

/// The voices of one performance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Band {
    pub feel: Feel,
    pub lead: Voice,
    pub chords: Voice,
    pub pad: Option<Voice>,
    pub bass: Option<Voice>,
    pub drums: Option<Voice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Lead,
    Chords,
    Pad,
    Bass,
    Drums,
}

/// Word, program, centre, role. The first word that an instrument's name contains decides, so "bassoon" is above "bass".
const SOUNDS: [(&str, u8, i32, Role); 61] = [
    ("brush", 40, 0, Role::Drums),
    ("drum machine", 24, 0, Role::Drums),
    ("electronic drum", 24, 0, Role::Drums),
    ("808", 25, 0, Role::Drums),
    ("timpani", 48, 0, Role::Drums),
    ("jazz drum", 32, 0, Role::Drums),
    ("drum", 0, 0, Role::Drums),
    ("percussion", 0, 0, Role::Drums),
    ("shaker", 8, 0, Role::Drums),
    ("bassoon", 70, 57, Role::Lead),
    ("synth bass", 38, 36, Role::Bass),
    ("sub bass", 38, 34, Role::Bass),
    ("upright", 32, 38, Role::Bass),
    ("double bass", 32, 38, Role::Bass),
    ("contrabass", 43, 38, Role::Bass),
    ("acoustic bass", 32, 38, Role::Bass),
    ("fretless", 35, 38, Role::Bass),
    ("bass", 33, 38, Role::Bass),
    ("electric piano", 4, 60, Role::Chords),
    ("rhodes", 4, 60, Role::Chords),
    ("wurli", 5, 60, Role::Chords),
    ("piano", 0, 60, Role::Chords),
    ("harpsichord", 6, 60, Role::Chords),
    ("church organ", 19, 60, Role::Pad),
    ("organ", 16, 60, Role::Pad),
    ("accordion", 21, 67, Role::Lead),
    ("harmonica", 22, 69, Role::Lead),
    ("distort", 30, 52, Role::Chords),
    ("overdriv", 29, 52, Role::Chords),
    ("electric guitar", 27, 55, Role::Chords),
    ("steel", 25, 57, Role::Chords),
    ("guitar", 24, 57, Role::Chords),
    ("harp", 46, 62, Role::Chords),
    ("banjo", 105, 60, Role::Chords),
    ("ukulele", 24, 64, Role::Chords),
    ("kalimba", 108, 67, Role::Chords),
    ("marimba", 12, 67, Role::Lead),
    ("vibraphone", 11, 69, Role::Lead),
    ("music box", 10, 79, Role::Lead),
    ("bell", 8, 79, Role::Lead),
    ("celesta", 8, 76, Role::Lead),
    ("glocken", 9, 79, Role::Lead),
    ("fiddle", 110, 72, Role::Lead),
    ("cello", 42, 55, Role::Lead),
    ("violin", 40, 74, Role::Lead),
    ("synth string", 50, 62, Role::Pad),
    ("string", 49, 62, Role::Pad),
    ("choir", 52, 62, Role::Pad),
    ("pad", 89, 62, Role::Pad),
    ("trumpet", 56, 69, Role::Lead),
    ("horn", 60, 62, Role::Lead),
    ("brass", 61, 60, Role::Lead),
    ("sax", 66, 64, Role::Lead),
    ("oboe", 68, 72, Role::Lead),
    ("clarinet", 71, 67, Role::Lead),
    ("recorder", 74, 76, Role::Lead),
    ("whistle", 78, 79, Role::Lead),
    ("flute", 73, 76, Role::Lead),
    ("lead", 81, 72, Role::Lead),
    ("voice", 53, 67, Role::Lead),
    ("synth", 90, 62, Role::Chords),
];

impl Feel {
    /// By the genre's words, else by all the words, else by the mood.
    pub(crate) fn of(song: &Song) -> Self {
        Self::named(&song.genre)
            .or_else(|| Self::named(&song.words))
            .unwrap_or(if song.energy < 0.45 {
                Self::Ballad
            } else {
                Self::Pop
            })
    }

    fn named(words: &str) -> Option<Self> {
        const NAMES: [(&[&str], Feel); 10] = [
            (&["bossa", "samba", "latin"], Feel::Bossa),
            (&["lo-fi", "lofi", "hip-hop", "hip hop", "trip"], Feel::LoFi),
            (&["jazz", "swing", "blues"], Feel::Jazz),
            (&["ambient", "drone", "meditat", "new age"], Feel::Ambient),
            (
                &[
                    "electr",
                    "edm",
                    "house",
                    "techno",
                    "trance",
                    "dance",
                    "synthwave",
                    "disco",
                ],
                Feel::Electronic,
            ),
            (&["rock", "metal", "punk", "grunge"], Feel::Rock),
            (
                &["orchestr", "cinema", "symphon", "epic", "film"],
                Feel::Orchestral,
            ),
            (&["folk", "country", "celtic", "bluegrass"], Feel::Folk),
            (
                &["ballad", "piano", "lullaby", "classical", "nocturne"],
                Feel::Ballad,
            ),
            (
                &["pop", "waltz", "funk", "soul", "r&b", "reggae", "gospel"],
                Feel::Pop,
            ),
        ];
        NAMES
            .iter()
            .find(|(words_of, _)| words_of.iter().any(|w| words.contains(w)))
            .map(|(_, feel)| *feel)
    }

    /// Whether off-beats come late.
    pub(crate) fn swings(self) -> bool {
        matches!(self, Self::Jazz | Self::LoFi)
    }

    /// Whether the band slows down before the end.
    pub(crate) fn broadens(self) -> bool {
        !matches!(self, Self::Electronic | Self::LoFi | Self::Rock)
    }

    fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Ballad => &["piano", "strings"],
            Self::Folk => &["steel guitar", "flute", "acoustic bass", "shaker"],
            Self::Pop => &["piano", "voice", "strings", "bass", "drums"],
            Self::Rock => &["overdriven guitar", "lead", "bass", "drums"],
            Self::Jazz => &["piano", "sax", "double bass", "brushes"],
            Self::Bossa => &["nylon guitar", "flute", "acoustic bass", "brushes"],
            Self::LoFi => &["rhodes", "vibraphone", "bass", "drums"],
            Self::Electronic => &["synth", "lead", "pad", "synth bass", "drum machine"],
            Self::Orchestral => &["harp", "strings", "horn", "contrabass", "timpani"],
            Self::Ambient => &["pad", "piano"],
        }
    }
}

impl Band {
    /// The plan's instruments in their roles; a plan without instruments gets the feel's usual ones.
    pub(crate) fn of(song: &Song) -> Self {
        let feel = Feel::of(song);
        let named: Vec<_> = song.instruments.iter().filter_map(|i| sound(i)).collect();
        let usual: Vec<_> = feel.usual().iter().filter_map(|i| sound(i)).collect();
        let sounds = if named.is_empty() { &usual } else { &named };
        let first = |role: Role| sounds.iter().find(|s| s.2 == role).map(|s| (s.0, s.1));
        let pads = first(Role::Pad);
        // With nobody to play chords the pad or the tune's own instrument carries them.
        let chords = first(Role::Chords)
            .or(pads)
            .or_else(|| first(Role::Lead))
            .unwrap_or((0, 60));
        let lead = first(Role::Lead).unwrap_or((chords.0, (chords.1 + 13).max(70)));
        let lone = lead.0 == chords.0;
        let (chords_level, pad_level) = match feel {
            Feel::Ambient | Feel::Orchestral => (-5.0, -5.0),
            Feel::Rock => (-4.0, -11.0),
            _ => (-6.0, -11.0),
        };
        let voice = |channel, (program, centre), level, pan, reverb| Voice {
            channel,
            program,
            centre,
            level,
            pan,
            reverb,
        };
        Self {
            feel,
            lead: voice(0, lead, 0.0, if lone { 70 } else { 64 }, 62),
            chords: voice(1, chords, chords_level, 54, 50),
            pad: pads.map(|pad| voice(2, pad, pad_level, 76, 84)),
            bass: first(Role::Bass).map(|bass| voice(3, bass, -4.0, 64, 12)),
            drums: first(Role::Drums).map(|kit| voice(9, kit, -4.0, 64, 34)),
        }
    }

    /// Every voice that plays.
    pub(crate) fn voices(&self) -> impl Iterator<Item = Voice> {
        let more = [self.pad, self.bass, self.drums];
        [self.lead, self.chords]
            .into_iter()
            .chain(more.into_iter().flatten())
    }
}

fn sound(name: &str) -> Option<(u8, i32, Role)> {
    let name = name.to_lowercase();
    SOUNDS
        .iter()
        .find(|(word, ..)| name.contains(word))
        .map(|&(_, program, centre, role)| (program, centre, role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn band(plan: serde_json::Value) -> Band {
        Band::of(&Song::read(&plan, "", 30.0, 1))
    }

    #[test]
    fn a_piano_alone_plays_both_tune_and_chords() {
        let band = band(json!({"genre": "piano ballad", "instrumentation": ["Grand piano"]}));
        assert_eq!((band.lead.program, band.chords.program), (0, 0));
        assert!(band.drums.is_none() && band.bass.is_none() && band.pad.is_none());
        assert!(band.lead.centre > band.chords.centre);
    }

    #[test]
    fn instruments_take_the_roles_that_suit_them() {
        let band = band(json!({"genre": "Jazz",
            "instrumentation": ["tenor saxophone", "piano", "upright bass", "brushed drums"]}));
        assert_eq!(band.feel, Feel::Jazz);
        assert_eq!(band.lead.program, 66);
        assert_eq!(band.bass.unwrap().program, 32);
        assert_eq!(band.drums.unwrap().program, 40);
    }

    #[test]
    fn the_genre_decides_the_feel_before_the_instruments_do() {
        let plan = json!({"genre": "indie pop", "instrumentation": ["electric guitar"]});
        assert_eq!(band(plan).feel, Feel::Pop);
    }
}
