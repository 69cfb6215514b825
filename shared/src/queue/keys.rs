//! Every Redis key. Pattern: `{<partition>}:<name>[:<tenant or job>]`; the braces put a partition into one cluster slot.
//! The scripts spell the same names through `key()` of `lua/prelude.lua`; nothing else spells one.

use std::fmt;

use uuid::Uuid;

use crate::endpoint::Line;
use crate::job::{JobId, TenantId, UserId};
use crate::socket::ConnectionId;

/// Whose list: one user's, or everybody's (for admins). `*` can be no user's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    User(UserId),
    Everybody,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Everybody => f.write_str("*"),
        }
    }
}

/// Makes the keys of one partition.
#[derive(Debug, Clone)]
pub struct Keys {
    tag: String,
}

impl Keys {
    /// For the partition of this name.
    pub fn new(partition: &str) -> Self {
        Self {
            tag: format!("{{{partition}}}"),
        }
    }

    /// `{p}`: what the scripts build their keys from, and what routes them in a cluster.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    fn key(&self, rest: impl fmt::Display) -> String {
        format!("{}:{rest}", self.tag)
    }

    /// zset: tenant → level·2⁴⁸ + virtual time; only tenants that may run a job now.
    pub fn ready(&self) -> String {
        self.key("ready")
    }

    /// zset: job → level·2⁴⁸ + sequence, one tenant's line.
    pub fn line(&self, tenant: &TenantId) -> String {
        self.key(format_args!("q:{tenant}"))
    }

    /// zset: the tenant's jobs in plan or audio → ms of acquire.
    pub fn running(&self, tenant: &TenantId) -> String {
        self.key(format_args!("run:{tenant}"))
    }

    /// zset: job → ms when it may be taken for `finish`.
    pub fn finish(&self) -> String {
        self.key("finish")
    }

    /// hash: cap, weight, paused, revision (as operators set them), `v<level>`, `c<level>` (audio seconds waiting), `r<level>` and
    /// `r<level>_ms` (audio seconds submitted in a ms of late, as of then).
    pub fn tenant(&self, tenant: &TenantId) -> String {
        self.key(format_args!("tenant:{tenant}"))
    }

    /// zset: every tenant with work, score 0, for the sweep's cursor.
    pub fn tenants(&self) -> String {
        self.key("tenants")
    }

    /// hash: `v<level>`, order, fence, epoch, emptied_ms, reconcile, server (with the keys it has evicted), evicts; swept_ms (the sweep's
    /// last round), chunks_passed_over (since then), owed_ms (since when a worker is waited for) and unheard_ms (the same of `notify`).
    pub fn clock(&self) -> String {
        self.key("clock")
    }

    /// zset: chunk of the comparison with the store → ms until which somebody has taken it, or 0.
    pub fn chunks(&self) -> String {
        self.key("chunks")
    }

    /// string: present while the job's id is dead, because its submission was refused or it was deleted.
    pub fn refused(&self, job: JobId) -> String {
        self.key(format_args!("refused:{job}"))
    }

    /// zset: job → ms when its lease runs out.
    pub fn lease(&self) -> String {
        self.key("lease")
    }

    /// zset: job → ms when its retry is due.
    pub fn delayed(&self) -> String {
        self.key("delayed")
    }

    /// zset: job → ms when it expires unstarted.
    pub fn start_by(&self) -> String {
        self.key("start_by")
    }

    /// zset: job → ms when it expires in any case.
    pub fn finish_by(&self) -> String {
        self.key("finish_by")
    }

    /// hash: of a service that failed of late `<service>` (failures in a row), `<service>:at` (the last, ms) and `<service>:until`
    /// (left alone until then, ms).
    pub fn breaker(&self) -> String {
        self.key("breaker")
    }

    /// string: present while acquire must answer `held`; `down` or `busy`, what a service is that no job can do without.
    pub fn hold(&self) -> String {
        self.key("hold")
    }

    /// zset: ended jobs not yet settled → ms of the next try.
    pub fn outbox(&self) -> String {
        self.key("outbox")
    }

    /// zset: line with owed messages → ms when it is looked at next.
    pub fn owing(&self) -> String {
        self.key("owing")
    }

    /// zset: `<job>:<target>` of an owed message of a line → ms when it is due, or its sender counts as lost.
    pub fn owed(&self, line: &Line) -> String {
        self.key(format_args!("owed:{line}"))
    }

    /// zset: `<job>:<target>` that is on its way to this host (`/<tenant>`: for this tenant) → ms when its sender counts as lost.
    pub fn flying(&self, side: &str) -> String {
        self.key(format_args!("flying:{side}"))
    }

    /// set: lines that wait for room at this host (`/<tenant>`: of this tenant).
    pub fn full(&self, side: &str) -> String {
        self.key(format_args!("full:{side}"))
    }

    /// hash: n (failures of this line in a row), until (it rests, ms).
    pub fn fault(&self, line: &Line) -> String {
        self.key(format_args!("fault:{line}"))
    }

    /// hash: generation, event, dues (objects that note what is owed), and of each target its record, JSON.
    pub fn delivery(&self, id: JobId) -> String {
        self.key(format_args!("delivery:{id}"))
    }

    /// hash: `<tenant>:<endpoint>` → ms of the first failure since its last success.
    pub fn failing(&self) -> String {
        self.key("failing")
    }

    /// zset: jobs out of attempts → ms.
    pub fn dead(&self) -> String {
        self.key("dead")
    }

    /// hash: one job's small fields.
    pub fn job(&self, id: JobId) -> String {
        self.key(format_args!("job:{id}"))
    }

    /// list: one job's newest events, JSON.
    pub fn events(&self, id: JobId) -> String {
        self.key(format_args!("events:{id}"))
    }

    /// string: the track or the last error, JSON.
    pub fn outcome(&self, id: JobId) -> String {
        self.key(format_args!("outcome:{id}"))
    }

    /// string: the completed job of a tenant that answers this digest.
    pub fn cache(&self, tenant: &TenantId, digest: &str) -> String {
        self.key(format_args!("cache:{tenant}:{digest}"))
    }

    /// string: when a tenant's calls of one kind, or attempts that are counted together, are within their limit again, ms.
    pub fn rate(&self, kind: &str, tenant: &TenantId) -> String {
        self.key(format_args!("rate:{kind}:{tenant}"))
    }

    /// set: ids of the tokens that were taken back, and `*` while it is whole.
    pub fn revoked(&self) -> String {
        self.key("revoked")
    }

    /// set: tenants that may have webhooks, and `*` while it is whole.
    pub fn hooked(&self) -> String {
        self.key("hooked")
    }

    /// hash: slots, paused, revision (as operators set them), loaded (absent when Redis was emptied).
    pub fn control(&self) -> String {
        self.key("control")
    }

    /// zset: tenant → its waiting jobs.
    pub fn backlog(&self) -> String {
        self.key("backlog")
    }

    /// hash: `n<level>` waiting jobs, `c<level>` audio seconds they ask for.
    pub fn load(&self) -> String {
        self.key("load")
    }

    /// hash: what waits and paces were like: `per_cost`, `slot_ms`, `cost`, and of each level and size of guess `m50:<level>:<size>`,
    /// `m90:…`, `n:…`; `r<level>` and `r<level>_ms` as of a tenant.
    pub fn eta(&self) -> String {
        self.key("eta")
    }

    /// hash: what happened in one minute since 1970, for two hours.
    pub fn minute(&self, minute: i64) -> String {
        self.key(format_args!("minute:{minute}"))
    }

    /// hash: what happened since Redis began, by the words of `minute`; `<stage>_n` and `<stage>_ms`: stages that are over, and what they took.
    pub fn totals(&self) -> String {
        self.key("totals")
    }

    /// hash: `<stage>:<bucket>` stage times of one hour since 1970, for three hours; bucket = 4·log₂(ms).
    pub fn times(&self, hour: i64) -> String {
        self.key(format_args!("times:{hour}"))
    }

    /// zset: an owner's jobs of one status (`<status>`), or a user's of one tag (`#<tag>`) → ms of creation. Each job is in one list
    /// of a status, so these six together are all; it leaves its lists with its record.
    pub fn by_user(&self, owner: &Owner, filter: &str) -> String {
        self.key(format_args!("by_user:{owner}:{filter}"))
    }

    /// zset: tenant → ms when the first of its kept jobs is let go.
    pub fn kept(&self) -> String {
        self.key("kept")
    }

    /// zset: a tenant's jobs that ended and are settled → ms when they are let go.
    pub fn kept_of(&self, tenant: &TenantId) -> String {
        self.key(format_args!("kept:{tenant}"))
    }

    /// string: written by whoever asks whether Redis takes new work.
    pub fn probe(&self) -> String {
        self.key("probe")
    }

    /// string: what one call of `acquire` was answered, for 60 s.
    pub fn call(&self, call: Uuid) -> String {
        self.key(format_args!("call:{call}"))
    }

    /// zset: long-polling callers → ms when they give up.
    pub fn waiters(&self) -> String {
        self.key("waiters")
    }

    /// zset: the same of one tenant.
    pub fn waiters_of(&self, tenant: &TenantId) -> String {
        self.key(format_args!("waiters:{tenant}"))
    }

    /// stream: the local doorbell.
    pub fn bell(&self) -> String {
        self.key("bell")
    }

    /// zset: bell → ms when it is to ring, for the local doorbell.
    pub fn bell_later(&self) -> String {
        self.key("bell_later")
    }

    /// stream: the local doorbell of `notify`.
    pub fn notice(&self) -> String {
        self.key("notice")
    }

    /// zset: its delayed bells.
    pub fn notice_later(&self) -> String {
        self.key("notice_later")
    }

    /// stream: the local doorbell of `deliver`.
    pub fn message(&self) -> String {
        self.key("message")
    }

    /// zset: its delayed bells.
    pub fn message_later(&self) -> String {
        self.key("message_later")
    }

    /// zset: job whose listeners lack something → ms when the sweep rings for it.
    pub fn notices(&self) -> String {
        self.key("notices")
    }

    /// string: who tells this job's listeners at the moment.
    pub fn notifying(&self, id: JobId) -> String {
        self.key(format_args!("notifying:{id}"))
    }

    /// string: there while a ticket was not used.
    pub fn ticket(&self, jti: Uuid) -> String {
        self.key(format_args!("ticket:{jti}"))
    }

    /// string: whom a connection speaks for, JSON.
    pub fn socket(&self, connection: &ConnectionId) -> String {
        self.key(format_args!("socket:{connection}"))
    }

    /// zset: open connection → ms when its token expires; 0 where it was ended.
    pub fn sockets(&self) -> String {
        self.key("sockets")
    }

    /// zset: the same of one user.
    pub fn sockets_of(&self, user: &UserId) -> String {
        self.key(format_args!("sockets_of:{user}"))
    }

    /// set: jobs that a connection subscribed to.
    pub fn subscriptions(&self, connection: &ConnectionId) -> String {
        self.key(format_args!("subscriptions:{connection}"))
    }

    /// zset: connection → number of the job's last event that it was sent.
    pub fn listeners(&self, id: JobId) -> String {
        self.key(format_args!("listeners:{id}"))
    }

    /// zset: connection that listens to all jobs of a user → ms since when.
    pub fn feed(&self, user: &UserId) -> String {
        self.key(format_args!("feed:{user}"))
    }
}
