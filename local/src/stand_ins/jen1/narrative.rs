//! The words of a narrative: which are there, which are refused, which paint a picture.

use super::genres::GENRES;
use super::words::{INSTRUMENTS, MOODS};

/// The narrative in lower case, with the beginnings of its words to be matched.
pub(super) struct Words {
    pub(super) text: String,
}

impl Words {
    /// Reads a narrative.
    pub(super) fn of(narrative: &str) -> Self {
        let kept: String = narrative
            .to_lowercase()
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || "-&/'".contains(c) {
                    c
                } else {
                    ' '
                }
            })
            .collect();
        let text = kept.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { text }
    }

    /// Whether a word of the narrative begins with one of these, or is it if it ends in a space; after "no" or "without"
    /// it does not count.
    pub(super) fn any(&self, beginnings: &[&str]) -> bool {
        beginnings.iter().any(|b| self.has(b))
    }

    /// Whether a word begins so and is not refused.
    pub(super) fn has(&self, beginning: &str) -> bool {
        let text = format!(" {} ", self.text);
        text.match_indices(&format!(" {beginning}")).any(|(at, _)| {
            let before = text[..at].rsplit(' ').next().unwrap_or_default();
            !matches!(before, "no" | "not" | "without")
        })
    }

    /// The words that paint a picture, for the lyrics.
    pub(super) fn images(&self) -> Vec<&str> {
        const PLAIN: [&str; 36] = [
            "the", "and", "with", "for", "from", "into", "over", "under", "that", "this", "about",
            "some", "very", "music", "song", "track", "piece", "like", "where", "while", "when",
            "then", "its", "his", "her", "their", "your", "have", "has", "are", "was", "after",
            "before", "through", "make", "without",
        ];
        self.text
            .split(' ')
            .filter(|w| w.len() > 3 && w.len() < 16 && !PLAIN.contains(w))
            .filter(|w| w.chars().all(char::is_alphabetic))
            .filter(|w| !describes_the_music(w))
            .collect()
    }
}

/// Words about how it should sound are no images.
fn describes_the_music(word: &str) -> bool {
    const MANNERS: [&str; 12] = [
        "slow", "fast", "soft", "gentle", "quiet", "smoky", "lonely", "rainy", "sunny", "sad",
        "loud", "beats",
    ];
    MANNERS.contains(&word)
        || MOODS.iter().any(|m| m.name == word)
        || GENRES
            .iter()
            .any(|g| g.words.iter().any(|w| w.trim_end() == word))
        || INSTRUMENTS.iter().any(|(i, _)| *i == word)
}
