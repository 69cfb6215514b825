//! A plan read as music: key, metre, tempo, and one chord line a bar, fitted to the length that was asked for.

use serde_json::Value;

use crate::reading::{energy_of, list_of, tempo_of, words_of};
use crate::theory::{Chord, Key};

/// What is to be played, bar by bar; the last bar is the held final chord.
#[derive(Debug, Clone)]
pub(crate) struct Song {
    pub key: Key,
    /// Quarter notes a bar, 3 or 4.
    pub beats: usize,
    /// Beats a minute, bent a little so that whole bars fill the length.
    pub tempo: f64,
    pub bars: Vec<Bar>,
    /// How long the final chord may ring, in seconds.
    pub ending_seconds: f64,
    pub genre: String,
    /// Genre, mood and instruments in lower case, to choose a style by; without them the prompt.
    pub words: String,
    pub instruments: Vec<String>,
    /// How lively the mood is: 0 is asleep, 1 is wild.
    pub energy: f64,
}

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    /// Lower-case section name; sections of one name share their tune.
    pub section: String,
    /// Counted from the section's first bar.
    pub index: usize,
    /// How many bars the section has.
    pub of: usize,
    /// One chord, or two for the halves of the bar.
    pub chords: Vec<Chord>,
    /// How full the arrangement is here, 0 to 1.
    pub energy: f64,
}

/// The beat on which the second chord of a bar enters.
pub(crate) const SECOND_CHORD: f64 = 2.0;

/// Loops for plans that name no chords, as scale degrees.
const LOOPS: [[usize; 4]; 4] = [[0, 4, 5, 3], [0, 5, 3, 4], [5, 3, 0, 4], [0, 3, 5, 4]];

impl Song {
    /// Reads whatever the plan says and fills in the rest; `prompt` stands in for a silent plan.
    pub(crate) fn read(plan: &Value, prompt: &str, seconds: f64, seed: u64) -> Self {
        let text = |name: &str| plan.get(name).map(words_of).unwrap_or_default();
        let instruments = list_of(plan.get("instrumentation"));
        let said = [text("genre"), text("mood"), instruments.join(" ")].join(" ");
        let words = if said.trim().is_empty() {
            prompt.to_lowercase()
        } else {
            said.to_lowercase()
        };
        let key = Key::parse(&text("key")).unwrap_or(Key {
            tonic: 0,
            minor: false,
        });
        let beats = match text("time_signature").as_str() {
            "3/4" | "6/8" | "3/8" | "9/8" => 3,
            _ => 4,
        };
        let energy = energy_of(&words);
        let wanted = tempo_of(plan.get("tempo")).unwrap_or(70.0 + 60.0 * energy);
        let (body, tempo, ending_seconds) = fit(seconds, wanted, beats);

        let mut bars = body_bars(plan, key, body, energy, seed);
        if let Some(last) = bars.last_mut()
            && body > 1
        {
            last.chords = vec![key.dominant()];
        }
        bars.push(Bar {
            section: "end".to_owned(),
            index: 0,
            of: 1,
            chords: vec![key.triad(0)],
            energy: energy * 0.6,
        });
        Self {
            key,
            beats,
            tempo,
            bars,
            ending_seconds,
            genre: text("genre").to_lowercase(),
            words,
            instruments,
            energy,
        }
    }
}

/// How many whole bars lie before the final chord, the tempo that makes them fit, and the final chord's seconds.
fn fit(seconds: f64, wanted: f64, beats: usize) -> (usize, f64, f64) {
    let bar = beats as f64 * 60.0 / wanted;
    let ending = (bar * 1.2).clamp(2.5, 5.0).min(seconds);
    let body = seconds - ending;
    if body < 0.6 * bar {
        return (0, wanted, seconds);
    }
    let bars = (body / bar).round().max(1.0);
    (bars as usize, bars * beats as f64 * 60.0 / body, ending)
}

/// The plan's sections laid end to end for `count` bars; they come round again without intro and outro if too short.
fn body_bars(plan: &Value, key: Key, count: usize, energy: f64, seed: u64) -> Vec<Bar> {
    let mut once = Vec::new();
    let sections = plan.get("sections").and_then(Value::as_array);
    for section in sections.into_iter().flatten().take(32) {
        let name = section.get("name").map(words_of).unwrap_or_default();
        let bars = section.get("bars").and_then(Value::as_u64).unwrap_or(8);
        let chords: Vec<Chord> = list_of(section.get("chords"))
            .iter()
            .filter_map(|c| Chord::parse(c))
            .collect();
        push_section(
            &mut once,
            &name,
            bars.clamp(1, 64) as usize,
            chords,
            key,
            energy,
        );
    }
    if once.is_empty() {
        for (name, shift) in [("theme", 0), ("second theme", 1)] {
            let chords = LOOPS[(seed as usize).wrapping_add(shift) % LOOPS.len()];
            let chords = chords.map(|degree| key.triad(degree)).to_vec();
            push_section(&mut once, name, 8, chords, key, energy);
        }
    }
    let again: Vec<Bar> = once
        .iter()
        .filter(|bar| !bar.section.contains("intro") && !bar.section.contains("outro"))
        .cloned()
        .collect();
    let again = if again.is_empty() {
        once.clone()
    } else {
        again
    };
    once.into_iter()
        .chain(again.into_iter().cycle())
        .take(count)
        .collect()
}

fn push_section(
    bars: &mut Vec<Bar>,
    name: &str,
    of: usize,
    chords: Vec<Chord>,
    key: Key,
    energy: f64,
) {
    let section = name.to_lowercase();
    let chords = if chords.is_empty() {
        LOOPS[0].map(|degree| key.triad(degree)).to_vec()
    } else {
        chords
    };
    let two_a_bar = chords.len() >= 2 * of;
    let fullness = match section.as_str() {
        s if s.contains("pre") => 0.75,
        s if ["chorus", "drop", "hook", "refrain"]
            .iter()
            .any(|w| s.contains(w)) =>
        {
            1.0
        }
        s if s.contains("intro") || s.contains("outro") => 0.45,
        s if s.contains("bridge") || s.contains("break") => 0.6,
        _ => 0.7,
    };
    for index in 0..of {
        let here = if two_a_bar {
            chords[2 * index..2 * index + 2].to_vec()
        } else {
            vec![chords[index % chords.len()].clone()]
        };
        bars.push(Bar {
            section: section.clone(),
            index,
            of,
            chords: here,
            energy: (fullness * (0.55 + 0.6 * energy)).min(1.0),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_song_fills_its_length_with_whole_bars_and_ends_at_home() {
        let plan = json!({"tempo": 72, "key": "F major", "sections": [
            {"name": "Verse", "bars": 4, "chords": ["F", "Dm", "Bb", "C"]}]});
        for seconds in [1.0, 3.0, 7.5, 30.0, 299.0] {
            let song = Song::read(&plan, "", seconds, 1);
            let body = (song.bars.len() - 1) as f64 * 4.0 * 60.0 / song.tempo;
            assert!(
                (body + song.ending_seconds - seconds).abs() < 1e-6,
                "{seconds}"
            );
            assert_eq!(song.bars.last().unwrap().chords, vec![song.key.triad(0)]);
            if seconds > 12.0 {
                assert!((song.tempo / 72.0 - 1.0).abs() < 0.1, "{}", song.tempo);
            }
        }
    }

    #[test]
    fn a_plan_that_says_little_is_filled_in() {
        for plan in [
            json!({}),
            json!(null),
            json!({"sections": "none", "tempo": [], "key": 7}),
        ] {
            let song = Song::read(&plan, "a calm piano evening", 20.0, 3);
            assert!(song.bars.len() > 3);
            assert!(song.words.contains("piano") && song.energy < 0.3);
        }
    }

    #[test]
    fn two_chords_a_bar_share_the_bar() {
        let plan = json!({"sections": [{"name": "A", "bars": 2, "chords": ["C", "G", "Am", "F"]}]});
        let song = Song::read(&plan, "", 30.0, 0);
        assert_eq!(song.bars[1].chords.len(), 2);
        assert_eq!(song.bars[1].chords[0].root, 9);
    }
}
