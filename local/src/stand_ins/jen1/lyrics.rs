//! A title and a few singable lines from the narrative's own words.

/// The words of a song.
pub(super) struct Lyrics {
    pub verse_1: String,
    pub chorus: String,
    verse_2: String,
}

impl Lyrics {
    /// Verse, chorus, verse, chorus.
    pub(super) fn whole(&self) -> String {
        [&self.verse_1, &self.chorus, &self.verse_2, &self.chorus]
            .map(String::as_str)
            .join("\n\n")
    }
}

const VERSES: [[&str; 4]; 4] = [
    [
        "Here is the {a} where the hours go slow",
        "Here is the {b} in the afterglow",
        "I hear the {c} calling low",
        "And I don't want to let it go",
    ],
    [
        "I found the {a} at the edge of day",
        "The {b} was never far away",
        "You hummed the {c} along the way",
        "And every shadow turned to play",
    ],
    [
        "Somewhere the {a} is coming near",
        "The {b} is all that I can hear",
        "I followed the {c} for half a year",
        "And now, and now, it brought me here",
    ],
    [
        "Leave the {a} open, leave the light",
        "Let the {b} carry through the night",
        "And the {c} waits just out of sight",
        "And it will find us, that's all right",
    ],
];
const CHORUSES: [[&str; 4]; 3] = [
    [
        "{title}",
        "Stay a while, don't hurry by",
        "{title}",
        "Underneath a widening sky",
    ],
    [
        "Oh, {title}",
        "Carry me as far as you can",
        "Oh, {title}",
        "Take me back where it all began",
    ],
    [
        "Sing it for the {a}, sing it for the {b}",
        "{title}",
        "Every road is leading us to something new",
        "{title}",
    ],
];
const SPARE: [&str; 6] = ["window", "river", "morning", "melody", "silence", "garden"];

/// Writes the words around up to three images; spare ones fill in for a text without any.
pub(super) fn write(images: &[&str], title: &str, rng: &mut fastrand::Rng) -> Lyrics {
    let mut pool: Vec<&str> = images.iter().copied().take(12).collect();
    rng.shuffle(&mut pool);
    let spare = rng.usize(..SPARE.len());
    pool.extend((0..3).map(|i| SPARE[(spare + i) % SPARE.len()]));
    let fill = |lines: &[&str; 4]| {
        lines
            .map(|line| {
                line.replace("{a}", pool[0])
                    .replace("{b}", pool[1])
                    .replace("{c}", pool[2])
                    .replace("{title}", title)
            })
            .join("\n")
    };
    let first = rng.usize(..VERSES.len());
    Lyrics {
        verse_1: fill(&VERSES[first]),
        chorus: fill(&CHORUSES[rng.usize(..CHORUSES.len())]),
        verse_2: fill(&VERSES[(first + 1) % VERSES.len()]),
    }
}

/// The narrative's first words as a title: no leading article, at most 48 characters.
pub(super) fn title(narrative: &str) -> String {
    const SMALL: [&str; 14] = [
        "a", "an", "the", "in", "on", "of", "and", "at", "by", "for", "to", "with", "from", "or",
    ];
    let mut title = String::new();
    let words = narrative
        .split_whitespace()
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|w| !w.is_empty());
    for word in words.take(8) {
        let small = SMALL.contains(&word.to_lowercase().as_str());
        if title.is_empty() && small {
            continue;
        }
        let word = if small {
            word.to_lowercase()
        } else {
            capital(word)
        };
        if title.chars().count() + word.chars().count() > 47 {
            break;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(&word);
    }
    while let Some((rest, last)) = title.rsplit_once(' ')
        && SMALL.contains(&last)
    {
        title = rest.to_owned();
    }
    if title.is_empty() {
        "Untitled".to_owned()
    } else {
        title
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_short_and_capitalised() {
        assert_eq!(
            title("a calm piano evening in the rain"),
            "Calm Piano Evening in the Rain"
        );
        assert_eq!(title("the sea, and the"), "Sea");
        assert_eq!(title("…"), "Untitled");
        assert!(title(&"wonderful ".repeat(40)).len() < 48);
    }
}
