//! What the planner knows: words of mood, genre and instrument, and chord loops that go with them.

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

/// A genre and its usual band.
pub(super) struct Genre {
    pub name: &'static str,
    pub words: &'static [&'static str],
    pub tempo: f64,
    pub band: &'static [&'static str],
    /// Chords with sevenths.
    pub sevenths: bool,
}

pub(super) const MOODS: [Mood; 18] = [
    mood(
        "calm",
        &[
            "calm", "peace", "quiet", "still", "serene", "relax", "gentle", "soft", "evening",
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
            "sad",
            "grief",
            "lonel",
            "lost",
            "tear",
            "cry",
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
            "old",
        ],
        false,
        78.0,
        -6.0,
    ),
    mood(
        "dreamy",
        &["dream", "float", "cloud", "star", "moon", "drift"],
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
        &["warm", "cosy", "cozy", "fireplace", "home", "candle"],
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
            "energ", "fast", "run", "race", "driving", "workout", "power",
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
        &["fierce", "angry", "rage", "fury", "fire", "war"],
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
            "adventur", "journey", "travel", "road", "sea", "ocean", "explor",
        ],
        false,
        108.0,
        4.0,
    ),
];

pub(super) const GENRES: [Genre; 17] = [
    genre(
        "bossa nova",
        &["bossa", "samba", "brazil"],
        124.0,
        &["nylon guitar", "flute", "acoustic bass", "brushes"],
        true,
    ),
    genre(
        "lo-fi hip-hop",
        &["lo-fi", "lofi", "hip-hop", "hiphop", "study"],
        78.0,
        &["rhodes piano", "vibraphone", "bass", "soft drums"],
        true,
    ),
    genre(
        "jazz",
        &["jazz", "swing", "blues", "smoky"],
        118.0,
        &["piano", "tenor sax", "double bass", "brushed drums"],
        true,
    ),
    genre(
        "ambient",
        &["ambient", "drone", "meditat", "space", "spa"],
        64.0,
        &["warm pad", "piano", "bells"],
        true,
    ),
    genre(
        "synthwave",
        &["synthwave", "retrowave", "neon", "80s"],
        104.0,
        &[
            "synth",
            "synth lead",
            "warm pad",
            "synth bass",
            "drum machine",
        ],
        false,
    ),
    genre(
        "electronic dance",
        &[
            "edm",
            "techno",
            "house",
            "trance",
            "club",
            "rave",
            "electronic",
            "electro",
        ],
        126.0,
        &["synth", "synth lead", "pad", "synth bass", "drum machine"],
        false,
    ),
    genre(
        "rock",
        &["rock", "punk", "metal", "grunge", "guitar riff"],
        128.0,
        &["overdriven guitar", "synth lead", "bass guitar", "drums"],
        false,
    ),
    genre(
        "cinematic orchestral",
        &["orchestr", "cinema", "film", "symphon", "epic", "trailer"],
        96.0,
        &["harp", "strings", "french horn", "contrabass", "timpani"],
        false,
    ),
    genre(
        "celtic folk",
        &["celtic", "irish", "ireland", "scottish", "highland"],
        112.0,
        &["steel guitar", "fiddle", "acoustic bass", "percussion"],
        false,
    ),
    genre(
        "country",
        &["country", "cowboy", "western", "bluegrass"],
        108.0,
        &["steel guitar", "harmonica", "acoustic bass", "percussion"],
        false,
    ),
    genre(
        "folk",
        &["folk", "campfire", "acoustic", "village"],
        100.0,
        &["steel guitar", "flute", "acoustic bass", "shaker"],
        false,
    ),
    genre(
        "waltz",
        &["waltz", "ballroom", "carousel"],
        132.0,
        &["piano", "clarinet", "strings", "double bass"],
        false,
    ),
    genre(
        "soul",
        &["soul", "r&b", "motown", "gospel"],
        92.0,
        &["electric piano", "tenor sax", "bass", "drums", "organ"],
        true,
    ),
    genre(
        "funk pop",
        &["funk", "disco"],
        112.0,
        &["electric piano", "brass", "bass", "drums"],
        true,
    ),
    genre(
        "classical",
        &["classical", "sonata", "baroque", "nocturne", "chamber"],
        80.0,
        &["piano", "violin", "cello"],
        false,
    ),
    genre(
        "lullaby",
        &["lullaby", "cradle", "bedtime"],
        66.0,
        &["music box", "harp", "soft strings"],
        false,
    ),
    genre(
        "pop",
        &["pop", "song", "radio", "dance", "party", "summer"],
        112.0,
        &[
            "piano",
            "voice",
            "electric guitar",
            "soft strings",
            "bass",
            "drums",
        ],
        false,
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

/// Chord loops as degrees of the scale, 0 being the tonic: two for each mode and part of the song.
pub(super) const MAJOR_VERSE: [[usize; 4]; 4] =
    [[0, 5, 3, 4], [0, 3, 0, 4], [0, 2, 3, 4], [0, 4, 5, 3]];
pub(super) const MAJOR_CHORUS: [[usize; 4]; 4] =
    [[3, 4, 0, 5], [0, 4, 5, 3], [5, 3, 0, 4], [3, 0, 4, 5]];
pub(super) const MINOR_VERSE: [[usize; 4]; 4] =
    [[0, 5, 2, 6], [0, 3, 5, 4], [0, 6, 5, 6], [0, 5, 3, 4]];
pub(super) const MINOR_CHORUS: [[usize; 4]; 4] =
    [[5, 6, 0, 0], [5, 2, 6, 0], [0, 5, 2, 6], [3, 0, 5, 4]];

/// The two bars that lead from a verse into what follows.
pub(super) const MAJOR_TURN: [usize; 2] = [1, 4];
pub(super) const MINOR_TURN: [usize; 2] = [3, 4];

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

const fn genre(
    name: &'static str,
    words: &'static [&'static str],
    tempo: f64,
    band: &'static [&'static str],
    sevenths: bool,
) -> Genre {
    Genre {
        name,
        words,
        tempo,
        band,
        sevenths,
    }
}
