//! What operators set, from the object store into Redis: by an operator's change, and again whenever Redis may have forgotten it.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
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

/// Makes Redis agree with the store on every setting, and lets an emptied one give out jobs again. Returns how many were new to it.
pub async fn sync(clients: &Clients) -> Result<u32, Unreachable> {
    let newest = clients.store.settings().await?;
    let (names, revisions): (Vec<TenantId>, Vec<u64>) = tenants_of(&newest).unzip();
    let (queue, known) = clients.queue.revisions(&names).await?;

    let mut last = Settings {
        loaded: true,
        ..Settings::default()
    };
    if let Some(revision) = newest.get(QUEUE).filter(|newest| Some(**newest) > queue) {
        let found = clients.store.setting(&[QUEUE], *revision).await?;
        last.queue = found.map(|settings| revised(*revision, settings));
    }
    let behind = names
        .into_iter()
        .zip(revisions)
        .zip(known)
        .filter(|((_, newest), known)| Some(*newest) > *known)
        .map(|((tenant, revision), _)| read_tenant(clients, tenant, revision));
    let found: Vec<_> = stream::iter(behind)
        .buffer_unordered(READS)
        .try_collect()
        .await?;
    let found: Vec<_> = found.into_iter().flatten().collect();
    let parts = found.chunks(MAX_TENANTS).map(|some| Settings {
        tenants: some.to_vec(),
        ..Settings::default()
    });
    let mut applied = 0;
    for settings in parts.chain([last]) {
        let answer = clients.queue.configure(&settings).await?;
        applied += answer.outcome;
        // Whoever calls this acquires, or rings for everybody, right afterwards.
        settle::pay(clients, answer.debt.without_bells(), None).await;
    }
    Ok(applied)
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
    let newest = clients.store.settings().await?;
    Ok(tenants_of(&newest).map(|(tenant, _)| tenant).collect())
}
