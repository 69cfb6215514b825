//! What we have for a model, and the names that models give to it.

use std::collections::BTreeMap;

/// A part of a request that some input of the model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Prompt,
    Lyrics,
    NegativePrompt,
    Duration,
    Seed,
}

impl Role {
    pub(super) const ALL: [Self; 5] = [
        Self::Prompt,
        Self::Lyrics,
        Self::NegativePrompt,
        Self::Duration,
        Self::Seed,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Lyrics => "lyrics",
            Self::NegativePrompt => "negative_prompt",
            Self::Duration => "duration",
            Self::Seed => "seed",
        }
    }

    /// The names of such an input, as public models spell it; the first that there is gets it.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Prompt => &[
                "prompt",
                "text_prompt",
                "prompt_text",
                "music_prompt",
                "positive_prompt",
                "caption",
                "description",
                "text",
                "text_input",
                "input_text",
                "tags",
                "prompt_a",
                "style_prompt",
                "genre_prompt",
                "genre_description",
                "music_description",
            ],
            Self::Lyrics => &[
                "lyrics",
                "lyric",
                "lyrics_text",
                "song_lyrics",
                "lyrics_prompt",
            ],
            Self::NegativePrompt => &[
                "negative_prompt",
                "negative_text_prompt",
                "negative_text",
                "negative_tags",
                "negative",
                "neg_prompt",
            ],
            Self::Duration => &[
                "duration",
                "seconds_total",
                "seconds",
                "total_seconds",
                "duration_seconds",
                "duration_in_seconds",
                "duration_s",
                "length_in_seconds",
                "length_seconds",
                "audio_duration",
                "audio_length",
                "audio_length_in_s",
                "audio_end_in_s",
                "music_duration",
                "music_length",
                "song_duration",
                "song_length",
                "track_duration",
                "output_duration",
                "output_length",
                "max_duration",
                "length",
                "duration_ms",
                "duration_milliseconds",
                "audio_length_ms",
                "audio_duration_ms",
                "music_length_ms",
                "length_ms",
            ],
            Self::Seed => &[
                "seed",
                "random_seed",
                "manual_seed",
                "rng_seed",
                "noise_seed",
                "generator_seed",
                "seed_value",
            ],
        }
    }
}

/// Inputs as the operator names them, by role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedInputs(BTreeMap<Role, String>);

impl NamedInputs {
    /// Reads `role:input` pairs, separated by commas.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut named = BTreeMap::new();
        for pair in text
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (role, input) = pair.split_once(':').unwrap_or((pair, ""));
            let (role, input) = (role.trim(), input.trim());
            let role = Role::ALL.into_iter().find(|known| known.as_str() == role);
            let sound = |input: &str| {
                (1..=100).contains(&input.len()) && input.bytes().all(|b| b.is_ascii_graphic())
            };
            let first = role.filter(|role| sound(input) && !named.contains_key(role));
            let role = first.ok_or_else(|| {
                let roles = Role::ALL.map(Role::as_str).join(", ");
                format!("must be pairs role:input, separated by commas; the roles are {roles}")
            })?;
            named.insert(role, input.to_owned());
        }
        Ok(Self(named))
    }

    pub(super) fn get(&self, role: Role) -> Option<&str> {
        self.0.get(&role).map(String::as_str)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_name_the_inputs() {
        let named = NamedInputs::parse(" prompt:prompt_a, seed : random_seed,").unwrap();
        assert_eq!(named.get(Role::Prompt), Some("prompt_a"));
        assert_eq!(named.get(Role::Seed), Some("random_seed"));
        assert_eq!(named.get(Role::Lyrics), None);
        for text in [
            "prompt",
            "prompt:",
            "title:x",
            "seed:a,seed:b",
            "prompt:a b",
        ] {
            assert!(NamedInputs::parse(text).is_err(), "{text}");
        }
    }
}
