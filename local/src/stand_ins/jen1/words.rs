//! Words of mood and instrument that the planner knows.

/// A mood and what it asks of the music.
pub(super) struct Mood {
    pub name: &'static str,
    /// Beginnings of words that name it.
    pub words: &'static [&'static str],
    pub minor: bool,
    /// Beats a minute for a song without a genre.
    pub tempo: f64,
    /// Added to a genre's own tempo.
    pub push: f64,
}

pub(super) const MOODS: [Mood; 18] = [
    mood(
        "calm",
        &[
            "calm", "peace", "quiet", "still ", "serene", "relax", "gentle", "soft", "evening",
        ],
        false,
        70.0,
        -10.0,
    ),
    mood(
        "sleepy",
        &["sleep", "lullaby", "drows", "cradle", "bedtime"],
        false,
        62.0,
        -16.0,
    ),
    mood(
        "melancholic",
        &[
            "melanchol",
            "sad ",
            "grief",
            "lonel",
            "lost ",
            "tear ",
            "cry ",
            "goodbye",
            "farewell",
            "autumn",
        ],
        true,
        72.0,
        -10.0,
    ),
    mood(
        "nostalgic",
        &[
            "nostalg",
            "memor",
            "remember",
            "childhood",
            "yesterday",
            "old ",
        ],
        false,
        78.0,
        -6.0,
    ),
    mood(
        "dreamy",
        &[
            "dream", "float", "cloud", "star ", "stars ", "moon", "drift",
        ],
        false,
        76.0,
        -8.0,
    ),
    mood(
        "romantic",
        &["love", "romantic", "kiss", "heart", "tender"],
        false,
        80.0,
        -6.0,
    ),
    mood(
        "warm",
        &["warm", "cosy", "cozy", "fireplace", "home ", "candle"],
        false,
        84.0,
        -4.0,
    ),
    mood(
        "hopeful",
        &["hope", "dawn", "sunrise", "morning", "begin", "spring"],
        false,
        98.0,
        0.0,
    ),
    mood(
        "happy",
        &[
            "happy", "joy", "cheer", "smile", "sunny", "laugh", "playful", "birthday",
        ],
        false,
        116.0,
        6.0,
    ),
    mood(
        "upbeat",
        &["upbeat", "dance", "party", "summer", "groov", "festival"],
        false,
        120.0,
        8.0,
    ),
    mood(
        "energetic",
        &[
            "energ", "fast", "run ", "running ", "race", "driving", "workout", "power",
        ],
        true,
        134.0,
        14.0,
    ),
    mood(
        "epic",
        &[
            "epic", "hero", "battle", "victory", "storm", "mountain", "dragon",
        ],
        true,
        112.0,
        6.0,
    ),
    mood(
        "fierce",
        &["fierce", "angry", "rage", "fury", "fire ", "war "],
        true,
        140.0,
        14.0,
    ),
    mood(
        "mysterious",
        &["myster", "secret", "fog", "shadow", "strange", "midnight"],
        true,
        86.0,
        -4.0,
    ),
    mood(
        "dark",
        &["dark", "gloom", "haunt", "fear", "ghost", "horror"],
        true,
        80.0,
        -6.0,
    ),
    mood(
        "proud",
        &["proud", "anthem", "march", "triumph", "glory"],
        false,
        108.0,
        4.0,
    ),
    mood(
        "reflective",
        &[
            "rain", "reflect", "think", "alone", "window", "snow", "winter",
        ],
        false,
        74.0,
        -8.0,
    ),
    mood(
        "adventurous",
        &[
            "adventur", "journey", "travel", "road", "sea ", "ocean", "explor",
        ],
        false,
        108.0,
        4.0,
    ),
];

/// A word in the narrative and the instrument that it calls for; longer names come first.
pub(super) const INSTRUMENTS: [(&str, &str); 40] = [
    ("electric piano", "electric piano"),
    ("rhodes", "rhodes piano"),
    ("piano", "piano"),
    ("electric guitar", "electric guitar"),
    ("bass guitar", "bass guitar"),
    ("nylon guitar", "nylon guitar"),
    ("acoustic guitar", "steel guitar"),
    ("guitar", "steel guitar"),
    ("double bass", "double bass"),
    ("synth bass", "synth bass"),
    ("violin", "violin"),
    ("fiddle", "fiddle"),
    ("cello", "cello"),
    ("strings", "strings"),
    ("choir", "choir"),
    ("organ", "organ"),
    ("harpsichord", "harpsichord"),
    ("harp", "harp"),
    ("flute", "flute"),
    ("clarinet", "clarinet"),
    ("oboe", "oboe"),
    ("bassoon", "bassoon"),
    ("saxophone", "tenor sax"),
    ("sax", "tenor sax"),
    ("trumpet", "trumpet"),
    ("horn", "french horn"),
    ("brass", "brass"),
    ("accordion", "accordion"),
    ("harmonica", "harmonica"),
    ("whistle", "whistle"),
    ("music box", "music box"),
    ("bells", "bells"),
    ("marimba", "marimba"),
    ("vibraphone", "vibraphone"),
    ("kalimba", "kalimba"),
    ("banjo", "banjo"),
    ("ukulele", "ukulele"),
    ("synth", "synth lead"),
    ("808", "808 drum machine"),
    ("drum", "drums"),
];

const fn mood(
    name: &'static str,
    words: &'static [&'static str],
    minor: bool,
    tempo: f64,
    push: f64,
) -> Mood {
    Mood {
        name,
        words,
        minor,
        tempo,
        push,
    }
}
