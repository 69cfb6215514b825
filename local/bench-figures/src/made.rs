//! What a finished job has to show.

use shared::track::{Format, Measurement, Track};

/// Half a minute of music that nobody has heard.
pub(crate) fn track() -> Track {
    Track {
        measured: Measurement {
            format: Format::Wav,
            duration_seconds: 30.25,
            sample_rate: 44_100,
            channels: 2,
            peak_dbfs: -1.5,
            loudness_lufs: -14.2,
            waveform: vec![[-0.5, 0.5]; 200],
            warnings: Vec::new(),
        },
        sha256: "ab".repeat(32),
        bytes: 5_336_144,
        seed: Some(7),
        model: None,
        version: None,
        source: None,
    }
}
