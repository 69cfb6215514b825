//! One HTTP call: the shared client, the headers, the budget, what a status means, and bounded bodies.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use url::Url;

use super::error::{Fault, ModelError, Service};
use super::verdict;
use crate::address::NotPublic;
use crate::envelope::Envelope;
use crate::job::JobRecord;
use crate::reason::Reason;
use crate::stage::Stage;

/// How long a health probe may take.
pub(super) const PROBE: Duration = Duration::from_secs(2);

/// The client for every outgoing call. Build it once: it loads the certificates.
///
/// No proxy from the environment, no redirect, and no idle pool: calls are rare and long, and a function that was frozen must
/// not write into a connection that died meanwhile.
pub fn http_client() -> Result<Client, reqwest::Error> {
    builder().build()
}

/// A client with these settings and more.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("tutti/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(3))
        .tcp_keepalive(Duration::from_secs(60))
        .pool_max_idle_per_host(0)
        .redirect(Policy::none())
        .no_proxy()
}

/// What every outgoing call carries, so that one job can be followed through all services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Sent as `X-Request-Id`.
    pub request_id: String,
    /// Sent as `traceparent` (W3C Trace Context), if any.
    pub traceparent: Option<String>,
    /// Sent as `Idempotency-Key`, if any: the render key, so that a model can tell a repeat.
    pub idempotency_key: Option<String>,
}

impl Outgoing {
    /// For a call about a stage of a job.
    pub fn of_job(job: &JobRecord, request: &Envelope, stage: Stage) -> Self {
        let render = job.render_key(stage);
        // A planner is sent no seed that could vary, and one that knows the key would answer again
        // what could not be used.
        let key = match stage {
            Stage::Plan => format!("{}:{}", render.as_str(), job.attempt),
            Stage::Audio | Stage::Finish => render.as_str().to_owned(),
        };
        Self {
            request_id: job.request_id.clone(),
            traceparent: Some(request.traceparent.clone()),
            idempotency_key: Some(key),
        }
    }

    pub(crate) fn dress(&self, request: RequestBuilder) -> RequestBuilder {
        let headers = [
            ("x-request-id", Some(&self.request_id)),
            ("traceparent", self.traceparent.as_ref()),
            ("idempotency-key", self.idempotency_key.as_ref()),
        ];
        headers.into_iter().fold(request, |request, (name, value)| {
            match value.map(|value| HeaderValue::from_str(value)) {
                Some(Ok(value)) => request.header(name, value),
                _ => request,
            }
        })
    }
}

/// `base` with more path segments; each is percent-encoded, and a slash at the end of `base` changes nothing.
pub(super) fn endpoint(service: Service, base: &Url, parts: &[&str]) -> Result<Url, ModelError> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| service.failed(Fault::Forbidden("not an HTTP address".to_owned())))?
        .pop_if_empty()
        .extend(parts);
    Ok(url)
}

/// Runs a whole call, bodies included, within `budget`.
pub(super) async fn within<T>(
    service: Service,
    budget: Duration,
    call: impl Future<Output = Result<T, ModelError>>,
) -> Result<T, ModelError> {
    tokio::time::timeout(budget, call)
        .await
        .unwrap_or_else(|_| {
            let why = format!("no answer within {budget:?}");
            Err(service.unavailable_for(Reason::Timeout, why))
        })
}

/// Sends, and takes any status but success for a failure.
pub(super) async fn send(
    service: Service,
    request: RequestBuilder,
    out: &Outgoing,
) -> Result<Response, ModelError> {
    let response = exchange(service, request, out).await?;
    if response.status().is_success() {
        Ok(response)
    } else {
        Err(service.failed(verdict::of(service, response).await))
    }
}

/// Sends, once more if no connection could be made; the status is for the caller to judge.
pub(super) async fn exchange(
    service: Service,
    request: RequestBuilder,
    out: &Outgoing,
) -> Result<Response, ModelError> {
    let request = out.dress(request);
    let again = request.try_clone();
    let response = match (request.send().await, again) {
        // Nothing was sent, so asking again cannot ask twice.
        (Err(error), Some(again)) if error.is_connect() => {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(50..150))).await;
            again.send().await
        }
        (sent, _) => sent,
    };
    response.map_err(|error| broken(service, error))
}

/// Reads a body chunk by chunk; what the service says of its length is not believed.
pub(super) async fn read(
    service: Service,
    response: &mut Response,
    limit: usize,
) -> Result<Bytes, ModelError> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| broken(service, error))?
    {
        if body.len() + chunk.len() > limit {
            return Err(service.failed(Fault::TooLarge { limit }));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// The error with its causes and without its address, which may hold a password.
fn broken(service: Service, error: reqwest::Error) -> ModelError {
    let error = error.without_url();
    let reason = Reason::of(&error);
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<NotPublic>() {
            return service.failed(Fault::Forbidden(inner.to_string()));
        }
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    service.unavailable_for(reason, text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    use reqwest::dns::{Addrs, Name, Resolve, Resolving};

    use super::super::testing::{nobody, out, serve};
    use super::*;

    const SERVICE: Service = Service::Muscgen;

    async fn ask(base: &Url) -> Result<Response, ModelError> {
        let request = http_client().unwrap().get(base.clone());
        within(
            SERVICE,
            Duration::from_secs(5),
            send(SERVICE, request, &out()),
        )
        .await
    }

    #[tokio::test]
    async fn every_call_carries_the_names_of_its_job() {
        let echo = async |headers: HeaderMap| {
            [
                "x-request-id",
                "traceparent",
                "idempotency-key",
                "user-agent",
            ]
            .map(|name| headers[name].to_str().unwrap().to_owned())
            .join("\n")
        };
        let base = serve(Router::new().route("/", get(echo))).await;
        let seen = ask(&base).await.unwrap().text().await.unwrap();
        let out = out();
        let version = concat!("tutti/", env!("CARGO_PKG_VERSION"));
        let sent = [
            &out.request_id,
            out.traceparent.as_ref().unwrap(),
            out.idempotency_key.as_ref().unwrap(),
            version,
        ];
        assert_eq!(seen, sent.join("\n"));
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_unavailable_and_its_address_unsaid() {
        let mut base = nobody().await;
        base.set_password(Some("hunter2")).unwrap();
        let error = ask(&base).await.unwrap_err();
        assert_eq!(error.code(), "muscgen_unavailable");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(Reason::from(&error), Reason::Refused);
    }

    #[tokio::test]
    async fn an_answer_after_the_budget_is_no_answer() {
        let never = async || std::future::pending::<String>().await;
        let base = serve(Router::new().route("/", get(never))).await;
        let request = http_client().unwrap().get(base);
        let budget = Duration::from_millis(100);
        let late = within(SERVICE, budget, send(SERVICE, request, &out())).await;
        let late = late.unwrap_err();
        assert_eq!(late.code(), "muscgen_unavailable");
        assert_eq!(Reason::from(&late), Reason::Timeout);
    }

    #[tokio::test]
    async fn a_call_that_was_heard_is_not_repeated() {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        let fail = async move || {
            count.fetch_add(1, Ordering::SeqCst);
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let base = serve(Router::new().route("/", get(fail))).await;
        ask(&base).await.unwrap_err();
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    /// Knows no address at first, and then this one.
    struct SlowToKnow(AtomicUsize, std::net::SocketAddr);

    impl Resolve for SlowToKnow {
        fn resolve(&self, _: Name) -> Resolving {
            let first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
            let address = self.1;
            Box::pin(async move {
                match first {
                    true => Err("not yet".into()),
                    false => Ok(Box::new(std::iter::once(address)) as Addrs),
                }
            })
        }
    }

    #[tokio::test]
    async fn a_connection_that_could_not_be_made_is_tried_once_more() {
        let base = serve(Router::new().route("/", get("here"))).await;
        let address = base.socket_addrs(|| None).unwrap()[0];
        let resolver = SlowToKnow(AtomicUsize::new(0), address);
        let client = builder().dns_resolver(resolver).build().unwrap();
        let request = client.get("http://muscgen.test/");
        let answer = send(SERVICE, request, &out()).await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "here");
    }

    #[test]
    fn an_endpoint_lies_below_its_base_and_holds_its_key_in_one_segment() {
        for (base, url) in [
            ("http://m", "http://m/generate/a%2Fb%3Fc:7"),
            ("http://m/v1", "http://m/v1/generate/a%2Fb%3Fc:7"),
            ("http://m/v1/?k=1", "http://m/v1/generate/a%2Fb%3Fc:7?k=1"),
        ] {
            let made = endpoint(SERVICE, &base.parse().unwrap(), &["generate", "a/b?c:7"]);
            assert_eq!(made.unwrap().as_str(), url);
        }
        let no_base = "mailto:a@b".parse().unwrap();
        assert!(endpoint(SERVICE, &no_base, &["generate"]).is_err());
    }
}
