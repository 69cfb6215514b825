//! Answers that are longer than anybody should read.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

/// How much a huge answer has beside what was asked for.
pub(crate) const HUGE: usize = 50_000_000;

/// The same bytes again and again, until the caller hangs up.
pub(crate) fn endless(media_type: &'static str) -> Response {
    let piece = Bytes::from(vec![b' '; 64 << 10]);
    let pieces = stream::repeat_with(move || Ok::<_, std::convert::Infallible>(piece.clone()));
    ([(CONTENT_TYPE, media_type)], Body::from_stream(pieces)).into_response()
}

/// A WAV file with a chunk behind its samples that players skip (RIFF: an unknown chunk is passed over).
pub(crate) fn padded(mut wav: Vec<u8>) -> Vec<u8> {
    wav.extend_from_slice(b"junk");
    wav.extend_from_slice(&(HUGE as u32).to_le_bytes());
    wav.resize(wav.len() + HUGE, 0);
    let riff = (wav.len() - 8) as u32;
    wav[4..8].copy_from_slice(&riff.to_le_bytes());
    wav
}
