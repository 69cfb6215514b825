//! A bucket in memory that answers as late as S3 does. It knows as much of S3's protocol as the functions use.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ETAG, LAST_MODIFIED};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use bytes::Bytes;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Result;

/// Names of one answer to a list.
const PAGE: usize = 1000;
const MODIFIED: &str = "2026-01-01T00:00:00.000Z";

/// What was asked of it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) lists: AtomicU64,
    pub(super) reads: AtomicU64,
    pub(super) changes: AtomicU64,
}

/// It ends with its owner.
pub(super) struct Bucket {
    objects: Arc<Objects>,
    pub(super) endpoint: String,
    server: JoinHandle<std::io::Result<()>>,
}

struct Objects {
    late: Duration,
    kept: Mutex<BTreeMap<String, Bytes>>,
    asked: Asked,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Bucket {
    pub(super) const NAME: &str = "artifacts";

    pub(super) async fn start(late: Duration) -> Result<Self> {
        let objects = Arc::new(Objects {
            late,
            kept: Mutex::default(),
            asked: Asked::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(objects.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            objects,
            endpoint,
            server,
        })
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.objects.asked
    }

    pub(super) fn put(&self, key: String, object: impl Into<Bytes>) {
        self.objects.kept().insert(key, object.into());
    }

    pub(super) fn get(&self, key: &str) -> Option<Bytes> {
        self.objects.kept().get(key).cloned()
    }
}

impl Objects {
    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer to ListObjectsV2. Of the folders below the prefix none is named: whoever asks for a delimiter wants files.
    fn list(&self, query: &BTreeMap<String, String>) -> String {
        let given = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let prefix = given("prefix");
        let after = given("start-after").max(given("continuation-token"));
        let from = match after > prefix {
            true => Excluded(after.to_owned()),
            false => Included(prefix.to_owned()),
        };
        let kept = self.kept();
        let names = kept
            .range((from, Unbounded))
            .map(|(key, object)| (key, object.len()));
        let names = names.take_while(|(key, _)| key.starts_with(prefix));
        let files = |key: &str| given("delimiter").is_empty() || !key[prefix.len()..].contains('/');
        let mut names = names.filter(|(key, _)| files(key));
        let (mut text, mut last) = (String::new(), None);
        for (key, size) in names.by_ref().take(PAGE) {
            last = Some(key);
            let _ = write!(
                text,
                "<Contents><Key>{key}</Key><LastModified>{MODIFIED}</LastModified><ETag>\"1\"</ETag><Size>{size}</Size></Contents>"
            );
        }
        let more = last.filter(|_| names.next().is_some());
        let next = more.map(|key| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
        format!(
            "<ListBucketResult><IsTruncated>{}</IsTruncated>{}{text}</ListBucketResult>",
            next.is_some(),
            next.unwrap_or_default()
        )
    }
}

async fn answer(
    State(objects): State<Arc<Objects>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    tokio::time::sleep(objects.late).await;
    let url = Url::parse("http://localhost").and_then(|base| base.join(&uri.to_string()));
    let Ok(url) = url else {
        return plain(StatusCode::BAD_REQUEST, Bytes::new());
    };
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let path = url.path().trim_start_matches('/');
    let key = path.strip_prefix(Bucket::NAME).unwrap_or(path);
    let key = key.trim_start_matches('/').to_owned();
    let count = |counter: &AtomicU64| counter.fetch_add(1, Relaxed);
    match method {
        Method::GET if query.contains_key("list-type") => {
            count(&objects.asked.lists);
            plain(StatusCode::OK, objects.list(&query).into())
        }
        Method::GET | Method::HEAD => {
            count(&objects.asked.reads);
            let found = objects.kept().get(&key).cloned();
            match found {
                Some(object) => plain(StatusCode::OK, object),
                None => plain(StatusCode::NOT_FOUND, Bytes::new()),
            }
        }
        Method::PUT => {
            count(&objects.asked.changes);
            let mut kept = objects.kept();
            if headers.contains_key("if-none-match") && kept.contains_key(&key) {
                return plain(StatusCode::PRECONDITION_FAILED, Bytes::new());
            }
            kept.insert(key, body);
            plain(StatusCode::OK, Bytes::new())
        }
        Method::DELETE => {
            count(&objects.asked.changes);
            objects.kept().remove(&key);
            plain(StatusCode::NO_CONTENT, Bytes::new())
        }
        _ => plain(StatusCode::NOT_IMPLEMENTED, Bytes::new()),
    }
}

fn plain(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(ETAG, HeaderValue::from_static("\"1\""));
    let modified = HeaderValue::from_static("Thu, 01 Jan 2026 00:00:00 GMT");
    headers.insert(LAST_MODIFIED, modified);
    answer
}
