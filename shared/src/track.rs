//! A finished track: what was stored and what was heard in it.

use serde::{Deserialize, Serialize};

use crate::job::JobId;

/// The containers that a decoder recognised; the name is also the file's extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Wav,
    Aiff,
    Flac,
    Mp3,
    Ogg,
    M4a,
    Aac,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [
        Self::Wav,
        Self::Aiff,
        Self::Flac,
        Self::Mp3,
        Self::Ogg,
        Self::M4a,
        Self::Aac,
    ];

    /// Name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Aiff => "AIFF",
            Self::Flac => "FLAC",
            Self::Mp3 => "MP3",
            Self::Ogg => "Ogg",
            Self::M4a => "MP4",
            Self::Aac => "ADTS",
        }
    }

    /// The file's extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Aiff => "aiff",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::M4a => "m4a",
            Self::Aac => "aac",
        }
    }

    /// Registered media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Aiff => "audio/aiff",
            Self::Flac => "audio/flac",
            Self::Mp3 => "audio/mpeg",
            Self::Ogg => "audio/ogg",
            Self::M4a => "audio/mp4",
            Self::Aac => "audio/aac",
        }
    }
}

/// Something a listener might mind, and not worth a new render.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Warning {
    /// Stable, `snake_case`: `clipping`, `too_quiet`, `too_loud`, `low_sample_rate`, `too_long`.
    pub code: String,
    /// One sentence with the measured figure.
    pub message: String,
}

/// What was measured in the decoded samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    pub format: Format,
    /// Decoded frames over sample rate, in seconds.
    pub duration_seconds: f64,
    /// Hz.
    pub sample_rate: u32,
    pub channels: u32,
    /// Highest absolute sample within the length asked for, in dBFS (0 is full scale).
    pub peak_dbfs: f64,
    /// Integrated loudness of the length asked for, ITU-R BS.1770 / EBU R 128.
    pub loudness_lufs: f64,
    /// 400 pairs of (lowest, highest) sample in −1…1, channels mixed, over equal spans of time.
    pub waveform: Vec<[f32; 2]>,
    pub warnings: Vec<Warning>,
}

/// A measured file at its place in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    #[serde(flatten)]
    pub measured: Measurement,
    /// Of the file's bytes, lower-case hex; also in the file's name.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// The seed that the audio was made from; absent if the model takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// The model and its version, as the service told them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The job among whose objects the file lies, where the result cache answered with its track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub source: Option<JobId>,
}

/// The last part of the object path of a track with this SHA-256.
pub fn object_name(sha256: &str, format: Format) -> String {
    format!("track-{sha256}.{}", format.extension())
}

impl Track {
    /// The job among whose objects the file lies: `own`, or the one that the track was made for.
    pub fn home(&self, own: JobId) -> JobId {
        self.source.unwrap_or(own)
    }

    /// The last part of the object path.
    pub fn object_name(&self) -> String {
        object_name(&self.sha256, self.measured.format)
    }
}
