//! What a status other than success means.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::call::read;
use super::error::{Fault, Service};
use crate::lenient;
use crate::reason::Reason;

/// What a busy service is given when it names no time.
pub(super) const BUSY_DEFAULT: Duration = Duration::from_secs(5);
const BUSY_LEAST: Duration = Duration::from_secs(1);
const BUSY_MOST: Duration = Duration::from_secs(300);

/// Longest pause that is taken from anybody: a day.
const RETRY_MOST: Duration = Duration::from_secs(86_400);

/// Longest refusal that is read, and longest that is repeated to the owner.
const MAX_REFUSAL: usize = 16 << 10;
const MAX_SAID: usize = 200;
/// Faults of one request that are read.
const MAX_FAULTS: usize = 5;

pub(super) async fn of(service: Service, response: Response) -> Fault {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER);
    let names_a_time = after.is_some();
    let after = after.and_then(|value| retry_after(value, Utc::now()));
    let retry_after = after.map_or(BUSY_DEFAULT, |wait| wait.clamp(BUSY_LEAST, BUSY_MOST));
    match status {
        // A time that cannot be read is one all the same. Ollama's word for a full queue has none.
        StatusCode::SERVICE_UNAVAILABLE if names_a_time || service == Service::Ollama => {
            Fault::Busy { retry_after }
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT => Fault::Busy { retry_after },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
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

/// `Retry-After` in seconds, a fraction rounded up, or as a date in any of HTTP's three forms (RFC
/// 9110 §10.2.3, §5.6.7); at most [`RETRY_MOST`].
pub(crate) fn retry_after(value: &HeaderValue, now: DateTime<Utc>) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = match text.parse::<f64>() {
        Ok(seconds) if seconds.is_nan() => return None,
        Ok(seconds) => {
            let bounded = seconds.ceil().clamp(0.0, RETRY_MOST.as_secs_f64());
            Duration::from_secs_f64(bounded)
        }
        Err(_) => {
            let date = httpdate::parse_http_date(text).map(DateTime::from);
            let other = || DateTime::parse_from_rfc2822(text).map(|date| date.to_utc());
            let date = date.or_else(|_| other()).ok()?;
            (date - now).to_std().unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_MOST))
}

/// What the service says is wrong with the request, if it says so in JSON. Who is at fault for a 401, 403 or 404 is us, not
/// the job's owner, so those are not repeated.
async fn refusal(service: Service, mut response: Response) -> String {
    if matches!(response.status().as_u16(), 300..=399 | 401 | 403 | 404) {
        return String::new();
    }
    let body = match read(service, &mut response, MAX_REFUSAL).await {
        Ok(body) => lenient::read(&body).unwrap_or(Value::Null),
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
            (503, Some("soon"), 5),
            (503, Some(""), 5),
            (503, Some("2.5"), 3),
            (503, Some("292.05"), 293),
            (503, Some("99999999999999999999999"), 300),
            (429, Some("-1"), 1),
            (429, Some("inf"), 300),
            (429, Some("nan"), 5),
            (503, Some("Wed, 21 Oct 2015 07:28:00 GMT"), 1),
            (503, Some("Wednesday, 21-Oct-15 07:28:00 GMT"), 1),
            (503, Some("Wed Oct 21 07:28:00 2015"), 1),
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
        for date in [
            "Sun, 22 Nov 2026 10:00:30 GMT",
            "Sunday, 22-Nov-26 10:00:30 GMT",
            "Sun Nov 22 10:00:30 2026",
            "Sun, 22 Nov 2026 12:00:30 +0200",
        ] {
            let wait = retry_after(&HeaderValue::from_static(date), now.to_utc());
            assert_eq!(wait, Some(Duration::from_secs(30)), "{date}");
        }
        let never = HeaderValue::from_static("Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(retry_after(&never, now.to_utc()), Some(RETRY_MOST));
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
