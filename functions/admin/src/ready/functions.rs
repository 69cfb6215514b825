//! The other functions: those behind the gateways are asked through them, those that nobody calls are judged by what Redis shows.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use lambda_http::request::RequestContext;
use serde::Serialize;
use shared::clients::Clients;
use shared::config;
use shared::probe::Probe;
use shared::queue::{Signs, millis};
use url::Url;

use super::Line;

/// Each function, and a request that it answers itself, before it asks anybody: without a token, all but `health` refuse it.
const DOORS: [(&str, Method, &str, u16); 5] = [
    ("compose", Method::POST, "/compose", 401),
    ("jobs", Method::GET, "/jobs", 401),
    ("report", Method::POST, "/jobs/report", 401),
    ("health", Method::GET, "/health", 200),
    ("auth", Method::GET, "/auth/users", 401),
];

/// Three rounds of the sweep were missed.
const SWEEP_LATE: Duration = Duration::from_secs(180);
/// A bell takes a second or two, on a cold start as well; this is more.
const BELL_LATE: Duration = Duration::from_secs(10);
/// The sweep has rung for a message to a webhook, and again.
const MESSAGE_LATE: Duration = Duration::from_secs(150);

#[derive(Debug, Clone, Default, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Function {
    up: bool,
    /// Of those that were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<u64>,
    /// Why it is taken to be down, in a few fixed words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z]+( [a-z0-9]+)*$")]
    reason: Option<String>,
    /// Of the sweep: the end of its last round.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_round_at: Option<DateTime<Utc>>,
    /// When whoever answers last saw it up, if it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_up_at: Option<DateTime<Utc>>,
}

impl Line for Function {
    fn is_up(&self) -> bool {
        self.up
    }

    fn was_up(&mut self, at: Option<DateTime<Utc>>) {
        self.last_up_at = at;
    }
}

type Named = (&'static str, Function);

/// The address by which this function was called. What a caller writes into `Host` is not looked at: on Lambda it is the name that
/// API Gateway has for itself, elsewhere the address that is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gateway(Option<Url>);

impl<S: Send + Sync> FromRequestParts<S> for Gateway {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let named = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) if config::on_lambda() => {
                context.domain_name.as_deref().and_then(of_domain)
            }
            _ => None,
        };
        Ok(Self(named))
    }
}

fn of_domain(name: &str) -> Option<Url> {
    Url::parse(&format!("https://{name}")).ok()
}

pub(super) async fn check(
    clients: &Clients,
    gateway: &Gateway,
    probe: &Probe,
) -> BTreeMap<&'static str, Function> {
    let configured = clients.config.public_url.as_ref().map(|at| at.url());
    let base = configured.or(gateway.0.as_ref());
    let doors = async {
        let Some(base) = base else { return Vec::new() };
        let asked = DOORS.map(|(name, method, path, wanted)| {
            timed(name, Box::pin(probe.ask(method, below(base, path), wanted)))
        });
        futures_util::future::join_all(asked).await
    };
    let sockets = async {
        let at = clients.config.sockets_url.as_ref()?;
        let shake = Box::pin(probe.shake(at.url().clone(), 401));
        Some(timed("live", shake).await)
    };
    // While Redis is down nothing is known of these; that it is stands with the dependencies.
    let signs = async { Box::pin(clients.queue.signs()).await.ok() };
    let (doors, sockets, signs) = tokio::join!(doors, sockets, signs);
    let uncalled = signs.as_ref().map(uncalled).into_iter().flatten();
    doors.into_iter().chain(sockets).chain(uncalled).collect()
}

/// The address may have a path of its own.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

async fn timed(
    name: &'static str,
    call: impl Future<Output = Result<(), shared::reason::Reason>>,
) -> Named {
    let from = Instant::now();
    let answer = call.await;
    if let Err(reason) = answer {
        tracing::warn!(function = name, %reason, "a function does not answer");
    }
    let function = Function {
        up: answer.is_ok(),
        latency_ms: Some(millis(from.elapsed())),
        reason: answer.err().map(|reason| reason.to_string()),
        ..Function::default()
    };
    (name, function)
}

fn uncalled(signs: &Signs) -> [Named; 4] {
    let late = |since: Option<Duration>, limit| since.is_some_and(|since| since > limit);
    let sweep = match signs.round {
        None => Some("no round yet"),
        Some(since) if since > SWEEP_LATE => Some("no round"),
        Some(_) => None,
    };
    let worker = late(signs.owed, BELL_LATE).then_some("jobs wait");
    let notify = late(signs.unheard, BELL_LATE).then_some("notices wait");
    let deliver = late(signs.undelivered, MESSAGE_LATE).then_some("messages wait");
    let judged = |reason: Option<&str>| Function {
        up: reason.is_none(),
        reason: reason.map(str::to_owned),
        ..Function::default()
    };
    let round = signs.round.and_then(|since| {
        let at = signs.at_ms - i64::try_from(millis(since)).ok()?;
        DateTime::from_timestamp_millis(at)
    });
    let sweep = Function {
        last_round_at: round,
        ..judged(sweep)
    };
    [
        ("sweep", sweep),
        ("worker", judged(worker)),
        ("notify", judged(notify)),
        ("deliver", judged(deliver)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Signs = Signs {
        at_ms: 1_767_225_600_000,
        round: Some(Duration::from_secs(60)),
        owed: None,
        unheard: None,
        undelivered: None,
    };

    fn reasons(signs: &Signs) -> [Option<String>; 4] {
        uncalled(signs).map(|(name, function)| {
            assert_eq!(function.up, function.reason.is_none(), "{name}");
            function.reason
        })
    }

    #[test]
    fn who_is_not_called_is_judged_by_what_is_left_undone() {
        let (second, late) = (Duration::from_secs(1), |limit| {
            Some(limit + Duration::from_secs(1))
        });
        assert!(reasons(&WELL).iter().all(Option::is_none));
        let busy = Signs {
            owed: Some(second),
            unheard: Some(second),
            undelivered: Some(second),
            ..WELL
        };
        assert!(reasons(&busy).iter().all(Option::is_none));
        let dead = Signs {
            round: late(SWEEP_LATE),
            owed: late(BELL_LATE),
            unheard: late(BELL_LATE),
            undelivered: late(MESSAGE_LATE),
            ..WELL
        };
        let said = ["no round", "jobs wait", "notices wait", "messages wait"];
        assert_eq!(reasons(&dead), said.map(|word| Some(word.to_owned())));
        let new = Signs {
            round: None,
            ..WELL
        };
        let said = [Some("no round yet"), None, None, None];
        assert_eq!(reasons(&new), said.map(|word| word.map(str::to_owned)));
    }

    #[test]
    fn the_sweep_says_when_its_last_round_was() {
        let [(_, sweep), ..] = uncalled(&WELL);
        let at = DateTime::from_timestamp_millis(1_767_225_540_000);
        assert_eq!(sweep.last_round_at, at);
    }

    #[test]
    fn a_door_is_below_the_address_by_which_we_are_called() {
        for (base, url) in [
            ("https://api.example.com", "https://api.example.com/jobs"),
            ("https://example.com/v1/", "https://example.com/v1/jobs"),
        ] {
            let base = base.parse().unwrap();
            assert_eq!(below(&base, "/jobs").as_str(), url);
        }
        let named = of_domain("id.execute-api.us-east-1.amazonaws.com").unwrap();
        assert_eq!(named.scheme(), "https");
    }
}
