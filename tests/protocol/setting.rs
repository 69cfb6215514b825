//! One configuration of the model: how many of what, which faults may happen how often, which rule is broken.

use crate::state::{Bell, Job};

/// Most jobs in a model.
pub(crate) const JOBS: usize = 3;
/// Workers that may be busy at the same time.
pub(crate) const WORKERS: usize = 2;

/// A rule of the protocol that a mutant leaves out. Each must be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A worker lets its bell be deleted after a job, without another acquire and without ringing.
    Baton,
    /// A request rings first and commits afterwards.
    CommitFirst,
    /// A request does not ring, though its commit says that it should.
    Debt,
    /// A fence is the acquire counter alone, which Redis forgets together with the acquire.
    Nonce,
    /// A script takes the word of any worker for a job that is being processed.
    Fence,
    /// `acquire` does not look at a tenant's cap.
    Cap,
    /// `cancel` does not ask whether the job has ended.
    Terminal,
    /// A worker does not look for a manifest before it works.
    Look,
    /// `settle` removes the marker before the manifest is written.
    ManifestFirst,
}

/// How often each thing that nobody wants may still happen. Part of the state, so that the state space ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    /// A bell vanishes.
    pub(crate) lost_bells: u8,
    /// A bell is delivered once more than it was rung.
    pub(crate) doubled_bells: u8,
    /// A worker is killed between two of its steps.
    pub(crate) dead_workers: u8,
    /// A worker goes on after its lease ran out.
    pub(crate) slow_workers: u8,
    /// A request is killed after the durable put, or after its commit and before its ring.
    pub(crate) dead_requests: u8,
    /// Redis stands again as it stood before its last transition.
    pub(crate) rollbacks: u8,
    /// Redis loses everything.
    pub(crate) emptyings: u8,
    /// An attempt fails.
    pub(crate) failures: u8,
    /// A worker gives its job back.
    pub(crate) give_backs: u8,
    /// An owner cancels a job.
    pub(crate) cancels: u8,
}

/// What is checked.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) jobs: usize,
    /// Each job's tenant.
    pub(crate) tenant: [u8; JOBS],
    /// Jobs in plan or audio of one tenant.
    pub(crate) cap: usize,
    /// The same of all tenants.
    pub(crate) slots: usize,
    pub(crate) max_attempts: u8,
    /// How often one audio may be taken for `finish`.
    pub(crate) finish_takes: u8,
    /// A bell beyond as many is not noticed: it would wake nobody who is not woken anyway.
    pub(crate) bells_max: u8,
    pub(crate) sweep: bool,
    /// Whether Redis may forget a settled job, as it does after the retention time.
    pub(crate) forgets: bool,
    /// Whether `settle` leaves a manifest that says something else. (Redis then takes it over; here it forgets the job, which reads alike.)
    pub(crate) first_manifest_stays: bool,
    pub(crate) left: Left,
    pub(crate) broken: Option<Broken>,
}

impl Default for Setting {
    /// Two jobs of one tenant, one slot, nothing goes wrong and nobody sweeps.
    fn default() -> Self {
        Self {
            jobs: 2,
            tenant: [0; JOBS],
            cap: 1,
            slots: 1,
            max_attempts: 2,
            finish_takes: 2,
            bells_max: 3,
            sweep: false,
            forgets: false,
            first_manifest_stays: true,
            left: Left::default(),
            broken: None,
        }
    }
}

impl Setting {
    pub(crate) fn breaks(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }

    /// Whether Redis may come to know less than the store: only then the name in a bell matters.
    pub(crate) fn redis_forgets(&self) -> bool {
        self.forgets || self.left.rollbacks > 0 || self.left.emptyings > 0
    }

    /// The bell of a submission.
    pub(crate) fn bell_of(&self, job: Job) -> Bell {
        if self.redis_forgets() {
            Bell::Naming(job)
        } else {
            Bell::Plain
        }
    }

    /// Whether nothing may get lost: then every job ends without a sweep.
    pub(crate) fn is_faultless(&self) -> bool {
        let Left {
            failures,
            give_backs,
            cancels,
            doubled_bells,
            ..
        } = self.left;
        let harmless = Left {
            failures,
            give_backs,
            cancels,
            doubled_bells,
            ..Left::default()
        };
        self.left == harmless
    }
}
