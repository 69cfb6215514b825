//! What must last: requests, plans, uploads, tracks and manifests, in a directory or an S3 bucket.
//!
//! Only this module knows a path:
//!
//! ```text
//! jobs/<id>/request.json              the accepted request        put_request_if_absent
//! jobs/<id>/plan.json                 the song plan               put_plan_if_absent
//! jobs/<id>/upload-<render>           audio as a model sent it    put_upload
//! jobs/<id>/upload-<render>.json      where audio can be fetched  put_source
//! jobs/<id>/track-<sha256>.<ext>      the checked audio           put_track
//! jobs/<id>/shared/<other job>        another job plays the track share_tracks
//! jobs/<id>/manifest-<generation>.json how it ended               put_manifest_if_absent
//! open/<id>.<generation>              it is not settled yet       put_open
//! keys/<tenant>/<key>[.<dead job>]    whose a key is              put_claim_if_absent
//! deleted/<id>                        the job is dead             put_tombstone
//! due/<id>/<name>                     what the end still owes     put_due
//! waiting/<line>/<id>.<generation>    what Redis has no room for  put_waiting
//! secrets/jobs/<id>                   signs for a job's webhook   put_job_secret
//! secrets/tenants/<tenant>/<secret>   signs for a tenant          put_tenant_secret
//! config/<name>/<revision>.json       what operators set          put_setting
//! intents/<id>.json                   an operator is about to act put_intent
//! audit/<when>-<id>.json              what operators did          put_audit
//! auth/users/<id>/<revision>.json     who may sign in             put_user
//! auth/names/<hash>/<revision>.json   whom a name means           put_user_name
//! auth/first-admin.json               the first admin was made    put_first_admin
//! auth/families/<family>/<n>.json     refresh tokens given out    put_family_token
//! auth/families/<family>/revoked.json none of them is good        revoke_family
//! auth/service-tokens/<jti>.json      what a token says           put_service_token
//! auth/revoked/<jti>.json             it was taken back           put_revoked
//! ```
//!
//! Every write is atomic: S3 puts are, and the directory store writes a temporary file, syncs it and renames it.

mod auth;
mod claim;
mod config;
mod due;
mod job;
mod name;
mod open;
mod place;
mod secret;
mod tombstone;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Attributes, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use place::Place;

use crate::job::JobId;
use crate::reason::Reason;

pub use auth::FamilyState;
pub use due::Note;
pub use job::{Remains, Standing};
pub use place::Pace;
pub use waiting::{WaitingLine, WaitingName};

/// Largest object that is read whole: 64 MiB.
pub const MAX_OBJECT: u64 = 64 << 20;

/// Most markers in one page of `open/`.
pub const MAX_PAGE: usize = 1000;

const READY_WITHIN: Duration = Duration::from_secs(3);

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is neither `file:///directory` nor `s3://bucket/prefix`, or the directory cannot be made.
    #[error("ARTIFACTS_URL {0}")]
    Address(String),
    /// The store did not answer or refused; another try may go well.
    #[error("object store: {0}")]
    Unavailable(#[from] object_store::Error),
    /// The object was there when it was to be written and gone when it was to be read; another try may go well.
    #[error("object {path} vanished while it was being written")]
    Vanished { path: String },
    /// No answer in time.
    #[error("object store: no answer within {0:?}")]
    TimedOut(Duration),
    /// The job is dead: what was put for it was taken back.
    #[error("job {id} was deleted; nothing is kept for it")]
    Deleted { id: JobId },
    /// The object is larger than anything that was put here.
    #[error("object {path} has {size} bytes, more than is read whole")]
    TooLarge { path: String, size: u64 },
    /// The object is not the JSON that belongs there, or the value cannot become JSON.
    #[error("object {path} does not hold what it should: {source}")]
    Unreadable {
        path: String,
        source: serde_json::Error,
    },
}

impl StoreError {
    /// The object has another shape than this version reads: asking again soon does not help.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::TooLarge { .. })
    }
}

/// Of a store that was asked whether it is there.
impl From<&StoreError> for Reason {
    fn from(error: &StoreError) -> Self {
        use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
        match error {
            StoreError::TimedOut(_) => Self::Timeout,
            StoreError::Unavailable(Unauthenticated { .. } | PermissionDenied { .. }) => {
                Self::Unauthorized
            }
            StoreError::Unavailable(NotFound { .. }) | StoreError::Address(_) => Self::NotFound,
            StoreError::Unavailable(other) => Self::of(other),
            StoreError::Vanished { .. }
            | StoreError::Deleted { .. }
            | StoreError::TooLarge { .. }
            | StoreError::Unreadable { .. } => Self::Malformed,
        }
    }
}

/// What became of a put-if-absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is new.
    Stored,
    /// Something was there before and still is.
    Existed,
}

/// A part of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed<T> {
    pub entries: T,
    /// Objects whose names have another shape: they are passed over.
    pub misnamed: u32,
}

/// A handle on the objects; clones share one client.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    place: Place,
}

impl Store {
    /// Opens `file:///directory` (made if absent) or `s3://bucket/prefix`; asks the network nothing.
    pub fn open(url: &Url, pace: Pace) -> Result<Self, StoreError> {
        let (objects, place) = place::open(url, pace)?;
        Ok(Self { objects, place })
    }

    /// Whether the store answers now; at most 3 s.
    pub async fn ready(&self) -> Result<(), StoreError> {
        tokio::time::timeout(READY_WITHIN, self.place.probe(self.objects()?))
            .await
            .map_err(|_| StoreError::TimedOut(READY_WITHIN))?
    }

    /// The objects, unless the whole directory is away: what it held is not gone, and nothing may be
    /// written where it was.
    fn objects(&self) -> Result<&dyn ObjectStore, StoreError> {
        self.place.is_there()?;
        Ok(self.objects.as_ref())
    }

    /// The object path of `parts` below the configured prefix. A part with unsafe characters is percent-encoded.
    fn path(&self, parts: &[&str]) -> Path {
        parts
            .iter()
            .fold(self.place.prefix(), |path, part| path.join(*part))
    }

    async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), StoreError> {
        self.objects()?.put(path, bytes.into()).await?;
        Ok(())
    }

    async fn put_if_absent(&self, path: &Path, bytes: Bytes) -> Result<Put, StoreError> {
        self.put_new(path, bytes, Attributes::default()).await
    }

    async fn put_new(
        &self,
        path: &Path,
        bytes: Bytes,
        attributes: Attributes,
    ) -> Result<Put, StoreError> {
        let options = PutOptions {
            mode: PutMode::Create,
            attributes,
            ..PutOptions::default()
        };
        match self.objects()?.put_opts(path, bytes.into(), options).await {
            Ok(_) => Ok(Put::Stored),
            Err(object_store::Error::AlreadyExists { source, .. })
                if self.place.says_existed(source.as_ref()) =>
            {
                Ok(Put::Existed)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn get(&self, path: &Path) -> Result<Option<Bytes>, StoreError> {
        let Some(found) = present::<GetResult>(self.objects()?.get(path).await)? else {
            return Ok(None);
        };
        // Judged by what is being read, not by an earlier look: an upload may have been replaced since.
        if found.meta.size > MAX_OBJECT {
            return Err(StoreError::TooLarge {
                path: path.to_string(),
                size: found.meta.size,
            });
        }
        Ok(Some(found.bytes().await?))
    }

    async fn get_json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.get(path).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| unreadable(path, source))
    }

    async fn remove(&self, path: &Path) -> Result<(), StoreError> {
        present(self.objects()?.delete(path).await)?;
        Ok(())
    }
}

fn json<T: Serialize>(path: &Path, value: &T) -> Result<Bytes, StoreError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: serde_json::Error) -> StoreError {
    StoreError::Unreadable {
        path: path.to_string(),
        source,
    }
}

/// An object that is not there is an answer, not an error.
fn present<T>(answer: object_store::Result<T>) -> Result<Option<T>, StoreError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod testing {
    use std::path::PathBuf;

    use super::*;

    /// A store in a directory of its own, removed with it.
    pub(super) struct Scratch {
        pub(super) store: Store,
        pub(super) dir: PathBuf,
    }

    impl Scratch {
        pub(super) fn new() -> Self {
            let dir = std::env::temp_dir().join(format!("store-{}", uuid::Uuid::now_v7()));
            let url = Url::from_directory_path(&dir).unwrap();
            Self {
                store: Store::open(&url, Pace::Prompt).unwrap(),
                dir,
            }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
