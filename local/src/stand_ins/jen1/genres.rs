//! Genres that the planner knows, with their usual bands.

/// A genre and its usual band.
pub(super) struct Genre {
    pub name: &'static str,
    pub words: &'static [&'static str],
    pub tempo: f64,
    pub band: &'static [&'static str],
    /// Chords with sevenths.
    pub sevenths: bool,
}

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
        &["ambient", "drone", "meditat", "space", "spa "],
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
            "house music",
            "deep house",
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
        &["piano", "voice", "soft strings", "bass", "drums"],
        false,
    ),
];

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
