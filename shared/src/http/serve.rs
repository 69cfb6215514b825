//! Runs a router on Lambda, and under its local emulator.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::Full;
use lambda_http::tower::ServiceExt;
use lambda_http::{Error, Request, run_concurrent};

use super::RequestId;
use crate::config;
use crate::problem::Problem;

/// Lambda takes answers of 6 MB, counted after base64, which adds a third.
const MAX_ON_LAMBDA: usize = 4_500_000;
/// The emulator takes any; a whole track comes through here when the object store is a folder.
const MAX_LOCAL: usize = 64 * 1024 * 1024;

/// Answers invocations until Lambda stops the process, several at once where Lambda allows it.
///
/// Bodies are read to their end first: the concurrent runtime needs them `Sync`, and axum's are not.
pub async fn serve(router: Router) -> Result<(), Error> {
    let limit = if config::on_lambda() {
        MAX_ON_LAMBDA
    } else {
        MAX_LOCAL
    };
    let app = ServiceExt::<Request>::then(
        router,
        move |answer: Result<Response, Infallible>| async move {
            let Ok(response) = answer;
            Ok::<_, Error>(buffered(response, limit).await)
        },
    );
    run_concurrent(app).await
}

async fn buffered(response: Response, limit: usize) -> lambda_http::Response<Full<Bytes>> {
    let (mut parts, body) = response.into_parts();
    let bytes = match to_bytes(body, limit).await {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::error!(%error, limit, "an answer broke off or was too long for Lambda");
            let id = parts.headers.remove(RequestId::HEADER);
            let text = Problem::internal().body(id.as_ref().and_then(|id| id.to_str().ok()));
            parts = Problem::internal().into_response().into_parts().0;
            if let Some(id) = id {
                parts.headers.insert(RequestId::HEADER, id);
            }
            Bytes::from(text)
        }
    };
    // lambda_http takes a body without a type for UTF-8 text.
    if !bytes.is_empty() && !parts.headers.contains_key(CONTENT_TYPE) {
        parts.headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
    }
    lambda_http::Response::from_parts(parts, Full::new(bytes))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use lambda_http::Body;

    use super::*;

    /// What Lambda is handed.
    async fn handed(response: Response, limit: usize) -> lambda_http::Response<Body> {
        lambda_http::IntoResponse::into_response(buffered(response, limit).await).await
    }

    #[tokio::test]
    async fn audio_leaves_as_bytes_and_json_as_text() {
        let wave = vec![0xff, 0x00, 0xfe];
        let audio = ([(CONTENT_TYPE, "audio/wav")], wave.clone()).into_response();
        assert_eq!(
            handed(audio, 10).await.into_body(),
            Body::Binary(wave.clone())
        );
        let untyped = Response::new(axum::body::Body::from(wave.clone()));
        assert_eq!(handed(untyped, 10).await.into_body(), Body::Binary(wave));
        let problem = handed(Problem::internal().into_response(), 1000).await;
        assert!(matches!(problem.into_body(), Body::Text(_)));
    }

    #[tokio::test]
    async fn an_answer_over_the_limit_becomes_a_problem_with_its_request_id() {
        let long = ([(RequestId::HEADER, "r-1")], "x".repeat(11)).into_response();
        let response = handed(long, 10).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RequestId::HEADER], "r-1");
        let Body::Text(text) = response.into_body() else {
            panic!("a problem is text")
        };
        assert!(text.contains(r#""requestId":"r-1""#), "{text}");
    }
}
