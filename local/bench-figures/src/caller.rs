//! Who asks the API of a stack, and how long the answers took.

use std::time::Instant;

use local::Stack;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::Result;

/// The answers to requests of one kind.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Of each answer.
    pub(crate) ms: Vec<f64>,
    /// Not 2xx, or none.
    pub(crate) refused: usize,
}

impl Answers {
    /// The time that this share of the answers is faster than, in milliseconds.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() as f64 * share) as usize;
        let last = sorted.len().saturating_sub(1);
        sorted.get(at.min(last)).copied().unwrap_or_default()
    }

    /// Sends it, and notes how long that took; what was answered, where it was 2xx.
    pub(crate) async fn time(&mut self, request: RequestBuilder) -> Result<Option<Value>> {
        let (status, body) = self.ask(request).await?;
        Ok(status.is_success().then_some(body).flatten())
    }

    /// The same, whatever was answered.
    pub(crate) async fn ask(
        &mut self,
        request: RequestBuilder,
    ) -> Result<(StatusCode, Option<Value>)> {
        let from = Instant::now();
        let answer = request.send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await;
        self.ms.push(from.elapsed().as_secs_f64() * 1000.0);
        if !status.is_success() || bytes.is_err() {
            self.refused += 1;
        }
        let json = bytes.ok().and_then(|b| serde_json::from_slice(&b).ok());
        Ok((status, json))
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.ms.extend(other.ms);
        self.refused += other.refused;
    }
}

/// A user of the API, over connections of its own.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) http: Client,
    pub(crate) api: String,
    pub(crate) token: String,
}

impl Caller {
    pub(crate) fn of(stack: &Stack, role: &str, user: &str) -> Result<Self> {
        Ok(Self {
            http: Client::builder().no_proxy().build()?,
            api: stack.api().to_owned(),
            token: stack.token(role, user)?,
        })
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.api);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// A submission, still to be sent, that no earlier track answers.
    pub(crate) fn submission(&self, duration: u32) -> RequestBuilder {
        let body = json!({"narrative": "a bench", "duration": duration});
        let request = self.request(Method::POST, "/jobs").json(&body);
        request.header("cache-control", "no-cache")
    }

    /// Submits a job that must be accepted; its id.
    pub(crate) async fn submit(&self, answers: &mut Answers, duration: u32) -> Result<String> {
        let job = answers.time(self.submission(duration)).await?;
        Ok(id(&job.ok_or("a job was refused")?))
    }
}

/// The job that an answer is about.
pub(crate) fn id(job: &Value) -> String {
    job["jobId"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_answer_that_so_many_are_faster_than() {
        let answers = Answers {
            ms: (1..=100).rev().map(f64::from).collect(),
            refused: 0,
        };
        assert!((answers.quantile(0.5) - 51.0).abs() < f64::EPSILON);
        assert!((answers.quantile(0.99) - 100.0).abs() < f64::EPSILON);
        assert!(Answers::default().quantile(0.5).abs() < f64::EPSILON);
    }
}
