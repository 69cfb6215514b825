//! Which web pages may call, by their origin (Fetch standard, "CORS protocol").

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, LOCATION, ORIGIN, RANGE, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use lambda_http::tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::CorsLayer;

use super::RequestId;
use super::quota;

/// How long a browser may remember the answer to a preflight.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Lets pages of these origins call, and nobody else's. Tokens travel in a header that a page must set itself, so no credentials are
/// allowed for.
pub(super) fn layer(origins: Vec<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            AUTHORIZATION,
            CACHE_CONTROL,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            RANGE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("prefer"),
            // W3C Trace Context is two headers; pages that trace send W3C Baggage with them.
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("tracestate"),
            HeaderName::from_static("baggage"),
            HeaderName::from_static(RequestId::HEADER),
        ])
        .expose_headers([
            CONTENT_RANGE,
            ETAG,
            LOCATION,
            RETRY_AFTER,
            quota::LEFT,
            quota::POLICY,
            HeaderName::from_static(RequestId::HEADER),
        ])
        .max_age(REMEMBERED)
}

/// Answers preflights itself; an `OPTIONS` that is none goes where it is sent, as any other method.
pub(super) async fn answer(
    State(cors): State<CorsLayer>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::OPTIONS && !is_preflight(request.headers()) {
        return next.run(request).await;
    }
    let inner = service_fn(move |request: Request| {
        let next = next.clone();
        async move { Ok::<_, Infallible>(next.run(request).await) }
    });
    let Ok(response) = cors.layer(inner).oneshot(request).await;
    response
}

fn is_preflight(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::post;
    use lambda_http::tower::ServiceExt;

    use super::*;
    use crate::http::edge::finish_router_for;

    const OURS: &str = "https://app.example.com";

    async fn asked(method: Method, origin: &str) -> (StatusCode, HeaderMap) {
        let routes = Router::new().route("/jobs", post(async || "x"));
        let router = finish_router_for(routes, vec![HeaderValue::from_static(OURS)], Vec::new());
        let request = Request::builder()
            .method(method)
            .uri("/jobs")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization");
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await;
        let (parts, _) = response.unwrap().into_parts();
        (parts.status, parts.headers)
    }

    #[tokio::test]
    async fn a_page_of_an_allowed_origin_may_call_and_read_our_headers() {
        let (status, headers) = asked(Method::OPTIONS, OURS).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["access-control-allow-origin"], OURS);
        let allowed = headers["access-control-allow-headers"].to_str().unwrap();
        assert!(allowed.contains("authorization") && allowed.contains("idempotency-key"));
        for header in ["traceparent", "tracestate", "baggage"] {
            assert!(allowed.split(',').any(|name| name == header), "{allowed}");
        }
        assert!(!headers.contains_key("access-control-allow-credentials"));
        let (status, headers) = asked(Method::POST, OURS).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["access-control-allow-origin"], OURS);
        let exposed = headers["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("x-request-id") && exposed.contains("ratelimit"));
    }

    #[tokio::test]
    async fn a_question_that_no_browser_asks_is_answered_as_of_any_method() {
        let routes = Router::new().route("/jobs", post(async || "x"));
        let router = finish_router_for(routes, vec![HeaderValue::from_static(OURS)], Vec::new());
        let request = Request::builder().method(Method::OPTIONS).uri("/jobs");
        let request = request.header("origin", OURS).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "POST");
    }

    #[tokio::test]
    async fn a_page_of_another_origin_is_not_let_in() {
        for origin in [
            "https://evil.example.com",
            "https://app.example.com.evil.example",
            "null",
        ] {
            for method in [Method::OPTIONS, Method::POST] {
                let (_, headers) = asked(method, origin).await;
                assert!(
                    !headers.contains_key("access-control-allow-origin"),
                    "{origin}"
                );
            }
        }
    }
}
