//! A proxy that stands before the API: it shows a secret, so that nobody goes round it, and says whom it speaks for.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::Secret;
use crate::job::sha256_hex;
use crate::problem::Problem;

/// What the proxy shows.
const SECRET: &str = "x-proxy-secret";
/// The address of its caller, which it writes over whatever the caller sent.
const CLIENT: &str = "x-client-address";

/// The address of the caller, as a proxy that showed the secret tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Lets nobody in who does not come by the proxy, where there is one.
pub(super) async fn pass(
    State(secrets): State<Arc<[Secret]>>,
    mut request: Request,
    next: Next,
) -> Response {
    if secrets.is_empty() {
        return next.run(request).await;
    }
    if !shows_secret(request.headers(), &secrets) {
        let detail = "this API is called by its public address alone";
        return Problem::forbidden(detail).into_response();
    }
    let headers = request.headers_mut();
    headers.remove(SECRET);
    let told = headers.remove(CLIENT);
    let told = told.and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(address) = told {
        request.extensions_mut().insert(ClientAddress(address));
    }
    next.run(request).await
}

/// One header alone, and one of the secrets. Digests are compared, because how far two of them agree tells nothing of the texts.
fn shows_secret(headers: &HeaderMap, secrets: &[Secret]) -> bool {
    let mut shown = headers.get_all(SECRET).iter();
    let (Some(shown), None) = (shown.next(), shown.next()) else {
        return false;
    };
    let shown = sha256_hex(shown.as_bytes());
    let is_shown = |secret: &Secret| sha256_hex(secret.expose().as_bytes()) == shown;
    secrets.iter().any(is_shown)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use axum::{Extension, Router};
    use lambda_http::tower::ServiceExt;

    use super::*;
    use crate::http::edge::finish_router_for;

    const OLD: &str = "an-old-secret-of-thirty-two-characters";
    const NEW: &str = "the-new-secret-of-thirty-two-characters";

    /// What a function behind a proxy with these secrets answers: its status, and the address that its handler sees.
    async fn asked(secrets: &[&str], headers: &[(&str, &str)]) -> (StatusCode, String) {
        let told = async |told: Option<Extension<ClientAddress>>, headers: HeaderMap| {
            assert!(told.is_none() || !headers.contains_key(SECRET));
            told.map(|Extension(ClientAddress(address))| address.to_string())
                .unwrap_or_default()
        };
        let routes = Router::new().route("/", get(told));
        let secrets = secrets.iter().map(|text| Secret::from(*text)).collect();
        let router = finish_router_for(routes, Vec::new(), secrets);
        let mut request = Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn behind_a_proxy_nobody_else_is_let_in() {
        let both = [OLD, NEW];
        for secret in both {
            let (status, address) = asked(&both, &[(SECRET, secret)]).await;
            assert_eq!((status, address.as_str()), (StatusCode::OK, ""));
        }
        let longer = format!("{OLD}x");
        for wrong in [
            &[][..],
            &[(SECRET, "")],
            &[(SECRET, &OLD[1..])],
            &[(SECRET, &longer)],
            &[(SECRET, "an-old-secret-of-thirty-two-characters,x")],
            &[(SECRET, OLD), (SECRET, OLD)],
            &[(CLIENT, "192.0.2.7")],
        ] {
            let (status, body) = asked(&both, wrong).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{wrong:?}");
            assert!(body.contains(r#""code":"forbidden""#), "{body}");
        }
        assert_eq!(
            asked(&[NEW], &[(SECRET, OLD)]).await.0,
            StatusCode::FORBIDDEN
        );
    }

    #[tokio::test]
    async fn the_callers_address_is_believed_of_the_proxy_alone() {
        for address in ["192.0.2.7", "2001:db8::1"] {
            let headers = [(SECRET, OLD), (CLIENT, address)];
            assert_eq!(
                asked(&[OLD], &headers).await,
                (StatusCode::OK, address.to_owned())
            );
            assert_eq!(asked(&[], &headers).await, (StatusCode::OK, String::new()));
        }
        for garbage in ["192.0.2.7:443", "192.0.2.7, 198.51.100.1", "somewhere", ""] {
            let headers = [(SECRET, OLD), (CLIENT, garbage)];
            assert_eq!(
                asked(&[OLD], &headers).await,
                (StatusCode::OK, String::new())
            );
        }
    }
}
