//! Runs a router on Lambda, and under its local emulator.

use std::convert::Infallible;

use axum::Router;
use axum::body::{BodyDataStream, Bytes, HttpBody, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use http_body_util::Full;
use lambda_http::lambda_runtime::{self, FunctionResponse, MetadataPrelude, StreamResponse};
use lambda_http::request::LambdaRequest;
use lambda_http::tower::{Service, ServiceExt};
use lambda_http::{Adapter, Error, LambdaEvent, Request, run_concurrent, service_fn};
use serde::Serialize;
use tokio::sync::oneshot;

use super::RequestId;
use super::edge::secure;
use crate::config;
use crate::problem::Problem;

/// Lambda takes answers of 6 MB, counted after base64, which adds a third.
const MAX_ANSWER: usize = 4_500_000;

/// The emulator of Lambda acknowledges an answer before it has read it. A whole one of some megabytes then hangs now and then; a short
/// one arrives with its head.
const SHORT: u64 = 256 * 1024;

/// As [`serve`], for a function whose answers may be long: the emulator gets those as streams of any length, and only those, because
/// a stream costs it 40 ms more: it comes in two pieces.
pub async fn serve_long(router: Router) -> Result<(), Error> {
    if config::on_lambda() {
        return serve(router).await;
    }
    let answer = move |event| whole_or_stream(router.clone(), event);
    lambda_runtime::run_concurrent(service_fn(answer)).await
}

async fn whole_or_stream(
    router: Router,
    event: LambdaEvent<LambdaRequest>,
) -> Result<FunctionResponse<impl Serialize, BodyDataStream>, Error> {
    let (sender, mut long) = oneshot::channel();
    let mut sender = Some(sender);
    let mut whole = Adapter::from(service_fn(move |request: Request| {
        let (router, sender) = (router.clone(), sender.take());
        async move {
            let Ok(response) = router.oneshot(request).await;
            let is_short = (response.body().size_hint().upper()).is_some_and(|size| size <= SHORT);
            match sender {
                Some(sender) if !is_short => {
                    // Received below.
                    let _ = sender.send(response);
                    Ok(lambda_http::Response::default())
                }
                _ => Ok::<_, Error>(buffered(response, MAX_ANSWER).await),
            }
        }
    }));
    let whole = whole.call(event).await?;
    let Ok(response) = long.try_recv() else {
        return Ok(FunctionResponse::BufferedResponse(whole));
    };
    let (parts, body) = response.into_parts();
    let metadata_prelude = MetadataPrelude {
        status_code: parts.status,
        headers: parts.headers,
        cookies: Vec::new(),
    };
    Ok(FunctionResponse::StreamingResponse(StreamResponse {
        metadata_prelude,
        stream: body.into_data_stream(),
    }))
}

/// Answers invocations until Lambda stops the process, several at once where Lambda allows it. An answer is sent whole, at most 4.5 MB,
/// since API Gateway takes no other.
pub async fn serve(router: Router) -> Result<(), Error> {
    let app = ServiceExt::<Request>::then(router, async |answer: Result<Response, Infallible>| {
        let Ok(response) = answer;
        Ok::<_, Error>(buffered(response, MAX_ANSWER).await)
    });
    run_concurrent(app).await
}

/// Reads the body to its end: the concurrent runtime needs it `Sync`, and axum's is not.
async fn buffered(response: Response, limit: usize) -> lambda_http::Response<Full<Bytes>> {
    let (mut parts, body) = response.into_parts();
    let bytes = match to_bytes(body, limit).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let id = parts.headers.get(RequestId::HEADER);
            let id_text = id.and_then(|id| id.to_str().ok());
            tracing::error!(request_id = id_text, %error, limit, "an answer broke off or was too long for Lambda");
            let text = Problem::internal().body(id_text);
            let mut problem = Problem::internal().into_response().into_parts().0;
            problem
                .headers
                .extend(id.map(|id| (HeaderName::from_static(RequestId::HEADER), id.clone())));
            secure(&mut problem.headers);
            parts = problem;
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
