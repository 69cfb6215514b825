//! One call of an endpoint: only public addresses, no redirects, bounded in time and size.

use std::error::Error;
use std::time::Duration;

use chrono::Utc;
use reqwest::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::address::{NotPublic, PublicClient, may_be_public};
use crate::models::{Outgoing, retry_after};

/// The whole call.
const BUDGET: Duration = Duration::from_secs(20);
/// Bytes of an answer that are read, and thrown away: the receiver may finish what it says.
const ANSWER_MAX: usize = 16 << 10;
/// Bytes of a reason.
const REASON_MAX: usize = 200;

/// Calls endpoints.
#[derive(Clone)]
pub struct Sender {
    dev_mode: bool,
    /// On a laptop: any address.
    direct: Client,
    public: PublicClient,
}

/// A message as it goes out.
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) timestamp: i64,
    pub(crate) signatures: &'a str,
    pub(crate) body: String,
    /// Names of the job.
    pub(crate) out: &'a Outgoing,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Delivered,
    /// 410: the receiver wants no more.
    Gone,
    /// This address may not be called.
    Forbidden(String),
    Failed {
        reason: String,
        /// The receiver asked for that pause.
        after: Option<Duration>,
    },
}

impl Sender {
    /// `dev_mode` takes any address; `direct` is for that.
    pub fn new(direct: Client, dev_mode: bool) -> Self {
        Self {
            dev_mode,
            direct,
            public: PublicClient::default(),
        }
    }

    /// The answer's status, if there was an answer, and what to make of it.
    pub(crate) async fn send(&self, url: &Url, message: Message<'_>) -> (Option<u16>, Verdict) {
        let client = match self.admit(url) {
            Ok(client) => client,
            Err(verdict) => return (None, verdict),
        };
        let request = client
            .post(url.clone())
            .timeout(BUDGET)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signatures)
            .body(message.body);
        match message.out.dress(request).send().await {
            Ok(response) => {
                let answer = (Some(response.status().as_u16()), judged(&response, url));
                drain(response).await;
                answer
            }
            Err(error) => (None, broken(error)),
        }
    }

    fn admit(&self, url: &Url) -> Result<&Client, Verdict> {
        if self.dev_mode {
            return Ok(&self.direct);
        }
        let forbidden = |why: &str| Err(Verdict::Forbidden(why.to_owned()));
        if url.scheme() != "https" {
            return forbidden("the address is not https");
        }
        if !url.host().is_some_and(|host| may_be_public(&host)) {
            return forbidden("the address is not public");
        }
        self.public.get().map_err(|error| Verdict::Failed {
            reason: cut(error.to_string()),
            after: None,
        })
    }
}

fn judged(response: &Response, from: &Url) -> Verdict {
    let status = response.status();
    if status.is_success() {
        return Verdict::Delivered;
    }
    if status == StatusCode::GONE {
        return Verdict::Gone;
    }
    let header = |name| response.headers().get(name);
    let location = header(LOCATION)
        .filter(|_| status.is_redirection())
        .and_then(|value| from.join(value.to_str().ok()?).ok());
    let reason = match location.as_ref().and_then(Url::host_str) {
        Some(host) => format!("redirect to {host}"),
        None => status.to_string(),
    };
    let after = header(RETRY_AFTER).and_then(|value| retry_after(value, Utc::now()));
    Verdict::Failed {
        reason: cut(reason),
        after,
    }
}

async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > ANSWER_MAX {
            break;
        }
    }
}

/// The innermost cause says most; the address, which may hold a secret, is left out.
fn broken(error: reqwest::Error) -> Verdict {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut innermost: &dyn Error = &error;
    while let Some(inner) = innermost.source() {
        if inner.is::<NotPublic>() {
            return Verdict::Forbidden("the name has no public address".to_owned());
        }
        innermost = inner;
    }
    let reason = match timed_out {
        true if error.is_connect() => "no connection in time".to_owned(),
        true => format!("no answer within {} s", BUDGET.as_secs()),
        false => format!("no connection: {innermost}"),
    };
    Verdict::Failed {
        reason: cut(reason),
        after: None,
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(REASON_MAX));
    text
}

#[cfg(test)]
mod tests;
