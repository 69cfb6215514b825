//! The other issuer's keys: remembered, and asked for anew when they grow old or a token names one that is not among them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use url::Url;

use super::Unverified;
use super::keys::{KeySet, NoKeySet};

/// Keys this old, in seconds, are asked for again.
const FRESH: u64 = 600;
/// Keys this old, in seconds, are good while the issuer is down, and no older ones.
const STALE: u64 = 24 * 3600;
/// Seconds between two tries for the sake of a `kid` that nobody knows, or of keys that are good still.
const REST: u64 = 60;
/// The same while there are no keys at all.
const REST_WITHOUT: u64 = 5;
/// The whole fetch.
const BUDGET: Duration = Duration::from_secs(3);
/// The longest document, in bytes.
const MAX_DOCUMENT: usize = 256 * 1024;

/// Remembers a set. Times are seconds since 1970 by the wall clock, since a frozen Lambda's monotonic one may stand still.
pub(super) struct Jwks {
    url: Url,
    client: Client,
    known: Mutex<Known>,
    /// Held while the issuer is asked: the others wait and share the answer.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Option<Arc<KeySet>>,
    /// When `keys` were fetched.
    fetched: u64,
    /// When the issuer was asked last, with success or without.
    tried: Option<u64>,
    /// How often it was asked.
    tries: u64,
}

/// Names no address: the log has it from the configuration's owner alone.
#[derive(Debug, thiserror::Error)]
enum Unfetched {
    #[error("no answer within {} s", BUDGET.as_secs())]
    Late,
    #[error(transparent)]
    Broken(reqwest::Error),
    #[error("it answered {0}")]
    Status(reqwest::StatusCode),
    #[error("more than {MAX_DOCUMENT} bytes")]
    TooLong,
    #[error(transparent)]
    NoKeySet(#[from] NoKeySet),
}

impl From<reqwest::Error> for Unfetched {
    fn from(error: reqwest::Error) -> Self {
        Self::Broken(error.without_url())
    }
}

impl Jwks {
    /// `client` must follow no redirect.
    pub(super) fn new(url: Url, client: Client) -> Self {
        Self {
            url,
            client,
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The set in which the key `kid` is, if the issuer has it. Asks for it at most once, and only when its turn has come.
    pub(super) async fn find(
        &self,
        kid: Option<&str>,
        now: u64,
    ) -> Result<Arc<KeySet>, Unverified> {
        let before = self.known();
        if before.is_settled(kid, now) {
            return before.at(now);
        }
        let _turn = self.turn.lock().await;
        let mut known = self.known();
        if known.tries == before.tries {
            match self.fetch().await {
                Ok(keys) => (known.keys, known.fetched) = (Some(Arc::new(keys)), now),
                Err(error) => {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::warn!(error, "the issuer's keys could not be fetched");
                }
            }
            known.tried = Some(now);
            known.tries += 1;
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known.clone();
        }
        known.at(now)
    }

    fn known(&self) -> Known {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    async fn fetch(&self) -> Result<KeySet, Unfetched> {
        let document = tokio::time::timeout(BUDGET, self.document());
        let document = document.await.map_err(|_| Unfetched::Late)??;
        Ok(KeySet::parse(&document)?)
    }

    async fn document(&self) -> Result<Vec<u8>, Unfetched> {
        let mut response = self.client.get(self.url.clone()).send().await?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(Unfetched::Status(response.status()));
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if document.len() + chunk.len() > MAX_DOCUMENT {
                return Err(Unfetched::TooLong);
            }
            document.extend_from_slice(&chunk);
        }
        Ok(document)
    }
}

impl Known {
    /// The keys, as long as they are good.
    fn at(self, now: u64) -> Result<Arc<KeySet>, Unverified> {
        let good = now.saturating_sub(self.fetched) < STALE;
        let keys = self.keys.filter(|_| good);
        keys.ok_or(Unverified::IssuerUnavailable)
    }

    /// Whether the issuer need not be asked, or may not be yet.
    fn is_settled(&self, kid: Option<&str>, now: u64) -> bool {
        let age = now.saturating_sub(self.fetched);
        let keys = self.keys.as_ref().filter(|_| age < STALE);
        let rest = keys.map_or(REST_WITHOUT, |_| REST);
        let rests = self.tried.is_some_and(|at| now.saturating_sub(at) < rest);
        let has = |keys: &Arc<KeySet>| keys.fitting(kid).next().is_some();
        rests || (age < FRESH && keys.is_some_and(has))
    }
}
