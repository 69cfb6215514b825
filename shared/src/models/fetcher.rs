//! Audio from an address that somebody else gave us.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Client;
use url::{Host, Url};

use super::MAX_AUDIO;
use super::call::{Outgoing, read, send, within};
use super::error::{Fault, ModelError, Service};
use crate::address::{PublicClient, may_be_public};

const SERVICE: Service = Service::AudioUrl;
const BUDGET: Duration = Duration::from_secs(60);

/// Fetches `audioUrl`s. Public https only, except from the hosts that the operator trusts.
#[derive(Clone)]
pub struct Fetcher {
    trusted: Arc<HashSet<String>>,
    dev_mode: bool,
    direct: Client,
    /// For strangers.
    public: PublicClient,
}

impl Fetcher {
    /// `direct` calls whom we trust. `trusted`: `host` (any port) or `host:port`, of the configured models and of `MODEL_HOSTS`. `dev_mode` trusts everybody.
    pub fn new<T: AsRef<str>>(
        direct: Client,
        trusted: impl IntoIterator<Item = T>,
        dev_mode: bool,
    ) -> Self {
        let lower = |host: T| host.as_ref().trim().to_ascii_lowercase();
        Self {
            trusted: Arc::new(trusted.into_iter().map(lower).collect()),
            dev_mode,
            direct,
            public: PublicClient::default(),
        }
    }

    /// The bytes behind `address`: at most 64 MiB, within 60 s, no redirects.
    pub async fn fetch(&self, address: &str, out: &Outgoing) -> Result<Bytes, ModelError> {
        self.fetch_bounded(address, out, MAX_AUDIO).await
    }

    async fn fetch_bounded(
        &self,
        address: &str,
        out: &Outgoing,
        limit: usize,
    ) -> Result<Bytes, ModelError> {
        let (url, client) = self.admit(address)?;
        let call = async {
            let mut response = send(SERVICE, client.get(url), out).await?;
            read(SERVICE, &mut response, limit).await
        };
        within(SERVICE, BUDGET, call).await
    }

    /// The client that may call this address.
    fn admit(&self, address: &str) -> Result<(Url, &Client), ModelError> {
        let url = Url::parse(address).map_err(|e| forbidden(&format!("no URL: {e}")))?;
        let host = url.host().ok_or_else(|| forbidden("no host"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(forbidden("neither http nor https"));
        }
        if self.dev_mode || self.trusts(&url, &host) {
            return Ok((url, &self.direct));
        }
        if url.scheme() != "https" {
            return Err(forbidden("not https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(forbidden("it holds a password"));
        }
        if !may_be_public(&host) {
            return Err(forbidden("it is not public"));
        }
        let client = self.public.get();
        let client = client.map_err(|e| SERVICE.unavailable(e.to_string()))?;
        Ok((url, client))
    }

    fn trusts(&self, url: &Url, host: &Host<&str>) -> bool {
        let host = host.to_string();
        let with_port = url
            .port_or_known_default()
            .map(|port| format!("{host}:{port}"));
        self.trusted.contains(&host) || with_port.is_some_and(|one| self.trusted.contains(&one))
    }
}

fn forbidden(why: &str) -> ModelError {
    SERVICE.failed(Fault::Forbidden(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::response::Redirect;
    use axum::routing::get;

    use super::super::testing::{out, serve};
    use super::*;

    fn fetcher(trusted: &[&str], dev_mode: bool) -> Fetcher {
        Fetcher::new(super::super::http_client().unwrap(), trusted, dev_mode)
    }

    async fn files() -> Url {
        let endless = async || {
            let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![0; 1000]));
            Body::from_stream(futures_util::stream::repeat_with(chunk))
        };
        let files = Router::new()
            .route("/1.wav", get("RIFF"))
            .route("/endless", get(endless))
            .route("/moved", get(async || Redirect::temporary("/1.wav")));
        serve(files).await
    }

    fn code(refused: Result<Bytes, ModelError>) -> String {
        refused.unwrap_err().code()
    }

    #[tokio::test]
    async fn a_trusted_host_is_fetched_from_also_by_http_and_in_private() {
        let base = files().await;
        let url = format!("{base}1.wav");
        let port = base.port().unwrap();
        for fetcher in [
            fetcher(&["127.0.0.1"], false),
            fetcher(&[&format!("127.0.0.1:{port}")], false),
            fetcher(&[], true),
        ] {
            assert_eq!(fetcher.fetch(&url, &out()).await.unwrap(), "RIFF");
        }
        let other_port = format!("127.0.0.1:{}", port ^ 1);
        for fetcher in [fetcher(&[], false), fetcher(&[&other_port], false)] {
            assert_eq!(
                code(fetcher.fetch(&url, &out()).await),
                "audio_url_forbidden"
            );
        }
    }

    #[tokio::test]
    async fn what_is_not_public_https_is_forbidden() {
        let fetcher = fetcher(&["models.example"], false);
        for address in [
            "",
            "/jobs/1",
            "ftp://models.example/1.wav",
            "file:///etc/passwd",
            "http://example.com/1.wav",
            "https://user:secret@example.com/1.wav",
            "https://127.0.0.1/1.wav",
            "https://2130706433/1.wav",
            "https://0x7f.1/1.wav",
            "https://169.254.169.254/latest",
            "https://[::1]/1.wav",
            "https://[::ffff:10.0.0.1]/1.wav",
            "https://localhost/1.wav",
            "https://LOCALHOST:6379/",
        ] {
            assert_eq!(
                code(fetcher.fetch(address, &out()).await),
                "audio_url_forbidden",
                "{address}"
            );
        }
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let url = format!("{}moved", files().await);
        let fetched = fetcher(&["127.0.0.1"], false).fetch(&url, &out()).await;
        assert_eq!(code(fetched), "audio_url_refused");
    }

    #[tokio::test]
    async fn reading_stops_at_the_bound() {
        let url = format!("{}endless", files().await);
        let fetcher = fetcher(&["127.0.0.1"], false);
        let fetched = fetcher.fetch_bounded(&url, &out(), 10_000).await;
        assert_eq!(code(fetched), "audio_url_too_large");
    }
}
