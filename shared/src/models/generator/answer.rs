//! The three ways in which a generator answers.

use std::borrow::Cow;

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};
use base64::{DecodeError, alphabet};
use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::SERVICE;
use crate::lenient;
use crate::models::call::read;
use crate::models::{Fault, MAX_AUDIO, ModelError};
use crate::source::Source;

/// Base64 of the largest audio, and some room for the rest of the JSON.
const MAX_JSON: usize = MAX_AUDIO / 3 * 4 + (64 << 10);

const MAX_ACCEPTED: usize = 64 << 10;
const MAX_ID: usize = 200;

/// What came of it, and what the service says of it.
#[derive(Debug, PartialEq, Eq)]
pub enum RenderAnswer {
    /// The audio.
    Audio { bytes: Bytes, notes: Source },
    /// Where the audio is; see [`crate::models::Fetcher`].
    Url { url: String, notes: Source },
    /// The service works on it and will report; `id` is its own name for the render.
    Accepted { id: Option<String> },
}

impl RenderAnswer {
    /// The same, made from the seed that the service was given unless it named another.
    pub(super) fn seeded(self, sent: Option<u32>) -> Self {
        match self {
            Self::Audio { bytes, notes } => Self::Audio {
                bytes,
                notes: notes.seeded(sent),
            },
            Self::Url { url, notes } => Self::Url {
                url,
                notes: notes.seeded(sent),
            },
            accepted @ Self::Accepted { .. } => accepted,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    #[serde(borrow)]
    audio_base64: Option<Coded<'a>>,
    #[serde(flatten)]
    notes: Map<String, Value>,
}

/// Up to 85 MiB: borrowed from the body. A type of its own because serde borrows no text inside an `Option`.
#[derive(Deserialize)]
struct Coded<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Taken {
    id: Option<String>,
}

/// Audio, JSON about audio, or word that it comes later.
pub(super) async fn read_answer(mut response: Response) -> Result<RenderAnswer, ModelError> {
    if response.status() == StatusCode::ACCEPTED {
        return accepted(&mut response).await;
    }
    match media_type(&response).as_str() {
        "application/json" => made(&mut response).await,
        kind if kind.starts_with("audio/") || kind == "application/octet-stream" => {
            let bytes = read(SERVICE, &mut response, MAX_AUDIO).await?;
            audio(bytes, Source::default())
        }
        kind => Err(SERVICE.malformed(format!("neither audio nor JSON but {kind:?}"))),
    }
}

/// Lower case, without parameters.
fn media_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE);
    let text = value.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// The service has the work whatever it says about it, so a name that cannot be used is dropped: the render key serves as well.
async fn accepted(response: &mut Response) -> Result<RenderAnswer, ModelError> {
    let body = read(SERVICE, response, MAX_ACCEPTED)
        .await
        .unwrap_or_default();
    let id = lenient::read::<Taken>(&body)
        .ok()
        .and_then(|taken| taken.id)
        .filter(|id| {
            (1..=MAX_ID).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_graphic())
                && id != "."
                && id != ".."
        });
    Ok(RenderAnswer::Accepted { id })
}

async fn made(response: &mut Response) -> Result<RenderAnswer, ModelError> {
    let body = read(SERVICE, response, MAX_JSON).await?;
    let body = lenient::mended(&body);
    let made: Made = serde_json::from_slice(&body).map_err(|e| SERVICE.malformed(e.to_string()))?;
    let mut notes = Source::said(&made.notes);
    match (made.audio_base64, notes.audio_url.take()) {
        (Some(Coded(coded)), _) => {
            // Some services answer with a whole data URL.
            let coded = coded
                .split_once(";base64,")
                .map_or(coded.as_ref(), |(_, coded)| coded);
            let bytes =
                decoded(coded).map_err(|e| SERVICE.malformed(format!("audioBase64: {e}")))?;
            audio(bytes.into(), notes)
        }
        (None, Some(url)) => Ok(RenderAnswer::Url { url, notes }),
        (None, None) => Err(SERVICE.malformed("neither audioUrl nor audioBase64")),
    }
}

/// Base64 as services write it: in either alphabet, with or without padding and line breaks.
fn decoded(coded: &str) -> Result<Vec<u8>, DecodeError> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let is_other = |byte: &u8| byte.is_ascii_whitespace() || b"-_".contains(byte);
    if !coded.as_bytes().iter().any(is_other) {
        return LENIENT.decode(coded);
    }
    let bytes = coded.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let standard = bytes.map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    });
    LENIENT.decode(standard.collect::<Vec<_>>())
}

/// Audio of a size that is taken.
pub(super) fn audio(bytes: Bytes, notes: Source) -> Result<RenderAnswer, ModelError> {
    match bytes.len() {
        0 => Err(SERVICE.malformed("no audio at all")),
        1..=MAX_AUDIO => Ok(RenderAnswer::Audio { bytes, notes }),
        _ => Err(SERVICE.failed(Fault::TooLarge { limit: MAX_AUDIO })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_in_every_usual_form() {
        let bytes: Vec<u8> = (0..=255).rev().collect();
        let standard = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let lines: Vec<_> = standard.as_bytes().chunks(76).collect();
        let mime = String::from_utf8(lines.join(&b"\r\n"[..])).unwrap();
        let url_safe = standard.replace('+', "-").replace('/', "_");
        let bare = standard.trim_end_matches('=').to_owned();
        assert_ne!(bare, standard);
        for coded in [format!(" {mime}\n"), url_safe, bare, standard] {
            assert_eq!(decoded(&coded).unwrap(), bytes, "{coded}");
        }
        assert!(decoded("UklG%g==").is_err());
    }

    #[test]
    fn audio_in_json_is_not_copied_out_of_the_body() {
        let made: Made = serde_json::from_str(r#"{"audioBase64": "UklGRg=="}"#).unwrap();
        let Some(Coded(coded)) = made.audio_base64 else {
            panic!("it is there")
        };
        assert!(matches!(coded, Cow::Borrowed("UklGRg==")));
        let none: Made = serde_json::from_str(r#"{"audioBase64": null}"#).unwrap();
        assert!(none.audio_base64.is_none());
    }
}
