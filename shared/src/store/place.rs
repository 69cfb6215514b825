//! Where the objects are: opening a directory or a bucket, and what differs between the two.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig,
};
use reqwest::Method;
use url::Url;

use super::StoreError;
use crate::track::Format;

#[derive(Clone)]
pub(super) enum Place {
    Directory(PathBuf),
    Bucket { s3: Arc<AmazonS3>, prefix: Path },
}

/// How long a bucket may take for one call, all tries together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Seven seconds: a caller waits, and must have his answer before Lambda ends the function.
    Prompt,
    /// A minute and a quarter: whole tracks are moved, under a lease that is renewed meanwhile.
    Patient,
}

impl Pace {
    /// Time of one try, and time after which none begins.
    fn limits(self) -> (Duration, Duration) {
        let (one, all) = match self {
            Self::Prompt => (3, 4),
            Self::Patient => (30, 45),
        };
        (Duration::from_secs(one), Duration::from_secs(all))
    }
}

pub(super) fn open(url: &Url, pace: Pace) -> Result<(Arc<dyn ObjectStore>, Place), StoreError> {
    match url.scheme() {
        "file" => open_directory(url),
        // Credentials, region and endpoint come from AWS_*, the way every SDK reads them.
        "s3" => open_bucket(AmazonS3Builder::from_env(), url, pace),
        other => Err(StoreError::Address(format!(
            "must begin with file:// or s3://, not {other}://"
        ))),
    }
}

fn open_directory(url: &Url) -> Result<(Arc<dyn ObjectStore>, Place), StoreError> {
    let dir = url
        .to_file_path()
        .map_err(|()| StoreError::Address("must name an absolute directory".to_owned()))?;
    // Without a slash at the end, which would ask for a directory.
    let dir: PathBuf = dir.components().collect();
    let made = std::fs::create_dir_all(&dir);
    // Synced, because a job is accepted on the word of this store.
    let files = match (LocalFileSystem::new_with_prefix(&dir), made) {
        // Something stands in its place: calls fail until the directory is back.
        (Ok(files), _) => files.with_fsync(true),
        (Err(_), Err(e)) => {
            let dir = dir.display();
            let why = format!("names {dir}, which cannot be made: {e}");
            return Err(StoreError::Address(why));
        }
        (Err(error), Ok(())) => return Err(error.into()),
    };
    Ok((Arc::new(files), Place::Directory(dir)))
}

fn open_bucket(
    builder: AmazonS3Builder,
    url: &Url,
    pace: Pace,
) -> Result<(Arc<dyn ObjectStore>, Place), StoreError> {
    let bucket = url
        .host_str()
        .filter(|bucket| !bucket.is_empty())
        .ok_or_else(|| StoreError::Address("must name a bucket".to_owned()))?;
    let prefix = Path::from_url_path(url.path())
        .map_err(|e| StoreError::Address(format!("has a prefix that is no object path: {e}")))?;
    let (one, all) = pace.limits();
    let one = format!("{}s", one.as_secs());
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let client = |key, value: &str| (AmazonS3ConfigKey::Client(key), value.to_owned());
    let settings = [
        client(
            ClientConfigKey::AllowHttp,
            if plain { "true" } else { "false" },
        ),
        client(ClientConfigKey::ConnectTimeout, "2s"),
        client(ClientConfigKey::Timeout, &one),
        // A thawed function must not write into a connection that died while it was frozen.
        client(ClientConfigKey::PoolIdleTimeout, "5s"),
    ];
    let s3 = settings
        .into_iter()
        .fold(builder, |builder, (key, value)| {
            builder.with_config(key, value)
        })
        .with_bucket_name(bucket)
        .with_retry(retries(all))
        .build()?;
    let s3 = Arc::new(s3);
    Ok((s3.clone(), Place::Bucket { s3, prefix }))
}

/// Three more tries, none of which begins after `all`, with exponential backoff and jitter.
fn retries(all: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: 3,
        retry_timeout: all,
    }
}

impl Place {
    pub(super) fn prefix(&self) -> Path {
        match self {
            Self::Directory(_) => Path::default(),
            Self::Bucket { prefix, .. } => prefix.clone(),
        }
    }

    /// A bucket lists in order of key; a directory does not.
    pub(super) fn lists_in_order(&self) -> bool {
        matches!(self, Self::Bucket { .. })
    }

    /// The media type of a track, for who follows a signed link; a directory keeps no attributes.
    pub(super) fn attributes(&self, name: &str) -> Attributes {
        let format = Format::ALL
            .into_iter()
            .find(|format| name.ends_with(format.extension()));
        match (self, format) {
            (Self::Bucket { .. }, Some(format)) => {
                Attributes::from_iter([(Attribute::ContentType, format.media_type())])
            }
            _ => Attributes::default(),
        }
    }

    /// Tells "it was there" (412 from S3) from "somebody else is writing or deleting it" (409), which asks for another try.
    pub(super) fn says_existed(&self, source: &(dyn std::error::Error + 'static)) -> bool {
        match self {
            Self::Directory(_) => true,
            Self::Bucket { .. } => source.is::<object_store::Error>(),
        }
    }

    /// An error if the directory is away, which would look like an empty one. A bucket says so itself.
    pub(super) fn is_there(&self) -> Result<(), object_store::Error> {
        let Self::Directory(dir) = self else {
            return Ok(());
        };
        std::fs::read_dir(dir)
            .map(drop)
            .map_err(|source| object_store::Error::Generic {
                store: "directory",
                source: source.into(),
            })
    }

    /// Asks a bucket for anything; that a directory is there has been seen.
    pub(super) async fn probe(&self, objects: &dyn ObjectStore) -> Result<(), StoreError> {
        if let Self::Bucket { prefix, .. } = self {
            let open = prefix.clone().join("open");
            objects.list(Some(&open)).try_next().await?;
        }
        Ok(())
    }

    /// A link for one method on the object, good until `expires` from now and no longer than the credentials live; none for a
    /// directory.
    pub(super) async fn signed(
        &self,
        method: Method,
        path: &Path,
        expires: Duration,
    ) -> Result<Option<Url>, StoreError> {
        match self {
            Self::Directory(_) => Ok(None),
            Self::Bucket { s3, .. } => Ok(Some(s3.signed_url(method, path, expires).await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use object_store::ObjectStoreExt;
    use object_store::path::Path;

    use super::super::Store;
    use super::super::testing::Scratch;
    use super::*;

    #[test]
    fn an_address_of_another_kind_is_refused_and_named() {
        for (address, word) in [
            ("http://example.com/x", "file://"),
            ("redis://localhost", "s3://"),
            ("s3:///prefix", "bucket"),
        ] {
            let refused = Store::open(&address.parse().unwrap(), Pace::Prompt);
            let refused = refused.err().unwrap();
            assert!(refused.to_string().contains(word), "{address}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_call_to_a_silent_bucket_ends_long_before_the_function_does() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let builder = AmazonS3Builder::new()
            .with_region("eu-central-1")
            .with_endpoint(endpoint)
            .with_access_key_id("id")
            .with_secret_access_key("secret");
        let bucket = Url::parse("s3://bucket").unwrap();
        let (objects, _) = open_bucket(builder, &bucket, Pace::Prompt).unwrap();
        let begin = Instant::now();
        let path = Path::from("open/x");
        let (put, got) = tokio::join!(objects.put(&path, "x".into()), objects.get(&path));
        assert!(put.is_err() && got.is_err());
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(8), "{took:?}");
    }

    #[tokio::test]
    async fn a_store_is_ready_while_its_directory_is_there() {
        let scratch = Scratch::new();
        scratch.store.ready().await.unwrap();
        std::fs::remove_dir_all(&scratch.dir).unwrap();
        assert!(scratch.store.ready().await.is_err());
    }

    #[tokio::test]
    async fn a_store_that_is_away_at_the_start_is_there_when_its_directory_is() {
        let scratch = Scratch::new();
        std::fs::remove_dir_all(&scratch.dir).unwrap();
        std::fs::write(&scratch.dir, "").unwrap();
        let url = Url::from_directory_path(&scratch.dir).unwrap();
        let store = Store::open(&url, Pace::Prompt).unwrap();
        assert!(store.ready().await.is_err());
        std::fs::remove_file(&scratch.dir).unwrap();
        std::fs::create_dir(&scratch.dir).unwrap();
        store.ready().await.unwrap();
    }
}
