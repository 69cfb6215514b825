//! Where a request comes from.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;
use shared::http::ClientAddress;

/// The address that a proxy with the secret tells, else the one that API Gateway saw. What a caller writes into a header is not looked
/// at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let told = parts
            .extensions
            .get::<ClientAddress>()
            .map(|told| told.0.to_string());
        let seen = || match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
            _ => None,
        };
        Ok(Self(told.or_else(seen)))
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;

    use super::*;

    async fn origin(told: Option<&str>, seen: &str) -> Option<String> {
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        let mut context = ApiGatewayV2httpRequestContext::default();
        context.http.source_ip = Some(seen.to_owned());
        parts
            .extensions
            .insert(RequestContext::ApiGatewayV2(context));
        if let Some(told) = told {
            parts
                .extensions
                .insert(ClientAddress(told.parse().unwrap()));
        }
        let headers = ["x-forwarded-for", "x-client-address"];
        for name in headers {
            parts.headers.insert(name, "192.0.2.66".parse().unwrap());
        }
        Origin::from_request_parts(&mut parts, &()).await.unwrap().0
    }

    #[tokio::test]
    async fn the_proxys_word_goes_before_the_gateways_and_headers_are_not_looked_at() {
        let gateway = "198.51.100.1";
        assert_eq!(origin(None, gateway).await.unwrap(), gateway);
        assert_eq!(
            origin(Some("192.0.2.7"), gateway).await.unwrap(),
            "192.0.2.7"
        );
    }
}
