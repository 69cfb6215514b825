//! Figures to a verdict. Only what nobody could use is refused; a matter of taste is a warning, because a new render
//! costs GPU time.

use super::decode::Shape;
use super::meter::{CLIPPED_RUN, Reading};
use crate::queue::Cause;
use crate::track::Warning;

/// Quieter than this is silence.
const SILENT_LUFS: f64 = -60.0;
/// Silent for this share of the time is silence.
const SILENT_SHARE: f64 = 0.95;
/// Shares of the requested length: under the first it is refused, over the second it is noted.
const SHORTEST: f64 = 0.9;
const LONGEST: f64 = 1.1;
const TOO_QUIET_LUFS: f64 = -30.0;
const TOO_LOUD_LUFS: f64 = -9.0;
const LOW_SAMPLE_RATE: u32 = 32_000;

/// Why a file cannot become a track.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the file cannot be decoded: {0}")]
    Undecodable(String),
    /// Intact, and of a kind that no render of this service will be decoded from.
    #[error("this kind of audio is not taken: {0}")]
    Unsupported(String),
    #[error("the audio is silent: its loudness is {loudness_lufs:.1} LUFS, under {SILENT_LUFS}")]
    Silent { loudness_lufs: f64 },
    /// `quiet_share` is 0…1 of the time asked for, by blocks of 100 ms that stay under −60 dBFS.
    #[error(
        "the audio is silent for {:.0} % of the {requested:.2} s requested",
        quiet_share * 100.0
    )]
    MostlySilent { quiet_share: f64, requested: f64 },
    #[error("the audio lasts {seconds:.2} s of the {requested:.2} s requested")]
    TooShort { seconds: f64, requested: f64 },
    #[error("the audio lasts longer than {limit_seconds} s")]
    TooLarge { limit_seconds: u32 },
}

impl Refusal {
    /// Stable, `snake_case`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "audio_undecodable",
            Self::Unsupported(_) => "audio_unsupported",
            Self::Silent { .. } | Self::MostlySilent { .. } => "audio_silent",
            Self::TooShort { .. } => "audio_too_short",
            Self::TooLarge { .. } => "audio_too_large",
        }
    }

    /// A codec and a length follow from the service, and silence or damage may be those of one render.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Unsupported(_) | Self::TooShort { .. } | Self::TooLarge { .. } => Cause::Lasting,
            Self::Undecodable(_) | Self::Silent { .. } | Self::MostlySilent { .. } => {
                Cause::Passing
            }
        }
    }
}

/// Refuses what is no track at all: nothing decoded, too short, silent, in this order.
pub(super) fn admit(reading: &Reading, seconds: f64, requested: f64) -> Result<(), Refusal> {
    if reading.frames == 0 {
        return Err(Refusal::Undecodable("there is no audio in it".to_owned()));
    }
    if seconds < SHORTEST * requested {
        return Err(Refusal::TooShort { seconds, requested });
    }
    if reading.loudness < SILENT_LUFS {
        return Err(Refusal::Silent {
            loudness_lufs: reading.loudness,
        });
    }
    if reading.quiet_share >= SILENT_SHARE {
        return Err(Refusal::MostlySilent {
            quiet_share: reading.quiet_share,
            requested,
        });
    }
    Ok(())
}

/// What a listener might mind in an admitted track.
pub(super) fn warnings(
    reading: &Reading,
    shape: Shape,
    seconds: f64,
    requested: f64,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, message: String| {
        warnings.push(Warning {
            code: code.to_owned(),
            message,
        });
    };
    let run = reading.longest_full_scale_run;
    if run >= CLIPPED_RUN {
        warn(
            "clipping",
            format!("Up to {run} samples in a row are at full scale."),
        );
    }
    let loudness = reading.loudness;
    if loudness < TOO_QUIET_LUFS {
        warn(
            "too_quiet",
            format!("The loudness is {loudness:.1} LUFS, under {TOO_QUIET_LUFS}."),
        );
    }
    if loudness > TOO_LOUD_LUFS {
        warn(
            "too_loud",
            format!("The loudness is {loudness:.1} LUFS, over {TOO_LOUD_LUFS}."),
        );
    }
    if shape.rate < LOW_SAMPLE_RATE {
        warn(
            "low_sample_rate",
            format!(
                "The sample rate is {} Hz, under {LOW_SAMPLE_RATE}.",
                shape.rate
            ),
        );
    }
    if seconds > LONGEST * requested {
        warn(
            "too_long",
            format!("The audio lasts {seconds:.1} s, and {requested:.1} s were requested."),
        );
    }
    warnings
}
