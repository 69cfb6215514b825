//! One configuration of the model: who takes part, what may go wrong how often, which rule is
//! broken.

use super::state::Body;

/// A rule that a mutant leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// A refusal by a limit leaves no fact in Redis.
    NoFact,
    /// The refusal of a request that repeats another one kills the id, too.
    TwinKills,
    /// Nobody looks for a tombstone after a put.
    NoLook,
    /// A submission does not look for a tombstone once more when Redis has its job.
    NoSecondLook,
    /// A delete puts the tombstone and removes the objects before it asks Redis.
    DeleteUnasked,
    /// A delete removes the objects before it puts the tombstone.
    StoneLast,
    /// A marker is one for all generations of a job.
    OneMarker,
    /// A retry begins although the end before it is not on record.
    RetryUnsettled,
    /// The claim of a dead job is removed and put again, instead of followed by another one.
    ClaimInPlace,
    /// The sweep frees a key without a seal.
    NoSeal,
    /// The sweep removes the claim in every round, whoever has it by then.
    ClaimOfOthers,
    /// A seal that a broken-off round left counts as old, although the claim still stands.
    OldSeal,
    /// The sweep removes the marker of an ended job even if settling found nothing to settle.
    MarkerUnsettled,
    /// The sweep leaves the marker of an older generation of a job that Redis has forgotten.
    OldMarkerStays,
    /// The id follows from the key.
    DerivedId,
}

/// How often each thing may still happen. Part of the state, so that the state space ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Left {
    /// Somebody dies between two steps.
    pub(crate) deaths: u8,
    /// The sweep dies between two steps.
    pub(crate) broken_rounds: u8,
    /// Redis loses everything.
    pub(crate) emptyings: u8,
    pub(crate) deletes: u8,
    pub(crate) retries: u8,
    /// A worker that puts a plan, however late.
    pub(crate) plans: u8,
    /// A model that uses its signed link, however late.
    pub(crate) uploads: u8,
    /// The line is full, or the tenant too fast, for an attempt to enter it.
    pub(crate) refusals: u8,
    /// Redis certainly takes nothing, and can be asked right after.
    pub(crate) failures: u8,
    /// Redis forgets a settled job after the retention time.
    pub(crate) retentions: u8,
}

/// What is checked.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The submissions under the key, each with its body.
    pub(crate) bodies: &'static [Body],
    /// Whether somebody settles beside those who change a job, as slowly as can be.
    pub(crate) settler: bool,
    /// Whether the sweep looks at any moment, or only once all else is over.
    pub(crate) sweep: bool,
    /// Whether all submissions but the first come after a delete.
    pub(crate) after_delete: bool,
    /// Whether Redis may also be emptied before a fact has its tombstone, and at once refuse who
    /// was under way.
    pub(crate) emptied_anywhere: bool,
    pub(crate) left: Left,
    pub(crate) broken: Option<Broken>,
}

impl Setting {
    /// Submissions with these bodies; the sweep and a settler may come at any moment.
    pub(crate) fn of(bodies: &'static [Body], left: Left) -> Self {
        Self {
            bodies,
            settler: true,
            sweep: true,
            after_delete: false,
            emptied_anywhere: false,
            left,
            broken: None,
        }
    }

    pub(crate) fn breaks(&self, rule: Broken) -> bool {
        self.broken == Some(rule)
    }
}
