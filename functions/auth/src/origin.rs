//! Where a request comes from.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lambda_http::request::RequestContext;
use shared::http::ClientAddress;

/// The address that a proxy with the secret tells, else the one that API Gateway saw. What a caller writes into a header is not looked
/// at. Of an IPv6 address the network alone, /64, because who has one has all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let told = parts.extensions.get::<ClientAddress>().map(|told| told.0);
        let seen = || match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => {
                context.http.source_ip.as_ref()?.parse().ok()
            }
            _ => None,
        };
        Ok(Self(told.or_else(seen).map(network)))
    }
}

fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            format!("{}/64", Ipv6Addr::from_bits(prefix))
        }
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
        assert_eq!(origin(None, "unknown").await, None);
    }

    #[tokio::test]
    async fn addresses_of_one_ipv6_network_are_one() {
        for address in ["2001:db8:1:2::1", "2001:db8:1:2:ffff:0:0:9"] {
            let network = Some("2001:db8:1:2::/64".to_owned());
            assert_eq!(origin(None, address).await, network);
            assert_eq!(origin(Some(address), "198.51.100.1").await, network);
        }
        let mapped = origin(Some("::ffff:192.0.2.7"), "198.51.100.1").await;
        assert_eq!(mapped.unwrap(), "192.0.2.7");
    }
}
