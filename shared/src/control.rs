//! What operators set, from the object store into Redis: by an operator's change, and again whenever Redis may have forgotten it.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::clients::Clients;
use crate::job::TenantId;
use crate::lookup::Unreachable;
use crate::queue::{Debt, MAX_TENANTS, QueueSettings, Revised, Settings, TenantSettings};
use crate::settle;
use crate::store::StoreError;

/// The setting's name in the store.
const QUEUE: &str = "queue";
const TENANTS: &str = "tenants";
/// Objects read at the same time.
const READS: usize = 16;

/// Told of a change before it is made, with what was and what will be; where it fails, nothing is changed.
pub trait Announce<T>: AsyncFn(&T, &T) -> Result<(), Unreachable> {}
impl<T, F: AsyncFn(&T, &T) -> Result<(), Unreachable>> Announce<T> for F {}

/// Makes Redis agree with the store on every setting, and lets an emptied one give out jobs again. Returns how many were new to it.
pub async fn sync(clients: &Clients) -> Result<u32, Unreachable> {
    let newest = clients.store.settings().await?;
    let tenants: Vec<(TenantId, u64)> = newest
        .iter()
        .filter_map(|(name, revision)| {
            let tenant = name.strip_prefix("tenants/")?;
            Some((TenantId::stored(tenant), *revision))
        })
        .collect();
    let names: Vec<TenantId> = tenants.iter().map(|(tenant, _)| tenant.clone()).collect();
    let (queue, known) = clients.queue.revisions(&names).await?;

    let mut settings = Settings::default();
    if let Some(revision) = newest.get(QUEUE).filter(|newest| Some(**newest) > queue) {
        let found = clients.store.setting(&[QUEUE], *revision).await?;
        settings.queue = found.map(|settings| revised(*revision, settings));
    }
    let behind = tenants
        .into_iter()
        .zip(known)
        .filter(|((_, newest), known)| Some(*newest) > *known)
        .map(|((tenant, revision), _)| read_tenant(clients, tenant, revision));
    let found: Vec<_> = stream::iter(behind)
        .buffer_unordered(READS)
        .try_collect()
        .await?;
    let found: Vec<_> = found.into_iter().flatten().collect();
    let mut applied = 0;
    for some in found.chunks(MAX_TENANTS) {
        let part = Settings {
            tenants: some.to_vec(),
            ..Settings::default()
        };
        let answer = clients.queue.configure(&part).await?;
        applied += answer.outcome;
        settle::pay(clients, answer.debt, None).await;
    }
    settings.loaded = true;
    let answer = clients.queue.configure(&settings).await?;
    settle::pay(clients, answer.debt.without_bells(), None).await;
    Ok(applied + answer.outcome)
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

/// Changes the queue's settings; in force from the next acquire.
pub async fn change_queue(
    clients: &Clients,
    change: impl Fn(&mut QueueSettings),
    announce: impl Announce<QueueSettings>,
) -> Result<QueueSettings, Unreachable> {
    let changed = clients
        .store
        .change_setting(&[QUEUE], change, announce)
        .await?;
    let settings = Settings {
        queue: Some(revised(changed.revision, changed.after.clone())),
        ..Settings::default()
    };
    put_in_force(clients, settings).await?;
    Ok(changed.after)
}

/// Changes a tenant's settings; in force from the next acquire.
pub async fn change_tenant(
    clients: &Clients,
    tenant: &TenantId,
    change: impl Fn(&mut TenantSettings),
    announce: impl Announce<TenantSettings>,
) -> Result<TenantSettings, Unreachable> {
    let name = [TENANTS, tenant.as_str()];
    let changed = clients
        .store
        .change_setting(&name, change, announce)
        .await?;
    let settings = Settings {
        tenants: vec![(
            tenant.clone(),
            revised(changed.revision, changed.after.clone()),
        )],
        ..Settings::default()
    };
    put_in_force(clients, settings).await?;
    Ok(changed.after)
}

/// A tenant's settings as they stand in the store.
pub async fn tenant(clients: &Clients, tenant: &TenantId) -> Result<TenantSettings, Unreachable> {
    let newest = clients.store.settings().await?;
    let name = format!("{TENANTS}/{tenant}");
    Ok(match newest.get(&name) {
        Some(revision) => {
            let name = [TENANTS, tenant.as_str()];
            let found = clients.store.setting(&name, *revision).await?;
            found.unwrap_or_default()
        }
        None => TenantSettings::default(),
    })
}

/// The tenants that operators have set something of, by name.
pub async fn configured_tenants(clients: &Clients) -> Result<Vec<TenantId>, Unreachable> {
    let newest = clients.store.settings().await?;
    let names = newest
        .keys()
        .filter_map(|name| name.strip_prefix("tenants/"));
    Ok(names.map(TenantId::stored).collect())
}

async fn put_in_force(clients: &Clients, settings: Settings) -> Result<(), Unreachable> {
    let answer = clients.queue.configure(&settings).await?;
    // What could run now is rung for: several at once where a whole queue was let go.
    let debt: Debt = answer.debt;
    settle::pay(clients, debt, None).await;
    Ok(())
}
