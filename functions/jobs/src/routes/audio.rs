//! `GET /jobs/{id}/audio`: the track, for its owner or whoever holds a signed link.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_RANGE, LOCATION, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use shared::callback;
use shared::caller::Caller;
use shared::clients::Clients;
use shared::http::{JobPath, Query, RequestId, matches};
use shared::job::JobId;
use shared::lookup::{self, Unreachable};
use shared::problem::Problem;
use shared::track::Track;
use shared::view::{Known, audio_path};

use super::{look, owned};

/// How long a link into the object store works.
const LINK_LIFE: Duration = Duration::from_secs(3600);

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Link {
    /// Of a signed link: when it ends, in seconds since 1970.
    exp: Option<u64>,
    /// Of a signed link.
    sig: Option<String>,
}

/// 302 to the object store where it can sign, else the bytes, also in part (RFC 9110 §14); 304 if the caller has them.
#[utoipa::path(
    get,
    path = "/jobs/{id}/audio",
    operation_id = "readAudio",
    tag = "jobs",
    security(("bearer" = []), ("signedLink" = [])),
    params(
        ("id" = JobId, Path),
        Link,
        ("Range" = Option<String>, Header, description = "One range of bytes; several are answered with the whole"),
        ("If-Range" = Option<String>, Header, description = "`ETag` of the parts before: the whole if it is another track's"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of the last read: 304 if it is the same track")
    ),
    responses(
        (
            status = 200,
            description = "The track, where the store cannot sign",
            content(
                (String = "audio/wav"), (String = "audio/flac"), (String = "audio/mpeg"), (String = "audio/ogg"),
                (String = "audio/aiff"), (String = "audio/mp4"), (String = "audio/aac")
            ),
            headers(
                ("ETag" = String, description = "Strong: the track's SHA-256"),
                ("Accept-Ranges" = String, description = "`bytes`"),
                ("Content-Disposition" = String, description = "`inline`, with a file name"),
            )
        ),
        (
            status = 206,
            description = "A part of it",
            content(
                (String = "audio/wav"), (String = "audio/flac"), (String = "audio/mpeg"), (String = "audio/ogg"),
                (String = "audio/aiff"), (String = "audio/mp4"), (String = "audio/aac")
            ),
            headers(
                ("ETag" = String, description = "Strong: the track's SHA-256"),
                ("Accept-Ranges" = String, description = "`bytes`"),
                ("Content-Disposition" = String, description = "`inline`, with a file name"),
                ("Content-Range" = String, description = "First and last byte, and the length of the whole"),
            )
        ),
        (
            status = 302,
            description = "An address of the object store that works for one hour",
            headers(("Location" = String, description = "The address, signed for the method of the request"))
        ),
        (
            status = 304,
            description = "The same track, where the store cannot sign",
            headers(("ETag" = String, description = "As sent"))
        ),
    ),
    extensions(("x-problems" = json!([
        "unknown_job", "no_track", "not_finished", "range_not_satisfiable", "rate_limited"
    ]))),
)]
pub(crate) async fn audio(
    State(clients): State<Clients>,
    caller: Result<Caller, Problem>,
    request: RequestId,
    JobPath(id): JobPath,
    Query(link): Query<Link>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = match (link.exp, link.sig) {
        (Some(exp), Some(sig)) => linked(&clients, id, exp, &sig).await?,
        _ => {
            let caller = caller?;
            let known = owned(&clients, &caller, id).await?;
            look(&clients, (&caller, request), &known, "job.audio").await?;
            known
        }
    };
    let live = !known.job.status.is_terminal();
    let Some(track) = known.track else {
        return Err(match live {
            true => {
                Problem::conflict("not_finished", "the track is not finished yet").retryable(true)
            }
            false => Problem::not_found("no_track", "the job ended without a track"),
        });
    };
    let name = track.object_name();
    if let Some(url) = clients
        .store
        .track_url(method.clone(), track.home(id), &name, LINK_LIFE)
        .await
        .map_err(Unreachable::from)?
    {
        let location = HeaderValue::from_str(url.as_str()).map_err(|_| Problem::internal())?;
        return Ok((StatusCode::FOUND, [(LOCATION, location)]).into_response());
    }
    let etag = format!("\"{}\"", track.sha256);
    if matches(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    let range = range_for(&method, &headers, &etag);
    bytes(&clients, id, &track, etag, range).await
}

/// 405. The upload to this address is another function's, and is allowed all the same.
pub(crate) async fn other() -> Problem {
    let allowed = HeaderValue::from_static("GET,HEAD,PUT");
    Problem::of_status(StatusCode::METHOD_NOT_ALLOWED).with_header(ALLOW, allowed)
}

async fn linked(clients: &Clients, id: JobId, exp: u64, sig: &str) -> Result<Known, Problem> {
    callback::verify_link(&clients.config.keys, &audio_path(id), exp, sig)?;
    let known = lookup::find_by_link(clients, id).await?;
    known.ok_or_else(lookup::unknown_job)
}

/// The range that is asked for: of a GET (RFC 9110 §14.2), and of this very track where the caller has a part (§13.1.5).
fn range_for<'a>(method: &Method, headers: &'a HeaderMap, etag: &str) -> Option<&'a HeaderValue> {
    let is_same = headers.get(IF_RANGE).is_none_or(|tag| tag == etag);
    headers
        .get(RANGE)
        .filter(|_| method == Method::GET && is_same)
}

async fn bytes(
    clients: &Clients,
    id: JobId,
    track: &Track,
    etag: String,
    range: Option<&HeaderValue>,
) -> Result<Response, Problem> {
    let (name, home) = (track.object_name(), track.home(id));
    let store = &clients.store;
    let mut response = match wanted(range, track.bytes)? {
        None => {
            let whole = store.track(home, &name).await.map_err(Unreachable::from)?;
            whole.ok_or_else(gone)?.into_response()
        }
        Some((first, last)) => {
            let part: Option<Bytes> = store
                .track_range(home, &name, first..last + 1)
                .await
                .map_err(Unreachable::from)?;
            let span = format!("bytes {first}-{last}/{}", track.bytes);
            (
                StatusCode::PARTIAL_CONTENT,
                [(CONTENT_RANGE, span)],
                part.ok_or_else(gone)?,
            )
                .into_response()
        }
    };
    let format = track.measured.format;
    let file = format!("inline; filename=\"{id}.{}\"", format.extension());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // The bytes of a track never change; who may have them is asked again each time.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    for (name, value) in [(CONTENT_DISPOSITION, file), (ETAG, etag)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

fn gone() -> Problem {
    Problem::not_found("no_track", "the track is no longer stored")
}

/// First and last byte of a single range; `None` for the whole. A header that is no valid range is ignored, as the RFC asks;
/// several ranges are answered with the whole.
fn wanted(header: Option<&HeaderValue>, length: u64) -> Result<Option<(u64, u64)>, Problem> {
    let Some(text) = header.and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    // Also where these overlap or lie beyond the end, which the parser refuses.
    if text.contains(',') {
        return Ok(None);
    }
    let Ok(ranges) = http_range_header::parse_range_header(text) else {
        return Ok(None);
    };
    match ranges.validate(length).as_deref() {
        Ok([only]) => Ok(Some((*only.start(), *only.end()))),
        Ok(_) => Ok(None),
        Err(_) => {
            let problem = Problem::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                "no such range of bytes",
            );
            let span = HeaderValue::from_str(&format!("bytes */{length}"))
                .map_err(|_| Problem::internal())?;
            Err(problem.with_header(CONTENT_RANGE, span))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> Option<(u64, u64)> {
        wanted(Some(&HeaderValue::from_static(text)), 100).unwrap()
    }

    #[test]
    fn a_single_range_is_understood_in_all_three_forms() {
        assert_eq!(of("bytes=0-9"), Some((0, 9)));
        assert_eq!(of("bytes=90-"), Some((90, 99)));
        assert_eq!(of("bytes=-10"), Some((90, 99)));
        assert_eq!(of("bytes=0-1000"), Some((0, 99)));
    }

    #[test]
    fn what_is_no_single_range_gets_the_whole() {
        assert_eq!(of("bytes=0-1,5-6"), None);
        assert_eq!(of("bytes=0-50,20-,-10"), None);
        assert_eq!(of("bytes=0-1,100-"), None);
        assert_eq!(of("lines=1-2"), None);
        assert_eq!(wanted(None, 100).unwrap(), None);
    }

    #[test]
    fn a_range_counts_for_a_get_of_the_same_track() {
        let asked = |method: Method, if_range: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static("bytes=0-9"));
            if let Some(tag) = if_range {
                headers.insert(IF_RANGE, HeaderValue::from_static(tag));
            }
            range_for(&method, &headers, "\"a\"").is_some()
        };
        assert!(asked(Method::GET, None));
        assert!(asked(Method::GET, Some("\"a\"")));
        assert!(!asked(Method::GET, Some("\"b\"")));
        assert!(!asked(Method::GET, Some("W/\"a\"")), "weak");
        assert!(!asked(Method::GET, Some("Tue, 01 Dec 2026 00:00:00 GMT")));
        assert!(!asked(Method::HEAD, None));
    }

    #[test]
    fn a_range_past_the_end_is_refused() {
        let problem = wanted(Some(&HeaderValue::from_static("bytes=100-")), 100).unwrap_err();
        assert_eq!(problem.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    }
}
