//! A call to a model service: not made while its breaker is open, and what it shows of the service is told to the breaker.

use std::future::Future;
use std::time::Duration;

use shared::clients::Clients;
use shared::config::{Config, Fallback, Planner};
use shared::models::{Fault, ModelError, Service};
use shared::queue::{BUSY_MOST, Breaker, Showed, Troubled};
use shared::settle;

use crate::meter::Meter;

/// What a call needs beside itself.
pub(crate) struct Asking<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) meter: Meter,
    /// As of the acquire.
    pub(crate) troubled: Troubled,
}

/// What came of it. A failure of the one call that an open breaker lets through is no failure of this job: it only shows that the
/// service is still down.
pub(crate) async fn ask<T>(
    asking: &mut Asking<'_>,
    service: Service,
    call: impl Future<Output = Result<T, ModelError>>,
) -> Result<T, ModelError> {
    let clients = asking.clients;
    let troubled = asking.troubled.has(service.as_str());
    if troubled && let Some(wait) = tell(clients, service, Showed::Asked).await {
        return Err(service.down(wait));
    }
    let answer = asking.meter.wait(call).await;
    match answer.as_ref().map_err(|error| &error.fault) {
        Err(Fault::Unavailable(why, _)) => {
            let wait = tell(clients, service, Showed::Failed).await;
            if let (true, Some(wait)) = (troubled, wait) {
                tracing::warn!(%service, why, "the service is still down");
                return Err(service.down(wait));
            }
        }
        Err(Fault::Busy { retry_after }) => {
            let wait = tell(clients, service, Showed::Busy(*retry_after)).await;
            if let (true, Some(wait)) = (*retry_after <= BUSY_MOST, wait) {
                return Err(service.busy(wait));
            }
        }
        _ if troubled => {
            tell(clients, service, Showed::Answered).await;
        }
        _ => {}
    }
    answer
}

/// How long the service is to be left alone now, if it is. A breaker that cannot be asked stops nobody: what the call brings is worth more.
async fn tell(clients: &Clients, service: Service, showed: Showed) -> Option<Duration> {
    let hold = is_indispensable(&clients.config, service);
    let told = clients.queue.breaker(service.as_str(), showed, hold).await;
    let answer = told
        .inspect_err(|error| tracing::warn!(%service, %error, "the breaker was not told"))
        .ok()?;
    settle::pay(clients, answer.debt, None).await;
    match answer.outcome {
        Breaker::Closed => None,
        // Where the line waits for the service, a job that is given back waits in its place there.
        Breaker::Open { .. } if hold => Some(Duration::ZERO),
        // Not all at the same moment, for only one of them is let through then.
        Breaker::Open { wait_ms } => {
            let wait = Duration::from_millis(wait_ms);
            Some(wait.mul_f64(1.0 + fastrand::f64() / 2.0))
        }
    }
}

/// Whether no job can do without the service.
fn is_indispensable(config: &Config, service: Service) -> bool {
    let all_plan_by = |planner| {
        let mut models = config.models.iter();
        models.all(|(_, model)| model.planner == planner)
    };
    match service {
        Service::Muscgen => true,
        Service::Jen1 => all_plan_by(Planner::Jen1) && config.planner_fallback == Fallback::Nobody,
        Service::Ollama => all_plan_by(Planner::Ollama),
        Service::AudioUrl | Service::Api => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &[(&str, &str)]) -> Config {
        let least = [
            ("REDIS_URL", "redis://127.0.0.1:6379"),
            ("ARTIFACTS_URL", "file:///tmp/tutti"),
            ("JWT_SECRET", "a-secret-of-more-than-thirty-two-bytes"),
        ];
        let all = [&least[..], more].concat();
        let value = |name: &str| Some(all.iter().find(|(n, _)| *n == name)?.1.to_owned());
        Config::read(value).unwrap()
    }

    #[test]
    fn the_line_waits_for_a_planner_only_if_no_job_has_another() {
        let needs = |config: &Config| {
            [Service::Jen1, Service::Ollama, Service::Muscgen]
                .map(|service| is_indispensable(config, service))
        };
        let ollama = ("OLLAMA_URL", "http://ollama.example");
        assert_eq!(needs(&config(&[])), [true, false, true]);
        assert_eq!(needs(&config(&[ollama])), [false, false, true]);
        let jen1 = r#"{"x":{"planner":"jen1","generator":"muscgen","maxSeconds":9}}"#;
        let only_jen1 = [ollama, ("MODELS", jen1)];
        assert_eq!(needs(&config(&only_jen1)), [true, false, true]);
        let stood_in_for = [only_jen1[0], only_jen1[1], ("PLANNER_FALLBACK", "ollama")];
        assert_eq!(needs(&config(&stood_in_for)), [false, false, true]);
        let by_ollama = r#"{"x":{"planner":"ollama","generator":"muscgen","maxSeconds":9}}"#;
        let only_ollama = [ollama, ("MODELS", by_ollama)];
        assert_eq!(needs(&config(&only_ollama)), [false, true, true]);
    }
}
