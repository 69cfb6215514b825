//! What operators set, from the object store into Redis: by an operator's change, and again whenever Redis may have forgotten it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clients::Clients;
use crate::job::TenantId;
use crate::lookup::Unreachable;
use crate::queue::{MAX_TENANTS, QueueSettings, Revised, Settings, TenantSettings};
use crate::settle;
use crate::store::{Put, StoreError};

/// The setting's name in the store.
const QUEUE: &str = "queue";
const TENANTS: &str = "tenants";
/// Objects read at the same time.
const READS: usize = 16;
/// The longest that a comparison with the store may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Something that operators set.
pub trait Setting:
    Default + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync
{
    /// Whose setting it is.
    type Of: Send + Sync;
    /// Its name in the store.
    fn name(of: &Self::Of) -> Vec<&str>;
    /// What `configure` is told.
    fn settings(of: &Self::Of, revised: Revised<Self>) -> Settings;
}

impl Setting for QueueSettings {
    type Of = ();

    fn name((): &()) -> Vec<&str> {
        vec![QUEUE]
    }

    fn settings((): &(), revised: Revised<Self>) -> Settings {
        Settings {
            queue: Some(revised),
            ..Settings::default()
        }
    }
}

impl Setting for TenantSettings {
    type Of = TenantId;

    fn name(of: &TenantId) -> Vec<&str> {
        vec![TENANTS, of.as_str()]
    }

    fn settings(of: &TenantId, revised: Revised<Self>) -> Settings {
        Settings {
            tenants: vec![(of.clone(), revised)],
            ..Settings::default()
        }
    }
}

/// What came of comparing Redis with the settings in the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    /// Settings that were new to Redis.
    pub applied: u32,
    /// Settings that this version cannot read: what Redis has of them stays in force.
    pub passed_over: u32,
}

/// Makes Redis agree with the store on every setting that can be read, and lets an emptied one give out jobs again. Takes at most
/// [`PATIENCE`].
pub async fn sync(clients: &Clients) -> Result<Synced, Unreachable> {
    let out_of_time = |_| Err(StoreError::TimedOut(PATIENCE).into());
    let synced = tokio::time::timeout(PATIENCE, sync_all(clients)).await;
    synced.unwrap_or_else(out_of_time)
}

async fn sync_all(clients: &Clients) -> Result<Synced, Unreachable> {
    let (queue, tenants) = tokio::try_join!(
        clients.store.settings(QUEUE),
        clients.store.settings(TENANTS)
    )?;
    let mut read = Read {
        passed_over: queue.misnamed + tenants.misnamed,
        missed: None,
    };
    let newest = queue.entries.get(QUEUE).copied();
    let (names, revisions): (Vec<TenantId>, Vec<u64>) = tenants_of(&tenants.entries).unzip();
    let (queue, known) = clients.queue.revisions(&names).await?;

    let own = match newest.filter(|newest| Some(*newest) > queue) {
        Some(revision) => {
            let found = clients.store.setting(&[QUEUE], revision).await;
            let settings = read.take(QUEUE, found).flatten();
            settings.map(|settings| revised(revision, settings))
        }
        None => None,
    };
    let behind = names
        .into_iter()
        .zip(revisions)
        .zip(known)
        .filter(|((_, newest), known)| Some(*newest) > *known)
        .map(|((tenant, revision), _)| async move {
            (tenant.clone(), read_tenant(clients, tenant, revision).await)
        });
    let found: Vec<_> = stream::iter(behind).buffer_unordered(READS).collect().await;
    let found: Vec<_> = found
        .into_iter()
        .filter_map(|(tenant, found)| read.take(tenant.as_str(), found)?)
        .collect();
    let parts = found.chunks(MAX_TENANTS).map(|some| Settings {
        tenants: some.to_vec(),
        ..Settings::default()
    });
    let last = Settings {
        queue: own,
        // A store that is away might hold back a pause: jobs wait until it can be asked.
        loaded: read.missed.is_none(),
        ..Settings::default()
    };
    let mut synced = Synced {
        applied: 0,
        passed_over: read.passed_over,
    };
    for settings in parts {
        let answer = clients.queue.configure(&settings).await?;
        synced.applied += answer.outcome;
        settle::pay(clients, answer.debt.without_bells(), None).await;
    }
    let answer = clients.queue.configure(&last).await?;
    synced.applied += answer.outcome;
    settle::pay(clients, answer.debt, None).await;
    read.missed.map_or(Ok(synced), |error| Err(error.into()))
}

/// Takes note of settings that could not be read.
struct Read {
    passed_over: u32,
    /// The store did not give one of them; it may the next time.
    missed: Option<StoreError>,
}

impl Read {
    fn take<T>(&mut self, name: &str, found: Result<T, StoreError>) -> Option<T> {
        match found {
            Ok(found) => return Some(found),
            Err(error) if error.is_unreadable() => {
                tracing::error!(name, error = %error, "a setting cannot be read and is passed over");
                self.passed_over += 1;
            }
            Err(error) => self.missed = Some(error),
        }
        None
    }
}

/// The tenants among all settings, with the newest revision of each.
fn tenants_of(newest: &BTreeMap<String, u64>) -> impl Iterator<Item = (TenantId, u64)> {
    newest.iter().filter_map(|(name, revision)| {
        let tenant = name.strip_prefix(TENANTS)?.strip_prefix('/')?;
        Some((TenantId::stored(tenant), *revision))
    })
}

async fn read_tenant(
    clients: &Clients,
    tenant: TenantId,
    revision: u64,
) -> Result<Option<(TenantId, Revised<TenantSettings>)>, StoreError> {
    let name = [TENANTS, tenant.as_str()];
    let found = clients.store.setting(&name, revision).await?;
    Ok(found.map(|settings| (tenant.clone(), revised(revision, settings))))
}

fn revised<T>(revision: u64, settings: T) -> Revised<T> {
    Revised { revision, settings }
}

/// A setting as it stands in the store.
pub async fn now<T: Setting>(clients: &Clients, of: &T::Of) -> Result<Revised<T>, Unreachable> {
    let (settings, revision) = clients.store.newest_setting(&T::name(of)).await?;
    Ok(revised(revision, settings))
}

/// Stores the next revision; false if somebody else was quicker.
pub async fn store<T: Setting>(
    clients: &Clients,
    of: &T::Of,
    next: &Revised<T>,
) -> Result<bool, Unreachable> {
    let (name, store) = (T::name(of), &clients.store);
    let put = store.put_setting(&name, next.revision, &next.settings);
    Ok(put.await? == Put::Stored)
}

/// Tells Redis; the next acquire goes by it. Again: no harm.
pub async fn put_in_force<T: Setting>(
    clients: &Clients,
    of: &T::Of,
    now: Revised<T>,
) -> Result<(), Unreachable> {
    let answer = clients.queue.configure(&T::settings(of, now)).await?;
    settle::pay(clients, answer.debt, None).await;
    Ok(())
}

/// The tenants that operators have set something of, by name.
pub async fn configured_tenants(clients: &Clients) -> Result<Vec<TenantId>, Unreachable> {
    let listed = clients.store.settings(TENANTS).await?;
    Ok(tenants_of(&listed.entries)
        .map(|(tenant, _)| tenant)
        .collect())
}
