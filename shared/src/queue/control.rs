//! What operators set, as the scripts go by it. The truth is in the object store; these are copies by revision.

use serde::{Deserialize, Serialize};

use crate::job::TenantId;
use crate::queue::{Answer, Queue, QueueError, scripts};

/// Settings of the whole queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueSettings {
    /// In place of the configured number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// No job is given out; running ones go on.
    #[serde(default)]
    pub paused: bool,
}

/// Settings of one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantSettings {
    /// Share of the slots beside tenants of weight 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Jobs in plan or audio at once, in place of the configured number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u32>,
    /// None of its jobs is given out; running ones go on.
    #[serde(default)]
    pub paused: bool,
}

/// Settings with the number of their last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised<T> {
    pub revision: u64,
    pub settings: T,
}

/// What is to be put in force: at most [`MAX_TENANTS`] tenants in one call.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub queue: Option<Revised<QueueSettings>>,
    pub tenants: Vec<(TenantId, Revised<TenantSettings>)>,
    /// This was all there is: an emptied Redis may give out jobs again.
    pub loaded: bool,
}

/// Tenants of one call of `configure`.
pub const MAX_TENANTS: usize = 16;

#[derive(Serialize)]
struct QueueArgs<'a> {
    revision: u64,
    #[serde(flatten)]
    settings: &'a QueueSettings,
}

#[derive(Serialize)]
struct TenantArgs<'a> {
    tenant: &'a TenantId,
    revision: u64,
    #[serde(flatten)]
    settings: &'a TenantSettings,
}

#[derive(Deserialize)]
struct Applied {
    applied: u32,
}

impl Queue {
    /// Puts settings in force; older revisions than those in force change nothing. Says how many were new.
    pub async fn configure(&self, settings: &Settings) -> Result<Answer<u32>, QueueError> {
        #[derive(Serialize)]
        struct Args<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            queue: Option<QueueArgs<'a>>,
            tenants: Vec<TenantArgs<'a>>,
            loaded: bool,
        }
        let queue = settings.queue.as_ref().map(|queue| QueueArgs {
            revision: queue.revision,
            settings: &queue.settings,
        });
        let tenants = settings.tenants.iter().take(MAX_TENANTS);
        let tenants = tenants.map(|(tenant, revised)| TenantArgs {
            tenant,
            revision: revised.revision,
            settings: &revised.settings,
        });
        let args = Args {
            queue,
            tenants: tenants.collect(),
            loaded: settings.loaded,
        };
        let answer: Answer<Applied> = self.call(&scripts::CONFIGURE, &args).await?;
        Ok(answer.with(|settings| settings.applied))
    }

    /// The revisions in force: of the queue, and of these tenants in their order.
    pub async fn revisions(
        &self,
        tenants: &[TenantId],
    ) -> Result<(Option<u64>, Vec<Option<u64>>), QueueError> {
        let mut pipe = redis::pipe();
        pipe.hget(self.keys.control(), "revision");
        for tenant in tenants {
            pipe.hget(self.keys.tenant(tenant), "revision");
        }
        let mut all: Vec<Option<u64>> = self.redis.pipe(&pipe).await?;
        let queue = (!all.is_empty()).then(|| all.remove(0)).flatten();
        Ok((queue, all))
    }
}
