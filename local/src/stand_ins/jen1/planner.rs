//! A song plan by rules from the words of a narrative: the same narrative and length give the same plan.

use music::fingerprint;
use serde::Serialize;

use super::chords::{self, Tonality};
use super::genres::{GENRES, Genre};
use super::lyrics;
use super::narrative::Words;
use super::words::{INSTRUMENTS, MOODS, Mood};

/// A song plan, in the field names that planners use.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SongPlan {
    pub title: String,
    pub genre: String,
    /// Beats a minute.
    pub tempo: f64,
    pub key: String,
    pub time_signature: String,
    pub mood: Vec<String>,
    pub instrumentation: Vec<String>,
    pub sections: Vec<Section>,
    pub verse_1: String,
    pub chorus: String,
    pub lyrics: String,
}

/// One part of the song.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    pub name: String,
    pub bars: usize,
    /// One a bar, repeated as needed.
    pub chords: Vec<String>,
}

/// Plans a song of about `seconds` for any text, even an empty one.
pub fn plan(narrative: &str, seconds: f64) -> SongPlan {
    let words = Words::of(narrative);
    let moods: Vec<&Mood> = MOODS
        .iter()
        .filter(|m| words.any(m.words))
        .take(3)
        .collect();
    let genre = GENRES.iter().find(|g| words.any(g.words));
    let mut rng = fastrand::Rng::with_seed(fingerprint(&words.text));

    let minor = moods.iter().filter(|m| m.minor).count() * 2 > moods.len() || words.any(&["minor"]);
    let tonality = Tonality::pick(minor, &mut rng);
    let instrumentation = instruments(&words, genre, &moods);
    let waltz = genre.is_some_and(|g| g.name == "waltz") || words.text.contains("3/4");
    let tempo = tempo(genre, &moods, &mut rng);
    let beats = if waltz { 3.0 } else { 4.0 };
    let bars = (seconds / (beats * 60.0 / tempo)).round().max(1.0) as usize;

    let sevenths = genre.is_some_and(|g| g.sevenths);
    let verse = chords::verse(tonality, sevenths, &mut rng);
    let chorus = chords::chorus(tonality, sevenths, &mut rng);
    let title = lyrics::title(narrative);
    let song = lyrics::write(&words.images(), &title, &mut rng);
    SongPlan {
        title,
        genre: genre_name(genre, &instrumentation, &moods),
        tempo,
        key: tonality.name(),
        time_signature: if waltz { "3/4" } else { "4/4" }.to_owned(),
        mood: if moods.is_empty() {
            vec!["easy-going".to_owned()]
        } else {
            moods.iter().map(|m| m.name.to_owned()).collect()
        },
        instrumentation,
        sections: sections(bars, &verse, &chorus),
        lyrics: song.whole(),
        verse_1: song.verse_1,
        chorus: song.chorus,
    }
}

fn tempo(genre: Option<&Genre>, moods: &[&Mood], rng: &mut fastrand::Rng) -> f64 {
    let count = moods.len().max(1) as f64;
    let base = match genre {
        Some(genre) => genre.tempo + moods.iter().map(|m| m.push).sum::<f64>() / count,
        None if moods.is_empty() => 96.0,
        None => moods.iter().map(|m| m.tempo).sum::<f64>() / count,
    };
    (base + rng.f64() * 6.0 - 3.0).round().clamp(50.0, 176.0)
}

/// What the narrative names comes first; the genre's band joins unless the narrative is a quiet solo.
fn instruments(words: &Words, genre: Option<&Genre>, moods: &[&Mood]) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    let mut rest = words.text.clone();
    for (word, instrument) in INSTRUMENTS {
        if words.has(word) && rest.contains(word) {
            rest = rest.replace(word, " ");
            named.push(instrument.to_owned());
        }
    }
    let solo = words.any(&["solo", "alone", "only", "unaccompanied"]) && !named.is_empty();
    let quiet = moods.iter().any(|m| m.push < -5.0);
    let company: &[&str] = match genre {
        _ if solo => &[],
        Some(genre) => genre.band,
        None if quiet && named.is_empty() => &["piano", "soft strings"],
        None if quiet => &["soft strings"],
        None if named.is_empty() => &["piano", "flute", "soft strings", "bass", "drums"],
        None => &["piano", "soft strings", "bass", "drums"],
    };
    let asked: Vec<&str> = named.iter().map(|n| family(n)).collect();
    let joining: Vec<String> = company
        .iter()
        .filter(|player| !asked.contains(&family(player)))
        .map(|player| (*player).to_owned())
        .collect();
    named.extend(joining);
    // "No drums" is a wish as well.
    named.retain(|n| {
        !words.text.contains(&format!("no {n}")) && !words.text.contains(&format!("without {n}"))
    });
    if named.is_empty() {
        named.push("piano".to_owned());
    }
    named.truncate(6);
    named
}

/// Instruments of one family stand in for each other: soft strings for strings, a drum machine for drums.
fn family(instrument: &str) -> &str {
    ["drum", "bass", "string", "piano", "sax", "guitar"]
        .into_iter()
        .find(|f| instrument.contains(f))
        .unwrap_or(instrument)
}

fn genre_name(genre: Option<&Genre>, instruments: &[String], moods: &[&Mood]) -> String {
    let drums = instruments.iter().any(|i| i.contains("drum"));
    let quiet = moods.iter().any(|m| m.push < -5.0);
    match genre {
        Some(genre) => genre.name.to_owned(),
        None if instruments[0].contains("piano") && !drums => "piano ballad".to_owned(),
        None if quiet && !drums => "acoustic ballad".to_owned(),
        None => "indie pop".to_owned(),
    }
}

/// A chord a bar: short sections keep to the first half of the progression.
fn progression(chords: &[String], bars: usize) -> Vec<String> {
    let length = if bars < chords.len() {
        chords.len() / 2
    } else {
        chords.len()
    };
    chords[..length].to_vec()
}

/// Shares the bars out among the parts of a song: the shorter, the fewer parts.
fn sections(bars: usize, verse: &[String], chorus: &[String]) -> Vec<Section> {
    let shape: &[(&str, usize)] = match bars {
        0..=7 => &[("theme", 4)],
        8..=11 => &[("verse 1", 4), ("chorus", 4)],
        12..=23 => &[("intro", 2), ("verse 1", 4), ("chorus", 4), ("outro", 2)],
        24..=47 => &[
            ("intro", 2),
            ("verse 1", 8),
            ("chorus", 8),
            ("verse 2", 4),
            ("outro", 2),
        ],
        _ => &[
            ("intro", 4),
            ("verse 1", 8),
            ("chorus", 8),
            ("verse 2", 8),
            ("chorus", 8),
            ("bridge", 4),
            ("chorus", 8),
            ("outro", 4),
        ],
    };
    let mut sections: Vec<Section> = Vec::new();
    let mut left = bars;
    let outro = shape
        .last()
        .filter(|(name, _)| *name == "outro")
        .map_or(0, |(_, n)| *n);
    let parts = shape.iter().filter(|(name, _)| *name != "outro");
    // Round after round without the intro, until only the outro has room.
    for (i, (name, length)) in parts
        .clone()
        .chain(parts.clone().skip(1).cycle())
        .enumerate()
    {
        let room = left.saturating_sub(outro);
        if room == 0 || i > 128 {
            break;
        }
        // A rest of one bar is no section of its own.
        let take = if room <= length + 1 { room } else { *length };
        let name = match *name {
            "verse 1" if sections.iter().any(|s| s.name == "verse 1") => "verse 2",
            name => name,
        };
        let lifted = name.contains("chorus") || name == "bridge";
        sections.push(Section {
            name: name.to_owned(),
            bars: take,
            chords: progression(if lifted { chorus } else { verse }, take),
        });
        left -= take;
    }
    if left > 0 {
        sections.push(Section {
            name: "outro".to_owned(),
            bars: left,
            chords: progression(verse, left),
        });
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_piano_evening_is_a_slow_piano_ballad() {
        let plan = plan("a calm piano evening in the rain", 30.0);
        assert_eq!(plan.title, "Calm Piano Evening in the Rain");
        assert_eq!(plan.genre, "piano ballad");
        assert_eq!(plan.instrumentation, ["piano", "soft strings"]);
        assert!(plan.tempo < 80.0 && plan.key.ends_with("major"), "{plan:?}");
        assert!(plan.mood.contains(&"calm".to_owned()));
    }

    #[test]
    fn words_of_mood_and_genre_choose_mode_tempo_and_band() {
        let dark = plan("a dark haunted house", 30.0);
        assert!(dark.key.ends_with("minor"), "{}", dark.key);
        assert_eq!(dark.genre, "piano ballad");
        let warm = plan("a warm fireplace at the seaside", 30.0);
        assert_eq!(warm.mood, ["warm"]);
        let club = plan("energetic techno club at night", 30.0);
        assert!(club.tempo > 120.0);
        assert!(club.instrumentation.iter().any(|i| i.contains("drum")));
        let jazz = plan("smoky jazz with trumpet and no drums", 30.0);
        assert_eq!(jazz.genre, "jazz");
        assert_eq!(jazz.instrumentation[0], "trumpet");
        assert!(!jazz.instrumentation.contains(&"drums".to_owned()));
        assert_eq!(plan("a carousel waltz", 30.0).time_signature, "3/4");
    }

    #[test]
    fn the_same_narrative_gives_the_same_plan_and_another_another() {
        assert_eq!(
            plan("a ship at sea", 40.0),
            plan("A ship, at sea!", 40.0).with_title_of("a ship at sea")
        );
        assert_ne!(plan("a ship at sea", 40.0), plan("a train at night", 40.0));
    }

    #[test]
    fn the_sections_last_as_long_as_the_song() {
        for seconds in [1.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0] {
            let plan = plan("a happy summer day", seconds);
            let bars: usize = plan.sections.iter().map(|s| s.bars).sum();
            let wanted = (seconds * plan.tempo / 240.0).round().max(1.0);
            assert_eq!(bars as f64, wanted, "{seconds} s: {:?}", plan.sections);
        }
    }

    #[test]
    fn any_text_gives_a_whole_plan() {
        for text in [
            "",
            "   ",
            "日本語のテキスト",
            "!!!",
            "12345",
            &"x".repeat(4000),
        ] {
            let plan = plan(text, 30.0);
            assert!(
                !plan.title.is_empty() && plan.title.len() < 80,
                "{}",
                plan.title
            );
            assert!(!plan.instrumentation.is_empty() && !plan.sections.is_empty());
            assert!(plan.sections.iter().all(|s| !s.chords.is_empty()));
            assert!(!plan.verse_1.is_empty() && plan.lyrics.contains(&plan.chorus));
        }
    }

    impl SongPlan {
        fn with_title_of(mut self, narrative: &str) -> Self {
            let title = lyrics::title(narrative);
            self.lyrics = self.lyrics.replace(&self.title, &title);
            self.chorus = self.chorus.replace(&self.title, &title);
            self.title = title;
            self
        }
    }
}
