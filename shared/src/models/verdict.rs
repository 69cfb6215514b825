//! What a status other than success means.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::call::read;
use super::error::{Fault, Service};
use crate::reason::Reason;

/// What a busy service is given when it names no time.
pub(super) const BUSY_DEFAULT: Duration = Duration::from_secs(5);
const BUSY_LEAST: Duration = Duration::from_secs(1);
const BUSY_MOST: Duration = Duration::from_secs(300);

/// Longest refusal that is read, and longest that is repeated to the owner.
const MAX_REFUSAL: usize = 16 << 10;
const MAX_SAID: usize = 200;
/// Faults of one request that are read.
const MAX_FAULTS: usize = 5;

pub(super) async fn of(service: Service, response: Response) -> Fault {
    let status = response.status();
    let after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| retry_after(value, Utc::now()))
        .map(|wait| wait.clamp(BUSY_LEAST, BUSY_MOST));
    match (status, after) {
        (StatusCode::SERVICE_UNAVAILABLE, Some(retry_after)) => Fault::Busy { retry_after },
        // Its word for a full queue, without a time.
        (StatusCode::SERVICE_UNAVAILABLE, None) if service == Service::Ollama => Fault::Busy {
            retry_after: BUSY_DEFAULT,
        },
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT, after) => Fault::Busy {
            retry_after: after.unwrap_or(BUSY_DEFAULT),
        },
        (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY, _) => {
            Fault::Unavailable(status.to_string(), Reason::of_status(status.as_u16()))
        }
        _ if status.is_server_error() => {
            Fault::Unavailable(status.to_string(), Reason::of_status(status.as_u16()))
        }
        _ => Fault::Refused {
            status: status.as_u16(),
            message: refusal(service, response).await,
        },
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3).
pub(crate) fn retry_after(value: &HeaderValue, now: DateTime<Utc>) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    Some(match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            (date.to_utc() - now).to_std().unwrap_or_default()
        }
    })
}

/// What the service says is wrong with the request, if it says so in JSON. Who is at fault for a 401, 403 or 404 is us, not
/// the job's owner, so those are not repeated.
async fn refusal(service: Service, mut response: Response) -> String {
    if matches!(response.status().as_u16(), 300..=399 | 401 | 403 | 404) {
        return String::new();
    }
    let body = match read(service, &mut response, MAX_REFUSAL).await {
        Ok(body) => serde_json::from_slice(&body).unwrap_or(Value::Null),
        Err(_) => return String::new(),
    };
    let line = ["/message", "/detail", "/error/message", "/error"]
        .into_iter()
        .find_map(|pointer| said(body.pointer(pointer)?))
        .unwrap_or_default();
    line.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_SAID)
        .collect()
}

/// A text, or FastAPI's list of `{loc, msg}`: where it is wrong, and how.
fn said(value: &Value) -> Option<String> {
    let Value::Array(faults) = value else {
        return value.as_str().map(str::to_owned);
    };
    let fault = |fault: &Value| {
        let words = fault["msg"].as_str()?;
        let place = fault["loc"]
            .as_array()
            .and_then(|path| path.last()?.as_str());
        Some(place.map_or(words.to_owned(), |place| format!("{place}: {words}")))
    };
    let lines: Vec<_> = faults.iter().take(MAX_FAULTS).filter_map(fault).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use serde_json::json;

    use super::super::call::http_client;
    use super::super::testing::serve;
    use super::*;

    async fn fault(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Fault {
        let base = serve(Router::new().route("/", get(async || answer))).await;
        let response = http_client().unwrap().get(base).send().await.unwrap();
        of(Service::Muscgen, response).await
    }

    fn status(code: u16) -> axum::http::StatusCode {
        axum::http::StatusCode::from_u16(code).unwrap()
    }

    #[tokio::test]
    async fn a_busy_service_says_when_to_come_again_within_reason() {
        for (code, after, seconds) in [
            (429, Some("7"), 7),
            (503, Some("7"), 7),
            (429, Some("0"), 1),
            (503, Some("99999"), 300),
            (429, None, 5),
            (429, Some("soon"), 5),
            (409, None, 5),
            (503, Some("Wed, 21 Oct 2015 07:28:00 GMT"), 1),
        ] {
            let headers = after.map(|after| [("retry-after", after)]);
            let fault = match headers {
                Some(headers) => fault((status(code), headers)).await,
                None => fault(status(code)).await,
            };
            assert!(
                matches!(fault, Fault::Busy { retry_after } if retry_after.as_secs() == seconds),
                "{code} {after:?}: {fault}"
            );
        }
    }

    #[test]
    fn a_date_to_come_again_is_counted_from_now() {
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap();
        let date = HeaderValue::from_static("Sun, 22 Nov 2026 10:00:30 GMT");
        assert_eq!(
            retry_after(&date, now.to_utc()),
            Some(Duration::from_secs(30))
        );
    }

    #[tokio::test]
    async fn a_broken_service_may_be_asked_again_and_a_refusing_one_not() {
        for code in [500, 502, 503, 504, 408, 425] {
            let fault = fault(status(code)).await;
            assert!(matches!(fault, Fault::Unavailable(..)), "{code}: {fault}");
        }
        for code in [307, 400, 401, 404, 413, 422] {
            let fault = fault(status(code)).await;
            let same = matches!(fault, Fault::Refused { status, .. } if status == code);
            assert!(same, "{code}: {fault}");
        }
    }

    #[tokio::test]
    async fn what_a_refusing_service_says_is_cut_to_one_short_line() {
        let told = |body: serde_json::Value| fault((status(422), body.to_string()));
        for (body, line) in [
            (json!({"error": "too\nlong"}), "too long".to_owned()),
            (
                json!({"error": {"message": "no piano"}}),
                "no piano".to_owned(),
            ),
            (json!({"detail": "x".repeat(999)}), "x".repeat(200)),
            (json!({"detail": [{"loc": 1}]}), String::new()),
            (
                json!({"detail": [{"loc": ["body", "input", "duration"], "msg": "99 is too much"},
                    {"loc": [0], "msg": "no piano"}]}),
                "duration: 99 is too much; no piano".to_owned(),
            ),
            (json!("text"), String::new()),
        ] {
            let fault = told(body).await;
            assert!(
                matches!(&fault, Fault::Refused { message, .. } if *message == line),
                "{fault}"
            );
        }
        let ours = fault((status(401), json!({"error": "bad key k-1"}).to_string())).await;
        assert!(matches!(ours, Fault::Refused { message, .. } if message.is_empty()));
    }
}
